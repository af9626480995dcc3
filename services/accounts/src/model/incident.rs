//! From a change of an account to the events, toasts and notifications that tell of it.
//!
//! An incident opens when an account turns amber and closes when it turns green; only its first moment has a toast, and it is
//! either "expired" or "please reconnect", never both.

use proto::tokens::v1::GrantChangeCause as Cause;
use serde_json::{Value, json};

use super::health::Assessment;

/// Incidents of one kind and account that may toast within an hour: one that flaps is told of three times, then only shown.
pub(crate) const TOASTS_AN_HOUR: i64 = 3;

/// One change of one account.
pub(crate) struct Step<'a> {
    /// Health before; `None` when it was not connected.
    pub(crate) before: Option<&'a Assessment>,
    pub(crate) after: &'a Assessment,
    pub(crate) cause: Cause,
    /// The refresh is one that is announced.
    pub(crate) announce: bool,
    /// Refusals since the last success, before and after, and how many turn it amber.
    pub(crate) attempts_before: i32,
    pub(crate) attempts: i32,
    pub(crate) attempts_most: i32,
    /// The end that is now near and was not announced before.
    pub(crate) expiring: Option<i64>,
}

/// An event to write; with a toast also a notification.
#[derive(Debug, PartialEq)]
pub(crate) struct Announcement {
    /// Type of the event.
    pub(crate) event: &'static str,
    /// Empty = none.
    pub(crate) toast: &'static str,
    pub(crate) data: Value,
}

fn plain(event: &'static str, data: Value) -> Announcement {
    Announcement { event, toast: "", data }
}

/// What is told of a change. Never empty: a change without a better name is `account.updated`.
pub(crate) fn announcements(step: &Step<'_>) -> Vec<Announcement> {
    let was_amber = step.before.is_some_and(Assessment::is_amber);
    let amber = step.after.is_amber();
    let mut told = Vec::new();
    match step.cause {
        Cause::Connected => told.push(plain(
            "account.connected",
            json!({ "reconnected": step.before.is_some() }),
        )),
        Cause::Refreshed if step.announce && !amber => {
            told.push(Announcement {
                event: "account.token_refreshed",
                toast: "token_refreshed",
                data: json!({}),
            });
        }
        Cause::RefreshFailed if step.attempts > step.attempts_before && !amber => {
            let data = json!({ "attempt": step.attempts, "of": step.attempts_most });
            told.push(plain("account.refresh_attempt_failed", data));
        }
        _ => {}
    }
    let reasons = step
        .after
        .reasons
        .iter()
        .map(|reason| reason.code.as_str())
        .collect::<Vec<_>>();
    if step.before.is_some_and(|before| before.reasons != step.after.reasons) {
        let status = if amber { "needs_reconnect" } else { "healthy" };
        told.push(plain(
            "account.health_changed",
            json!({ "status": status, "reasons": reasons }),
        ));
    }
    if amber && !was_amber {
        let expired = step.cause == Cause::Expired || reasons.first() == Some(&"token_expired");
        let (event, toast) = if expired {
            ("account.expired", "token_expired")
        } else {
            ("account.reconnect_required", "reconnect_required")
        };
        told.push(Announcement {
            event,
            toast,
            data: json!({ "reasons": reasons }),
        });
    }
    if let (Some(at_ms), false) = (step.expiring, amber) {
        told.push(plain("account.expiring_soon", json!({ "at_ms": at_ms })));
    }
    if told.is_empty() {
        told.push(plain("account.updated", json!({})));
    }
    told
}

/// True for events that belong to an account's history.
pub(crate) fn is_notable(event: &str) -> bool {
    event.starts_with("account.") && event != "account.updated"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::health::Reason;

    fn amber(code: &str) -> Assessment {
        let reason = Reason {
            code: code.into(),
            detail: String::new(),
            permissions: Vec::new(),
            blocks: Vec::new(),
            still_works: Vec::new(),
            fix: "reconnect".into(),
        };
        Assessment {
            reasons: vec![reason],
            ..Assessment::default()
        }
    }

    fn step<'a>(before: Option<&'a Assessment>, after: &'a Assessment, cause: Cause) -> Step<'a> {
        Step {
            before,
            after,
            cause,
            announce: false,
            attempts_before: 0,
            attempts: 0,
            attempts_most: 3,
            expiring: None,
        }
    }

    fn toasts(step: &Step<'_>) -> Vec<&'static str> {
        announcements(step)
            .into_iter()
            .map(|told| told.toast)
            .filter(|toast| !toast.is_empty())
            .collect()
    }

    #[test]
    fn an_incident_has_one_toast_and_never_both_amber_ones() {
        let green = Assessment::default();
        let (failed, expired) = (amber("refresh_failed"), amber("token_expired"));
        assert_eq!(
            toasts(&step(Some(&green), &failed, Cause::Died)),
            ["reconnect_required"]
        );
        assert!(
            toasts(&step(Some(&failed), &expired, Cause::Expired)).is_empty(),
            "the incident is open already"
        );
        assert!(toasts(&step(Some(&expired), &green, Cause::Connected)).is_empty());
        assert_eq!(toasts(&step(Some(&green), &expired, Cause::Expired)), ["token_expired"]);
    }

    #[test]
    fn a_first_connection_with_a_declined_permission_opens_an_incident() {
        let after = amber("permission_missing");
        let told = announcements(&step(None, &after, Cause::Connected));
        let events = told.iter().map(|told| told.event).collect::<Vec<_>>();
        assert_eq!(events, ["account.connected", "account.reconnect_required"]);
    }

    #[test]
    fn only_announced_refreshes_toast() {
        let green = Assessment::default();
        let silent = step(Some(&green), &green, Cause::Refreshed);
        assert_eq!(announcements(&silent)[0].event, "account.updated");
        assert_eq!(
            toasts(&Step {
                announce: true,
                ..silent
            }),
            ["token_refreshed"]
        );
    }

    #[test]
    fn the_first_two_refusals_are_told_without_a_toast() {
        let green = Assessment::default();
        let failed = Step {
            attempts: 1,
            ..step(Some(&green), &green, Cause::RefreshFailed)
        };
        let told = announcements(&failed);
        assert_eq!(
            (told[0].event, told[0].toast, &told[0].data["of"]),
            ("account.refresh_attempt_failed", "", &json!(3))
        );
        let trouble = step(Some(&green), &green, Cause::RefreshFailed);
        assert_eq!(
            announcements(&trouble)[0].event,
            "account.updated",
            "trouble that does not count is not an attempt"
        );
    }
}
