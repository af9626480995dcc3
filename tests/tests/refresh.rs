//! Unattended refresh of Meta tokens: announced, counted, and never mistaken for an outage.
//!
//! What takes hours runs in one process, on a clock that is moved; the rest in both forms.

use std::time::Duration;

use anyhow::{Context, ensure};
use harness::{Api, Cluster, Outcome, each_form, eventually, in_one_process};
use proto::tokens::v1::InspectRequest;
use serde_json::{Value, json};

/// A Page of Enid's whose sign-in lives for eight hours: refreshed ahead from the fourth on.
async fn short_lived_page(hub: &Cluster, owner: &Api) -> anyhow::Result<String> {
    let short = json!({"kind": "lifetimes", "access_seconds": 8 * 3600});
    hub.sandbox
        .switch(&json!({"platform": "facebook", "operation": "exchange", "effect": short}))
        .await?;
    owner.connect_one(&hub.sandbox, "facebook", "enid").await
}

/// What people were told, newest first.
pub(crate) async fn toasts(owner: &Api) -> anyhow::Result<Vec<String>> {
    let list = owner.get("notifications").await?.ok()?;
    let all = list["data"].as_array().context("no data")?.clone();
    Ok(all
        .iter()
        .map(|one| one["text"].as_str().unwrap_or_default().to_owned())
        .collect())
}

/// When tokens means to try next; the account is not told of every change of it. Unix milliseconds.
async fn next_refresh_ms(hub: &Cluster, id: &str) -> anyhow::Result<i64> {
    let request = InspectRequest {
        workspace_id: "antiques".to_owned(),
        account_id: id.to_owned(),
    };
    Ok(hub
        .tokens(0)?
        .inspect(request)
        .await?
        .into_inner()
        .grant
        .context("no grant")?
        .next_refresh_at_ms)
}

/// Moves the clock to the next refresh and waits until it was tried.
async fn next_attempt(hub: &Cluster, id: &str) -> anyhow::Result<()> {
    let before = hub.sandbox.requests("facebook", "refresh").await?.len();
    let next = next_refresh_ms(hub, id).await?;
    ensure!(next > 0, "no refresh is planned");
    let wait = u64::try_from(next - hub.now_ms()?).unwrap_or_default() + 1000;
    hub.advance(Duration::from_millis(wait)).await?;
    eventually("a refresh is tried", async || {
        // The sweep looks once in its interval.
        hub.advance(Duration::from_secs(30)).await?;
        Ok((hub.sandbox.requests("facebook", "refresh").await?.len() > before).then_some(()))
    })
    .await?;
    eventually("the attempt is over", async || {
        Ok((next_refresh_ms(hub, id).await? != next).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_soon_is_refreshed_and_announced_once() -> Outcome {
    in_one_process(async |hub| {
        let owner = hub.owner("antiques");
        let id = short_lived_page(hub, &owner).await?;
        let mut events = owner.events(Some("0")).await?;
        next_attempt(hub, &id).await?;
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
        ensure!(toasts(&owner).await? == ["Access token refreshed for Oldfield Antiques"]);
        ensure!(hub.sandbox.requests("facebook", "refresh").await?.len() == 1);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn three_refusals_turn_the_account_amber_with_one_toast() -> Outcome {
    in_one_process(async |hub| {
        let owner = hub.owner("antiques");
        let refuse = json!({"platform": "facebook", "operation": "refresh", "effect": {"kind": "not_extended"}});
        hub.sandbox.switch(&refuse).await?;
        let id = short_lived_page(hub, &owner).await?;
        let mut events = owner.events(Some("0")).await?;
        for attempt in 1..=3 {
            ensure!(owner.health(&id).await? == "healthy", "amber before attempt {attempt}");
            next_attempt(hub, &id).await?;
        }
        let seen = events.until("account.reconnect_required").await?;
        let loud: Vec<&Value> = seen
            .iter()
            .map(|event| &event.data["toast"])
            .filter(|toast| !toast.is_null())
            .collect();
        ensure!(
            loud.len() == 1 && loud[0]["text"] == "Please reconnect Oldfield Antiques",
            "{loud:?}"
        );
        ensure!(owner.health(&id).await? == "refresh_failed");
        ensure!(
            hub.sandbox.requests("facebook", "refresh").await?.len() == 3,
            "exactly three attempts"
        );
        hub.advance(Duration::from_secs(8 * 3600)).await?;
        owner.check(&id).await?;
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
    in_one_process(async |hub| {
        let owner = hub.owner("antiques");
        let id = short_lived_page(hub, &owner).await?;
        let troubles = [
            json!({"kind": "server_error", "status": 503}),
            json!({"kind": "rate_limit", "code": 4}),
            json!({"kind": "body", "with": "html"}),
        ];
        for effect in troubles {
            let order = json!({"platform": "facebook", "operation": "refresh", "effect": effect});
            hub.sandbox.behave().await?;
            hub.sandbox.switch(&order).await?;
            next_attempt(hub, &id).await.with_context(|| effect.to_string())?;
            let account = owner.account(&id).await?;
            ensure!(account["health"]["status"] == "healthy", "{effect}: {account}");
            ensure!(
                account["token"]["failed_attempts"] == 0,
                "{effect} was counted: {account}"
            );
        }
        ensure!(toasts(&owner).await?.is_empty());
        hub.sandbox.behave().await?;
        // No answer at all is neither success nor failure: it is asked again until there is one.
        let cut = json!({"platform": "facebook", "operation": "refresh", "next": 1, "effect": {"kind": "drop"}});
        hub.sandbox.switch(&cut).await?;
        eventually("it is refreshed", async || {
            hub.advance(Duration::from_secs(60)).await?;
            Ok((toasts(&owner).await? == ["Access token refreshed for Oldfield Antiques"]).then_some(()))
        })
        .await?;
        ensure!(owner.health(&id).await? == "healthy");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_whose_end_passed_says_expired_and_nothing_else() -> Outcome {
    in_one_process(async |hub| {
        hub.plan("bakery", "professional").await?;
        let owner = hub.owner("bakery");
        let short = json!({"kind": "lifetimes", "access_seconds": 3600});
        hub.sandbox
            .switch(&json!({"platform": "linkedin", "effect": short}))
            .await?;
        let accounts = owner.connect(&hub.sandbox, "linkedin", "dora").await?;
        let id = accounts[0]["id"].as_str().context("no id")?;
        hub.advance(Duration::from_secs(3700)).await?;
        eventually("it turned amber", async || {
            Ok((owner.health(id).await? == "token_expired").then_some(()))
        })
        .await?;
        let name = accounts[0]["display_name"].as_str().context("no name")?;
        let said = toasts(&owner).await?;
        ensure!(said.contains(&format!("{name} expired. Please reconnect.")), "{said:?}");
        ensure!(
            !said.iter().any(|text| text.starts_with("Please")),
            "two toasts for one incident: {said:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_can_refresh_now_only_where_the_platform_can() -> Outcome {
    each_form(async |hub| {
        hub.plan("bakery", "professional").await?;
        let owner = hub.owner("bakery");
        let page = owner.connect_one(&hub.sandbox, "facebook", "enid").await?;
        let answer = owner
            .post(&format!("accounts/{page}/token-refreshes"), json!({}))
            .await?
            .ok()?;
        ensure!(answer.to_string().contains(&page), "{answer}");
        eventually("it is announced", async || {
            Ok(toasts(&owner)
                .await?
                .contains(&"Access token refreshed for Oldfield Antiques".to_owned())
                .then_some(()))
        })
        .await?;
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
    each_form(async |hub| {
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
