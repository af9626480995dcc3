//! Signing in at a real OpenID Connect provider, through its own pages. Where tests/run could not install it, it has said so.

use std::io::Write as _;
use std::time::Duration;

use anyhow::ensure;
use harness::{Browser, Cluster, Form, Outcome, Provider, addresses, eventually};
use reqwest::{Method, StatusCode, Url};
use serde_json::{Value, json};

/// Runs `test` with a hub and the provider that it trusts.
async fn with_provider(test: impl AsyncFn(&Cluster, &Provider) -> Outcome) -> Outcome {
    if !Provider::available() {
        // Not through `eprintln!`, which is shown for failures only.
        writeln!(
            std::io::stderr(),
            "skipped: TEST_OIDC_PROVIDER names no provider, see tests/run"
        )?;
        return Ok(());
    }
    let [address, _] = addresses();
    let issuer = Provider::issuer(address);
    let settings = [
        ("auth.mode", "oidc"),
        ("auth.issuer", issuer.as_str()),
        ("auth.audience", "socializioz"),
        ("auth.client_id", "hub"),
        ("auth.client_secret", "the secret of the hub, as registered"),
        ("tls.mode", "off"),
    ];
    let hub = Box::pin(Cluster::start(Form::Embedded, &settings)).await?;
    let provider = Provider::start(address, &format!("{}/sign-in/callback", hub.url())).await?;
    let outcome = test(&hub, &provider).await;
    hub.stop().await?;
    outcome
}

fn api(hub: &Cluster, path: &str) -> anyhow::Result<Url> {
    Ok(Url::parse(&format!("{}/api/v1/{path}", hub.url()))?)
}

async fn me(hub: &Cluster, browser: &mut Browser) -> anyhow::Result<(StatusCode, Value)> {
    let answer = browser.request(Method::GET, &api(hub, "me")?, &[]).await?;
    Ok((answer.status, answer.body["workspaces"].clone()))
}

/// A change: disconnects an account that never was. `account-not-found` for who may ask.
async fn change(hub: &Cluster, browser: &mut Browser) -> anyhow::Result<(StatusCode, Value)> {
    let url = api(hub, "workspaces/bakery/accounts/acc_none")?;
    let answer = browser.request(Method::DELETE, &url, &[]).await?;
    Ok((answer.status, answer.body["code"].clone()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_at_the_provider_stays_in_and_signs_out() -> Outcome {
    with_provider(async |hub, provider| {
        provider.person("dana", Some(json!({"bakery": "owner"}))).await?;
        let mut browser = Browser::new()?;
        let (at, page) = browser.open(&format!("{}/overview", hub.url()), "dana").await?;
        ensure!(at.path() == "/overview" && page.status == 200, "{at}: {}", page.status);
        ensure!(page.text.contains("Name of dana") && page.text.contains("/sign-out"));
        ensure!(me(hub, &mut browser).await? == (StatusCode::OK, json!([{"id": "bakery", "role": "owner"}])));
        let platforms = browser.request(Method::GET, &api(hub, "platforms")?, &[]).await?.body;
        ensure!(
            !platforms.to_string().contains("\"available\""),
            "the sandbox's apps are offered: {platforms}"
        );
        // Two hours: the access token has ended, its refresh token is spent for new ones, twice.
        for _ in 0..4 {
            hub.advance_alone(Duration::from_secs(31 * 60))?;
            ensure!(me(hub, &mut browser).await?.0 == 200, "thrown out in between");
        }
        let before = browser.clone();
        let out = Url::parse(&format!("{}/sign-out", hub.url()))?;
        let answer = browser.request(Method::POST, &out, &[]).await?;
        ensure!(answer.header("location") == "/signed-out", "{}", answer.status);
        for mut browser in [before, browser] {
            ensure!(me(hub, &mut browser).await?.0 == 401, "the old cookie still opens");
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn t4_a_role_that_the_provider_takes_away_is_gone_at_the_next_change() -> Outcome {
    with_provider(async |hub, provider| {
        provider.person("amir", Some(json!({"bakery": "admin"}))).await?;
        let mut browser = Browser::new()?;
        browser.open(&format!("{}/connections", hub.url()), "amir").await?;
        ensure!(change(hub, &mut browser).await? == (StatusCode::NOT_FOUND, json!("account-not-found")));
        provider.person("amir", Some(json!(["bakery:member"]))).await?;
        ensure!(change(hub, &mut browser).await? == (StatusCode::FORBIDDEN, json!("forbidden-role")));
        provider.person("amir", Some(json!({"antiques": "owner"}))).await?;
        ensure!(change(hub, &mut browser).await? == (StatusCode::NOT_FOUND, json!("not-found")));
        provider.person("amir", None).await?;
        ensure!(change(hub, &mut browser).await?.0 == StatusCode::UNAUTHORIZED);
        ensure!(me(hub, &mut browser).await?.0 == StatusCode::UNAUTHORIZED);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn b21_a_live_stream_ends_when_the_provider_ends_the_membership() -> Outcome {
    with_provider(async |hub, provider| {
        provider.person("mia", Some(json!({"bakery": "member"}))).await?;
        let mut browser = Browser::new()?;
        browser.open(&format!("{}/connections", hub.url()), "mia").await?;
        let stream = browser.stream(&api(hub, "workspaces/bakery/events")?).await?;
        provider.person("mia", Some(json!({}))).await?;
        let reading = tokio::spawn(stream.text());
        eventually("the stream ends", async || {
            hub.advance_alone(Duration::from_secs(1))?;
            Ok(reading.is_finished().then_some(()))
        })
        .await?;
        let said = reading.await??;
        ensure!(
            said.contains("stream.closed") && said.contains("membership_ended"),
            "{said}"
        );
        Ok(())
    })
    .await
}
