//! Who may in, as whom, and from where.

use http::{Method, StatusCode};
use kit::Role;
use proto::entitlements::v1::{SetPlanRequest, SetPlanResponse};

use crate::support::{Gateway, MEMBER, OWNER, samples};

const ACCOUNT: &str = "/api/v1/workspaces/acme/accounts/acc_1";

#[tokio::test]
async fn the_api_without_credentials_is_401_and_says_where_to_sign_in() {
    let gateway = Gateway::start().await;
    for token in [
        "",
        "Bearer",
        "Bearer nonsense",
        "Basic dXNlcjpw",
        "Bearer dev.usr_1.acme.root",
    ] {
        let call = gateway.get("/api/v1/me");
        let answer = if token.is_empty() {
            call.send().await
        } else {
            call.by(token).send().await
        };
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::UNAUTHORIZED, "unauthenticated".into()),
            "{token}"
        );
        assert_eq!(answer.json()["action"]["kind"], "sign_in");
    }
}

#[tokio::test]
async fn b20_a_token_in_the_address_is_not_looked_at() {
    let gateway = Gateway::start().await;
    let path = "/api/v1/workspaces/acme/events?access_token=dev.usr_1.acme.owner";
    assert_eq!(gateway.get(path).send().await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn c1_another_workspace_looks_as_if_it_did_not_exist_and_is_not_asked_about() {
    let gateway = Gateway::start().await;
    samples::one_account(&gateway.answers);
    let other = gateway
        .get("/api/v1/workspaces/other/accounts/acc_1")
        .by(OWNER)
        .send()
        .await;
    let never = gateway
        .get("/api/v1/workspaces/never_was/accounts/acc_1")
        .by(OWNER)
        .send()
        .await;
    assert_eq!(
        (other.status, other.problem()),
        (StatusCode::NOT_FOUND, never.problem())
    );
    assert_eq!(other.json()["detail"], never.json()["detail"]);
    assert_eq!(gateway.answers.count("GetAccount"), 0);
}

#[tokio::test]
async fn t2_the_person_travels_signed_with_the_call() {
    let gateway = Gateway::start().await;
    let signer = gateway.app.common.signer.clone();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(None));
    let keep = seen.clone();
    gateway.answers.raw("GetAccount", move |_, metadata| {
        let signed = metadata
            .get("x-socializioz-identity")
            .map(|value| value.to_str().unwrap().to_owned());
        *keep.lock().unwrap() = signed;
        Err(tonic::Status::unavailable(""))
    });
    gateway
        .get(ACCOUNT)
        .by(MEMBER)
        .header("x-user-id", "usr_evil")
        .send()
        .await;
    let person = signer.verify(seen.lock().unwrap().as_ref().unwrap()).unwrap();
    assert_eq!(
        (person.user_id.as_str(), person.workspace_id.as_str(), person.role),
        ("usr_2", "acme", Role::Member)
    );
}

#[tokio::test]
async fn a_page_signs_the_demo_owner_in_and_the_api_then_knows_them() {
    let gateway = Gateway::start().await;
    let page = gateway.get("/support").header("host", "127.0.0.1:8080").send().await;
    let cookie = page.header("set-cookie").to_owned();
    assert!(
        cookie.starts_with("sz-session=dev.usr_dana.demo.owner; Path=/; HttpOnly; SameSite=Lax"),
        "{cookie}"
    );
    let me = gateway
        .get("/api/v1/me")
        .header("cookie", cookie.split(';').next().unwrap())
        .send()
        .await
        .json();
    assert_eq!(me["workspaces"], serde_json::json!([{"id": "demo", "role": "owner"}]));
}

#[tokio::test]
async fn b12_a_cookie_changes_something_only_from_our_own_page() {
    let gateway = Gateway::start().await;
    samples::one_account(&gateway.answers);
    gateway
        .answers
        .always("Disconnect", proto::accounts::v1::DisconnectResponse::default());
    let call = || {
        gateway
            .request(Method::DELETE, ACCOUNT)
            .header("cookie", "sz-session=dev.usr_1.acme.owner")
    };
    for (name, value, status) in [
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
        ("sec-fetch-site", "cross-site", 403),
        ("accept", "*/*", 403),
        ("origin", "http://127.0.0.1:8080", 204),
        ("sec-fetch-site", "same-origin", 204),
    ] {
        assert_eq!(
            call().header(name, value).send().await.status,
            status,
            "{name}: {value}"
        );
    }
}

#[tokio::test]
async fn b14_nobody_elses_page_may_read_an_answer() {
    let gateway = Gateway::start().await;
    for origin in ["https://evil.example", "null", "http://127.0.0.1:8080.evil.example"] {
        let answer = gateway
            .get("/api/v1/me")
            .by(OWNER)
            .header("origin", origin)
            .send()
            .await;
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
}

#[tokio::test]
async fn b14_a_preflight_from_elsewhere_is_allowed_nothing() {
    let gateway = Gateway::start().await;
    let asked = gateway
        .request(Method::OPTIONS, ACCOUNT)
        .header("origin", "https://evil.example")
        .header("access-control-request-method", "DELETE")
        .send()
        .await;
    assert!(
        asked
            .headers
            .keys()
            .all(|name| !name.as_str().starts_with("access-control-"))
    );
}

#[tokio::test]
async fn b19_what_a_client_says_of_proxies_and_persons_is_not_believed() {
    let gateway = Gateway::start().await;
    samples::one_account(&gateway.answers);
    gateway.answers.always(
        "BeginConnect",
        proto::accounts::v1::BeginConnectResponse {
            session: None,
            authorize_url: "https://dialog.example/authorize?state=s".into(),
        },
    );
    let forged = [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "host=evil.example;proto=https"),
        ("x-user-id", "usr_evil"),
        ("x-workspace-id", "other"),
        ("x-socializioz-identity", "forged"),
        ("x-socializioz-caller", "tokens"),
    ];
    let mut call = gateway
        .post("/api/v1/workspaces/acme/connect-sessions")
        .by(OWNER)
        .key("k");
    for (name, value) in forged {
        call = call.header(name, value);
    }
    let body = serde_json::json!({"intent": "connect", "platform": "x", "channel": "popup"});
    let begun = call.json(&body).send().await;
    let asked: proto::accounts::v1::BeginConnectRequest = gateway.answers.last("BeginConnect");
    assert_eq!(
        (begun.status, asked.workspace_id.as_str()),
        (StatusCode::CREATED, "acme")
    );
    assert_eq!(asked.redirect_uri, "http://127.0.0.1:8080/oauth/x/callback");
    assert!(
        begun.header("set-cookie").starts_with("sz-oauth-") && begun.header("strict-transport-security").is_empty()
    );
}

#[tokio::test]
async fn b24_what_is_for_operators_is_not_to_be_had_from_outside() {
    let gateway = Gateway::start().await;
    assert_eq!(
        gateway
            .request(Method::TRACE, "/api/v1/me")
            .by(OWNER)
            .send()
            .await
            .status,
        StatusCode::METHOD_NOT_ALLOWED
    );
    for path in [
        "/metrics",
        "/debug",
        "/debug/pprof",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/socializioz.tokens.v1.TokensService/GetAccessToken",
    ] {
        assert_eq!(
            gateway.get(path).by(OWNER).send().await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_foreign_name_for_loopback_reaches_nothing() {
    let gateway = Gateway::start().await;
    let answer = gateway.get("/support").header("host", "evil.example").send().await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn persons_roles_and_plans_are_switched_in_dev_mode() {
    let gateway = Gateway::start().await;
    gateway.answers.always("SetPlan", SetPlanResponse::default());
    let answer = gateway
        .post("/dev/session")
        .header("origin", "http://127.0.0.1:8080")
        .text(
            "application/x-www-form-urlencoded",
            "user=usr_mia&workspace=acme&plan=professional",
        )
        .send()
        .await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (StatusCode::SEE_OTHER, "/connections")
    );
    assert!(
        answer
            .header("set-cookie")
            .starts_with("sz-session=dev.usr_mia.acme.member;")
    );
    let asked: SetPlanRequest = gateway.answers.last("SetPlan");
    assert_eq!(
        (asked.workspace_id.as_str(), asked.plan.as_str()),
        ("acme", "professional")
    );
}

#[tokio::test]
async fn b6_without_the_issuers_keys_nobody_is_let_in_and_dev_tokens_mean_nothing() {
    let settings = [
        ("AUTH__MODE", "oidc"),
        ("KEYS__RING", "k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="),
    ];
    let gateway = Gateway::with(&settings).await;
    assert_eq!(
        gateway.get("/api/v1/me").by(OWNER).send().await.status,
        StatusCode::UNAUTHORIZED
    );
    let signed = "Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.eyJzdWIiOiJ1In0.c2ln";
    assert_eq!(
        gateway.get("/api/v1/me").by(signed).send().await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(
        gateway.post("/dev/session").by(OWNER).send().await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        gateway.get("/connections").send().await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn who_changes_too_much_is_told_when_to_come_back_and_may_go_on_reading() {
    let gateway = Gateway::with(&[("GATEWAY__CHANGES_PER_MINUTE_PERSON", "2")]).await;
    let path = "/api/v1/me/tours/connections";
    let tour = || {
        gateway
            .request(Method::PUT, path)
            .json(&serde_json::json!({"status": "perhaps"}))
    };
    for _ in 0..2 {
        assert_eq!(tour().by(OWNER).send().await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let refused = tour().by(OWNER).send().await;
    assert_eq!(
        (refused.status, refused.problem()),
        (StatusCode::TOO_MANY_REQUESTS, "rate-limited".into())
    );
    assert!(refused.header("retry-after").parse::<u32>().unwrap() >= 1);
    assert_eq!(tour().by(MEMBER).send().await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(gateway.get("/api/v1/me").by(OWNER).send().await.status, StatusCode::OK);
}
