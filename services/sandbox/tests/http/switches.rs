//! Misbehaviour: each switch in one place, on the platform where it hurts.

use std::time::{Duration, Instant};

use sandbox::defaults::{X_CLIENT_ID as ID, X_CLIENT_SECRET as SECRET};
use serde_json::{Value, json};

use crate::harness::{Answer, REDIRECT, Sandbox};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

async fn token(sandbox: &Sandbox, form: &[(&str, &str)]) -> reqwest::Result<reqwest::Response> {
    let request = sandbox
        .http
        .post(sandbox.url("/2/oauth2/token", &[]))
        .basic_auth(ID, Some(SECRET));
    request.form(&[&[("client_id", ID)], form].concat()).send().await
}

/// An access and a refresh token of X.
async fn connect(sandbox: &Sandbox, person: &str) -> (String, String) {
    let query = [
        ("response_type", "code"),
        ("client_id", ID),
        ("redirect_uri", REDIRECT),
        ("scope", "tweet.read users.read tweet.write offline.access"),
        ("state", "s1"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
    ];
    let code = sandbox
        .consent(&sandbox.url("/i/oauth2/authorize", &query), person)
        .await["code"]
        .clone();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    let answer = Sandbox::read(token(sandbox, &form).await.unwrap()).await;
    (answer.at("/access_token"), answer.at("/refresh_token"))
}

async fn try_refresh(sandbox: &Sandbox, value: &str) -> reqwest::Result<reqwest::Response> {
    token(sandbox, &[("grant_type", "refresh_token"), ("refresh_token", value)]).await
}

async fn refresh(sandbox: &Sandbox, value: &str) -> Answer {
    Sandbox::read(try_refresh(sandbox, value).await.unwrap()).await
}

async fn on(sandbox: &Sandbox, effect: Value) {
    sandbox
        .switch(json!({"platform": "x", "operation": "refresh", "next": 1, "effect": effect}))
        .await;
}

#[tokio::test]
async fn h1_an_error_before_the_change_changes_nothing() {
    let sandbox = Sandbox::start().await;
    let (_, old) = connect(&sandbox, "ada").await;
    on(&sandbox, json!({"kind": "server_error", "status": 502})).await;
    assert_eq!(refresh(&sandbox, &old).await.status, 502);
    assert_eq!(
        refresh(&sandbox, &old).await.status,
        200,
        "only the next call was concerned"
    );
}

#[tokio::test]
async fn h2_an_error_after_the_change_is_a_lie() {
    let sandbox = Sandbox::start().await;
    let (_, old) = connect(&sandbox, "ada").await;
    on(
        &sandbox,
        json!({"kind": "server_error", "status": 500, "when": "after"}),
    )
    .await;
    assert_eq!(refresh(&sandbox, &old).await.status, 500);
    assert_eq!(
        refresh(&sandbox, &old).await.status,
        400,
        "the token was rotated all the same"
    );
    let issued = sandbox.log("token").await;
    let parents: Vec<&Value> = issued
        .iter()
        .filter(|one| one["event"] == "issued")
        .map(|one| &one["parent"])
        .collect();
    assert_eq!(parents[2], &issued[1]["id"], "the log knows the lost child");
}

#[tokio::test]
async fn h3_rate_limits_say_when_to_come_back_in_four_ways() {
    let sandbox = Sandbox::start().await;
    let (_, old) = connect(&sandbox, "ada").await;
    for (form, starts) in [
        (json!({"seconds": 30}), "30"),
        (json!({"date": 60}), ""),
        (json!("absurd"), "1000000000"),
        (json!("none"), ""),
    ] {
        on(&sandbox, json!({"kind": "rate_limit", "retry_after": form})).await;
        let answer = refresh(&sandbox, &old).await;
        assert_eq!(answer.status, 429);
        assert!(answer.header("retry-after").starts_with(starts));
        assert!(answer.headers.contains_key("x-rate-limit-reset"));
    }
    assert_eq!(refresh(&sandbox, &old).await.status, 200);
}

#[tokio::test]
async fn h6_a_request_can_be_accepted_and_never_answered() {
    let sandbox = Sandbox::start().await;
    let (_, old) = connect(&sandbox, "ada").await;
    on(&sandbox, json!({"kind": "hang", "when": "after"})).await;
    let request = sandbox
        .http
        .post(sandbox.url("/2/oauth2/token", &[]))
        .basic_auth(ID, Some(SECRET));
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &old),
        ("client_id", ID),
    ];
    let answer = request.form(&form).timeout(Duration::from_millis(300)).send().await;
    assert!(answer.unwrap_err().is_timeout());
    assert_eq!(sandbox.log("request").await.last().unwrap()["outcome"], "hung");
    assert_eq!(refresh(&sandbox, &old).await.status, 400);
}

#[tokio::test]
async fn h7_an_answer_can_be_late_and_the_work_is_done_though_the_caller_left() {
    let sandbox = Sandbox::start().await;
    let (_, old) = connect(&sandbox, "ada").await;
    on(&sandbox, json!({"kind": "delay", "ms": 300})).await;
    let request = sandbox
        .http
        .post(sandbox.url("/2/oauth2/token", &[]))
        .basic_auth(ID, Some(SECRET));
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &old),
        ("client_id", ID),
    ];
    assert!(
        request
            .form(&form)
            .timeout(Duration::from_millis(50))
            .send()
            .await
            .is_err()
    );
    let deadline = Instant::now() + Duration::from_secs(5);
    while sandbox.log("request").await.len() < 2 {
        assert!(Instant::now() < deadline, "the detached work never finished");
    }
    assert_eq!(sandbox.log("request").await.last().unwrap()["outcome"], "ok");
    assert_eq!(refresh(&sandbox, &old).await.status, 400);
}

#[tokio::test]
async fn h8_connections_break_before_after_and_in_the_middle() {
    let sandbox = Sandbox::start().await;
    let (_, old) = connect(&sandbox, "ada").await;
    on(&sandbox, json!({"kind": "drop", "when": "before"})).await;
    assert!(try_refresh(&sandbox, &old).await.is_err());
    on(&sandbox, json!({"kind": "drop", "when": "half_body"})).await;
    let half = try_refresh(&sandbox, &old).await.unwrap();
    assert_eq!(half.status(), 200);
    assert!(half.bytes().await.is_err(), "the body must end early");
    let (_, other) = connect(&sandbox, "bo").await;
    on(&sandbox, json!({"kind": "drop", "when": "after"})).await;
    assert!(try_refresh(&sandbox, &other).await.is_err());
    for token in [old, other] {
        assert_eq!(refresh(&sandbox, &token).await.status, 400);
    }
}

#[tokio::test]
async fn h9_h10_bodies_can_be_anything() {
    let sandbox = Sandbox::start().await;
    let (_, mut token) = connect(&sandbox, "ada").await;
    for with in ["html", "empty", "truncated", "garbage", "bom", "plain_text"] {
        sandbox
            .switch(json!({"platform": "x", "next": 1, "effect": {"kind": "keep_refresh_token"}}))
            .await;
        on(&sandbox, json!({"kind": "body", "with": with})).await;
        let answer = try_refresh(&sandbox, &token).await.unwrap();
        assert_eq!(answer.status(), 200, "{with}");
        let body = answer.bytes().await.unwrap();
        let whole = serde_json::from_slice::<Value>(&body).is_ok_and(|body| body.get("access_token").is_some());
        assert_eq!(whole, with == "plain_text", "{with}");
    }
    token = refresh(&sandbox, &token).await.at("/refresh_token");
    on(&sandbox, json!({"kind": "body", "with": "huge"})).await;
    let huge = try_refresh(&sandbox, &token).await.unwrap();
    assert!(huge.content_length().unwrap() > 30 << 20);
}

#[tokio::test]
async fn h11_members_of_the_answer_can_be_changed() {
    let sandbox = Sandbox::start().await;
    let (_, old) = connect(&sandbox, "ada").await;
    on(
        &sandbox,
        json!({"kind": "edit_reply", "remove": ["access_token"], "set": {"expires_in": "7200.5"}}),
    )
    .await;
    let answer = refresh(&sandbox, &old).await;
    assert_eq!(
        (answer.json.get("access_token"), answer.at("/expires_in")),
        (None, "7200.5".to_owned())
    );
    assert_eq!(refresh(&sandbox, &answer.at("/refresh_token")).await.status, 200);
    let body = r#"{"access_token":"a","access_token":"b"}"#;
    on(&sandbox, json!({"kind": "reply", "status": 200, "body": body})).await;
    assert_eq!(refresh(&sandbox, &old).await.text, body);
}

#[tokio::test]
async fn h12_the_refresh_token_may_stay_and_be_left_out_or_empty() {
    let sandbox = Sandbox::start().await;
    let (_, old) = connect(&sandbox, "ada").await;
    for (answer, expected) in [("missing", Value::Null), ("empty", json!("")), ("same", json!(old))] {
        on(&sandbox, json!({"kind": "keep_refresh_token", "answer": answer})).await;
        assert_eq!(refresh(&sandbox, &old).await.json["refresh_token"], expected);
    }
    assert_eq!(refresh(&sandbox, &old).await.status, 200, "it still works");
}

#[tokio::test]
async fn h17_h18_scopes_shrink_and_stale_pairs_come_back() {
    let sandbox = Sandbox::start().await;
    let (access, old) = connect(&sandbox, "ada").await;
    on(&sandbox, json!({"kind": "stale_pair"})).await;
    let stale = refresh(&sandbox, &old).await;
    assert_eq!(
        (stale.at("/access_token"), stale.at("/refresh_token")),
        (access, old.clone())
    );
    on(&sandbox, json!({"kind": "shrink_scopes", "remove": ["tweet.write"]})).await;
    assert!(!refresh(&sandbox, &old).await.at("/scope").contains("tweet.write"));
}

#[tokio::test]
async fn h22_the_next_tokens_live_as_long_as_told() {
    let sandbox = Sandbox::start().await;
    let effect = json!({"kind": "lifetimes", "access_seconds": 90, "refresh_seconds": 600});
    sandbox
        .switch(json!({"platform": "x", "person": "ada", "next": 1, "effect": effect}))
        .await;
    let (access, old) = connect(&sandbox, "ada").await;
    sandbox.advance(90).await;
    assert_eq!(sandbox.bearer("/2/users/me", &[], &access).await.status, 401);
    assert_eq!(refresh(&sandbox, &old).await.at("/expires_in"), "7200");
}

#[tokio::test]
async fn h23_access_refresh_or_both_can_be_revoked() {
    let sandbox = Sandbox::start().await;
    let (access, old) = connect(&sandbox, "ada").await;
    sandbox
        .act("x", "ada", json!({"kind": "revoke", "which": "access"}))
        .await;
    assert_eq!(sandbox.bearer("/2/users/me", &[], &access).await.status, 401);
    let next = refresh(&sandbox, &old).await;
    sandbox
        .act("x", "ada", json!({"kind": "revoke", "which": "refresh"}))
        .await;
    assert_eq!(
        sandbox
            .bearer("/2/users/me", &[], &next.at("/access_token"))
            .await
            .status,
        200
    );
    assert_eq!(refresh(&sandbox, &next.at("/refresh_token")).await.status, 400);
    sandbox.act("x", "ada", json!({"kind": "revoke"})).await;
    assert!(sandbox.truth("x", "ada").await.is_empty());
}

#[tokio::test]
async fn switches_concern_the_person_and_operation_they_name() {
    let sandbox = Sandbox::start().await;
    let ((ada, _), (bo, _)) = (connect(&sandbox, "ada").await, connect(&sandbox, "bo").await);
    let effect = json!({"kind": "api_error", "status": 403, "code": "user-suspended"});
    sandbox
        .switch(json!({"platform": "x", "person": "bo", "operation": "api", "effect": effect}))
        .await;
    assert_eq!(sandbox.bearer("/2/users/me", &[], &ada).await.status, 200);
    let refused = sandbox.bearer("/2/users/me", &[], &bo).await;
    assert!(refused.at("/type").ends_with("/problems/user-suspended"));
    sandbox
        .send(sandbox.http.delete(sandbox.url("/_sandbox/switches", &[])))
        .await;
    assert_eq!(sandbox.bearer("/2/users/me", &[], &bo).await.status, 200);
    sandbox
        .switch(json!({"platform": "x", "effect": {"kind": "wrong_secret"}}))
        .await;
    let (status, error) = {
        let answer = refresh(&sandbox, "x").await;
        (answer.status.as_u16(), answer.at("/error"))
    };
    assert_eq!((status, error.as_str()), (401, "unauthorized_client"));
}

#[tokio::test]
async fn h14_any_graph_error_can_be_asked_for() {
    let sandbox = Sandbox::start().await;
    for (code, subcode, status) in [
        (190, Some(464), 400),
        (4, None, 403),
        (17, None, 400),
        (10, None, 403),
        (368, Some(1_390_008), 400),
        (2, None, 503),
    ] {
        let effect = json!({"kind": "graph_error", "code": code, "subcode": subcode});
        sandbox
            .switch(json!({"platform": "facebook", "next": 1, "effect": effect}))
            .await;
        let answer = sandbox.get("/v25.0/me", &[]).await;
        assert_eq!(
            (answer.json["error"]["code"].as_i64(), answer.status.as_u16()),
            (Some(code), status)
        );
        assert_eq!(answer.json["error"]["error_subcode"].as_i64(), subcode);
    }
    sandbox
        .switch(json!({"platform": "facebook", "next": 1, "effect": {"kind": "rate_limit", "code": 80001}}))
        .await;
    let limited = sandbox.get("/v25.0/me", &[]).await;
    assert_eq!(limited.at("/error/code"), "80001");
    assert!(limited.header("x-app-usage").contains("100"));
    sandbox
        .switch(json!({"platform": "linkedin", "next": 1, "effect": {"kind": "version_retired"}}))
        .await;
    assert_eq!(sandbox.get("/v2/userinfo", &[]).await.status, 426);
}

#[tokio::test]
async fn consent_can_be_denied_or_give_fewer_scopes() {
    let sandbox = Sandbox::start().await;
    let effect = json!({"kind": "fewer_scopes", "remove": ["offline.access"]});
    sandbox
        .switch(json!({"platform": "x", "next": 1, "effect": effect}))
        .await;
    let query = [
        ("response_type", "code"),
        ("client_id", ID),
        ("redirect_uri", REDIRECT),
        ("scope", "tweet.read users.read offline.access"),
        ("state", "s1"),
        ("code_challenge", VERIFIER),
        ("code_challenge_method", "plain"),
    ];
    let url = sandbox.url("/i/oauth2/authorize", &query);
    let code = sandbox.consent(&url, "ada").await["code"].clone();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    let answer = Sandbox::read(token(&sandbox, &form).await.unwrap()).await;
    assert_eq!(answer.at("/scope"), "tweet.read users.read");
    sandbox
        .switch(json!({"platform": "x", "next": 1, "effect": {"kind": "deny"}}))
        .await;
    assert_eq!(sandbox.consent(&url, "ada").await["error"], "access_denied");
}

#[tokio::test]
async fn r2_overlapping_use_of_one_refresh_token_is_counted() {
    let sandbox = Sandbox::start().await;
    let (_, old) = connect(&sandbox, "ada").await;
    sandbox
        .switch(json!({"platform": "x", "operation": "refresh", "effect": {"kind": "delay", "ms": 600}}))
        .await;
    let answers = futures_util::join!(refresh(&sandbox, &old), refresh(&sandbox, &old));
    assert_eq!(
        u16::from(answers.0.status) + u16::from(answers.1.status),
        600,
        "one works, one does not"
    );
    let received = sandbox.log("received").await;
    let counts: Vec<&Value> = received.iter().rev().take(2).map(|entry| &entry["in_flight"]).collect();
    assert_eq!(counts, [&json!(2), &json!(1)]);
}
