//! The platforms' own calls, sent by the imitated platforms through the gateway: who is believed, and what it changes.

use anyhow::{Context, ensure};
use harness::{Api, Cluster, Outcome, each_form, eventually, in_one_process};
use serde_json::{Value, json};

use crate::access::token;

/// Has a platform call us; what it was answered, once for each time.
async fn call(hub: &Cluster, platform: &str, what: &str, path: &str, more: Value) -> anyhow::Result<Vec<Value>> {
    let mut request = json!({
        "platform": platform, "person": "ada", "what": what, "url": format!("{}/webhooks/{path}", hub.url()),
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        request[key] = value.clone();
    }
    let sent = hub.sandbox.callback(&request).await?;
    Ok(sent["answers"].as_array().context("no answers")?.clone())
}

fn all(answers: &[Value], status: u16) -> anyhow::Result<()> {
    ensure!(
        answers.iter().all(|one| one["status"] == status),
        "not {status}: {answers:?}"
    );
    Ok(())
}

async fn removed(hub: &Cluster, more: Value) -> anyhow::Result<Vec<Value>> {
    call(hub, "tiktok", "authorization_removed", "tiktok", more).await
}

async fn tiktok(hub: &Cluster, workspace: &str, person: &str) -> anyhow::Result<(Api, String)> {
    hub.plan(workspace, "professional").await?;
    let owner = hub.owner(workspace);
    let id = owner.connect_one(&hub.sandbox, "tiktok", person).await?;
    Ok((owner, id))
}

async fn revoked(owner: &Api, id: &str) -> Outcome {
    eventually("it is known to be revoked", async || {
        Ok((owner.health(id).await? == "access_revoked").then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn f1_f2_f3_a_call_that_is_not_signed_rightly_and_just_now_changes_nothing() -> Outcome {
    in_one_process(async |hub| {
        let (owner, id) = tiktok(hub, "bakery", "ada").await?;
        for more in [
            json!({"signature": "wrong"}),
            json!({"signature": "missing"}),
            json!({"age_seconds": 400}),
            json!({"age_seconds": -400}),
        ] {
            all(&removed(hub, more).await?, 401)?;
        }
        for algorithm in ["none", "HMAC-SHA1", ""] {
            let answers = call(
                hub,
                "facebook",
                "deauthorize",
                "meta",
                json!({ "algorithm": algorithm }),
            )
            .await?;
            all(&answers, 401)?;
        }
        ensure!(owner.health(&id).await? == "healthy");
        all(&removed(hub, json!({"age_seconds": 200})).await?, 200)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn f4_the_same_announcement_fifty_times_at_once_is_one() -> Outcome {
    each_form(async |hub| {
        let (owner, id) = tiktok(hub, "bakery", "ada").await?;
        let answers = removed(hub, json!({"times": 50})).await?;
        ensure!(answers.len() == 50);
        all(&answers, 200)?;
        revoked(&owner, &id).await?;
        let history = owner.get(&format!("accounts/{id}/history?limit=100")).await?.ok()?;
        let told = history["data"].as_array().context("no data")?.iter();
        let count = told
            .filter(|event| event["type"] == "account.reconnect_required")
            .count();
        ensure!(count == 1, "told {count} times");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn f5_an_announcement_that_is_older_than_the_sign_in_is_not_about_it() -> Outcome {
    in_one_process(async |hub| {
        let owner = hub.owner("bakery");
        let id = owner.connect_one(&hub.sandbox, "facebook", "enid").await?;
        let who = |age: i64| json!({"person": "enid", "age_seconds": age});
        all(&call(hub, "facebook", "deauthorize", "meta", who(3600)).await?, 200)?;
        ensure!(
            owner.health(&id).await? == "healthy",
            "an old removal ended a new sign-in"
        );
        all(&call(hub, "facebook", "deauthorize", "meta", who(-60)).await?, 200)?;
        revoked(&owner, &id).await?;
        all(
            &call(hub, "facebook", "permission_revoked", "meta", who(3600)).await?,
            200,
        )?;
        ensure!(
            owner.health(&id).await? == "access_revoked",
            "an older event undid the removal"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn f6_f7_it_reaches_the_person_in_every_workspace_and_nobody_else() -> Outcome {
    each_form(async |hub| {
        let (bakery, first) = tiktok(hub, "bakery", "ada").await?;
        let (garage, second) = tiktok(hub, "garage", "ada").await?;
        let (office, other) = tiktok(hub, "office", "bo").await?;
        // Somebody who never connected: the same answer, and no effect.
        let unknown = call(hub, "facebook", "deauthorize", "meta", json!({"person": "enid"})).await?;
        let known = removed(hub, json!({})).await?;
        ensure!(
            unknown[0]["body"] == known[0]["body"] && unknown[0]["status"] == 200,
            "{unknown:?} {known:?}"
        );
        revoked(&bakery, &first).await?;
        revoked(&garage, &second).await?;
        ensure!(office.health(&other).await? == "healthy");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn f10_a_deletion_is_confirmed_by_a_code_and_the_token_is_gone() -> Outcome {
    in_one_process(async |hub| {
        let owner = hub.owner("bakery");
        let id = owner.connect_one(&hub.sandbox, "facebook", "enid").await?;
        let before = token(hub, 0, &id).await?.access_token;
        let who = json!({"person": "enid", "age_seconds": -60});
        let answers = call(hub, "facebook", "data_deletion", "meta/deletion", who).await?;
        all(&answers, 200)?;
        let confirmed: Value = serde_json::from_str(answers[0]["body"].as_str().context("no body")?)?;
        let (url, code) = (&confirmed["url"], &confirmed["confirmation_code"]);
        let (url, code) = (url.as_str().context("no url")?, code.as_str().context("no code")?);
        ensure!(url.ends_with(code) && code.len() == 56, "{confirmed}");
        let status = reqwest::get(url).await?.text().await?;
        ensure!(!status.contains("enid") && !status.contains(&before), "{status}");
        revoked(&owner, &id).await?;
        ensure!(token(hub, 0, &id).await.is_err(), "a token after the deletion");
        Ok(())
    })
    .await
}
