//! Attacks on the OAuth flow over the whole hub: codes, links and browsers that are somebody else's.

use anyhow::{Context, ensure};
use harness::{Api, Cluster, Consent, Flow, Outcome, each_form, eventually};
use reqwest::{Method, Url};
use serde_json::json;

fn query(url: &str, name: &str) -> anyhow::Result<String> {
    let url = Url::parse(url)?;
    let found = url.query_pairs().find(|(key, _)| key == name);
    found
        .map(|(_, value)| value.into_owned())
        .with_context(|| format!("no {name} in {url}"))
}

/// `url` with one parameter of its query replaced, or left out.
fn with(url: &str, name: &str, value: Option<&str>) -> anyhow::Result<String> {
    let mut url = Url::parse(url)?;
    let kept: Vec<(String, String)> = url.query_pairs().into_owned().filter(|(key, _)| key != name).collect();
    url.query_pairs_mut().clear().extend_pairs(kept);
    if let Some(value) = value {
        url.query_pairs_mut().append_pair(name, value);
    }
    Ok(url.into())
}

async fn nothing_is_linked(hub: &Cluster, who: &[&Api], exchanges: usize) -> Outcome {
    for api in who {
        ensure!(api.accounts().await?.is_empty(), "{} has an account", api.workspace());
    }
    let seen = hub.sandbox.requests("x", "exchange").await?.len();
    ensure!(seen == exchanges, "{seen} codes were sent to the platform");
    Ok(())
}

async fn begin(hub: &Cluster, workspace: &str) -> anyhow::Result<(Api, Flow)> {
    hub.plan(workspace, "professional").await?;
    let owner = hub.api(&format!("usr_{workspace}"), workspace, "owner");
    let flow = owner.begin("x", &json!({})).await?;
    Ok((owner, flow))
}

#[tokio::test(flavor = "multi_thread")]
async fn a8_a9_o4_a_victim_who_consents_to_somebody_elses_link_links_nothing() -> Outcome {
    each_form(async |hub| {
        let (attacker, flow) = begin(hub, "thieves").await?;
        let (victim, own) = begin(hub, "bakery").await?;
        // The victim opens the attacker's link, signs in at the platform, and comes back signed in here, with a flow of their own.
        let location = flow.decide(&hub.sandbox, &Consent::of("ada")).await?;
        let back = own.callback(&location).await?;
        ensure!(back.status == 403, "{}: {}", back.status, back.text);
        ensure!(back.header("location").is_empty() && !back.text.contains(&query(&location, "code")?));
        // The session is burnt: what was seen of the address helps the attacker no more.
        flow.callback(&location).await?;
        ensure!(flow.session().await?["status"] == "failed");
        nothing_is_linked(hub, &[&attacker, &victim], 0).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a8_a20_o6_the_link_of_a_native_flow_gives_the_code_to_the_victims_device_and_to_nobody_else() -> Outcome {
    each_form(async |hub| {
        hub.plan("thieves", "professional").await?;
        let attacker = hub.api("usr_thief", "thieves", "owner");
        let flow = attacker.begin("x", &json!({"channel": "native"})).await?;
        let location = flow.decide(&hub.sandbox, &Consent::of("ada")).await?;
        let victim = hub.owner("bakery");
        let back = victim.send(victim.request(Method::GET, &location)).await?;
        let code = query(
            &format!("{}{}", hub.url(), back.header("location").replace(&hub.url(), "")),
            "completion_code",
        )?;
        let path = format!("/api/v1/workspaces/thieves/connect-sessions/{}/completion", flow.id);
        // Another app of the victim's device, or a colleague of the attacker's: neither is who began.
        let stranger = victim.post(&path, json!({"code": code})).await?;
        ensure!(stranger.status == 404, "{}", stranger.text);
        let colleague = hub.api("usr_colleague", "thieves", "admin");
        colleague
            .post(&path, json!({"code": code}))
            .await?
            .problem(403, "forbidden-role")?;
        attacker
            .post(&path, json!({"code": "guessed"}))
            .await?
            .problem(400, "oauth-state-mismatch")?;
        nothing_is_linked(hub, &[&attacker, &victim], 1).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a10_the_code_of_another_flow_is_refused_by_the_proof_key() -> Outcome {
    each_form(async |hub| {
        let (attacker, theirs) = begin(hub, "thieves").await?;
        let (victim, own) = begin(hub, "bakery").await?;
        let attackers = theirs.decide(&hub.sandbox, &Consent::of("bo")).await?;
        let victims = own.decide(&hub.sandbox, &Consent::of("ada")).await?;
        let injected = with(&victims, "code", Some(&query(&attackers, "code")?))?;
        own.callback(&injected).await?;
        let session = own.settled().await?;
        ensure!(session["status"] == "failed", "{session}");
        nothing_is_linked(hub, &[&attacker, &victim], 1).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a18_a_stripped_proof_key_helps_neither_in_another_browser_nor_in_the_same() -> Outcome {
    each_form(async |hub| {
        let (attacker, mut flow) = begin(hub, "thieves").await?;
        let (victim, own) = begin(hub, "bakery").await?;
        let stripped = with(&flow.authorize_url, "code_challenge", None)?;
        flow.authorize_url = with(&stripped, "code_challenge_method", None)?;
        // A platform may refuse to show its page at all; when it does not, nothing comes of it.
        if let Ok(location) = flow.decide(&hub.sandbox, &Consent::of("ada")).await {
            ensure!(own.callback(&location).await?.status == 403);
            flow.callback(&location).await?;
        }
        ensure!(flow.session().await?["status"] != "completed");
        nothing_is_linked(hub, &[&attacker, &victim], 0).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a19_a22_every_flow_has_its_own_proof_and_state_and_the_hubs_redirect_uri() -> Outcome {
    each_form(async |hub| {
        let (owner, first) = begin(hub, "bakery").await?;
        let (_, second) = begin(hub, "bakery").await?;
        for name in ["state", "code_challenge"] {
            let (one, other) = (query(&first.authorize_url, name)?, query(&second.authorize_url, name)?);
            ensure!(one != other && one.len() == 43, "{name}: {one} and {other}");
        }
        ensure!(query(&first.authorize_url, "code_challenge_method")? == "S256");
        let ours = format!("{}/oauth/x/callback", hub.url());
        ensure!(query(&first.authorize_url, "redirect_uri")? == ours);
        for uri in [
            "https://evil.example/oauth/x/callback",
            "//evil",
            &format!("{ours}?a=b"),
        ] {
            let asked = owner.try_begin("x", &json!({"redirect_uri": uri})).await?;
            ensure!(asked.status == 422, "{uri}: {}", asked.status);
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a25_who_signed_in_is_found_out_later_when_the_platform_does_not_say_at_once() -> Outcome {
    each_form(async |hub| {
        let (owner, flow) = begin(hub, "bakery").await?;
        let silent = json!({"kind": "server_error", "status": 503});
        let switch = json!({"platform": "x", "operation": "identity", "effect": silent});
        hub.sandbox.switch(&switch).await?;
        let location = flow.decide(&hub.sandbox, &Consent::of("ada")).await?;
        let waiting = tokio::spawn({
            let flow = flow.clone();
            async move { flow.callback(&location).await }
        });
        eventually("the platform was asked who it is", async || {
            Ok((!hub.sandbox.requests("x", "identity").await?.is_empty()).then_some(()))
        })
        .await?;
        ensure!(owner.accounts().await?.is_empty(), "an account of nobody");
        hub.sandbox.behave().await?;
        waiting.await??;
        ensure!(flow.settled().await?["status"] == "completed");
        ensure!(owner.accounts().await?.len() == 1);
        ensure!(
            hub.sandbox.requests("x", "exchange").await?.len() == 1,
            "the code was sent again"
        );
        Ok(())
    })
    .await
}
