//! The way back from a consent page, and the platforms' own calls.

use http::{Method, StatusCode};
use kit::{Code, Failure};
use proto::accounts::v1::{
    BeginConnectRequest, BeginConnectResponse, Channel, CompleteConnectRequest, CompleteConnectResponse,
    GetConnectSessionResponse, SessionStatus,
};
use proto::platforms::v1::{PlatformEvent, VerifyCallbackRequest, VerifyCallbackResponse, platform_event::Kind};
use proto::tokens::v1::{ApplyPlatformEventRequest, ApplyPlatformEventResponse};
use serde_json::json;

use crate::support::{Answer, Gateway, OWNER, samples};

const CALLBACK: &str = "/oauth/x/callback?state=st-1&code=secret-code";

async fn begin(gateway: &Gateway, channel: Channel) -> Answer {
    let name = if channel == Channel::Native { "native" } else { "popup" };
    gateway.answers.always(
        "BeginConnect",
        BeginConnectResponse {
            session: Some(samples::session(channel, SessionStatus::Pending)),
            authorize_url: "https://dialog.example/authorize?state=st-1".into(),
        },
    );
    let body = json!({"intent": "connect", "platform": "x", "channel": name});
    gateway
        .post("/api/v1/workspaces/acme/connect-sessions")
        .by(OWNER)
        .key("k")
        .json(&body)
        .send()
        .await
}

fn completes(gateway: &Gateway, channel: Channel, completion_code: &str) {
    gateway.answers.always(
        "CompleteConnect",
        CompleteConnectResponse {
            session: Some(samples::session(channel, SessionStatus::Completed)),
            completion_code: completion_code.into(),
        },
    );
}

#[tokio::test]
async fn o2_a_flow_is_bound_to_the_browser_that_began_it() {
    let gateway = Gateway::start().await;
    let begun = begin(&gateway, Channel::Popup).await;
    assert_eq!(
        (begun.status, begun.json()["status"].as_str()),
        (StatusCode::CREATED, Some("pending"))
    );
    assert_eq!(
        begun.header("location"),
        "/api/v1/workspaces/acme/connect-sessions/cs_1"
    );
    let cookie = begun.header("set-cookie").to_owned();
    assert!(
        cookie.starts_with("sz-oauth-") && cookie.contains("HttpOnly; SameSite=Lax; Max-Age=600"),
        "{cookie}"
    );
    let asked: BeginConnectRequest = gateway.answers.last("BeginConnect");
    assert_eq!(asked.redirect_uri, "http://127.0.0.1:8080/oauth/x/callback");

    completes(&gateway, Channel::Popup, "");
    let pair = cookie.split(';').next().unwrap();
    let back = gateway.get(CALLBACK).by(OWNER).header("cookie", pair).send().await;
    let completed: CompleteConnectRequest = gateway.answers.last("CompleteConnect");
    assert_eq!(
        (completed.browser_hash, completed.has_browser),
        (asked.browser_hash, true)
    );
    assert_eq!(
        (back.status, back.header("location")),
        (StatusCode::SEE_OTHER, "/oauth/return/cs_1")
    );
    assert_eq!(back.header("set-cookie"), cookie.replace("Max-Age=600", "Max-Age=120"));
}

#[tokio::test]
async fn a3_a_callback_that_a_browser_sends_twice_brings_it_to_the_same_page() {
    let gateway = Gateway::start().await;
    let begun = begin(&gateway, Channel::Popup).await;
    completes(&gateway, Channel::Popup, "");
    let mut cookie = begun.header("set-cookie").to_owned();
    for _ in 0..2 {
        let pair = cookie.split(';').next().unwrap_or_default().to_owned();
        let back = gateway.get(CALLBACK).by(OWNER).header("cookie", &pair).send().await;
        let completed: CompleteConnectRequest = gateway.answers.last("CompleteConnect");
        assert!(completed.has_browser && !completed.browser_hash.is_empty());
        assert_eq!(
            (back.status, back.header("location")),
            (StatusCode::SEE_OTHER, "/oauth/return/cs_1")
        );
        // What the browser keeps is what it sends next time.
        cookie = back.header("set-cookie").to_owned();
    }
}

#[tokio::test]
async fn a28_the_answer_leaves_the_address_with_the_code() {
    let gateway = Gateway::start().await;
    completes(&gateway, Channel::Popup, "");
    let back = gateway.get(CALLBACK).by(OWNER).send().await;
    assert_eq!(
        (back.header("referrer-policy"), back.header("cache-control")),
        ("no-referrer", "no-store")
    );
    assert!(!back.header("location").contains("secret-code") && !back.body.contains("secret-code"));
}

#[tokio::test]
async fn a29_a_look_ahead_consumes_nothing() {
    let gateway = Gateway::start().await;
    assert_eq!(
        gateway.request(Method::HEAD, CALLBACK).by(OWNER).send().await.status,
        StatusCode::NO_CONTENT
    );
    let ahead = gateway
        .get(CALLBACK)
        .by(OWNER)
        .header("sec-purpose", "prefetch")
        .send()
        .await;
    assert_eq!(ahead.status, StatusCode::NO_CONTENT);
    assert_eq!(gateway.answers.count("CompleteConnect"), 0);
}

#[tokio::test]
async fn a1_a13_a17_what_no_platform_sends_is_refused_without_a_call() {
    let gateway = Gateway::start().await;
    let long = format!("state=s&code={}", "c".repeat(2049));
    for query in [
        "code=c",
        "state=s",
        "state=s&state=t&code=c",
        "state=s&code=a&code=b",
        "state=s&code=%00",
        &long,
    ] {
        let back = gateway
            .get(&format!("/oauth/x/callback?{query}"))
            .by(OWNER)
            .send()
            .await;
        assert_eq!(back.status, StatusCode::BAD_REQUEST);
        assert_eq!(
            (back.header("referrer-policy"), back.header("cache-control")),
            ("no-referrer", "no-store")
        );
    }
    assert_eq!(gateway.answers.count("CompleteConnect"), 0);
}

#[tokio::test]
async fn a12_o3_a_code_of_another_issuer_is_not_sent_to_this_platform() {
    let gateway = Gateway::start().await;
    completes(&gateway, Channel::Popup, "");
    for iss in [
        "https://evil.example",
        "https://dialog.example.evil.example",
        "http://dialog.example",
        "dialog.example",
        "https://dialog.example&iss=https://dialog.example",
    ] {
        let back = gateway.get(&format!("{CALLBACK}&iss={iss}")).by(OWNER).send().await;
        assert_eq!(back.status, StatusCode::BAD_REQUEST, "{iss}");
    }
    assert_eq!(gateway.answers.count("CompleteConnect"), 0);
    let right = format!("{CALLBACK}&iss=https://dialog.example/oauth");
    assert_eq!(gateway.get(&right).by(OWNER).send().await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a15_a16_an_error_wins_and_its_text_is_shown_to_nobody() {
    let gateway = Gateway::start().await;
    gateway.answers.on(
        "CompleteConnect",
        |_: CompleteConnectRequest| -> Result<CompleteConnectResponse, Failure> {
            Err(Failure::new(Code::OauthDenied, "the sign-in was cancelled"))
        },
    );
    let path =
        "/oauth/x/callback?state=s&code=c&error=access_denied&error_description=%3Cscript%3Ealert(1)%3C/script%3E";
    let back = gateway.get(path).by(OWNER).send().await;
    let asked: CompleteConnectRequest = gateway.answers.last("CompleteConnect");
    assert_eq!((asked.code.as_str(), asked.error.as_str()), ("", "access_denied"));
    assert_eq!(back.status, StatusCode::BAD_REQUEST);
    assert!(!back.body.contains("alert(1)"));
}

#[tokio::test]
async fn a_native_app_gets_a_completion_code_over_its_claimed_link_and_no_cookie() {
    let gateway = Gateway::start().await;
    let begun = begin(&gateway, Channel::Native).await;
    assert_eq!(begun.header("set-cookie"), "");
    assert!(
        gateway
            .answers
            .last::<BeginConnectRequest>("BeginConnect")
            .browser_hash
            .is_empty()
    );
    completes(&gateway, Channel::Native, "cc-1");
    let back = gateway.get(CALLBACK).send().await;
    assert_eq!(
        back.header("location"),
        "https://app.example/oauth/return/cs_1?completion_code=cc-1"
    );
}

#[tokio::test]
async fn native_needs_a_bearer_token_and_return_to_is_a_name() {
    let gateway = Gateway::start().await;
    let sent = |body| {
        let call = gateway
            .post("/api/v1/workspaces/acme/connect-sessions")
            .key("k")
            .json(&body);
        call.header("cookie", "sz-session=dev.usr_1.acme.owner")
            .header("sec-fetch-site", "same-origin")
            .send()
    };
    let native = sent(json!({"intent": "connect", "platform": "x", "channel": "native"})).await;
    assert_eq!(
        (native.status, native.json()["errors"][0]["pointer"].as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, Some("/channel"))
    );
    for evil in ["https://evil.example", "//evil", "javascript:alert(1)"] {
        let body = json!({"intent": "connect", "platform": "x", "channel": "popup", "return_to": evil});
        assert_eq!(sent(body).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(gateway.answers.count("BeginConnect"), 0);
}

#[tokio::test]
async fn e8_a_tab_goes_on_to_the_page_it_came_from() {
    let gateway = Gateway::start().await;
    let session = Some(samples::session(Channel::Redirect, SessionStatus::Completed));
    gateway
        .answers
        .always("GetConnectSession", GetConnectSessionResponse { session });
    let back = gateway.get("/oauth/return/cs_1").by(OWNER).send().await;
    assert_eq!(
        (back.status, back.header("location")),
        (StatusCode::SEE_OTHER, "/overview?session=cs_1")
    );
    let stranger = gateway.get("/oauth/return/cs_1?completion_code=cc-1").send().await;
    assert_eq!(stranger.status, StatusCode::OK);
    // The device's browser of an app: it has nobody's session, and the app goes on.
    assert!(stranger.body.contains("Go back to where you started") && !stranger.body.contains("cc-1"));
}

fn verifies(gateway: &Gateway) {
    let event = PlatformEvent {
        event_id: "e1".into(),
        kind: Kind::Deauthorized.into(),
        ..PlatformEvent::default()
    };
    gateway
        .answers
        .always("VerifyCallback", VerifyCallbackResponse { events: vec![event] });
    gateway
        .answers
        .always("ApplyPlatformEvent", ApplyPlatformEventResponse { grants: 1 });
}

#[tokio::test]
async fn f8_the_raw_bytes_of_a_platforms_call_are_verified_and_it_is_effective_before_the_answer() {
    let gateway = Gateway::start().await;
    verifies(&gateway);
    let body = "{ \"object\" :\"permissions\"}";
    let answer = gateway
        .post("/webhooks/meta")
        .header("x-hub-signature-256", "sha256=ab")
        .text("application/json", body)
        .send()
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    let asked: VerifyCallbackRequest = gateway.answers.last("VerifyCallback");
    assert_eq!(
        (asked.source.as_str(), asked.body.as_slice()),
        ("meta", body.as_bytes())
    );
    assert_eq!(asked.headers["x-hub-signature-256"], "sha256=ab");
    assert_eq!(gateway.answers.count("ApplyPlatformEvent"), 1);
}

#[tokio::test]
async fn a_deletion_is_confirmed_with_an_address_and_a_code_that_stay_the_same() {
    let gateway = Gateway::start().await;
    verifies(&gateway);
    let form = "application/x-www-form-urlencoded";
    let first = gateway
        .post("/webhooks/meta/deletion")
        .text(form, "signed_request=a.b")
        .send()
        .await
        .json();
    let again = gateway
        .post("/webhooks/meta/deletion")
        .text(form, "signed_request=a.b")
        .send()
        .await
        .json();
    assert_eq!(first, again);
    let url = first["url"].as_str().unwrap();
    assert!(url.ends_with(first["confirmation_code"].as_str().unwrap()));
    let asked: VerifyCallbackRequest = gateway.answers.last("VerifyCallback");
    assert_eq!(asked.source, "meta_deletion");
    let told = gateway
        .get(url.strip_prefix("http://127.0.0.1:8080").unwrap())
        .send()
        .await;
    assert_eq!(told.status, StatusCode::OK);
}

#[tokio::test]
async fn f10_a_code_that_was_never_issued_is_not_told_that_anything_was_deleted() {
    let gateway = Gateway::start().await;
    verifies(&gateway);
    let confirmed = gateway.post("/webhooks/meta/deletion").send().await.json();
    let code = confirmed["confirmation_code"].as_str().unwrap();
    let last = if code.ends_with('0') { "1" } else { "0" };
    let other = format!("{}{last}", &code[..code.len() - 1]);
    let marked = format!("{}{}", "0".repeat(24), "f".repeat(32));
    for never in [other.as_str(), &marked, "0123456789abcdef01234567", "x"] {
        let told = gateway.get(&format!("/webhooks/deletions/{never}")).send().await;
        assert_eq!(told.status, StatusCode::NOT_FOUND, "{never}");
        assert!(told.body.starts_with("We do not know this code"), "{}", told.body);
    }
    let told = gateway.get(&format!("/webhooks/deletions/{code}")).send().await;
    assert!(told.body.contains("is done"), "{}", told.body);
}

#[tokio::test]
async fn f1_f9_a_wrong_signature_is_401_and_trouble_of_ours_makes_the_platform_come_again() {
    let gateway = Gateway::start().await;
    gateway.answers.on(
        "VerifyCallback",
        |_: VerifyCallbackRequest| -> Result<VerifyCallbackResponse, Failure> {
            Err(Failure::new(Code::Unauthenticated, "the signature is wrong"))
        },
    );
    assert_eq!(
        gateway.post("/webhooks/tiktok").send().await.status,
        StatusCode::UNAUTHORIZED
    );
    verifies(&gateway);
    gateway.answers.on(
        "ApplyPlatformEvent",
        |_: ApplyPlatformEventRequest| -> Result<ApplyPlatformEventResponse, Failure> {
            Err(Failure::new(Code::Unavailable, "the database is down"))
        },
    );
    assert_eq!(
        gateway.post("/webhooks/tiktok").send().await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
}

#[tokio::test]
async fn a_webhook_is_subscribed_only_with_our_token() {
    let gateway = Gateway::start().await;
    let verify = |token: &str| {
        let query = format!("hub.mode=subscribe&hub.challenge=123&hub.verify_token={token}");
        gateway.get(&format!("/webhooks/meta?{query}")).send()
    };
    let right = verify("verify-me").await;
    assert_eq!((right.status, right.body.as_str()), (StatusCode::OK, "123"));
    assert_eq!(verify("wrong").await.status, StatusCode::FORBIDDEN);
}
