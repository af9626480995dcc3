//! X's wire samples: what is sent, what is read, and every row of the error table.

use proto::common::v1::ErrorClass::{self, NotFound, RateLimited};
use proto::platforms::v1::{Delivery, RawAnswer};

use super::*;
use crate::app::tests::app;
use crate::classify::class_of;
use crate::http::Body;
use crate::oauth::{Ask, CodeGrant};

const REPLY: &str = r#"{"token_type":"bearer","expires_in":7200,"access_token":"SBXXaccess1",
    "scope":"users.read tweet.read tweet.write offline.access","refresh_token":"SBXXrefresh1"}"#;

pub(super) fn answers(step: &str, status: u32, body: &str) -> Answers {
    let answer = RawAnswer {
        step: step.into(),
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
fn the_consent_address_has_spaces_and_a_base64url_challenge() {
    let app = app("x", &["users.read", "offline.access"]);
    let ask = Ask {
        state: "s1",
        redirect_uri: "http://127.0.0.1:8080/oauth/x/callback",
        verifier: "v",
        rerequest: false,
    };
    let url = oauth::authorize(&SPEC, &app, &ask, &X.dialog_extras(&ask));
    assert_eq!(
        url,
        "https://dialog.test/i/oauth2/authorize?response_type=code&client_id=sbx-client-id&redirect_uri=http%3A%2F%2F127.0.0.1%3A8080%2Foauth%2Fx%2Fcallback\
         &state=s1&scope=users.read%20offline.access&code_challenge=TJQI-2_lI7LF9IzRpyR17l3iXYQXSSbT7ktP4I8ZA7w&code_challenge_method=S256"
            .replace("TJQI-2_lI7LF9IzRpyR17l3iXYQXSSbT7ktP4I8ZA7w", &oauth::challenge(Pkce::Base64Url, "v"))
    );
}

#[test]
fn the_code_goes_with_verifier_and_client_id_and_the_secret_in_the_header_alone() {
    let app = app("x", &["users.read"]);
    let grant = CodeGrant {
        code: "SBXX1",
        redirect_uri: "r",
        verifier: "v",
    };
    let call = X.code_call(&app, &grant);
    assert_eq!(call.url, "https://token.test/2/oauth2/token");
    assert_eq!(
        call.headers,
        [(
            "authorization",
            "Basic c2J4LWNsaWVudC1pZDpzYngtY2xpZW50LXNlY3JldA==".to_owned()
        )]
    );
    let Body::Form(form) = call.body else {
        panic!("not a form")
    };
    let names: Vec<&str> = form.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        ["code", "redirect_uri", "grant_type", "code_verifier", "client_id"]
    );
}

#[test]
fn a_reply_becomes_a_rotating_credential() {
    let credential = X.interpret(&answers("code", 200, REPLY), None).result.ok().unwrap();
    assert_eq!(credential.access_token, "SBXXaccess1");
    assert_eq!(credential.refresh_token, "SBXXrefresh1");
    assert_eq!(credential.access_expires_at_ms, 1_790_007_200_000);
    assert_eq!(credential.renewal(), Renewal::Rotating);
    assert_eq!(credential.scopes.len(), 4);
}

#[test]
fn h12_missing_refresh_token_keeps_the_old_one() {
    let previous = X.interpret(&answers("code", 200, REPLY), None).result.ok().unwrap();
    for body in [
        r#"{"access_token":"SBXXa2"}"#,
        r#"{"access_token":"SBXXa2","refresh_token":""}"#,
    ] {
        let renewed = X
            .interpret(&answers("refresh", 200, body), Some(&previous))
            .result
            .ok()
            .unwrap();
        assert_eq!(renewed.refresh_token, "SBXXrefresh1");
        assert_eq!(renewed.scopes, previous.scopes);
    }
}

#[test]
fn r11_a_refresh_token_in_an_odd_place_replaces_the_one_that_was_spent() {
    let previous = X.interpret(&answers("code", 200, REPLY), None).result.ok().unwrap();
    for body in [
        r#"{"access_token":"SBXXa2","tokens":{"refresh_token":"SBXXrefresh2"}}"#,
        r#"{"access_token":"SBXXa2","refresh_token":"SBXXrefresh2","refresh_token":5}"#,
    ] {
        let outcome = X.interpret(&answers("refresh", 200, body), Some(&previous));
        assert_eq!(outcome.result.ok().unwrap().refresh_token, "SBXXrefresh2", "{body}");
    }
}

#[test]
fn a_grant_without_offline_access_is_refused() {
    let error = X
        .interpret(&answers("code", 200, r#"{"access_token":"SBXXa"}"#), None)
        .result
        .err()
        .unwrap();
    assert_eq!(error.class(), PermissionMissing);
}

#[test]
fn h14_every_row_of_the_token_endpoint_is_known() {
    for (status, on, error, description, class) in [
        (
            400,
            On::Code,
            "invalid_request",
            "Value passed for the authorization code was invalid.",
            BadCode,
        ),
        (
            400,
            On::Code,
            "invalid_request",
            "Value passed for the code verifier did not match the code challenge.",
            BadCode,
        ),
        (
            400,
            On::Refresh,
            "invalid_request",
            "Value passed for the token was invalid.",
            Revoked,
        ),
        (
            400,
            On::Code,
            "invalid_request",
            "Missing required parameter [code_verifier].",
            InvalidRequest,
        ),
        (
            401,
            On::Refresh,
            "unauthorized_client",
            "Missing valid authorization header",
            AppMisconfigured,
        ),
        (401, On::Refresh, "invalid_client", "", AppMisconfigured),
        (400, On::Refresh, "invalid_grant", "", Revoked),
        (400, On::Code, "invalid_grant", "", BadCode),
    ] {
        let body = json!({ "error": error, "error_description": description }).to_string();
        assert_eq!(class_of(ERRORS, on, status, &body), class, "{error} {description}");
    }
}

#[test]
fn h14_every_row_of_the_api_is_known() {
    let problem = |kind: &str| format!(r#"{{"title":"t","type":"https://api.x.com/2/problems/{kind}"}}"#);
    let titled = |title: &str| format!(r#"{{"title":"{title}","type":"about:blank"}}"#);
    for (status, body, class) in [
        (401, titled("Unauthorized"), Revoked),
        (403, titled("Forbidden"), PermissionMissing),
        (
            403,
            r#"{"title":"Forbidden","type":"about:blank","detail":"duplicate content"}"#.to_owned(),
            InvalidRequest,
        ),
        (
            403,
            r#"{"title":"t","type":"https://api.x.com/2/problems/client-forbidden","reason":"client-not-enrolled"}"#
                .to_owned(),
            AppMisconfigured,
        ),
        (403, problem("unsupported-authentication"), InvalidRequest),
        (403, problem("not-authorized-for-resource"), PermissionMissing),
        (403, problem("user-suspended"), AccountRestricted),
        (402, titled("CreditsDepleted"), RateLimited),
        (429, titled("Too Many Requests"), RateLimited),
        (
            429,
            r#"{"errors":[{"code":88,"message":"Rate limit exceeded"}]}"#.to_owned(),
            RateLimited,
        ),
        (429, problem("usage-capped"), RateLimited),
        (
            404,
            r#"{"errors":[{"type":"https://api.twitter.com/2/problems/resource-not-found"}]}"#.to_owned(),
            NotFound,
        ),
        (
            200,
            r#"{"errors":[{"type":"https://api.x.com/2/problems/resource-not-found","title":"Not Found Error"}]}"#
                .to_owned(),
            NotFound,
        ),
        (
            403,
            r#"{"detail":"You are not permitted to perform this action.","type":"about:blank","title":"Forbidden"}"#
                .to_owned(),
            PermissionMissing,
        ),
        (503, titled("Service Unavailable"), ErrorClass::Transient),
    ] {
        assert_eq!(class_of(ERRORS, On::Api, status, &body), class, "{body}");
    }
}

#[test]
fn h10_a_page_that_somebody_between_us_and_x_made_says_nothing_about_a_grant() {
    for status in [401, 403, 404] {
        let class = class_of(ERRORS, On::Refresh, status, "<html>blocked</html>");
        assert_eq!(class, ErrorClass::Transient, "{status}");
    }
}
