//! X.

use sandbox::defaults::{X_CLIENT_ID as ID, X_CLIENT_SECRET as SECRET};
use serde_json::{Value, json};

use crate::harness::{Answer, REDIRECT, Sandbox};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const SCOPE: &str = "tweet.read tweet.write users.read offline.access";

fn authorize(sandbox: &Sandbox, scope: &str) -> String {
    sandbox.url(
        "/i/oauth2/authorize",
        &[
            ("response_type", "code"),
            ("client_id", ID),
            ("redirect_uri", REDIRECT),
            ("scope", scope),
            ("state", "s1"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ],
    )
}

async fn token(sandbox: &Sandbox, form: &[(&str, &str)]) -> Answer {
    let request = sandbox
        .http
        .post(sandbox.url("/2/oauth2/token", &[]))
        .basic_auth(ID, Some(SECRET));
    sandbox.send(request.form(form)).await
}

async fn exchange(sandbox: &Sandbox, code: &str) -> Answer {
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
        ("client_id", ID),
    ];
    token(sandbox, &form).await
}

async fn refresh(sandbox: &Sandbox, refresh_token: &str) -> Answer {
    token(
        sandbox,
        &[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
            ("client_id", ID),
        ],
    )
    .await
}

async fn connect(sandbox: &Sandbox) -> (String, String) {
    let callback = sandbox.consent(&authorize(sandbox, SCOPE), "ada").await;
    assert_eq!(callback["state"], "s1");
    let answer = exchange(sandbox, &callback["code"]).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    (answer.at("/access_token"), answer.at("/refresh_token"))
}

#[tokio::test]
async fn a_person_connects_reads_and_posts() {
    let sandbox = Sandbox::start().await;
    let (access, _) = connect(&sandbox).await;
    let me = sandbox
        .bearer("/2/users/me", &[("user.fields", "profile_image_url")], &access)
        .await;
    assert_eq!(me.at("/data/username"), "sandboxbakery");
    assert!(me.at("/data/profile_image_url").starts_with(&sandbox.base));
    let request = sandbox.http.post(sandbox.url("/2/tweets", &[])).bearer_auth(&access);
    let post = sandbox.send(request.json(&json!({"text": "Bread"}))).await;
    assert_eq!(post.status, 201);
    let path = format!("/2/users/{}/tweets", me.at("/data/id"));
    assert_eq!(sandbox.bearer(&path, &[], &access).await.at("/data/0/text"), "Bread");
}

#[tokio::test]
async fn the_consent_page_is_a_plain_form() {
    let sandbox = Sandbox::start().await;
    let url = authorize(&sandbox, SCOPE);
    let page = sandbox.send(sandbox.http.get(&url)).await;
    assert!(page.text.contains("name=\"person\"") && page.text.contains("value=\"tweet.write\""));
    assert!(!page.text.contains("<script>"), "names are escaped");
    let form = [
        ("person", "bo"),
        ("permission", "users.read"),
        ("permission", "tweet.read"),
        ("action", "allow"),
    ];
    let allowed = sandbox.send(sandbox.http.post(&url).form(&form)).await;
    assert_eq!(allowed.status, 303);
    assert!(
        allowed
            .header("location")
            .starts_with(&format!("{REDIRECT}?state=s1&code=SBXX"))
    );
    let cancelled = sandbox
        .send(sandbox.http.post(&url).form(&[("person", "bo"), ("action", "cancel")]))
        .await;
    assert_eq!(
        cancelled.header("location"),
        format!("{REDIRECT}?error=access_denied&state=s1")
    );
}

#[tokio::test]
async fn authorization_requests_that_x_would_not_take_get_its_error_page() {
    let sandbox = Sandbox::start().await;
    let good = authorize(&sandbox, SCOPE);
    let hex = "13d31e961a1ad8ec2f16b10c4c982e0876a878ad6df144566ee1894acb70f9c3";
    let bad = [
        good.replace("client_id", "client_key"),
        good.replace("tweet.read+", "tweet.read%2C"),
        good.replace("code_challenge=", "challenge="),
        good.replace(CHALLENGE, hex),
        good.replace("S256", "s256"),
        good.replace("state=s1&", ""),
        good.replace("http%3A%2F%2F127.0.0.1", "http%3A%2F%2Fhub.example"),
    ];
    for url in bad {
        assert_ne!(url, good);
        let page = sandbox.send(sandbox.http.get(&url)).await;
        assert_eq!((page.status.as_u16(), page.header("location")), (400, ""), "{url}");
    }
}

#[tokio::test]
async fn the_token_endpoint_wants_the_basic_header_and_every_field() {
    let sandbox = Sandbox::start().await;
    let code = sandbox.consent(&authorize(&sandbox, SCOPE), "ada").await["code"].clone();
    let secret_in_body = [
        ("grant_type", "authorization_code"),
        ("client_id", ID),
        ("client_secret", SECRET),
    ];
    let answer = sandbox.form("/2/oauth2/token", &secret_in_body).await;
    assert_eq!(
        (answer.status.as_u16(), answer.at("/error")),
        (401, "unauthorized_client".to_owned())
    );
    let base = [
        ("grant_type", "authorization_code"),
        ("client_id", ID),
        ("redirect_uri", REDIRECT),
        ("code", &code),
    ];
    let answer = token(&sandbox, &base).await;
    assert_eq!(
        answer.at("/error_description"),
        "Missing required parameter [code_verifier]."
    );
    let mut wrong = base.to_vec();
    wrong.push(("code_verifier", "another-verifier-another-verifier-another-verifier"));
    let answer = token(&sandbox, &wrong).await;
    assert_eq!(
        answer.at("/error_description"),
        "Value passed for the code verifier did not match the code challenge."
    );
    let mut elsewhere: Vec<_> = base.into_iter().filter(|(name, _)| *name != "redirect_uri").collect();
    elsewhere.extend([
        ("redirect_uri", "http://127.0.0.1:8080/other"),
        ("code_verifier", VERIFIER),
    ]);
    assert_eq!(token(&sandbox, &elsewhere).await.status, 400);
    assert_eq!(exchange(&sandbox, &code).await.status, 200);
}

#[tokio::test]
async fn a_code_works_once_and_for_thirty_seconds() {
    let sandbox = Sandbox::start().await;
    let code = sandbox.consent(&authorize(&sandbox, SCOPE), "ada").await["code"].clone();
    sandbox.advance(25).await;
    assert_eq!(exchange(&sandbox, &code).await.status, 200);
    let again = exchange(&sandbox, &code).await;
    assert_eq!(
        again.at("/error_description"),
        "Value passed for the authorization code was invalid."
    );
    let late = sandbox.consent(&authorize(&sandbox, SCOPE), "ada").await["code"].clone();
    sandbox.advance(30).await;
    assert_eq!(exchange(&sandbox, &late).await.status, 400);
    let outcomes: Vec<Value> = sandbox
        .log("request")
        .await
        .iter()
        .map(|entry| entry["outcome"].clone())
        .collect();
    assert_eq!(outcomes, ["ok", "code used", "code late"]);
}

#[tokio::test]
async fn a_refresh_token_works_once() {
    let sandbox = Sandbox::start().await;
    let (_, first) = connect(&sandbox).await;
    let second = refresh(&sandbox, &first).await.at("/refresh_token");
    assert_ne!(first, second);
    let reused = refresh(&sandbox, &first).await;
    assert_eq!(
        (reused.status.as_u16(), reused.at("/error")),
        (400, "invalid_request".to_owned())
    );
    assert_eq!(
        reused.at("/error_description"),
        "Value passed for the token was invalid."
    );
    assert_eq!(refresh(&sandbox, &second).await.status, 200);
    let requests = sandbox.log("request").await;
    assert_eq!(
        (&requests[2]["token_was_dead"], &requests[2]["operation"]),
        (&json!(true), &json!("refresh"))
    );
}

#[tokio::test]
async fn reuse_ends_the_family_or_is_forgiven_when_switched_so() {
    let sandbox = Sandbox::start().await;
    let (_, first) = connect(&sandbox).await;
    let second = refresh(&sandbox, &first).await.at("/refresh_token");
    let grace = json!({"kind": "rotation_grace", "seconds": 60, "pair": "same"});
    sandbox
        .switch(json!({"platform": "x", "next": 1, "effect": grace}))
        .await;
    assert_eq!(refresh(&sandbox, &first).await.at("/refresh_token"), second);
    sandbox
        .switch(json!({"platform": "x", "effect": {"kind": "family_revoke"}}))
        .await;
    assert_eq!(refresh(&sandbox, &first).await.status, 400);
    assert_eq!(refresh(&sandbox, &second).await.status, 400);
    assert!(sandbox.truth("x", "ada").await.is_empty());
}

#[tokio::test]
async fn no_offline_access_no_refresh_token_and_no_scope_no_post() {
    let sandbox = Sandbox::start().await;
    let code = sandbox
        .consent(&authorize(&sandbox, "tweet.read users.read"), "bo")
        .await["code"]
        .clone();
    let answer = exchange(&sandbox, &code).await;
    assert_eq!(answer.json.get("refresh_token"), None);
    let request = sandbox
        .http
        .post(sandbox.url("/2/tweets", &[]))
        .bearer_auth(answer.at("/access_token"));
    let post = sandbox.send(request.json(&json!({"text": "x"}))).await;
    assert_eq!(
        (post.status.as_u16(), post.header("content-type")),
        (403, "application/problem+json")
    );
}

#[tokio::test]
async fn revoke_ends_the_token_that_is_named() {
    let sandbox = Sandbox::start().await;
    let (access, refresh_token) = connect(&sandbox).await;
    for token in [&access, &refresh_token] {
        let request = sandbox
            .http
            .post(sandbox.url("/2/oauth2/revoke", &[]))
            .basic_auth(ID, Some(SECRET));
        let answer = sandbox
            .send(request.form(&[("token", token.as_str()), ("client_id", ID)]))
            .await;
        assert_eq!((answer.status.as_u16(), &answer.json), (200, &json!({"revoked": true})));
    }
    assert_eq!(sandbox.bearer("/2/users/me", &[], &access).await.status, 401);
    assert_eq!(refresh(&sandbox, &refresh_token).await.status, 400);
}
