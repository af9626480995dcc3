//! What platforms do to a grant, seen from the page: the state of the account, what people are told, and how often the platform
//! was asked. One process, on a clock that is moved; cases are those of FAULTS H.

use std::time::Duration;

use anyhow::{Context, ensure};
use harness::{Api, Cluster, Outcome, Sandbox, eventually, in_one_process};
use serde_json::{Value, json};

use crate::access::token;
use crate::refresh::toasts;

const HOUR: Duration = Duration::from_secs(3600);

/// An account of Ada's on X or TikTok, in a workspace that may have one.
async fn connected(hub: &Cluster, platform: &str) -> anyhow::Result<(Api, String)> {
    hub.plan("bakery", "professional").await?;
    let owner = hub.owner("bakery");
    let id = owner.connect_one(&hub.sandbox, platform, "ada").await?;
    Ok((owner, id))
}

async fn switch(hub: &Cluster, platform: &str, next: Option<u32>, effect: Value) -> anyhow::Result<u64> {
    let order = json!({"platform": platform, "operation": "refresh", "next": next, "effect": effect});
    hub.sandbox.switch(&order).await
}

/// Lets time pass until the account is as wanted.
async fn becomes(hub: &Cluster, owner: &Api, id: &str, wanted: &str) -> Outcome {
    eventually(wanted, async || {
        hub.advance(Duration::from_secs(60)).await?;
        Ok((owner.health(id).await? == wanted).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn h2_a_500_that_hides_a_rotation_costs_a_retry_its_confirmation_and_one_notice() -> Outcome {
    in_one_process(async |hub| {
        let (owner, id) = connected(hub, "x").await?;
        let lie = json!({"kind": "server_error", "status": 500, "when": "after"});
        switch(hub, "x", Some(1), lie).await?;
        hub.advance(3 * HOUR).await?;
        ensure!(token(hub, 0, &id).await.is_err(), "there is none to hand out");
        ensure!(owner.health(&id).await? == "healthy", "a 500 proves nothing");
        becomes(hub, &owner, &id, "access_revoked").await?;
        let statuses = async || -> anyhow::Result<Vec<Value>> {
            let asked = hub.sandbox.requests("x", "refresh").await?;
            Ok(asked.iter().map(|request| request["status"].clone()).collect())
        };
        ensure!(statuses().await? == [500, 400, 400], "{:?}", statuses().await?);
        hub.advance(5 * HOUR).await?;
        owner.check(&id).await?;
        ensure!(statuses().await?.len() == 3, "a dead grant is left alone");
        ensure!(toasts(&owner).await?.len() == 1, "{:?}", toasts(&owner).await?);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn h16_a_permission_that_was_taken_away_is_told_and_refreshes_nothing() -> Outcome {
    in_one_process(async |hub| {
        let owner = hub.owner("antiques");
        let id = owner.connect_one(&hub.sandbox, "facebook", "enid").await?;
        let away = json!({"kind": "remove_permission", "permission": "pages_manage_posts"});
        hub.sandbox.act("facebook", "enid", away).await?;
        owner.check(&id).await?;
        becomes(hub, &owner, &id, "permission_missing").await?;
        ensure!(hub.sandbox.requests("facebook", "refresh").await?.is_empty());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn h17_scopes_that_shrink_at_a_renewal_turn_the_account_amber_once() -> Outcome {
    in_one_process(async |hub| {
        let (owner, id) = connected(hub, "x").await?;
        let mut events = owner.events(None).await?;
        let shrink = json!({"kind": "shrink_scopes", "remove": ["tweet.write"]});
        switch(hub, "x", Some(1), shrink).await?;
        hub.advance(3 * HOUR).await?;
        let renewed = token(hub, 0, &id).await?;
        ensure!(
            !renewed.scopes.contains(&"tweet.write".to_owned()),
            "{:?}",
            renewed.scopes
        );
        let told = events.named("account.reconnect_required").await?;
        ensure!(told.data["account_id"] == id.as_str(), "{told:?}");
        ensure!(owner.health(&id).await? == "permission_missing");
        owner.check(&id).await?;
        ensure!(toasts(&owner).await?.len() == 1, "{:?}", toasts(&owner).await?);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn h18_where_a_platform_repeats_a_lost_pair_the_account_survives_the_loss() -> Outcome {
    in_one_process(async |hub| {
        let (owner, id) = connected(hub, "x").await?;
        let grace = json!({"kind": "rotation_grace", "seconds": 7200, "pair": "same"});
        switch(hub, "x", None, grace).await?;
        switch(hub, "x", Some(1), json!({"kind": "drop", "when": "after"})).await?;
        hub.advance(3 * HOUR).await?;
        ensure!(token(hub, 0, &id).await.is_err(), "the answer was lost");
        let renewed = eventually("one retry finds the pair", async || {
            hub.advance(Duration::from_secs(60)).await?;
            Ok(token(hub, 0, &id).await.ok())
        })
        .await?;
        ensure!(renewed.generation == 2 && hub.sandbox.requests("x", "refresh").await?.len() == 2);
        ensure!(owner.health(&id).await? == "healthy" && toasts(&owner).await?.is_empty());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn h20_a_strange_token_is_handed_out_to_the_letter() -> Outcome {
    in_one_process(async |hub| {
        let (_, id) = connected(hub, "x").await?;
        let strange = format!(" SBX\r\n{}é\u{1f600} ", "0123456789abcdef".repeat(1024));
        let edit = json!({"kind": "edit_reply", "set": {"access_token": strange}});
        switch(hub, "x", Some(1), edit).await?;
        hub.advance(3 * HOUR).await?;
        ensure!(token(hub, 0, &id).await?.access_token == strange);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn h23_each_token_that_a_person_withdraws_leads_to_its_own_end_and_one_notice() -> Outcome {
    in_one_process(async |hub| {
        let (owner, healed) = connected(hub, "tiktok").await?;
        let revoke = async |platform: &str, which: &str| {
            let action = json!({"kind": "revoke", "which": which});
            hub.sandbox.act(platform, "ada", action).await
        };
        revoke("tiktok", "access").await?;
        owner.check(&healed).await?;
        eventually("a refresh heals it", async || {
            Ok((token(hub, 0, &healed).await?.generation == 2).then_some(()))
        })
        .await?;
        ensure!(owner.health(&healed).await? == "healthy" && toasts(&owner).await?.is_empty());

        let ends = owner.connect_one(&hub.sandbox, "x", "ada").await?;
        revoke("x", "refresh").await?;
        owner.check(&ends).await?;
        ensure!(owner.health(&ends).await? == "healthy", "its access token works");
        hub.advance(3 * HOUR).await?;
        ensure!(token(hub, 0, &ends).await.is_err());
        becomes(hub, &owner, &ends, "access_revoked").await?;
        ensure!(toasts(&owner).await?.len() == 1, "{:?}", toasts(&owner).await?);

        revoke("tiktok", "both").await?;
        owner.check(&healed).await?;
        becomes(hub, &owner, &healed, "access_revoked").await?;
        owner.check(&healed).await?;
        let said = toasts(&owner).await?;
        ensure!(said.len() == 2, "{said:?}");
        said.iter()
            .find(|text| text.contains("reconnect"))
            .context("nobody was asked")?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_role_is_lost_hands_out_nothing_and_has_a_token_of_its_own_when_it_is_back() -> Outcome {
    in_one_process(async |hub| {
        hub.plan("bakery", "professional").await?;
        let owner = hub.owner("bakery");
        owner.connect(&hub.sandbox, "facebook", "ada").await?;
        let role = async |tasks: Value| {
            let role = json!({"kind": "role", "destination": "104000000000001", "tasks": tasks});
            hub.sandbox.act("facebook", "ada", role).await
        };
        role(json!([])).await?;
        for account in owner.accounts().await? {
            owner.check(account["id"].as_str().context("no id")?).await?;
        }
        let found = eventually("one Page lost its role", async || {
            let accounts = owner.accounts().await?;
            let is_lost = |one: &&Value| one["health"]["reasons"][0]["code"] == "platform_role_lost";
            Ok(accounts.iter().find(is_lost).cloned())
        });
        let found = found.await?;
        let lost = found["id"].as_str().context("no id")?;
        let path = format!("accounts/{lost}/token-refreshes");
        owner.post(&path, json!({})).await?.ok()?;
        let refused = token(hub, 0, lost)
            .await
            .err()
            .context("somebody else's token was handed out")?;
        let status = refused.downcast::<tonic::Status>()?;
        ensure!(
            kit::Failure::from_status(&status).params["reason"] == "platform_role_lost",
            "{status:?}"
        );
        role(json!(["CREATE_CONTENT", "MANAGE"])).await?;
        let back = async || {
            owner.check(lost).await?;
            Ok((owner.health(lost).await? == "healthy").then_some(()))
        };
        eventually("the role is back", back).await?;
        let served = Sandbox::fingerprint(&token(hub, 0, lost).await?.access_token);
        let live = hub.sandbox.live_tokens("facebook", "ada").await?;
        ensure!(
            live.iter()
                .any(|one| one["fingerprint"] == served.as_str() && one["kind"] == "page"),
            "{live:?}"
        );
        Ok(())
    })
    .await
}
