//! Unattended refresh of Meta tokens: announced, counted, and never mistaken for an outage.

use std::time::Duration;

use anyhow::{Context, ensure};
use harness::{Api, Cluster, Outcome, each_form_with, eventually, eventually_within};
use serde_json::{Value, json};

/// Everything that takes hours takes moments here.
const QUICK: [(&str, &str); 3] = [
    ("tokens.check_interval", "1s"),
    ("tokens.attempt_spacing", "200ms"),
    ("tokens.sweep_interval", "200ms"),
];

/// A Page of Enid's whose sign-in ends in three days: inside the window of seven.
async fn page_that_ends_soon(hub: &Cluster, owner: &Api) -> anyhow::Result<String> {
    let soon = json!({"kind": "lifetimes", "access_seconds": 3 * 86_400});
    hub.sandbox
        .switch(&json!({"platform": "facebook", "operation": "exchange", "effect": soon}))
        .await?;
    owner.connect_one(&hub.sandbox, "facebook", "enid").await
}

async fn toasts(owner: &Api) -> anyhow::Result<Vec<String>> {
    let list = owner.get("notifications").await?.ok()?;
    let all = list["data"].as_array().context("no data")?.clone();
    Ok(all
        .iter()
        .map(|one| one["text"].as_str().unwrap_or_default().to_owned())
        .collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_within_the_window_is_refreshed_and_announced_once() -> Outcome {
    each_form_with(&QUICK, async |hub| {
        let owner = hub.owner("antiques");
        let mut events = owner.events(None).await?;
        let id = page_that_ends_soon(hub, &owner).await?;
        let refreshed = events.named("account.token_refreshed").await?;
        ensure!(
            refreshed.data["toast"]["text"] == "Access token refreshed for Oldfield Antiques",
            "{refreshed:?}"
        );
        ensure!(refreshed.data["account_id"] == id.as_str(), "{refreshed:?}");
        let account = owner.account(&id).await?;
        ensure!(
            account["health"]["status"] == "healthy" && !account["token"]["last_refreshed_at"].is_null(),
            "{account}"
        );
        eventually("a notification says the same", async || {
            Ok((toasts(&owner).await? == ["Access token refreshed for Oldfield Antiques"]).then_some(()))
        })
        .await?;
        ensure!(hub.sandbox.requests("facebook", "refresh").await?.len() == 1);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn three_refusals_turn_the_account_amber_with_one_toast() -> Outcome {
    each_form_with(&QUICK, async |hub| {
        let owner = hub.owner("antiques");
        let refuse = json!({"platform": "facebook", "operation": "refresh", "effect": {"kind": "not_extended"}});
        hub.sandbox.switch(&refuse).await?;
        let mut events = owner.events(None).await?;
        let id = page_that_ends_soon(hub, &owner).await?;
        let seen = events.until("account.reconnect_required").await?;
        let failed: Vec<&Value> = seen
            .iter()
            .filter(|event| event.name == "account.refresh_attempt_failed")
            .map(|event| &event.data)
            .collect();
        ensure!(
            failed.iter().all(|event| event["toast"].is_null()),
            "attempts 1 and 2 are silent: {failed:?}"
        );
        let last = &seen.last().context("nothing")?.data;
        ensure!(last["toast"]["text"] == "Please reconnect Oldfield Antiques", "{last}");
        ensure!(owner.health(&id).await? == "refresh_failed");
        ensure!(
            hub.sandbox.requests("facebook", "refresh").await?.len() == 3,
            "exactly three attempts"
        );
        ensure!(
            toasts(&owner).await? == ["Please reconnect Oldfield Antiques"],
            "one incident, one toast"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_leaves_the_account_green_until_it_is_over() -> Outcome {
    each_form_with(&QUICK, async |hub| {
        let owner = hub.owner("antiques");
        for effect in [
            json!({"kind": "server_error", "status": 503}),
            json!({"kind": "rate_limit", "code": 4}),
        ] {
            hub.sandbox.behave().await?;
            hub.sandbox
                .switch(&json!({"platform": "facebook", "operation": "refresh", "effect": effect}))
                .await?;
            let id = page_that_ends_soon(hub, &owner).await?;
            let before = hub.sandbox.requests("facebook", "refresh").await?.len();
            eventually_within(Duration::from_secs(60), "it was tried", async || {
                Ok((hub.sandbox.requests("facebook", "refresh").await?.len() > before).then_some(()))
            })
            .await?;
            owner.check(&id).await?;
            ensure!(
                owner.health(&id).await? == "healthy",
                "{effect} turned the account amber"
            );
            ensure!(
                owner.account(&id).await?["token"]["failed_attempts"] == 0,
                "an outage was counted"
            );
            ensure!(!toasts(&owner).await?.iter().any(|text| text.contains("reconnect")));
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_can_refresh_now_only_where_the_platform_can() -> Outcome {
    each_form_with(&QUICK, async |hub| {
        hub.plan("bakery", "professional").await?;
        let owner = hub.owner("bakery");
        let page = owner.connect_one(&hub.sandbox, "facebook", "enid").await?;
        let answer = owner
            .post(&format!("accounts/{page}/token-refreshes"), json!({}))
            .await?
            .ok()?;
        ensure!(answer.to_string().contains(&page), "{answer}");
        let other = owner.connect_one(&hub.sandbox, "x", "ada").await?;
        let refused = owner
            .post(&format!("accounts/{other}/token-refreshes"), json!({}))
            .await?;
        refused.problem(409, "platform-not-refreshable")?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_change_turns_the_account_amber_at_the_next_check() -> Outcome {
    each_form_with(&QUICK, async |hub| {
        let owner = hub.owner("antiques");
        let id = owner.connect_one(&hub.sandbox, "facebook", "enid").await?;
        let mut events = owner.events(None).await?;
        hub.sandbox
            .act("facebook", "enid", json!({"kind": "password_changed"}))
            .await?;
        owner.check(&id).await?;
        let required = events.named("account.reconnect_required").await?;
        ensure!(
            required.data["toast"]["text"] == "Please reconnect Oldfield Antiques",
            "{required:?}"
        );
        ensure!(owner.health(&id).await? == "access_revoked");
        let account = owner.account(&id).await?;
        ensure!(
            account["health"]["reasons"][0]["detail"] == "password_changed",
            "{account}"
        );
        Ok(())
    })
    .await
}
