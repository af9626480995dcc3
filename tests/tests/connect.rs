//! Connecting accounts of every platform, through consent page and callback.

use anyhow::{Context, ensure};
use harness::{Consent, Outcome, each_form};
use reqwest::Method;
use serde_json::json;

/// Platform, method, person, accounts.
const ALL: [(&str, &str, &str, usize); 7] = [
    ("facebook", "", "ada", 2),
    ("facebook", "", "gus", 2),
    ("instagram", "instagram_login", "bo", 1),
    ("instagram", "facebook_login", "ada", 1),
    ("tiktok", "", "ada", 1),
    ("x", "", "ada", 1),
    ("linkedin", "", "ada", 3),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_platform_connects_and_its_accounts_are_listed_healthy() -> Outcome {
    each_form(async |hub| {
        hub.plan("bakery", "professional").await?;
        let owner = hub.owner("bakery");
        let mut ids = Vec::new();
        for (platform, method, person, count) in ALL {
            let extra = if method.is_empty() {
                json!({})
            } else {
                json!({"method": method})
            };
            let accounts = owner
                .connect_with(&hub.sandbox, platform, &extra, &Consent::of(person))
                .await?;
            ensure!(accounts.len() == count, "{platform} {method} {person}: {accounts:?}");
            for account in accounts {
                ensure!(
                    account["health"]["status"] == "healthy",
                    "{platform} {person}: {account}"
                );
                ensure!(
                    account["publish_capability"]["can_publish"] == true,
                    "{platform} {person}: {account}"
                );
                ids.push(account["id"].to_string());
            }
        }
        let mut listed: Vec<String> = owner
            .accounts()
            .await?
            .iter()
            .map(|one| one["id"].to_string())
            .collect();
        ids.sort();
        listed.sort();
        ensure!(ids == listed, "connected {ids:?}, listed {listed:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_chosen_pages_are_connected() -> Outcome {
    each_form(async |hub| {
        hub.plan("bakery", "starter").await?;
        let owner = hub.owner("bakery");
        let flow = owner.begin("facebook", &json!({})).await?;
        flow.consent(&hub.sandbox, &Consent::of("ada")).await?;
        let session = flow.settled().await?;
        ensure!(session["status"] == "choosing", "{session}");
        let id = session["destinations"][1]["id"].as_str().unwrap_or_default();
        let done = flow.choose(&[id]).await?.ok()?;
        ensure!(done["status"] == "completed", "{done}");
        let accounts = owner.accounts().await?;
        ensure!(accounts.len() == 1, "{accounts:?}");
        ensure!(
            accounts[0]["display_name"] == session["destinations"][1]["display_name"],
            "{accounts:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn result_pages_of_destinations_are_followed_to_the_end() -> Outcome {
    each_form(async |hub| {
        hub.plan("agency", "professional").await?;
        for (platform, count) in [("facebook", 130), ("linkedin", 121)] {
            let flow = hub.owner("agency").begin(platform, &json!({})).await?;
            flow.consent(&hub.sandbox, &Consent::of("cleo")).await?;
            let session = flow.settled().await?;
            let found = session["destinations"].as_array().map_or(0, Vec::len);
            ensure!(found == count, "{platform}: {found} destinations");
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn saying_no_at_the_platform_connects_nothing() -> Outcome {
    each_form(async |hub| {
        let owner = hub.owner("bakery");
        let flow = owner.begin("facebook", &json!({})).await?;
        let body = json!({"authorize_url": flow.authorize_url, "person": "ada", "action": "cancel"});
        flow.callback(&hub.sandbox.consent(&body).await?).await?;
        let session = flow.settled().await?;
        ensure!(
            session["status"] == "cancelled" && session["result"]["problem"]["code"] == "oauth-denied",
            "{session}"
        );
        ensure!(owner.accounts().await?.is_empty());
        let entitlements = owner.get("entitlements").await?.ok()?;
        ensure!(entitlements["accounts"]["used"] == 0, "{entitlements}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_permission_left_out_shows_amber_and_names_it() -> Outcome {
    each_form(async |hub| {
        let owner = hub.owner("bakery");
        let kept = vec![
            "pages_show_list",
            "pages_read_engagement",
            "business_management",
            "read_insights",
        ];
        let consent = Consent {
            permissions: Some(kept),
            destinations: None,
            person: "enid",
        };
        let accounts = owner
            .connect_with(&hub.sandbox, "facebook", &json!({}), &consent)
            .await?;
        let health = &accounts[0]["health"];
        ensure!(health["status"] == "needs_reconnect", "{health}");
        let reason = &health["reasons"][0];
        ensure!(reason["code"] == "permission_missing", "{reason}");
        let missing = reason["permissions"].to_string();
        ensure!(missing.contains("pages_manage_posts"), "{missing}");
        ensure!(
            accounts[0]["publish_capability"]["can_publish"] == false,
            "{accounts:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_browser_that_started_a_session_can_complete_it() -> Outcome {
    each_form(async |hub| {
        let owner = hub.owner("bakery");
        let flow = owner.begin("facebook", &json!({})).await?;
        let location = flow.decide(&hub.sandbox, &Consent::of("enid")).await?;
        // The right person, another browser; then another person with the right cookie's address.
        let stranger = owner.send(owner.request(Method::GET, &location)).await?;
        ensure!(
            !stranger.status.is_redirection() || !stranger.header("location").contains("connected"),
            "{stranger:?}"
        );
        let other = hub.api("usr_other", "bakery", "owner");
        other.send(other.request(Method::GET, &location)).await?;
        ensure!(owner.accounts().await?.is_empty(), "a stranger completed the session");
        ensure!(
            hub.sandbox.requests("facebook", "exchange").await?.is_empty(),
            "a stranger spent the code"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_comes_twice_spends_its_code_once() -> Outcome {
    each_form(async |hub| {
        hub.plan("bakery", "professional").await?;
        let owner = hub.owner("bakery");
        let flow = owner.begin("x", &json!({})).await?;
        let location = flow.decide(&hub.sandbox, &Consent::of("ada")).await?;
        let (first, second) = tokio::join!(flow.callback(&location), flow.callback(&location));
        ensure!(first?.status.as_u16() < 500 && second?.status.as_u16() < 500);
        let session = flow.settled().await?;
        ensure!(session["status"] == "completed", "{session}");
        flow.callback(&location).await?;
        let exchanges = hub.sandbox.requests("x", "exchange").await?;
        ensure!(exchanges.len() == 1, "{exchanges:?}");
        ensure!(owner.accounts().await?.len() == 1);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn j6_one_sign_in_connects_five_hundred_pages_and_its_repetition_is_told_the_same() -> Outcome {
    each_form(async |hub| {
        hub.plan("agency", "professional").await?;
        hub.sandbox.profile(&json!({"facebook_page_limit": 200})).await?;
        let owner = hub.owner("agency");
        let flow = owner.begin("facebook", &json!({})).await?;
        flow.consent(&hub.sandbox, &Consent::of("hana")).await?;
        let session = flow.settled().await?;
        let all = session["destinations"].as_array().context("no destinations")?;
        let ids: Vec<&str> = all.iter().filter_map(|one| one["id"].as_str()).collect();
        let mut answers = Vec::new();
        for _ in 0..2 {
            let selection = owner
                .request(Method::POST, &format!("connect-sessions/{}/selection", flow.id))
                .header("Idempotency-Key", "hana-500")
                .json(&json!({"destination_ids": ids}));
            answers.push(owner.send(selection).await?);
        }
        ensure!(answers[1].header("idempotency-replayed") == "true");
        ensure!(answers[0].text == answers[1].text);
        let done = answers.remove(0).ok()?;
        let accounts = done["result"]["accounts"].as_array().context("no accounts")?;
        ensure!(accounts.len() == 500, "{}", accounts.len());
        Ok(())
    })
    .await
}
