//! Plans: which platforms, how many accounts, under any concurrency.

use anyhow::{Context, ensure};
use futures_util::future::{join_all, try_join_all};
use harness::{Cluster, Consent, Flow, Outcome, each_form, eventually};
use proto::entitlements::v1::GetWorkspaceRequest;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_outside_the_plan_is_refused_before_any_sign_in() -> Outcome {
    each_form(async |hub| {
        let owner = hub.owner("small");
        for platform in ["tiktok", "x", "linkedin"] {
            let problem = owner
                .try_begin(platform, &json!({}))
                .await?
                .problem(403, "plan-platform-locked")?;
            ensure!(problem["required_plan"] == "professional", "{problem}");
        }
        for plan in ["free", "starter", "professional", "enterprise"] {
            hub.plan("small", plan).await?;
            for platform in ["telegram", "whatsapp"] {
                owner
                    .try_begin(platform, &json!({}))
                    .await?
                    .problem(409, "platform-coming-soon")?;
            }
        }
        let entitlements = owner.get("entitlements").await?.ok()?;
        ensure!(entitlements["accounts"]["max"].is_null(), "{entitlements}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_plan_refuses_and_names_the_maximum() -> Outcome {
    each_form(async |hub| {
        let owner = hub.owner("small");
        owner.connect_one(&hub.sandbox, "facebook", "enid").await?;
        let problem = owner
            .try_begin("instagram", &json!({}))
            .await?
            .problem(403, "account-limit-reached")?;
        ensure!(problem["limit"] == 1 || problem["limit"] == "1", "{problem}");
        ensure!(owner.accounts().await?.len() == 1);
        Ok(())
    })
    .await
}

/// A session of `user` that has reached the choice, on a Page list in one piece.
async fn choosing(hub: &Cluster, user: &str) -> anyhow::Result<Flow> {
    let flow = hub.api(user, "rush", "admin").begin("facebook", &json!({})).await?;
    flow.consent(&hub.sandbox, &Consent::of("cleo")).await?;
    let session = flow.settled().await?;
    ensure!(session["status"] == "choosing", "{session}");
    Ok(flow)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_completions_for_the_last_slot_one_succeeds() -> Outcome {
    each_form(async |hub| {
        hub.sandbox.profile(&json!({"facebook_page_limit": 200})).await?;
        let mut flows = Vec::new();
        for group in 0..10 {
            let users: Vec<String> = (0..10).map(|n| format!("usr_{}", group * 10 + n)).collect();
            flows.extend(try_join_all(users.iter().map(|user| choosing(hub, user))).await?);
        }
        let chosen = try_join_all(flows.iter().map(Flow::session)).await?;
        let pick = |n: usize| {
            chosen[n]["destinations"][n]["id"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let picks: Vec<String> = (0..flows.len()).map(pick).collect();
        let answers = join_all(
            flows
                .iter()
                .zip(&picks)
                .map(|(flow, id)| async move { flow.choose(&[id]).await }),
        )
        .await;
        let (mut completed, mut refused) = (0, 0);
        for (answer, flow) in answers.into_iter().zip(&flows) {
            let answer = answer?;
            let session = flow.session().await?;
            match session["status"].as_str() {
                Some("completed") => completed += 1,
                _ if answer.text.contains("account-limit-reached") => refused += 1,
                _ => anyhow::bail!("neither connected nor refused: {} {session}", answer.text),
            }
        }
        ensure!(
            (completed, refused) == (1, 99),
            "{completed} connected, {refused} refused"
        );
        let accounts = hub.owner("rush").accounts().await?;
        ensure!(accounts.len() == 1, "{accounts:?}");
        // All 99 hung on the sign-in that the one still uses: it must not be revoked.
        ensure!(!hub.sandbox.live_tokens("facebook", "cleo").await?.is_empty());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grant_of_a_refused_connection_is_revoked() -> Outcome {
    each_form(async |hub| {
        let (first, second) = (hub.api("usr_a", "small", "admin"), hub.api("usr_b", "small", "admin"));
        // Both begin while the slot is free; the second comes back too late.
        let late = second.begin("facebook", &json!({})).await?;
        let early = first.begin("facebook", &json!({})).await?;
        early.consent(&hub.sandbox, &Consent::of("enid")).await?;
        let won = early.settled().await?;
        late.consent(&hub.sandbox, &Consent::of("finn")).await?;
        let lost = late.settled().await?;
        let states = [&won["status"], &lost["status"]];
        ensure!(
            states.iter().filter(|status| **status == "completed").count() == 1,
            "{won} {lost}"
        );
        let loser = if won["status"] == "completed" { "finn" } else { "enid" };
        eventually("the loser's access is revoked", async || {
            Ok(hub
                .sandbox
                .live_tokens("facebook", loser)
                .await?
                .is_empty()
                .then_some(()))
        })
        .await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_session_gives_its_slot_back() -> Outcome {
    each_form(async |hub| {
        let owner = hub.owner("small");
        let flow = owner.begin("facebook", &json!({})).await?;
        ensure!(
            owner
                .delete(&format!("connect-sessions/{}", flow.id))
                .await?
                .status
                .is_success()
        );
        ensure!(flow.session().await?["status"] == "cancelled");
        let request = GetWorkspaceRequest {
            workspace_id: "small".to_owned(),
        };
        eventually("nothing is reserved", async || {
            let answer = hub.entitlements()?.get_workspace(request.clone()).await?.into_inner();
            let workspace = answer.workspace.context("no workspace")?;
            Ok((workspace.reserved == 0 && workspace.used == 0).then_some(()))
        })
        .await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_downgrade_locks_the_surplus_and_an_upgrade_brings_it_back() -> Outcome {
    each_form(async |hub| {
        hub.plan("bakery", "starter").await?;
        let owner = hub.owner("bakery");
        owner.connect(&hub.sandbox, "facebook", "ada").await?;
        owner.connect_one(&hub.sandbox, "instagram", "ada").await?;
        let locked = async || {
            let accounts = owner.accounts().await?;
            ensure!(accounts.len() == 3, "an account is gone: {accounts:?}");
            Ok(accounts.iter().filter(|one| one["plan_locked"] == true).count())
        };
        ensure!(locked().await? == 0);
        let before: Vec<String> = owner
            .accounts()
            .await?
            .iter()
            .map(|one| one["id"].to_string())
            .collect();
        hub.plan("bakery", "free").await?;
        eventually("two are locked", async || Ok((locked().await? == 2).then_some(()))).await?;
        hub.plan("bakery", "starter").await?;
        eventually("none is locked", async || Ok((locked().await? == 0).then_some(()))).await?;
        let after: Vec<String> = owner
            .accounts()
            .await?
            .iter()
            .map(|one| one["id"].to_string())
            .collect();
        ensure!(before == after, "{before:?} became {after:?}");
        Ok(())
    })
    .await
}
