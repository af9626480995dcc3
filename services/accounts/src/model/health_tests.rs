use proto::platforms::v1::Renewal;

use super::*;
use crate::model::notices::{end_ms, notices, renews_itself};

const NOW: i64 = 1_790_000_000_000;
const DAY: i64 = 24 * 3600 * 1000;

fn scope(name: &str, label: &str, required: bool, publish: bool, kinds: &[&str]) -> Scope {
    let kinds = kinds.iter().map(ToString::to_string).collect();
    Scope {
        name: name.into(),
        label: label.into(),
        required,
        publish,
        kinds,
    }
}

pub(crate) fn connector() -> Connector {
    Connector {
        id: "instagram".into(),
        method: "instagram_login".into(),
        scopes: vec![
            scope("basic", "see the profile", true, false, &[]),
            scope("publish", "publish content", true, true, &[]),
            scope("comments", "reply to comments", true, false, &[]),
            scope("insights", "analytics", false, false, &[]),
            scope("company", "post as the company", true, true, &["organization"]),
        ],
        announced_refresh: true,
        ..Connector::default()
    }
}

fn grant(scopes: &[&str]) -> Grant {
    Grant {
        state: GrantState::Active.into(),
        renewal: Renewal::InPlace.into(),
        granted_scopes: scopes.iter().map(ToString::to_string).collect(),
        access_expires_at_ms: NOW + 50 * DAY,
        accounts: vec![GrantAccount {
            account_id: "acc_1".into(),
            can_publish: true,
            ..GrantAccount::default()
        }],
        ..Grant::default()
    }
}

const ALL: &[&str] = &["basic", "publish", "comments", "insights"];

fn assessed(grant: &Grant) -> Assessment {
    let capabilities = ["publish", "comment_management", "analytics", "post_feed"].map(str::to_owned);
    assess(&Facts {
        grant,
        connector: &connector(),
        capabilities: &capabilities,
        kind: "instagram",
        account_id: "acc_1",
    })
}

fn dead(class: ErrorClass) -> Grant {
    let dead = PlatformError {
        class: class.into(),
        ..PlatformError::default()
    };
    Grant {
        state: GrantState::Dead.into(),
        dead: Some(dead),
        ..grant(ALL)
    }
}

#[test]
fn all_permissions_and_a_valid_token_are_healthy() {
    let result = assessed(&grant(ALL));
    assert!(
        !result.is_amber() && result.can_publish && result.limited.is_empty(),
        "{result:?}"
    );
}

#[test]
fn a_missing_required_permission_is_amber_and_says_what_it_blocks() {
    let result = assessed(&grant(&["basic", "comments", "insights"]));
    let reason = &result.reasons[0];
    assert_eq!(
        (reason.code.as_str(), reason.fix.as_str()),
        ("permission_missing", "reconnect")
    );
    assert_eq!(
        reason.permissions,
        [Permission {
            scope: "publish".into(),
            label: "publish content".into()
        }]
    );
    assert_eq!(reason.blocks, ["publish", "schedule"]);
    assert_eq!(reason.still_works, ["comments", "analytics", "posts"]);
    assert_eq!(
        (result.can_publish, result.publish_problem.as_str()),
        (false, "permission_missing")
    );
}

#[test]
fn a_missing_comment_permission_leaves_publishing_alone() {
    let result = assessed(&grant(&["basic", "publish", "insights"]));
    assert_eq!(result.reasons[0].blocks, ["comments"]);
    assert!(result.is_amber() && result.can_publish);
}

#[test]
fn a_missing_optional_permission_only_limits() {
    let result = assessed(&grant(&["basic", "publish", "comments"]));
    assert!(!result.is_amber());
    assert_eq!(result.limited[0].label, "analytics");
}

#[test]
fn a_scope_of_another_kind_of_destination_is_not_missed() {
    assert!(
        !assessed(&grant(ALL)).is_amber(),
        "`company` concerns organizations only"
    );
}

#[test]
fn every_death_has_its_reason() {
    for (class, code, detail, fix) in [
        (ErrorClass::Expired, "token_expired", "", "reconnect"),
        (ErrorClass::Revoked, "access_revoked", "", "reconnect"),
        (
            ErrorClass::PasswordChanged,
            "access_revoked",
            "password_changed",
            "reconnect",
        ),
        (
            ErrorClass::Checkpoint,
            "platform_checkpoint",
            "checkpoint",
            "open_platform",
        ),
        (ErrorClass::RoleLost, "platform_role_lost", "", "fix_role"),
        (ErrorClass::NotExtended, "refresh_failed", "", "reconnect"),
        (ErrorClass::InvalidRequest, "refresh_failed", "", "reconnect"),
        (ErrorClass::Unspecified, "refresh_failed", "", "reconnect"),
    ] {
        let result = assessed(&dead(class));
        let reason = &result.reasons[0];
        assert_eq!(
            (reason.code.as_str(), reason.detail.as_str(), reason.fix.as_str()),
            (code, detail, fix),
            "{class:?}"
        );
        assert_eq!((result.can_publish, result.publish_problem.as_str()), (false, "token"));
    }
}

#[test]
fn r10_platform_trouble_never_turns_an_account_amber() {
    for class in [
        ErrorClass::Transient,
        ErrorClass::RateLimited,
        ErrorClass::AppMisconfigured,
    ] {
        let last_error = Some(PlatformError {
            class: class.into(),
            ..PlatformError::default()
        });
        let troubled = Grant {
            last_error,
            check_delayed: true,
            failed_attempts: 2,
            ..grant(ALL)
        };
        assert!(!assessed(&troubled).is_amber());
        let suspect = Grant {
            state: GrantState::Suspect.into(),
            ..troubled
        };
        assert!(!assessed(&suspect).is_amber());
        let codes = notices(&suspect, NOW)
            .into_iter()
            .map(|notice| notice.code)
            .collect::<Vec<_>>();
        assert_eq!(codes, ["refresh_pending", "check_delayed"]);
    }
}

#[test]
fn an_old_method_account_asks_for_the_current_flow() {
    let mut old = grant(ALL);
    // Its scopes have other names than today's: that is no second reason.
    old.granted_scopes.clear();
    old.accounts[0].can_publish = false;
    old.accounts[0].publish_problem = "publish_capability_missing".into();
    let result = assessed(&old);
    assert_eq!(result.reasons.len(), 1);
    assert_eq!(
        (result.reasons[0].code.as_str(), result.reasons[0].fix.as_str()),
        ("publish_capability_missing", "reconnect_meta")
    );
    assert_eq!(result.publish_problem, "publish_capability_missing");
}

#[test]
fn a_lost_role_blocks_everything() {
    let mut lost = grant(ALL);
    lost.accounts[0].publish_problem = "platform_role_lost".into();
    let result = assessed(&lost);
    assert_eq!(
        (result.reasons[0].fix.as_str(), result.reasons[0].still_works.len()),
        ("fix_role", 0)
    );
}

#[test]
fn only_an_end_that_nobody_moves_is_mentioned_and_only_seven_days_before() {
    let linkedin = Grant {
        renewal: Renewal::ReconnectOnly.into(),
        access_expires_at_ms: NOW + 6 * DAY,
        ..grant(ALL)
    };
    assert_eq!(notices(&linkedin, NOW)[0].code, "expiring_soon");
    assert!(notices(&linkedin, NOW - 2 * DAY).is_empty());
    let renewed = Grant {
        access_expires_at_ms: NOW + DAY,
        ..grant(ALL)
    };
    assert!(notices(&renewed, NOW).is_empty(), "it renews itself");
}

#[test]
fn the_end_of_a_rotating_grant_is_that_of_its_refresh_token() {
    let rotating = Grant {
        renewal: Renewal::Rotating.into(),
        access_expires_at_ms: NOW + 1,
        refresh_expires_at_ms: NOW + DAY,
        ..grant(ALL)
    };
    assert_eq!(end_ms(&rotating), NOW + DAY);
    assert!(renews_itself(&rotating));
}
