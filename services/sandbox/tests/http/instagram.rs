//! Instagram Login.

use sandbox::defaults::{INSTAGRAM_CLIENT_ID as ID, INSTAGRAM_CLIENT_SECRET as SECRET};
use serde_json::json;

use crate::harness::{Answer, REDIRECT, Sandbox};

const SCOPE: &str = "instagram_business_basic,instagram_business_content_publish";

fn authorize(sandbox: &Sandbox, scope: &str) -> String {
    let query = [
        ("client_id", ID),
        ("redirect_uri", REDIRECT),
        ("response_type", "code"),
        ("scope", scope),
        ("state", "s1"),
    ];
    sandbox.url("/oauth/authorize", &query)
}

async fn exchange(sandbox: &Sandbox, code: &str) -> Answer {
    let form = [
        ("client_id", ID),
        ("client_secret", SECRET),
        ("grant_type", "authorization_code"),
        ("redirect_uri", REDIRECT),
        ("code", code),
    ];
    sandbox.form("/oauth/access_token", &form).await
}

async fn lengthen(sandbox: &Sandbox, token: &str) -> Answer {
    let query = [
        ("grant_type", "ig_exchange_token"),
        ("client_secret", SECRET),
        ("access_token", token),
    ];
    sandbox.get("/access_token", &query).await
}

async fn refresh(sandbox: &Sandbox, token: &str) -> Answer {
    sandbox
        .get(
            "/refresh_access_token",
            &[("grant_type", "ig_refresh_token"), ("access_token", token)],
        )
        .await
}

async fn connect(sandbox: &Sandbox, person: &str) -> String {
    let code = sandbox.consent(&authorize(sandbox, SCOPE), person).await["code"].clone();
    let short = exchange(sandbox, &code).await.at("/access_token");
    lengthen(sandbox, &short).await.at("/access_token")
}

async fn me(sandbox: &Sandbox, token: &str) -> Answer {
    let fields = "id,user_id,username,account_type,profile_picture_url";
    sandbox
        .get("/v25.0/me", &[("fields", fields), ("access_token", token)])
        .await
}

#[tokio::test]
async fn the_exchange_comes_flat_or_in_a_list() {
    let sandbox = Sandbox::start().await;
    let code = sandbox.consent(&authorize(&sandbox, SCOPE), "ada").await["code"].clone();
    let flat = exchange(&sandbox, &code).await;
    assert!(
        flat.text.contains("\"user_id\":25000000000000001"),
        "a number above 2^53: {}",
        flat.text
    );
    assert_eq!(flat.json["permissions"].as_array().unwrap().len(), 2);
    sandbox.profile(json!({"instagram_shape": "data"})).await;
    let code = sandbox.consent(&authorize(&sandbox, SCOPE), "ada").await["code"].clone();
    let list = exchange(&sandbox, &code).await;
    assert_eq!(list.at("/data/0/user_id"), "25000000000000001");
    assert!(list.at("/data/0/permissions").contains(','));
    let long = lengthen(&sandbox, &list.at("/data/0/access_token"))
        .await
        .at("/access_token");
    assert_eq!(me(&sandbox, &long).await.at("/data/0/user_id"), "17841400000000001");
}

#[tokio::test]
async fn a_code_works_once_within_the_hour_and_with_the_same_address() {
    let sandbox = Sandbox::start().await;
    let code = sandbox.consent(&authorize(&sandbox, SCOPE), "ada").await["code"].clone();
    let elsewhere = [
        ("client_id", ID),
        ("client_secret", SECRET),
        ("grant_type", "authorization_code"),
        ("redirect_uri", "http://127.0.0.1:8080/oauth/callback/"),
        ("code", &code),
    ];
    assert_eq!(sandbox.form("/oauth/access_token", &elsewhere).await.status, 400);
    assert_eq!(exchange(&sandbox, &code).await.status, 200);
    assert_eq!(
        exchange(&sandbox, &code).await.at("/error_message"),
        "This authorization code has been used"
    );
    let late = sandbox.consent(&authorize(&sandbox, SCOPE), "ada").await["code"].clone();
    sandbox.advance(3600).await;
    assert_eq!(exchange(&sandbox, &late).await.at("/error_type"), "OAuthException");
    let unknown = exchange(&sandbox, "SBX_IG_CODE_none").await;
    assert_eq!(
        unknown.at("/error_message"),
        "Matching code was not found or was already used"
    );
}

#[tokio::test]
async fn h21_a_token_is_renewed_only_after_a_day_and_not_after_its_end() {
    let sandbox = Sandbox::start().await;
    let token = connect(&sandbox, "ada").await;
    assert_eq!(refresh(&sandbox, &token).await.at("/error/code"), "10");
    sandbox.profile(json!({"instagram_young_refresh_code": 190})).await;
    assert_eq!(refresh(&sandbox, &token).await.at("/error/code"), "190");
    assert_eq!(me(&sandbox, &token).await.status, 200, "still valid");
    sandbox.advance(86_400).await;
    let renewed = refresh(&sandbox, &token).await;
    assert_eq!(renewed.at("/expires_in"), "5184000");
    assert_ne!(renewed.at("/access_token"), token);
    sandbox.advance(60 * 86_400).await;
    let dead = refresh(&sandbox, &token).await;
    assert_eq!(
        (dead.at("/error/code"), dead.at("/error/error_subcode")),
        ("190".to_owned(), "0".to_owned())
    );
    assert!(dead.at("/error/message").contains("Session has expired on"));
}

#[tokio::test]
async fn a_renewal_may_give_back_the_same_token() {
    let sandbox = Sandbox::start().await;
    sandbox.profile(json!({"instagram_refresh": "same"})).await;
    let token = connect(&sandbox, "ada").await;
    sandbox.advance(50 * 86_400).await;
    assert_eq!(refresh(&sandbox, &token).await.at("/access_token"), token);
    sandbox.advance(50 * 86_400).await;
    assert_eq!(me(&sandbox, &token).await.status, 200);
}

#[tokio::test]
async fn the_token_decides_between_facebook_and_instagram() {
    let sandbox = Sandbox::start().await;
    let token = connect(&sandbox, "ada").await;
    let identity = me(&sandbox, &token).await;
    assert_eq!(identity.at("/id"), "25000000000000001");
    assert_eq!(identity.at("/account_type"), "BUSINESS");
    let requests = sandbox.log("request").await;
    assert_eq!(requests.last().unwrap()["platform"], "instagram");
    let posted = sandbox
        .send(sandbox.http.post(sandbox.url("/refresh_access_token", &[])))
        .await;
    assert!(
        posted
            .at("/error/message")
            .starts_with("Unsupported request - method type: post")
    );
}

#[tokio::test]
async fn media_is_listed_and_published() {
    let sandbox = Sandbox::start().await;
    let token = connect(&sandbox, "ada").await;
    let create = [
        ("image_url", "https://example.test/1.jpg"),
        ("caption", "Rye"),
        ("access_token", token.as_str()),
    ];
    let container = sandbox.form("/v25.0/17841400000000001/media", &create).await.at("/id");
    let publish = [("creation_id", container.as_str()), ("access_token", token.as_str())];
    assert_eq!(sandbox.form("/v25.0/me/media_publish", &publish).await.status, 200);
    let query = [
        ("fields", "caption,children{id,media_url},like_count"),
        ("limit", "5"),
        ("access_token", &token),
    ];
    let list = sandbox.get("/v25.0/me/media", &query).await;
    assert_eq!(list.at("/data/0/caption"), "Rye");
    assert!(list.at("/paging/next").starts_with(&sandbox.base));
    let quota = sandbox
        .get("/v25.0/me/content_publishing_limit", &[("access_token", &token)])
        .await;
    assert_eq!(quota.at("/data/0/quota_usage"), "1");
}

#[tokio::test]
async fn older_methods_and_personal_accounts_cannot_publish() {
    let sandbox = Sandbox::start().await;
    let create = |token: &str| {
        let form =
            [("image_url", "https://example.test/1.jpg"), ("access_token", token)].map(|(k, v)| (k, v.to_owned()));
        sandbox.http.post(sandbox.url("/v25.0/me/media", &[])).form(&form)
    };
    let old = connect(&sandbox, "enid").await;
    assert_eq!(me(&sandbox, &old).await.status, 200);
    assert_eq!(sandbox.send(create(&old)).await.at("/error/code"), "10");
    let current = connect(&sandbox, "enid").await;
    assert_eq!(
        sandbox.send(create(&current)).await.status,
        200,
        "the next sign-in gives a current grant"
    );
    let personal = connect(&sandbox, "finn").await;
    assert_eq!(me(&sandbox, &personal).await.at("/account_type"), "PERSONAL");
    let refused = sandbox.send(create(&personal)).await;
    assert!(
        refused
            .at("/error/message")
            .contains("The user is not an Instagram Business")
    );
}

#[tokio::test]
async fn the_dialog_wants_the_instagram_app_and_current_scopes() {
    let sandbox = Sandbox::start().await;
    let good = authorize(&sandbox, SCOPE);
    let meta_app = sandbox
        .send(sandbox.http.get(good.replace(ID, "700000000000001")))
        .await;
    assert!(meta_app.status == 400 && meta_app.text.contains("Invalid platform app"));
    let old = sandbox
        .send(sandbox.http.get(authorize(&sandbox, "business_basic")))
        .await;
    assert!(old.status == 400 && old.text.contains("Invalid scope field(s): business_basic"));
    let form = [
        ("person", "ada"),
        ("permission", "instagram_business_basic"),
        ("action", "allow"),
    ];
    let allowed = sandbox.send(sandbox.http.post(&good).form(&form)).await;
    assert!(allowed.header("location").ends_with("&state=s1#_"));
}
