//! A month, and two hours of outage, on a clock that is moved (cases R14, R15): no account passes its end while its platform is
//! well, and a platform that is not well is left in peace and not run down when it is back.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use harness::{Cluster, Outcome, eventually_within, in_one_process};
use proto::tokens::v1::GetAccessTokenRequest;
use serde_json::json;
use sqlx::{Connection as _, SqliteConnection};

const HOUR: Duration = Duration::from_secs(3600);

/// Everything that is due has been looked at.
async fn idle(hub: &Cluster) -> Outcome {
    let url = format!("sqlite://{}", hub.folder().join("tokens.db").display());
    let mut database = SqliteConnection::connect(&url).await?;
    eventually_within(Duration::from_secs(60), "nothing is due", async || {
        // The sweep looks once in its interval.
        hub.advance(Duration::from_secs(6)).await?;
        let due = "SELECT COUNT(*) FROM grants WHERE next_due_at_ms IS NOT NULL AND next_due_at_ms <= $1";
        let due: i64 = sqlx::query_scalar(due)
            .bind(hub.now_ms()?)
            .fetch_one(&mut database)
            .await?;
        Ok((due == 0).then_some(()))
    })
    .await
}

async fn has_token(hub: &Cluster, id: &str) -> Outcome {
    let request = GetAccessTokenRequest {
        workspace_id: "bakery".to_owned(),
        account_id: id.to_owned(),
        min_ttl: None,
    };
    let token = hub.tokens(0)?.get_access_token(request).await?.into_inner();
    ensure!(!token.access_token.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn r14_in_a_month_no_account_passes_its_end_while_its_platform_is_well() -> Outcome {
    in_one_process(async |hub| {
        hub.plan("bakery", "professional").await?;
        hub.sandbox.profile(&json!({"linkedin_partner": true})).await?;
        let owner = hub.owner("bakery");
        let mut ids = Vec::new();
        for (platform, person) in [
            ("facebook", "enid"),
            ("instagram", "ada"),
            ("tiktok", "bo"),
            ("x", "ada"),
            ("linkedin", "finn"),
        ] {
            // Ends come several times in the month.
            let short = json!({"kind": "lifetimes", "access_seconds": 9 * 24 * 3600});
            if !matches!(platform, "tiktok" | "x") {
                hub.sandbox
                    .switch(&json!({"platform": platform, "effect": short}))
                    .await?;
            }
            ids.push(owner.connect_one(&hub.sandbox, platform, person).await?);
        }
        for _ in 0..30 * 4 {
            hub.advance(6 * HOUR).await?;
            idle(hub).await?;
        }
        for id in &ids {
            has_token(hub, id).await?;
            let health = owner.health(id).await?;
            ensure!(health == "healthy", "{id}: {health}");
        }
        let notices = owner.get("notifications").await?.ok()?.to_string();
        ensure!(
            !notices.contains("econnect"),
            "somebody was asked to reconnect: {notices}"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn r15_a_platform_that_is_down_is_asked_ever_less_and_not_run_down_when_it_is_back() -> Outcome {
    in_one_process(async |hub| {
        hub.plan("bakery", "professional").await?;
        let owner = hub.owner("bakery");
        let people = ["ada", "bo", "cleo", "dora", "gus"];
        let mut ids = Vec::new();
        for person in people {
            ids.push(owner.connect_one(&hub.sandbox, "x", person).await?);
        }
        // Their access tokens have ended, and readers want new ones every minute.
        hub.advance(3 * HOUR).await?;
        let down = json!({"platform": "x", "effect": {"kind": "server_error", "status": 503}});
        hub.sandbox.switch(&down).await?;
        let minute = async || {
            for id in &ids {
                let _ = has_token(hub, id).await;
            }
            hub.advance(Duration::from_secs(60)).await
        };
        for _ in 0..120 {
            minute().await?;
        }
        let tried = by_person(hub).await?;
        ensure!(tried.len() <= people.len() && !tried.is_empty(), "{tried:?}");
        // The breaker lets one call a minute through, whoever's it is.
        ensure!(tried.values().sum::<usize>() <= 140, "hammered: {tried:?}");
        hub.sandbox.behave().await?;
        for _ in 0..75 {
            minute().await?;
        }
        let after = by_person(hub).await?;
        for (person, id) in people.iter().zip(&ids) {
            has_token(hub, id).await.with_context(|| (*person).to_owned())?;
            ensure!(owner.health(id).await? == "healthy", "{person}: an outage is no reason");
            let more = after.get(*person).unwrap_or(&0) - tried.get(*person).unwrap_or(&0);
            ensure!(more <= 1, "{person}: {more} calls for one token");
        }
        Ok(())
    })
    .await
}

/// Refreshes that reached the platform.
async fn by_person(hub: &Cluster) -> anyhow::Result<BTreeMap<String, usize>> {
    let mut calls = BTreeMap::new();
    for call in hub.sandbox.requests("x", "refresh").await? {
        let person = call["person"].as_str().context("nobody")?.to_owned();
        *calls.entry(person).or_default() += 1;
    }
    Ok(calls)
}
