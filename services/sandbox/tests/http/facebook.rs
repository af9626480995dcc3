//! Facebook: dialog, tokens, permissions.

use sandbox::defaults::{FACEBOOK_CLIENT_ID as ID, FACEBOOK_CLIENT_SECRET as SECRET};
use serde_json::{Value, json};

use crate::harness::{Answer, REDIRECT, Sandbox};

pub(crate) const SCOPE: &str = "pages_show_list,pages_read_engagement,pages_manage_posts,business_management,instagram_basic,instagram_content_publish";
pub(crate) const BAKERY: &str = "104000000000001";

pub(crate) fn dialog(sandbox: &Sandbox, scope: &str) -> String {
    let query = [
        ("client_id", ID),
        ("redirect_uri", REDIRECT),
        ("state", "s1"),
        ("scope", scope),
    ];
    sandbox.url("/v25.0/dialog/oauth", &query)
}

pub(crate) async fn exchange(sandbox: &Sandbox, code: &str, redirect_uri: &str, secret: &str) -> Answer {
    let query = [
        ("client_id", ID),
        ("client_secret", secret),
        ("redirect_uri", redirect_uri),
        ("code", code),
    ];
    sandbox.get("/v25.0/oauth/access_token", &query).await
}

pub(crate) async fn lengthen(sandbox: &Sandbox, token: &str) -> Answer {
    let query = [
        ("grant_type", "fb_exchange_token"),
        ("client_id", ID),
        ("client_secret", SECRET),
        ("fb_exchange_token", token),
    ];
    sandbox.get("/v25.0/oauth/access_token", &query).await
}

/// A long-lived user token.
pub(crate) async fn connect(sandbox: &Sandbox, person: &str) -> String {
    let callback = sandbox.consent(&dialog(sandbox, SCOPE), person).await;
    let short = exchange(sandbox, &callback["code"], REDIRECT, SECRET).await;
    assert_eq!(short.at("/expires_in"), "5183");
    let long = lengthen(sandbox, &short.at("/access_token")).await;
    assert_eq!(long.at("/expires_in"), "5183944");
    long.at("/access_token")
}

pub(crate) async fn graph(sandbox: &Sandbox, path: &str, query: &[(&str, &str)], token: &str) -> Answer {
    let mut query = query.to_vec();
    query.push(("access_token", token));
    sandbox.get(&format!("/v25.0/{path}"), &query).await
}

pub(crate) async fn debug(sandbox: &Sandbox, token: &str) -> Answer {
    graph(
        sandbox,
        "debug_token",
        &[("input_token", token)],
        &format!("{ID}|{SECRET}"),
    )
    .await
}

pub(crate) async fn page_token(sandbox: &Sandbox, token: &str) -> String {
    graph(sandbox, "me/accounts", &[("fields", "access_token")], token)
        .await
        .at("/data/0/access_token")
}

pub(crate) fn error(answer: &Answer) -> (u16, i64, Option<i64>) {
    let error = &answer.json["error"];
    (
        answer.status.as_u16(),
        error["code"].as_i64().unwrap_or_default(),
        error["error_subcode"].as_i64(),
    )
}

#[tokio::test]
async fn codes_are_refused_as_facebook_refuses_them() {
    let sandbox = Sandbox::start().await;
    let code = sandbox.consent(&dialog(&sandbox, SCOPE), "ada").await["code"].clone();
    assert_eq!(
        error(&exchange(&sandbox, &code, REDIRECT, "wrong").await),
        (400, 1, None)
    );
    let elsewhere = format!("{REDIRECT}/");
    assert_eq!(
        error(&exchange(&sandbox, &code, &elsewhere, SECRET).await),
        (400, 100, Some(36008))
    );
    assert_eq!(exchange(&sandbox, &code, REDIRECT, SECRET).await.status, 200);
    let again = exchange(&sandbox, &code, REDIRECT, SECRET).await;
    assert_eq!(error(&again), (400, 100, Some(36009)));
    assert!(again.header("www-authenticate").contains("\"invalid_code\""));
    let late = sandbox.consent(&dialog(&sandbox, SCOPE), "ada").await["code"].clone();
    sandbox.advance(600).await;
    assert_eq!(
        error(&exchange(&sandbox, &late, REDIRECT, SECRET).await),
        (400, 100, Some(36007))
    );
    let other = sandbox
        .get(
            "/v25.0/oauth/access_token",
            &[("client_id", "1"), ("client_secret", SECRET)],
        )
        .await;
    assert_eq!(error(&other), (400, 101, None));
}

#[tokio::test]
async fn a_bad_token_is_http_200_at_debug_token_and_400_elsewhere() {
    let sandbox = Sandbox::start().await;
    for (action, subcode) in [
        (json!({"kind": "expire"}), 463),
        (json!({"kind": "password_changed"}), 460),
        (json!({"kind": "logged_out"}), 467),
        (json!({"kind": "checkpoint", "on": true}), 459),
        (json!({"kind": "revoke"}), 458),
    ] {
        let token = connect(&sandbox, "ada").await;
        sandbox.act("facebook", "ada", action).await;
        assert_eq!(
            error(&graph(&sandbox, "me", &[], &token).await),
            (400, 190, Some(subcode))
        );
        let info = debug(&sandbox, &token).await;
        assert_eq!(
            (info.status.as_u16(), info.at("/data/is_valid")),
            (200, "false".to_owned())
        );
        assert_eq!(info.at("/data/error/subcode"), subcode.to_string());
        assert_eq!(error(&lengthen(&sandbox, &token).await), (400, 190, Some(subcode)));
    }
    assert_eq!(debug(&sandbox, "nonsense").await.at("/data/error/code"), "190");
    assert_eq!(error(&sandbox.get("/v25.0/me", &[]).await), (400, 2500, None));
}

#[tokio::test]
async fn what_was_declined_is_asked_again_only_with_rerequest() {
    let sandbox = Sandbox::start().await;
    let url = dialog(&sandbox, SCOPE);
    let few =
        json!({"authorize_url": url, "person": "ada", "permissions": ["pages_show_list"], "destinations": [BAKERY]});
    let code = sandbox.consent_as(few).await["code"].clone();
    let token = exchange(&sandbox, &code, REDIRECT, SECRET).await.at("/access_token");
    let granted = |rows: &Value| {
        rows.as_array()
            .unwrap()
            .iter()
            .filter(|row| row["status"] == "granted")
            .count()
    };
    let rows = graph(&sandbox, "me/permissions", &[], &token).await;
    assert_eq!(granted(&rows.json["data"]), 2, "{}", rows.text);
    sandbox.consent(&url, "ada").await;
    assert_eq!(
        granted(&graph(&sandbox, "me/permissions", &[], &token).await.json["data"]),
        2
    );
    sandbox.consent(&format!("{url}&auth_type=rerequest"), "ada").await;
    assert_eq!(
        granted(&graph(&sandbox, "me/permissions", &[], &token).await.json["data"]),
        7
    );
}

#[tokio::test]
async fn giving_back_ends_every_token_or_one_permission() {
    let sandbox = Sandbox::start().await;
    let token = connect(&sandbox, "ada").await;
    let page = page_token(&sandbox, &token).await;
    let one = sandbox.url("/v25.0/me/permissions/pages_manage_posts", &[("access_token", &token)]);
    assert_eq!(
        sandbox.send(sandbox.http.delete(one)).await.json,
        json!({"success": true})
    );
    let feed = sandbox
        .form(
            &format!("/v25.0/{BAKERY}/feed"),
            &[("message", "x"), ("access_token", &page)],
        )
        .await;
    assert_eq!(error(&feed), (403, 200, None));
    let app = format!("{ID}|{SECRET}");
    let all = sandbox.url("/v25.0/900000000000001/permissions", &[("access_token", &app)]);
    assert_eq!(
        sandbox.send(sandbox.http.delete(all)).await.json,
        json!({"success": true})
    );
    assert_eq!(error(&graph(&sandbox, BAKERY, &[], &page).await), (400, 190, Some(458)));
    assert!(sandbox.truth("facebook", "ada").await.is_empty());
}

#[tokio::test]
async fn a_renewal_may_extend_or_not() {
    let sandbox = Sandbox::start().await;
    let first = connect(&sandbox, "ada").await;
    sandbox.advance(55 * 86_400).await;
    sandbox
        .switch(json!({"platform": "facebook", "next": 1, "effect": {"kind": "not_extended"}}))
        .await;
    let same = lengthen(&sandbox, &first).await;
    assert_eq!(same.at("/access_token"), first);
    assert!(same.json["expires_in"].as_i64().unwrap() < 6 * 86_400);
    assert_eq!(lengthen(&sandbox, &first).await.at("/expires_in"), "5183944");
    assert_eq!(sandbox.log("request").await.last().unwrap()["operation"], "refresh");
}

#[tokio::test]
async fn the_proof_is_checked_when_it_comes_and_demanded_when_so_configured() {
    let sandbox = Sandbox::start().await;
    let token = connect(&sandbox, "ada").await;
    assert_eq!(
        error(&graph(&sandbox, "me", &[("appsecret_proof", "00")], &token).await),
        (400, 100, None)
    );
    sandbox.profile(json!({"facebook_proof_required": true})).await;
    let answer = graph(&sandbox, "me", &[], &token).await;
    assert_eq!(
        answer.at("/error/message"),
        "API calls from the server require an appsecret_proof argument"
    );
}

#[tokio::test]
async fn the_dialog_refuses_foreign_apps_and_unknown_scopes_and_says_when_it_was_cancelled() {
    let sandbox = Sandbox::start().await;
    let good = dialog(&sandbox, SCOPE);
    for bad in [
        good.replace(ID, "800000000000001"),
        good.replace("pages_show_list", "pages_show"),
        good.replace("v25.0", "v99.0"),
    ] {
        assert_eq!(sandbox.send(sandbox.http.get(&bad)).await.status, 400, "{bad}");
    }
    let cancelled = sandbox
        .send(
            sandbox
                .http
                .post(&good)
                .form(&[("person", "ada"), ("action", "cancel")]),
        )
        .await;
    let expected =
        "error=access_denied&error_code=200&error_description=Permissions+error&error_reason=user_denied&state=s1#_=_";
    assert_eq!(cancelled.header("location"), format!("{REDIRECT}?{expected}"));
    let form = [
        ("person", "cleo"),
        ("permission", "pages_show_list"),
        ("page", "104000000001001"),
        ("action", "allow"),
    ];
    let allowed = sandbox.send(sandbox.http.post(&good).form(&form)).await;
    assert!(allowed.header("location").ends_with("&state=s1#_=_"));
}
