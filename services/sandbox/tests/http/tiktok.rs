//! TikTok.

use sandbox::defaults::{TIKTOK_CLIENT_ID as KEY, TIKTOK_CLIENT_SECRET as SECRET};
use serde_json::{Value, json};

use crate::harness::{Answer, REDIRECT, Sandbox};

const SCOPE: &str = "user.info.basic,user.info.profile,video.list,video.publish";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const HEX: &str = "13d31e961a1ad8ec2f16b10c4c982e0876a878ad6df144566ee1894acb70f9c3";

fn authorize(sandbox: &Sandbox, scope: &str) -> String {
    let query = [
        ("client_key", KEY),
        ("response_type", "code"),
        ("scope", scope),
        ("redirect_uri", REDIRECT),
        ("state", "s1"),
    ];
    sandbox.url("/v2/auth/authorize/", &query)
}

async fn token(sandbox: &Sandbox, more: &[(&str, &str)]) -> Answer {
    let mut form = vec![("client_key", KEY), ("client_secret", SECRET)];
    form.extend_from_slice(more);
    sandbox.form("/v2/oauth/token/", &form).await
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

async fn connect(sandbox: &Sandbox) -> Answer {
    let code = sandbox.consent(&authorize(sandbox, SCOPE), "ada").await["code"].clone();
    assert!(code.ends_with("*1!5"), "decoded: {code}");
    let answer = exchange(sandbox, &code).await;
    assert_eq!(answer.at("/open_id"), "sbx-open-id-0001");
    answer
}

async fn post(sandbox: &Sandbox, path: &str, body: &Value, token: &str) -> Answer {
    sandbox
        .send(sandbox.http.post(sandbox.url(path, &[])).bearer_auth(token).json(body))
        .await
}

#[tokio::test]
async fn the_callback_says_which_scopes_were_left_on() {
    let sandbox = Sandbox::start().await;
    let url = authorize(&sandbox, SCOPE);
    let few = json!({"authorize_url": url, "person": "ada", "permissions": ["video.list"]});
    let callback = sandbox.consent_as(few).await;
    assert_eq!(callback["scopes"], "user.info.basic,video.list");
    let answer = exchange(&sandbox, &callback["code"]).await;
    assert_eq!(answer.at("/scope"), "user.info.basic,video.list");
    let fields = [("fields", "open_id,username")];
    let info = sandbox
        .bearer("/v2/user/info/", &fields, &answer.at("/access_token"))
        .await;
    assert_eq!(
        (info.status.as_u16(), info.at("/error/code")),
        (401, "scope_not_authorized".to_owned())
    );
    let cancel = sandbox
        .consent_as(json!({"authorize_url": url, "person": "ada", "action": "cancel"}))
        .await;
    assert_eq!(
        (cancel["error"].as_str(), cancel["state"].as_str()),
        ("access_denied", "s1")
    );
}

#[tokio::test]
async fn lifetimes_follow_the_profile() {
    let sandbox = Sandbox::start().await;
    let classic = connect(&sandbox).await;
    assert_eq!(
        (classic.at("/expires_in"), classic.at("/refresh_expires_in")),
        ("86400".into(), "31536000".into())
    );
    sandbox.profile(json!({"tiktok_lives": "2026-11"})).await;
    let new = refresh(&sandbox, &classic.at("/refresh_token")).await;
    assert_eq!(
        (new.at("/expires_in"), new.at("/refresh_expires_in")),
        ("7200".into(), "15552000".into())
    );
}

#[tokio::test]
async fn token_errors_come_with_http_200_unless_switched() {
    let sandbox = Sandbox::start().await;
    let old = connect(&sandbox).await.at("/refresh_token");
    assert_ne!(refresh(&sandbox, &old).await.at("/refresh_token"), old);
    let reused = refresh(&sandbox, &old).await;
    assert_eq!(
        (reused.status.as_u16(), reused.at("/error")),
        (200, "invalid_grant".to_owned())
    );
    assert_eq!(
        sandbox.log("request").await.last().unwrap()["outcome"],
        "refresh token rotated"
    );
    sandbox.profile(json!({"tiktok_token_error_status": 400})).await;
    assert_eq!(refresh(&sandbox, &old).await.status, 400);
    let wrong = [
        ("client_id", KEY),
        ("client_secret", SECRET),
        ("grant_type", "refresh_token"),
    ];
    assert_eq!(
        sandbox.form("/v2/oauth/token/", &wrong).await.at("/error"),
        "invalid_request"
    );
}

#[tokio::test]
async fn a_code_is_short_lived_and_bound_to_its_redirect() {
    let sandbox = Sandbox::start().await;
    let url = authorize(&sandbox, SCOPE);
    let code = sandbox.consent(&url, "ada").await["code"].clone();
    let elsewhere = [
        ("grant_type", "authorization_code"),
        ("redirect_uri", "http://127.0.0.1:1/x"),
        ("code", &code),
    ];
    let refused = token(&sandbox, &elsewhere).await;
    assert_eq!(
        refused.at("/error_description"),
        "Redirect_uri is not matched with the uri when requesting code."
    );
    assert!(exchange(&sandbox, &code).await.json.get("access_token").is_some());
    assert_eq!(
        exchange(&sandbox, &code).await.at("/error_description"),
        "Authorization code is expired."
    );
    let late = sandbox.consent(&url, "ada").await["code"].clone();
    sandbox.advance(60).await;
    assert_eq!(exchange(&sandbox, &late).await.at("/error"), "invalid_grant");
}

#[tokio::test]
async fn a_challenge_is_hexadecimal_and_then_needs_its_verifier() {
    let sandbox = Sandbox::start().await;
    let plain = authorize(&sandbox, SCOPE);
    let url = format!("{plain}&code_challenge={HEX}&code_challenge_method=S256");
    let base64url = url.replace(HEX, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    assert_eq!(sandbox.send(sandbox.http.get(base64url)).await.status, 400);
    let code = sandbox.consent(&url, "ada").await["code"].clone();
    let refused = exchange(&sandbox, &code).await;
    assert_eq!(
        refused.at("/error_description"),
        "Code verifier or code challenge is invalid."
    );
    let form = [
        ("grant_type", "authorization_code"),
        ("redirect_uri", REDIRECT),
        ("code", &code),
        ("code_verifier", VERIFIER),
    ];
    assert!(token(&sandbox, &form).await.json.get("access_token").is_some());
    sandbox.profile(json!({"tiktok_pkce": "required"})).await;
    assert_eq!(sandbox.send(sandbox.http.get(plain)).await.status, 400);
}

#[tokio::test]
async fn the_dialog_wants_client_key_and_commas() {
    let sandbox = Sandbox::start().await;
    let good = authorize(&sandbox, SCOPE);
    assert_eq!(sandbox.send(sandbox.http.get(&good)).await.status, 200);
    for bad in [
        good.replace("client_key", "client_id"),
        good.replace("%2C", "+"),
        good.replace("callback", "callback%3Fx%3D1"),
    ] {
        assert_eq!(sandbox.send(sandbox.http.get(&bad)).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn videos_are_listed_by_cursor() {
    let sandbox = Sandbox::start().await;
    let token = connect(&sandbox).await.at("/access_token");
    let path = "/v2/video/list/?fields=id,create_time,title";
    let first = post(&sandbox, path, &json!({"max_count": 2}), &token).await;
    assert_eq!(
        (
            first.json["data"]["videos"].as_array().unwrap().len(),
            first.at("/data/has_more")
        ),
        (2, "true".into())
    );
    let next = json!({"max_count": 2, "cursor": first.json["data"]["cursor"]});
    let second = post(&sandbox, path, &next, &token).await;
    assert_eq!(
        (
            second.json["data"]["videos"].as_array().unwrap().len(),
            second.at("/data/has_more")
        ),
        (1, "false".into())
    );
    assert_eq!(
        post(&sandbox, path, &json!({"max_count": 21}), &token)
            .await
            .at("/error/code"),
        "invalid_params"
    );
    assert_eq!(
        post(&sandbox, "/v2/video/list/", &json!({}), &token)
            .await
            .at("/error/code"),
        "invalid_params"
    );
}

#[tokio::test]
async fn a_photo_is_published_by_address() {
    let sandbox = Sandbox::start().await;
    let token = connect(&sandbox).await.at("/access_token");
    let creator = post(&sandbox, "/v2/post/publish/creator_info/query/", &json!({}), &token).await;
    let privacy = creator.at("/data/privacy_level_options/0");
    let mut body = json!({
        "post_info": {"title": "Oven", "privacy_level": privacy}, "post_mode": "DIRECT_POST", "media_type": "PHOTO",
        "source_info": {"source": "PULL_FROM_URL", "photo_images": ["https://example.test/1.jpg"], "photo_cover_index": 0},
    });
    let started = post(&sandbox, "/v2/post/publish/content/init/", &body, &token).await;
    let status = json!({"publish_id": started.at("/data/publish_id")});
    let done = post(&sandbox, "/v2/post/publish/status/fetch/", &status, &token).await;
    assert_eq!(done.at("/data/status"), "PUBLISH_COMPLETE");
    body["post_info"]["privacy_level"] = json!("EVERYBODY");
    let refused = post(&sandbox, "/v2/post/publish/content/init/", &body, &token).await;
    assert_eq!(
        (refused.status.as_u16(), refused.at("/error/code")),
        (403, "privacy_level_option_mismatch".to_owned())
    );
    let video = json!({"post_info": {"title": "x"}, "source_info": {"source": "PULL_FROM_URL", "video_url": "https://example.test/v.mp4"}});
    let draft = post(&sandbox, "/v2/post/publish/inbox/video/init/", &video, &token).await;
    assert_eq!(
        draft.at("/error/code"),
        "scope_not_authorized",
        "video.upload was not asked for"
    );
}

#[tokio::test]
async fn revoke_ends_this_grant_and_no_other() {
    let sandbox = Sandbox::start().await;
    let (first, second) = (connect(&sandbox).await, connect(&sandbox).await);
    let access = first.at("/access_token");
    let form = [("client_key", KEY), ("client_secret", SECRET), ("token", &access)];
    assert_eq!(sandbox.form("/v2/oauth/revoke/", &form).await.text, "{}");
    let fields = [("fields", "open_id")];
    let dead = sandbox.bearer("/v2/user/info/", &fields, &access).await;
    assert_eq!(
        (dead.status.as_u16(), dead.at("/error/code")),
        (401, "access_token_invalid".to_owned())
    );
    assert_eq!(
        refresh(&sandbox, &first.at("/refresh_token")).await.at("/error"),
        "invalid_grant"
    );
    assert_eq!(
        sandbox
            .bearer("/v2/user/info/", &fields, &second.at("/access_token"))
            .await
            .at("/error/code"),
        "ok"
    );
}
