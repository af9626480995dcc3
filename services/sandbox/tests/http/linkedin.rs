//! LinkedIn.

use sandbox::defaults::{LINKEDIN_CLIENT_ID as ID, LINKEDIN_CLIENT_SECRET as SECRET};
use serde_json::{Value, json};

use crate::harness::{Answer, REDIRECT, Sandbox};

const SCOPE: &str =
    "openid profile email w_member_social rw_organization_admin w_organization_social r_organization_social";
const DAY: i64 = 86_400;

fn authorize(sandbox: &Sandbox, scope: &str) -> String {
    let query = [
        ("response_type", "code"),
        ("client_id", ID),
        ("redirect_uri", REDIRECT),
        ("state", "s1"),
        ("scope", scope),
    ];
    sandbox.url("/oauth/v2/authorization", &query)
}

async fn token(sandbox: &Sandbox, more: &[(&str, &str)]) -> Answer {
    let mut form = vec![("client_id", ID), ("client_secret", SECRET)];
    form.extend_from_slice(more);
    sandbox.form("/oauth/v2/accessToken", &form).await
}

async fn exchange(sandbox: &Sandbox, code: &str) -> Answer {
    token(
        sandbox,
        &[
            ("grant_type", "authorization_code"),
            ("redirect_uri", REDIRECT),
            ("code", code),
        ],
    )
    .await
}

async fn refresh(sandbox: &Sandbox, refresh_token: &str) -> Answer {
    token(
        sandbox,
        &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)],
    )
    .await
}

async fn connect(sandbox: &Sandbox, person: &str, scope: &str) -> Answer {
    let code = sandbox.consent(&authorize(sandbox, scope), person).await["code"].clone();
    let answer = exchange(sandbox, &code).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer
}

async fn rest(sandbox: &Sandbox, path: &str, token: &str) -> Answer {
    let request = sandbox.http.get(sandbox.url(path, &[])).bearer_auth(token);
    sandbox
        .send(
            request
                .header("LinkedIn-Version", "202607")
                .header("X-Restli-Protocol-Version", "2.0.0"),
        )
        .await
}

async fn publish(sandbox: &Sandbox, author: &str, token: &str) -> Answer {
    let body = json!({"author": author, "commentary": "Fresh bread", "visibility": "PUBLIC", "lifecycleState": "PUBLISHED",
        "distribution": {"feedDistribution": "MAIN_FEED"}});
    let request = sandbox
        .http
        .post(sandbox.url("/rest/posts", &[]))
        .bearer_auth(token)
        .json(&body);
    sandbox
        .send(
            request
                .header("LinkedIn-Version", "202607")
                .header("X-Restli-Protocol-Version", "2.0.0"),
        )
        .await
}

#[tokio::test]
async fn a_member_connects_and_posts_for_an_organisation() {
    let sandbox = Sandbox::start().await;
    let answer = connect(&sandbox, "ada", SCOPE).await;
    assert!(answer.json.get("refresh_token").is_none() && answer.at("/scope").contains(','));
    let token = answer.at("/access_token");
    assert!(token.len() > 450);
    let who = sandbox.bearer("/v2/userinfo", &[], &token).await;
    assert_eq!(
        (who.at("/sub"), who.at("/email")),
        ("sbxMember1".to_owned(), "ada@example.test".to_owned())
    );
    let acls = rest(
        &sandbox,
        "/rest/organizationAcls?q=roleAssignee&role=ADMINISTRATOR&state=APPROVED",
        &token,
    )
    .await;
    assert_eq!(acls.at("/elements/1/organization"), "urn:li:organization:5000002");
    let named = rest(&sandbox, "/rest/organizations?ids=List(5000001,5000003)", &token).await;
    assert_eq!(named.at("/results/5000001/localizedName"), "Sandbox Bakery");
    assert_eq!(named.at("/statuses/5000003"), "404");
    let post = publish(&sandbox, "urn:li:organization:5000001", &token).await;
    assert_eq!(post.status, 201);
    let list = rest(
        &sandbox,
        "/rest/posts?q=author&author=urn%3Ali%3Aorganization%3A5000001",
        &token,
    )
    .await;
    assert_eq!(list.at("/elements/0/id"), post.header("x-restli-id"));
    assert_eq!(
        publish(&sandbox, "urn:li:organization:5000003", &token).await.status,
        403
    );
    assert_eq!(publish(&sandbox, "urn:li:person:sbxMember1", &token).await.status, 201);
}

#[tokio::test]
async fn every_rest_call_names_a_version_that_is_active() {
    let sandbox = Sandbox::start().await;
    let token = connect(&sandbox, "ada", SCOPE).await.at("/access_token");
    let path = "/rest/organizationAcls?q=roleAssignee";
    let missing = sandbox.bearer(path, &[], &token).await;
    assert_eq!(
        (missing.status.as_u16(), missing.at("/code")),
        (400, "VERSION_MISSING".to_owned())
    );
    let request = sandbox
        .http
        .get(sandbox.url(path, &[]))
        .bearer_auth(&token)
        .header("LinkedIn-Version", "202301");
    let retired = sandbox.send(request).await;
    assert_eq!(
        (retired.status.as_u16(), retired.at("/code")),
        (426, "NONEXISTENT_VERSION".to_owned())
    );
    assert_eq!(retired.at("/message"), "Requested version 202301 is not active");
    let nobody = sandbox.get("/v2/userinfo", &[]).await;
    assert_eq!(nobody.at("/message"), "Empty oauth2_access_token");
}

#[tokio::test]
async fn roles_are_paged_and_named_in_three_ways() {
    let sandbox = Sandbox::start().await;
    let token = connect(&sandbox, "cleo", SCOPE).await.at("/access_token");
    let first = rest(
        &sandbox,
        "/rest/organizationAcls?q=roleAssignee&count=100&start=0",
        &token,
    )
    .await;
    assert_eq!(first.json["elements"].as_array().unwrap().len(), 100);
    let next = rest(&sandbox, &first.at("/paging/links/0/href"), &token).await;
    assert_eq!(next.json["elements"].as_array().unwrap().len(), 20);
    assert_eq!(next.json["paging"]["links"], json!([]));
    sandbox
        .profile(json!({"linkedin_acl_key": "organizationalTarget"}))
        .await;
    let other = rest(&sandbox, "/rest/organizationAcls?q=roleAssignee", &token).await;
    assert!(
        other
            .at("/elements/0/organizationalTarget")
            .starts_with("urn:li:organization:")
    );
}

#[tokio::test]
async fn a_partners_refresh_token_ends_a_year_after_consent() {
    let sandbox = Sandbox::start().await;
    sandbox.profile(json!({"linkedin_partner": true})).await;
    let first = connect(&sandbox, "ada", SCOPE).await;
    assert_eq!(first.at("/refresh_token_expires_in"), "31536000");
    sandbox.advance(59 * DAY).await;
    let second = refresh(&sandbox, &first.at("/refresh_token")).await;
    assert_eq!(second.at("/refresh_token"), first.at("/refresh_token"));
    let left = second.json["refresh_token_expires_in"].as_i64().unwrap();
    assert!((305 * DAY..=306 * DAY).contains(&left), "{left}");
    assert_eq!(second.at("/expires_in"), (60 * DAY).to_string());
    sandbox.advance(301 * DAY).await;
    let near = refresh(&sandbox, &first.at("/refresh_token")).await;
    assert!(near.json["expires_in"].as_i64().unwrap() <= 5 * DAY);
    sandbox.advance(6 * DAY).await;
    let dead = refresh(&sandbox, &first.at("/refresh_token")).await;
    assert_eq!(
        (dead.status.as_u16(), dead.at("/error")),
        (400, "invalid_request".to_owned())
    );
}

#[tokio::test]
async fn another_set_of_scopes_ends_the_tokens_before() {
    let sandbox = Sandbox::start().await;
    let first = connect(&sandbox, "ada", "openid profile").await.at("/access_token");
    let same = connect(&sandbox, "ada", "openid profile").await.at("/access_token");
    assert_eq!(sandbox.bearer("/v2/userinfo", &[], &first).await.status, 200);
    connect(&sandbox, "ada", SCOPE).await;
    for token in [first, same] {
        let answer = sandbox.bearer("/v2/userinfo", &[], &token).await;
        assert_eq!(
            (answer.status.as_u16(), answer.at("/serviceErrorCode")),
            (401, "65601".to_owned())
        );
    }
}

#[tokio::test]
async fn introspection_says_active_expired_or_revoked() {
    let sandbox = Sandbox::start().await;
    let token = connect(&sandbox, "ada", SCOPE).await.at("/access_token");
    let form = [("client_id", ID), ("client_secret", SECRET), ("token", token.as_str())];
    let inspect = async || sandbox.form("/oauth/v2/introspectToken", &form).await.json["status"].clone();
    assert_eq!(inspect().await, "active");
    sandbox.act("linkedin", "ada", json!({"kind": "expire"})).await;
    assert_eq!(inspect().await, "expired");
    assert_eq!(
        sandbox.bearer("/v2/userinfo", &[], &token).await.at("/code"),
        "EXPIRED_ACCESS_TOKEN"
    );
    sandbox.act("linkedin", "ada", json!({"kind": "revoke"})).await;
    assert_eq!(inspect().await, "revoked");
    let unknown = [
        ("client_id", ID),
        ("client_secret", SECRET),
        ("token", "SBXLIaccessnone"),
    ];
    assert_eq!(
        sandbox.form("/oauth/v2/introspectToken", &unknown).await.json,
        json!({"active": false})
    );
}

#[tokio::test]
async fn codes_are_refused_as_linkedin_refuses_them() {
    let sandbox = Sandbox::start().await;
    let url = authorize(&sandbox, SCOPE);
    let code = sandbox.consent(&url, "ada").await["code"].clone();
    let form = [("grant_type", "authorization_code"), ("code", code.as_str())];
    assert_eq!(
        token(&sandbox, &form).await.at("/error_description"),
        "A required parameter \"redirect_uri\" is missing"
    );
    let elsewhere = [form[0], form[1], ("redirect_uri", "http://127.0.0.1:1/x")];
    assert_eq!(token(&sandbox, &elsewhere).await.at("/error"), "invalid_redirect_uri");
    assert_eq!(exchange(&sandbox, &code).await.status, 200);
    assert_eq!(exchange(&sandbox, &code).await.status, 401);
    let late = sandbox.consent(&url, "ada").await["code"].clone();
    sandbox.advance(1800).await;
    assert_eq!(exchange(&sandbox, &late).await.at("/error"), "invalid_redirect_uri");
    let wrong = [
        ("client_id", ID),
        ("client_secret", "x"),
        ("grant_type", "refresh_token"),
        ("refresh_token", "x"),
    ];
    assert_eq!(
        sandbox.form("/oauth/v2/accessToken", &wrong).await.at("/error"),
        "invalid_client"
    );
}

#[tokio::test]
async fn consent_is_all_or_nothing_and_scopes_must_be_the_apps() {
    let sandbox = Sandbox::start().await;
    let commas = sandbox.consent(&authorize(&sandbox, "openid,profile"), "ada").await;
    assert_eq!(
        (commas["error"].as_str(), commas["state"].as_str()),
        ("unauthorized_scope_error", "s1")
    );
    let few: Value = json!({"authorize_url": authorize(&sandbox, SCOPE), "person": "ada", "permissions": ["openid"]});
    let request = sandbox.http.post(sandbox.url("/_sandbox/consent", &[])).json(&few);
    assert_eq!(sandbox.send(request).await.status, 400);
    let form = [("person", "ada"), ("action", "allow")];
    let allowed = sandbox
        .send(sandbox.http.post(authorize(&sandbox, SCOPE)).form(&form))
        .await;
    assert!(allowed.header("location").contains("code=SBXLI"));
    let cancelled = sandbox
        .consent_as(json!({"authorize_url": authorize(&sandbox, SCOPE), "person": "ada", "action": "cancel"}))
        .await;
    assert_eq!(cancelled["error"], "user_cancelled_authorize");
}
