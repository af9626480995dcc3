//! TikTok's wire samples: what is sent, what is read, and every row of the error table.

use proto::platforms::v1::{Answers, Delivery, RawAnswer};

use super::*;
use crate::app::ProofKey;
use crate::app::tests::app;
use crate::classify::class_of;
use crate::http::Body;
use crate::oauth::{self, CodeGrant};

fn answers(status: u32, body: &str) -> Answers {
    let answer = RawAnswer {
        step: "refresh".into(),
        status,
        body: body.into(),
        sent_at_ms: 1_790_000_000_000,
        ..RawAnswer::default()
    };
    Answers {
        answers: vec![answer],
        delivery: Delivery::Answered.into(),
        ..Answers::default()
    }
}

#[test]
fn the_consent_address_has_a_client_key_commas_and_a_challenge_only_when_configured() {
    let mut app = app("tiktok", &["user.info.basic", "video.publish"]);
    let ask = Ask {
        state: "s",
        redirect_uri: "r",
        verifier: "",
        rerequest: true,
    };
    let url = oauth::authorize(&SPEC, &app, &ask, &TikTok.dialog_extras(&ask));
    assert!(
        url.starts_with("https://dialog.test/v2/auth/authorize/?response_type=code&client_key=sbx-client-id&"),
        "{url}"
    );
    assert!(
        url.contains("scope=user.info.basic%2Cvideo.publish") && url.ends_with("disable_auto_auth=1"),
        "{url}"
    );
    assert!(!oauth::uses_verifier(&SPEC, &app));
    app.proof_key = ProofKey::Hex;
    assert!(oauth::uses_verifier(&SPEC, &app));
}

#[test]
fn the_code_goes_in_a_form_with_the_secret() {
    let call = TikTok.code_call(
        &app("tiktok", &["a"]),
        &CodeGrant {
            code: "SBXTT*1!5",
            redirect_uri: "r",
            verifier: "",
        },
    );
    assert_eq!(call.url, "https://token.test/v2/oauth/token/");
    let Body::Form(form) = call.body else {
        panic!("not a form")
    };
    let names: Vec<&str> = form.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        ["code", "redirect_uri", "grant_type", "client_key", "client_secret"]
    );
}

#[test]
fn h22_lifetimes_are_those_of_the_reply() {
    let body = |access: i64, refresh: i64| {
        json!({"access_token":"act.sbx1","expires_in":access,"open_id":"sbx-open-id-0001","refresh_expires_in":refresh,
            "refresh_token":"rft.sbx1","scope":"user.info.basic,video.list","token_type":"Bearer","error":""})
        .to_string()
    };
    for (access, refresh) in [(86_400, 31_536_000), (7200, 15_552_000)] {
        let credential = TikTok
            .interpret(&answers(200, &body(access, refresh)), None)
            .result
            .ok()
            .unwrap();
        assert_eq!(credential.access_expires_at_ms, 1_790_000_000_000 + access * 1000);
        assert_eq!(credential.refresh_expires_at_ms, 1_790_000_000_000 + refresh * 1000);
        assert_eq!(credential.platform_user_id, "sbx-open-id-0001");
        assert_eq!(credential.scopes, ["user.info.basic", "video.list"]);
    }
}

#[test]
fn an_error_under_200_is_an_error() {
    let body = r#"{"error":"invalid_grant","error_description":"Refresh token is expired.","log_id":"2026112200SBX"}"#;
    for status in [200, 400] {
        let previous = Credential {
            refresh_token: "rft.sbx1".into(),
            ..Credential::default()
        };
        let outcome = TikTok.interpret(&answers(status, body), Some(&previous));
        assert_eq!(outcome.result.err().unwrap().class(), Revoked);
    }
    assert_eq!(class_of(ERRORS, On::Code, 200, body), BadCode);
}

#[test]
fn h14_every_row_of_the_api_is_known() {
    for (status, code, class) in [
        (401, "access_token_invalid", Revoked),
        (401, "scope_not_authorized", PermissionMissing),
        (400, "scope_permission_missed", PermissionMissing),
        (429, "rate_limit_exceeded", RateLimited),
        (400, "invalid_params", InvalidRequest),
        (400, "invalid_file_upload", InvalidRequest),
        (500, "internal_error", Transient),
        (403, "spam_risk_too_many_posts", RateLimited),
        (403, "spam_risk_too_many_pending_share", RateLimited),
        (403, "spam_risk_user_banned_from_posting", AccountRestricted),
        (403, "reached_active_user_cap", RateLimited),
        (
            403,
            "unaudited_client_can_only_post_to_private_accounts",
            AppMisconfigured,
        ),
        (403, "url_ownership_unverified", InvalidRequest),
        (403, "privacy_level_option_mismatch", InvalidRequest),
        (400, "something_new", Transient),
    ] {
        let body = json!({ "data": {}, "error": { "code": code, "message": "m", "log_id": "l" } }).to_string();
        assert_eq!(class_of(ERRORS, On::Api, status, &body), class, "{code}");
    }
}

#[test]
fn h14_every_row_of_the_token_endpoint_is_known_under_any_status() {
    for (on, code, text, class) in [
        (On::Code, "invalid_grant", "Authorization code is expired.", BadCode),
        (On::Refresh, "invalid_grant", "Refresh token is expired.", Revoked),
        (
            On::Code,
            "invalid_request",
            "Redirect_uri is not matched with the uri when requesting code.",
            InvalidRequest,
        ),
        (
            On::Code,
            "invalid_request",
            "Code verifier or code challenge is invalid.",
            BadCode,
        ),
        (
            On::Refresh,
            "invalid_request",
            "Refresh token is invalid or expired.",
            Revoked,
        ),
        (
            On::Refresh,
            "invalid_client",
            "Client key or secret is incorrect.",
            AppMisconfigured,
        ),
        (On::Refresh, "unauthorized_client", "", AppMisconfigured),
        (On::Code, "invalid_scope", "", AppMisconfigured),
        (On::Refresh, "unsupported_grant_type", "", AppMisconfigured),
        (On::Code, "unsupported_response_type", "", AppMisconfigured),
        (On::Code, "access_denied", "", UserDenied),
        (On::Refresh, "access_denied", "", Revoked),
        (On::Refresh, "server_error", "", Transient),
        (On::Refresh, "temporarily_unavailable", "", Transient),
    ] {
        let body = json!({ "error": code, "error_description": text, "log_id": "l" }).to_string();
        for status in [200, 400, 401] {
            assert_eq!(class_of(ERRORS, on, status, &body), class, "{code} under {status}");
        }
    }
}

#[test]
fn only_fields_of_granted_scopes_are_asked_for() {
    assert!(!fields(&["user.info.basic".to_owned()]).contains("username"));
    assert!(fields(&["user.info.profile".to_owned()]).contains("username"));
}

#[test]
fn a_post_is_public_where_allowed_and_else_as_private_as_offered() {
    let creator = |options: Value| json!({ "data": { "privacy_level_options": options } });
    assert_eq!(
        privacy(&creator(json!(["SELF_ONLY", "PUBLIC_TO_EVERYONE"]))).ok(),
        Some("PUBLIC_TO_EVERYONE")
    );
    assert_eq!(privacy(&creator(json!(["SELF_ONLY"]))).ok(), Some("SELF_ONLY"));
    assert!(privacy(&creator(json!([]))).is_err());
}
