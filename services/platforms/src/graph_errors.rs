//! Error table of Meta's Graph API and of Instagram's own code endpoint. Graph is classified by code and subcode, never
//! by HTTP status or `type`: everything is an `OAuthException` there, even a rate limit.

use proto::common::v1::ErrorClass::{
    AccountRestricted, AppMisconfigured, BadCode, Checkpoint, Expired, InvalidRequest, NotFound, PasswordChanged,
    PermissionMissing, RateLimited, Revoked, RoleLost, Transient,
};

use crate::classify::{Is, On, Row};

/// Codes that say that a token does not work; the subcode says why.
const SESSION: Is = Is::Either(190, 102);

/// First match wins.
pub(crate) const ERRORS: &[Row] = &[
    Row::new(SESSION, Revoked).subcode(458),
    Row::new(SESSION, Checkpoint).subcode(459),
    Row::new(SESSION, PasswordChanged).subcode(460),
    Row::new(SESSION, PasswordChanged).subcode(452),
    Row::new(SESSION, Expired).subcode(463),
    Row::new(SESSION, Checkpoint).subcode(464),
    Row::new(SESSION, Revoked).subcode(467),
    Row::new(SESSION, RoleLost).subcode(492),
    // Instagram leaves the subcode out: the text decides then.
    Row::new(SESSION, Expired).saying("has expired"),
    Row::new(SESSION, PasswordChanged).saying("changed their password"),
    Row::new(SESSION, Revoked),
    Row::number(452, Revoked),
    // Publishing, by subcode alone.
    Row::new(Is::Any, Checkpoint).subcode(1_404_078),
    Row::new(Is::Any, Checkpoint).subcode(4_854_002),
    Row::new(Is::Any, AccountRestricted).subcode(1_404_112),
    Row::new(Is::Any, InvalidRequest).subcode(1_366_046),
    Row::new(Is::Any, InvalidRequest).subcode(1_346_003),
    Row::new(Is::Any, InvalidRequest).subcode(1_404_102),
    Row::new(Is::Any, Transient).subcode(1_363_047),
    Row::new(Is::Any, Transient).subcode(1_609_010),
    Row::new(Is::Any, AccountRestricted).subcode(2_207_050),
    Row::new(Is::Any, AccountRestricted).subcode(2_207_051),
    Row::new(Is::Any, RateLimited).subcode(2_207_042),
    Row::new(Is::Any, InvalidRequest).subcode(2_207_003),
    Row::new(Is::Any, InvalidRequest).subcode(2_207_006),
    Row::new(Is::Any, InvalidRequest).subcode(2_207_020),
    Row::new(Is::Any, InvalidRequest).subcode(2_207_026),
    Row::new(Is::Any, Transient).subcode(2_207_027),
    Row::new(Is::Any, InvalidRequest).subcode(2_207_052),
    Row::new(Is::Any, InvalidRequest).subcode(2_207_053),
    Row::new(Is::Any, AccountRestricted).saying("is not an instagram business"),
    // Codes and our app.
    Row::number(100, BadCode).subcode(36009),
    Row::number(100, BadCode).subcode(36007),
    Row::number(100, InvalidRequest).subcode(36008),
    Row::number(100, NotFound).subcode(33),
    Row::number(100, AppMisconfigured).saying("appsecret_proof"),
    Row::number(100, BadCode).on(On::Code).saying("authorization code"),
    Row::number(100, BadCode).on(On::Code).saying("verification code"),
    Row::number(100, InvalidRequest),
    Row::number(101, AppMisconfigured),
    Row::number(191, InvalidRequest),
    Row::number(1, AppMisconfigured).saying("client secret"),
    Row::number(3, AppMisconfigured),
    Row::number(2635, AppMisconfigured),
    Row::text("OAuthException", AppMisconfigured).saying("client secret"),
    Row::text("OAuthException", AppMisconfigured).saying("invalid platform app"),
    Row::text("OAuthException", AppMisconfigured).saying("invalid scope"),
    Row::text("OAuthException", InvalidRequest).saying("redirect_uri is identical"),
    Row::text("OAuthException", BadCode).saying("code"),
    Row::text("OAuthException", InvalidRequest),
    // Calls.
    Row::number(10, PermissionMissing),
    Row::new(Is::Between(200, 299), PermissionMissing),
    Row::number(2500, InvalidRequest),
    Row::number(4, RateLimited),
    Row::number(9, RateLimited),
    Row::number(17, RateLimited),
    Row::number(32, RateLimited),
    Row::number(341, RateLimited),
    Row::number(613, RateLimited),
    Row::new(Is::Between(80_000, 80_999), RateLimited),
    Row::number(324, InvalidRequest),
    Row::number(368, AccountRestricted),
    Row::number(506, InvalidRequest),
    Row::number(9004, InvalidRequest),
    Row::number(1, Transient),
    Row::number(2, Transient),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::class_of;

    #[test]
    fn h14_every_row_is_known_to_all_metas_connectors_whatever_the_http_status() {
        for (code, subcode, message, class) in [
            (
                190,
                458,
                "The user has not authorized application 700000000000001.",
                Revoked,
            ),
            (190, 459, "You cannot access the app till you log in", Checkpoint),
            (
                190,
                460,
                "The session has been invalidated because the user changed their password",
                PasswordChanged,
            ),
            (190, 463, "Session has expired on Sunday, 22-Nov-26", Expired),
            (190, 464, "the user is not a confirmed user.", Checkpoint),
            (190, 467, "The session is invalid because the user logged out.", Revoked),
            (190, 492, "", RoleLost),
            (190, 0, "Malformed access token", Revoked),
            (190, 0, "Session has expired on Sunday, 22-Nov-26", Expired),
            (190, 0, "The user changed their password", PasswordChanged),
            (190, 452, "", PasswordChanged),
            (190, 456, "", Revoked),
            (190, 457, "", Revoked),
            (190, 461, "", Revoked),
            (190, 462, "", Revoked),
            (190, 465, "", Revoked),
            (190, 466, "", Revoked),
            (190, 468, "", Revoked),
            (190, 0, "Invalid OAuth access token.", Revoked),
            (102, 458, "", Revoked),
            (102, 459, "", Checkpoint),
            (102, 460, "", PasswordChanged),
            (102, 463, "", Expired),
            (102, 492, "", RoleLost),
            (102, 0, "", Revoked),
            (
                10,
                0,
                "(#10) Application does not have permission for this action",
                PermissionMissing,
            ),
            (200, 0, "", PermissionMissing),
            (299, 0, "", PermissionMissing),
            (3, 0, "", AppMisconfigured),
            (100, 33, "Unsupported get request.", NotFound),
            (100, 0, "(#100) Invalid parameter", InvalidRequest),
            (
                100,
                0,
                "Invalid appsecret_proof provided in the API argument",
                AppMisconfigured,
            ),
            (2500, 0, "", InvalidRequest),
            (4, 0, "", RateLimited),
            (17, 0, "", RateLimited),
            (32, 0, "", RateLimited),
            (613, 0, "", RateLimited),
            (341, 0, "", RateLimited),
            (80001, 0, "", RateLimited),
            (80002, 0, "", RateLimited),
            (368, 1_390_008, "", AccountRestricted),
            (506, 0, "", InvalidRequest),
            (1, 0, "An unknown error occurred", Transient),
            (2, 0, "", Transient),
            (1, 0, "Error validating client secret.", AppMisconfigured),
            (101, 0, "", AppMisconfigured),
            (
                10,
                0,
                "The user is not an Instagram Business account",
                AccountRestricted,
            ),
            (9, 2_207_042, "", RateLimited),
            (4, 2_207_051, "", AccountRestricted),
            (25, 2_207_050, "", AccountRestricted),
            (9004, 2_207_052, "", InvalidRequest),
            (9004, 2_207_003, "", InvalidRequest),
            (352, 2_207_026, "", InvalidRequest),
            (36_001, 2_207_020, "", InvalidRequest),
            (36_003, 2_207_053, "", InvalidRequest),
            (368, 0, "", AccountRestricted),
            (190, 1_404_078, "", Revoked),
            (200, 1_404_078, "", Checkpoint),
            (368, 4_854_002, "", Checkpoint),
            (368, 1_404_112, "", AccountRestricted),
            (324, 1_366_046, "", InvalidRequest),
            (100, 1_346_003, "", InvalidRequest),
            (100, 1_404_102, "", InvalidRequest),
            (100, 1_363_047, "", Transient),
            (100, 1_609_010, "", Transient),
            (77_777, 0, "something new", Transient),
        ] {
            let body = serde_json::json!({"error": {"message": message, "type": "OAuthException", "code": code, "error_subcode": subcode}});
            for connector in ["facebook", "instagram", "instagram_facebook"] {
                let table = crate::platforms::adapter(connector).unwrap().spec().errors;
                for status in [400, 401, 403, 500, 503] {
                    let found = class_of(table, On::Api, status, &body.to_string());
                    assert_eq!(found, class, "{connector} {code}/{subcode} {message}");
                }
            }
        }
    }

    #[test]
    fn refused_codes_are_known_in_both_forms() {
        for (subcode, message, class) in [
            (36009, "This authorization code has been used.", BadCode),
            (36007, "This authorization code has expired.", BadCode),
            (
                36008,
                "Error validating verification code. Please make sure your redirect_uri is identical",
                InvalidRequest,
            ),
            (0, "Invalid verification code format.", BadCode),
        ] {
            let body =
                serde_json::json!({"error": {"message": message, "code": 100, "error_subcode": subcode}}).to_string();
            assert_eq!(class_of(ERRORS, On::Code, 400, &body), class, "{message}");
        }
        for (message, class) in [
            ("Matching code was not found or was already used", BadCode),
            ("This authorization code has been used", BadCode),
            ("Invalid scope field(s): x", AppMisconfigured),
            ("Invalid platform app", AppMisconfigured),
        ] {
            let body =
                serde_json::json!({"error_type": "OAuthException", "code": 400, "error_message": message}).to_string();
            assert_eq!(class_of(ERRORS, On::Code, 400, &body), class, "{message}");
        }
    }
}
