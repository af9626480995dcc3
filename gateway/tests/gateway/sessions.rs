//! Sessions of browsers after they signed in: how long they mean something, and what they mean.

use std::time::Duration;

use axum::body::BodyDataStream;
use futures_util::StreamExt;
use futures_util::future::join_all;
use http::{Method, StatusCode};
use proto::accounts::v1::DisconnectResponse;
use serde_json::json;

use crate::sign_in::{pair, sign_in};
use crate::support::fake::Reply;
use crate::support::issuer::Issuer;
use crate::support::{Answer, Gateway, samples};

const ACCOUNT: &str = "/api/v1/workspaces/acme/accounts/acc_1";

async fn read(gateway: &Gateway, cookie: &str) -> Answer {
    gateway.get("/api/v1/me").header("cookie", cookie).send().await
}

/// Disconnects an account, as a page of ours does.
async fn change(gateway: &Gateway, cookie: &str) -> Answer {
    let call = gateway.request(Method::DELETE, ACCOUNT).header("cookie", cookie);
    call.header("sec-fetch-site", "same-origin").send().await
}

async fn signed_in() -> (Issuer, Gateway, String) {
    let issuer = Issuer::start().await;
    let gateway = issuer.gateway().await;
    samples::one_account(&gateway.answers);
    gateway.answers.always("Disconnect", DisconnectResponse::default());
    let cookie = sign_in(&gateway, &issuer).await;
    (issuer, gateway, cookie)
}

#[tokio::test]
async fn b10_signing_in_gives_a_new_cookie_and_the_old_one_is_dead() {
    let (issuer, gateway, old) = signed_in().await;
    let begun = crate::sign_in::begin(&gateway, "").await;
    let back = issuer.consent(&begun.location);
    // An attacker's choice of a cookie is not taken over either.
    let fixed = format!("sz-session={}", "A".repeat(43));
    for before in [old.as_str(), &fixed] {
        let both = format!("{}; {before}", begun.cookie);
        let answer = gateway.get(&back).header("cookie", &both).send().await;
        let new = pair(&answer, "sz-session=");
        assert!(new != before && (new.is_empty() || read(&gateway, &new).await.status == StatusCode::OK));
        assert_eq!(read(&gateway, before).await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn b11_signing_out_kills_the_cookie_at_once_and_gives_the_tokens_back() {
    let (issuer, gateway, cookie) = signed_in().await;
    let out = |site: &'static str| {
        let call = gateway.post("/sign-out").header("cookie", &cookie);
        call.header("sec-fetch-site", site).send()
    };
    assert_eq!(out("cross-site").await.status, StatusCode::FORBIDDEN);
    assert_eq!(read(&gateway, &cookie).await.status, StatusCode::OK);
    let answer = out("same-origin").await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (StatusCode::SEE_OTHER, "/signed-out")
    );
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(read(&gateway, &cookie).await.status, StatusCode::UNAUTHORIZED);
    gateway.app.tasks.drain(Duration::from_secs(5)).await;
    assert!(issuer.play().revoked[0].starts_with("canary-refresh-"));
}

#[tokio::test]
async fn t4_a_lost_role_is_lost_at_the_next_change_and_within_a_minute_for_reading() {
    let (issuer, gateway, cookie) = signed_in().await;
    assert_eq!(change(&gateway, &cookie).await.status, StatusCode::NO_CONTENT);
    issuer.play().person = json!({"sub": "usr_1", "workspaces": {"other": "member"}});
    assert_eq!(
        read(&gateway, &cookie).await.json()["workspaces"][0]["id"],
        "acme",
        "known a moment ago"
    );
    assert_eq!(change(&gateway, &cookie).await.status, StatusCode::NOT_FOUND);
    issuer.play().person = json!({"sub": "usr_1", "workspaces": {"acme": "member"}});
    assert_eq!(read(&gateway, &cookie).await.json()["workspaces"][0]["id"], "other");
    gateway.clock.advance(Duration::from_secs(30));
    assert_eq!(
        read(&gateway, &cookie).await.json()["workspaces"],
        json!([{"id": "acme", "role": "member"}])
    );
}

#[tokio::test]
async fn who_the_provider_does_not_know_any_more_is_signed_out() {
    let (issuer, gateway, cookie) = signed_in().await;
    issuer.play().person = json!({"sub": "usr_2", "workspaces": {"acme": "owner"}});
    issuer.play().refuses_refresh = true;
    assert_eq!(change(&gateway, &cookie).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        (read(&gateway, &cookie).await.status, gateway.browsers.count()),
        (StatusCode::UNAUTHORIZED, 0)
    );
}

#[tokio::test]
async fn b6_while_the_provider_is_away_one_may_read_for_ten_minutes_and_change_nothing() {
    let (issuer, gateway, cookie) = signed_in().await;
    issuer.play().silent = true;
    assert_eq!(change(&gateway, &cookie).await.status, StatusCode::SERVICE_UNAVAILABLE);
    gateway.clock.advance(Duration::from_secs(590));
    assert_eq!(read(&gateway, &cookie).await.status, StatusCode::OK);
    gateway.clock.advance(Duration::from_secs(20));
    assert_eq!(read(&gateway, &cookie).await.status, StatusCode::SERVICE_UNAVAILABLE);
    issuer.play().silent = false;
    assert_eq!(change(&gateway, &cookie).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn while_accounts_is_away_nobody_is_let_in() {
    let (_, gateway, cookie) = signed_in().await;
    gateway
        .answers
        .raw("GetBrowserSession", |_, _| Err(tonic::Status::unavailable("")));
    assert_eq!(read(&gateway, &cookie).await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn an_access_token_that_ended_is_renewed_once_however_many_ask() {
    let issuer = Issuer::start().await;
    issuer.play().access_seconds = 60;
    let gateway = issuer.gateway().await;
    let cookie = sign_in(&gateway, &issuer).await;
    for round in 1..=3 {
        gateway.clock.advance(Duration::from_secs(61));
        for answer in join_all((0..10).map(|_| read(&gateway, &cookie))).await {
            assert_eq!(answer.status, StatusCode::OK);
        }
        assert_eq!(issuer.play().refreshed, round);
    }
    issuer.play().refuses_refresh = true;
    gateway.clock.advance(Duration::from_secs(61));
    assert_eq!(read(&gateway, &cookie).await.status, StatusCode::UNAUTHORIZED);
}

/// What a stream says until it ends.
async fn until_the_end(mut stream: BodyDataStream) -> String {
    let mut text = String::new();
    let reading = async {
        while let Some(chunk) = stream.next().await {
            text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(5), reading)
        .await
        .expect("the stream ends");
    text
}

async fn stream(gateway: &Gateway, name: &'static str, value: &str) -> BodyDataStream {
    gateway.answers.raw("WatchEvents", |_, _| Ok(Reply::Open(Vec::new())));
    gateway
        .answers
        .always("CheckHealth", proto::accounts::v1::CheckHealthResponse::default());
    let response = gateway
        .get("/api/v1/workspaces/acme/events")
        .header(name, value)
        .open()
        .await;
    assert_eq!(response.status(), StatusCode::OK);
    let mut stream = response.into_body().into_data_stream();
    stream.next().await.unwrap().unwrap();
    stream
}

#[tokio::test]
async fn b21_a_stream_is_closed_with_its_reason_within_a_minute() {
    for (what, reason) in [
        (
            json!({"sub": "usr_1", "workspaces": {"other": "owner"}}),
            "membership_ended",
        ),
        (
            json!({"sub": "usr_1", "workspaces": {"acme": "member"}}),
            "role_changed",
        ),
        (json!({"sub": "usr_2"}), "signed_out"),
    ] {
        let (issuer, gateway, cookie) = signed_in().await;
        let stream = stream(&gateway, "cookie", &cookie).await;
        let reader = tokio::spawn(until_the_end(stream));
        issuer.play().person = what;
        issuer.play().refuses_refresh = true;
        for _ in 0..2 {
            tokio::task::yield_now().await;
            gateway.clock.advance(Duration::from_secs(30));
        }
        let said = reader.await.unwrap();
        assert!(
            said.contains("event: stream.closed") && said.contains(reason),
            "{reason}: {said}"
        );
    }
}

#[tokio::test]
async fn b11_b21_signing_out_elsewhere_and_the_end_of_a_token_close_their_streams() {
    let (_, gateway, cookie) = signed_in().await;
    let reader = tokio::spawn(until_the_end(stream(&gateway, "cookie", &cookie).await));
    gateway.browsers.clear();
    gateway.clock.advance(Duration::from_secs(26));
    assert!(reader.await.unwrap().contains("signed_out"));

    let issuer = Issuer::start().await;
    let gateway = issuer.gateway().await;
    let token = issuer.sign(json!({"exp": crate::support::NOW / 1000 + 40}));
    let reader = tokio::spawn(until_the_end(stream(&gateway, "authorization", &token).await));
    for _ in 0..2 {
        tokio::task::yield_now().await;
        gateway.clock.advance(Duration::from_secs(26));
    }
    assert!(reader.await.unwrap().contains("credentials_expired"));
}

#[tokio::test]
async fn a_person_of_several_workspaces_switches_between_their_own_only() {
    let (_, gateway, cookie) = signed_in().await;
    let switch = |to: &str| {
        let call = gateway
            .post("/workspace")
            .header("cookie", &cookie)
            .header("sec-fetch-site", "same-origin");
        call.text("application/x-www-form-urlencoded", &format!("workspace={to}"))
            .send()
    };
    assert_eq!(switch("nobodys").await.status, StatusCode::NOT_FOUND);
    let chosen = pair(&switch("other").await, "sz-workspace");
    let both = format!("{cookie}; {chosen}");
    assert_eq!(read(&gateway, &both).await.json()["workspaces"][0]["id"], "other");
    let forged = format!("{cookie}; sz-workspace=nobodys");
    assert_eq!(read(&gateway, &forged).await.json()["workspaces"][0]["id"], "acme");
}
