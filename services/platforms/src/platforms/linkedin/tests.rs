//! LinkedIn's wire samples: what is sent, what is read, and every row of the error table.

use proto::platforms::v1::{Answers, Delivery, RawAnswer};

use super::*;
use crate::app::tests::app;
use crate::classify::class_of;
use crate::oauth::{self, Ask};

fn answers(body: &str) -> Answers {
    let answer = RawAnswer {
        step: "code".into(),
        status: 200,
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
fn the_consent_address_has_spaces_and_no_challenge() {
    let ask = Ask {
        state: "s",
        redirect_uri: "r",
        verifier: "",
        rerequest: false,
    };
    let url = oauth::authorize(&SPEC, &app("linkedin", &["openid", "profile"]), &ask, &[]);
    assert!(
        url.ends_with("scope=openid%20profile") && !url.contains("challenge"),
        "{url}"
    );
}

#[test]
fn scopes_come_with_commas_or_spaces_and_a_refresh_token_decides_the_renewal() {
    let plain =
        r#"{"access_token":"SBXLIaccess1","expires_in":5184000,"scope":"email,openid,profile,w_member_social"}"#;
    let credential = LinkedIn.interpret(&answers(plain), None).result.ok().unwrap();
    assert_eq!(
        (credential.renewal(), credential.scopes.len()),
        (Renewal::ReconnectOnly, 4)
    );
    assert_eq!(credential.token_type, "Bearer");
    let partner = r#"{"access_token":"a","expires_in":5184000,"scope":"email openid","refresh_token":"SBXLIrefresh1","refresh_token_expires_in":31536000}"#;
    let credential = LinkedIn.interpret(&answers(partner), None).result.ok().unwrap();
    assert_eq!((credential.renewal(), credential.scopes.len()), (Renewal::InPlace, 2));
    assert_eq!(credential.refresh_expires_at_ms, 1_790_000_000_000 + 31_536_000_000);
}

#[test]
fn h14_every_row_is_known() {
    let oauth = |error: &str, text: &str| json!({ "error": error, "error_description": text }).to_string();
    let api = |number: i64, code: &str| {
        json!({ "status": 401, "serviceErrorCode": number, "code": code, "message": "m" }).to_string()
    };
    for (on, status, body, class) in [
        (
            On::Code,
            401,
            oauth(
                "invalid_request",
                "Unable to retrieve access token: authorization code not found",
            ),
            BadCode,
        ),
        (
            On::Code,
            400,
            oauth(
                "invalid_redirect_uri",
                "Unable to retrieve access token: appid/redirect uri/code verifier does not match",
            ),
            BadCode,
        ),
        (
            On::Code,
            400,
            oauth("invalid_request", "A required parameter \"redirect_uri\" is missing"),
            InvalidRequest,
        ),
        (
            On::Refresh,
            401,
            oauth("invalid_client", "Client authentication failed"),
            AppMisconfigured,
        ),
        (
            On::Refresh,
            400,
            oauth(
                "invalid_request",
                "The provided authorization grant or refresh token is invalid, expired or revoked.",
            ),
            Revoked,
        ),
        (On::Refresh, 400, oauth("invalid_grant", ""), Revoked),
        (On::Api, 401, api(65600, "INVALID_ACCESS_TOKEN"), Revoked),
        (On::Api, 401, api(65601, "REVOKED_ACCESS_TOKEN"), Revoked),
        (On::Api, 401, api(65602, "EXPIRED_ACCESS_TOKEN"), Expired),
        (On::Api, 401, api(65608, "RESTRICTED_MEMBER"), AccountRestricted),
        (
            On::Api,
            401,
            r#"{"status":401,"serviceErrorCode":401,"message":"Empty oauth2_access_token"}"#.into(),
            InvalidRequest,
        ),
        (
            On::Api,
            401,
            r#"{"status":401,"serviceErrorCode":99999,"message":"new"}"#.into(),
            Revoked,
        ),
        (On::Api, 403, api(100, "ACCESS_DENIED"), PermissionMissing),
        (On::Api, 400, api(0, "VERSION_MISSING"), AppMisconfigured),
        (On::Api, 426, api(0, "NONEXISTENT_VERSION"), AppMisconfigured),
        (
            On::Api,
            429,
            r#"{"status":429,"serviceErrorCode":101,"message":"Resource level throttle APPLICATION DAY limit"}"#.into(),
            RateLimited,
        ),
        (On::Api, 503, String::new(), Transient),
        (On::Api, 500, String::new(), Transient),
        // Not LinkedIn's own words: nothing is concluded of a grant.
        (On::Refresh, 401, String::new(), Transient),
        (On::Refresh, 403, "<html>blocked</html>".into(), Transient),
        (On::Refresh, 404, String::new(), Transient),
    ] {
        assert_eq!(class_of(ERRORS, on, status, &body), class, "{body}");
    }
}

#[test]
fn an_organisation_is_found_under_all_three_names() {
    for name in ["organization", "organizationTarget", "organizationalTarget"] {
        assert_eq!(
            organization(&json!({ name: "urn:li:organization:5000001" })),
            Some("urn:li:organization:5000001")
        );
    }
}

#[test]
fn a_text_with_brackets_stays_whole() {
    assert_eq!(commentary("Bread (fresh) #rye"), "Bread \\(fresh\\) #rye");
}
