//! Signing a browser in at an OpenID Connect provider: who gets a session, and who does not.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::issuer::{Dialog, Issuer};
use crate::support::{Answer, Gateway};

/// A browser on its way through a sign-in.
pub(crate) struct Begun {
    /// Where it was sent.
    pub(crate) location: String,
    /// `name=value` of the cookie that holds the sign-in.
    pub(crate) cookie: String,
}

pub(crate) fn pair(answer: &Answer, name: &str) -> String {
    let cookies = answer.headers.get_all("set-cookie").iter();
    let lines = cookies.map(|line| line.to_str().unwrap().to_owned());
    let line = lines.into_iter().find(|line| line.contains(name)).unwrap_or_default();
    line.split(';').next().unwrap().to_owned()
}

pub(crate) async fn begin(gateway: &Gateway, to: &str) -> Begun {
    let answer = gateway.get(&format!("/sign-in?to={to}")).send().await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
    Begun {
        location: answer.header("location").to_owned(),
        cookie: pair(&answer, "sz-sign-in-"),
    }
}

/// Signs in; the answer of the callback.
pub(crate) async fn try_sign_in(gateway: &Gateway, issuer: &Issuer) -> Answer {
    let begun = begin(gateway, "/connections").await;
    let back = issuer.consent(&begun.location);
    gateway.get(&back).header("cookie", &begun.cookie).send().await
}

/// Signs in; the session's cookie.
pub(crate) async fn sign_in(gateway: &Gateway, issuer: &Issuer) -> String {
    let answer = try_sign_in(gateway, issuer).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
    pair(&answer, "sz-session")
}

#[tokio::test]
async fn a_page_leads_to_the_provider_and_back_to_itself() {
    let issuer = Issuer::start().await;
    let gateway = issuer.gateway().await;
    let page = gateway.get("/connections?account=acc_1").send().await;
    assert_eq!(
        (page.status, page.header("location")),
        (StatusCode::SEE_OTHER, "/sign-in?to=%2Fconnections%3Faccount%3Dacc_1")
    );
    let begun = begin(&gateway, "%2Fconnections%3Faccount%3Dacc_1").await;
    let back = issuer.consent(&begun.location);
    let done = gateway.get(&back).header("cookie", &begun.cookie).send().await;
    assert_eq!(
        (done.status, done.header("location")),
        (StatusCode::SEE_OTHER, "/connections?account=acc_1")
    );
    assert_eq!(
        (done.header("cache-control"), done.header("referrer-policy")),
        ("no-store", "no-referrer")
    );
    let me = gateway
        .get("/api/v1/me")
        .header("cookie", &pair(&done, "sz-session"))
        .send()
        .await;
    assert_eq!(me.json()["user"], json!({"id": "usr_1", "name": "Dana"}));
    assert_eq!(
        me.json()["workspaces"],
        json!([{"id": "acme", "role": "owner"}, {"id": "other", "role": "member"}])
    );
}

#[tokio::test]
async fn what_is_no_page_does_not_lead_to_the_provider() {
    let issuer = Issuer::start().await;
    let gateway = issuer.gateway().await;
    for (path, status) in [
        ("/api/v1/me", StatusCode::UNAUTHORIZED),
        ("/ui/accounts/acc_1/card", StatusCode::UNAUTHORIZED),
        ("/no-such-page", StatusCode::NOT_FOUND),
        ("/signed-out", StatusCode::OK),
        ("/oauth/x/callback?state=s", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(gateway.get(path).send().await.status, status, "{path}");
    }
}

#[tokio::test]
async fn b9_the_cookies_of_a_sign_in_are_bound_to_host_and_https_and_hidden_from_scripts() {
    let issuer = Issuer::start().await;
    let gateway = issuer
        .gateway_with(&[("GATEWAY__PUBLIC_URL", "https://hub.example")])
        .await;
    let begun = gateway.get("/sign-in").send().await;
    let line = begun.header("set-cookie");
    assert!(line.starts_with("__Host-sz-sign-in-") && line.len() < 4096, "{line}");
    assert!(
        line.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=600"),
        "{line}"
    );
    let gateway = issuer.gateway().await;
    let done = try_sign_in(&gateway, &issuer).await;
    let lines: Vec<_> = done
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|line| line.to_str().unwrap())
        .collect();
    assert!(lines[0].starts_with("sz-session=") && lines[0].ends_with("; HttpOnly; SameSite=Lax; Max-Age=86400"));
    assert!(
        lines[1].starts_with("sz-sign-in-") && lines[1].ends_with("Max-Age=0"),
        "it is over"
    );
}

#[tokio::test]
async fn o2_a19_state_nonce_and_proof_are_of_256_bits_and_of_one_sign_in() {
    let issuer = Issuer::start().await;
    let gateway = issuer.gateway().await;
    let first = Dialog::of(&begin(&gateway, "").await.location);
    let second = Dialog::of(&begin(&gateway, "").await.location);
    for name in ["state", "nonce", "code_challenge"] {
        assert_eq!(first.query[name].len(), 43, "{name}");
        assert_ne!(first.query[name], second.query[name], "{name}");
    }
}

#[tokio::test]
async fn a10_the_code_of_another_sign_in_is_of_no_use() {
    let issuer = Issuer::start().await;
    let gateway = issuer.gateway().await;
    let (mine, stolen) = (begin(&gateway, "").await, begin(&gateway, "").await);
    let (mine_back, stolen_back) = (issuer.consent(&mine.location), issuer.consent(&stolen.location));
    let code = stolen_back.split("code=").nth(1).unwrap();
    let mixed = format!("{}code={code}", mine_back.split("code=").next().unwrap());
    let answer = gateway.get(&mixed).header("cookie", &mine.cookie).send().await;
    assert_eq!((answer.status, gateway.browsers.count()), (StatusCode::UNAUTHORIZED, 0));
}

#[tokio::test]
async fn a5_a8_another_browser_cannot_finish_a_sign_in_nor_be_signed_in_as_somebody_else() {
    let issuer = Issuer::start().await;
    let gateway = issuer.gateway().await;
    let attackers = begin(&gateway, "").await;
    let back = issuer.consent(&attackers.location);
    let victims = begin(&gateway, "").await;
    for cookie in ["", victims.cookie.as_str(), "sz-sign-in-0=x"] {
        let answer = gateway.get(&back).header("cookie", cookie).send().await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{cookie}");
    }
    // The right name with another sign-in's content: it is sealed under its own state.
    let name = attackers.cookie.split('=').next().unwrap();
    let forged = format!("{name}={}", victims.cookie.split('=').nth(1).unwrap());
    assert_eq!(
        gateway.get(&back).header("cookie", &forged).send().await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!((issuer.play().trades, gateway.browsers.count()), (0, 0));
}

#[tokio::test]
async fn a2_a3_a_sign_in_is_finished_in_ten_minutes_and_once() {
    let issuer = Issuer::start().await;
    let gateway = issuer.gateway().await;
    let begun = begin(&gateway, "").await;
    let back = issuer.consent(&begun.location);
    gateway.clock.advance(std::time::Duration::from_secs(601));
    let late = gateway.get(&back).header("cookie", &begun.cookie).send().await;
    assert_eq!((late.status, issuer.play().trades), (StatusCode::BAD_REQUEST, 0));
    let gateway = issuer.gateway().await;
    let begun = begin(&gateway, "").await;
    let back = issuer.consent(&begun.location);
    let call = || gateway.get(&back).header("cookie", &begun.cookie).send();
    assert_eq!(call().await.status, StatusCode::SEE_OTHER);
    assert_eq!(
        (call().await.status, gateway.browsers.count()),
        (StatusCode::UNAUTHORIZED, 1)
    );
}

#[tokio::test]
async fn a12_an_iss_that_is_wrong_missing_or_doubled_ends_the_sign_in() {
    let issuer = Issuer::start().await;
    issuer.play().promises_iss = true;
    let gateway = issuer.gateway().await;
    let own = issuer.url.clone();
    for (iss, status) in [
        (String::new(), StatusCode::BAD_REQUEST),
        ("&iss=https://evil.example".to_owned(), StatusCode::BAD_REQUEST),
        (format!("&iss={own}&iss={own}"), StatusCode::BAD_REQUEST),
        (format!("&iss={own}"), StatusCode::SEE_OTHER),
    ] {
        let begun = begin(&gateway, "").await;
        let back = format!("{}{iss}", issuer.consent(&begun.location));
        assert_eq!(
            gateway.get(&back).header("cookie", &begun.cookie).send().await.status,
            status,
            "{iss}"
        );
    }
    assert_eq!((issuer.play().trades, gateway.browsers.count()), (1, 1));
}

#[tokio::test]
async fn b1_b2_b3_an_id_token_that_is_not_for_this_sign_in_makes_no_session() {
    let issuer = Issuer::start().await;
    let gateway = issuer.gateway().await;
    let now = crate::support::NOW / 1000;
    for changes in [
        json!({"nonce": "of another sign-in"}),
        json!({"nonce": null}),
        json!({"aud": "another-client"}),
        json!({"aud": ["hub-client", "another"]}),
        json!({"azp": "another-client"}),
        json!({"iss": "https://evil.example"}),
        json!({"exp": now - 61}),
        json!({"iat": now - 3600}),
        json!({"iat": now + 3600}),
        json!({"nbf": now + 61}),
        json!({"sub": "usr_somebody_else"}),
        json!({"sub": null}),
    ] {
        issuer.play().id_changes = changes.clone();
        let answer = try_sign_in(&gateway, &issuer).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{changes}");
    }
    assert_eq!(gateway.browsers.count(), 0);
    issuer.play().id_changes = json!({});
    assert_eq!(try_sign_in(&gateway, &issuer).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn s1_neither_cookie_nor_the_providers_tokens_are_stored_or_shown_in_clear() {
    let issuer = Issuer::start().await;
    let gateway = issuer.gateway().await;
    let answer = try_sign_in(&gateway, &issuer).await;
    let cookie = pair(&answer, "sz-session=");
    let stored = String::from_utf8_lossy(&gateway.browsers.stored()).into_owned();
    let value = cookie.strip_prefix("sz-session=").unwrap();
    assert!(!stored.contains("canary") && !stored.contains(value));
    assert!(!format!("{answer:?}").contains("canary"));
}

#[tokio::test]
async fn b6_while_the_provider_is_away_nobody_signs_in() {
    let issuer = Issuer::start().await;
    issuer.play().silent = true;
    let gateway = issuer.gateway().await;
    assert_eq!(
        gateway.get("/sign-in").send().await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    let page = gateway.get("/connections").header("accept", "text/html").send().await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn dev_tokens_and_dev_cookies_mean_nothing_to_a_hub_with_a_provider() {
    let issuer = Issuer::start().await;
    let gateway = issuer.gateway().await;
    let by = |name: &'static str, value: &str| gateway.get("/api/v1/me").header(name, value).send();
    let token = by("authorization", "Bearer dev.usr_1.acme.owner").await;
    let cookie = by("cookie", "sz-session=dev.usr_1.acme.owner").await;
    assert_eq!(
        (token.status, cookie.status),
        (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED)
    );
    let switch = gateway.post("/dev/session").header("origin", "http://127.0.0.1:8080");
    assert_eq!(switch.send().await.status, StatusCode::NOT_FOUND);
}

/// Somebody whom the provider knows, and no workspace.
#[tokio::test]
async fn who_is_a_member_of_nothing_is_told_so() {
    let issuer = Issuer::start().await;
    issuer.play().person = json!({"sub": "usr_1", "workspaces": Value::Null});
    let gateway = issuer.gateway().await;
    let cookie = sign_in(&gateway, &issuer).await;
    let page = gateway.get("/connections").header("cookie", &cookie).send().await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
}
