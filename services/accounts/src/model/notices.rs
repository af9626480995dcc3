//! What is worth a neutral word under a green dot: ends that come near, refusals that are not yet too many, platforms that
//! cannot be reached. Depends on the time, so it is computed when somebody looks.

use proto::accounts::v1 as pb;
use proto::common::v1::{ErrorClass, PlatformError};
use proto::platforms::v1::Renewal;
use proto::tokens::v1::Grant;

use super::health;

/// From when on an end that nobody will move by itself is mentioned.
const SOON_MS: i64 = 7 * 24 * 3600 * 1000;

/// True when the hub renews the grant by itself.
pub(crate) fn renews_itself(grant: &Grant) -> bool {
    matches!(
        grant.renewal(),
        Renewal::Exchange | Renewal::InPlace | Renewal::Rotating
    )
}

/// When the access ends unless somebody or something renews it, as a person understands it: for rotating grants the end of
/// the refresh token, not of the hours that an access token lives. Unix milliseconds; 0 = no end known.
pub(crate) fn end_ms(grant: &Grant) -> i64 {
    match grant.renewal() {
        Renewal::Rotating => grant.refresh_expires_at_ms,
        _ => grant.access_expires_at_ms,
    }
}

/// The end that only the person can move, if there is one: the grant's own, or the platform's for data access.
pub(crate) fn final_end_ms(grant: &Grant) -> Option<i64> {
    let own = match grant.renewal() {
        Renewal::ReconnectOnly => grant.access_expires_at_ms,
        Renewal::InPlace | Renewal::Rotating => grant.refresh_expires_at_ms,
        _ => 0,
    };
    [own, grant.data_access_expires_at_ms]
        .into_iter()
        .filter(|end| *end > 0)
        .min()
}

/// The end that is worth a word now, if any.
pub(crate) fn expiring_soon(grant: &Grant, now_ms: i64) -> Option<i64> {
    final_end_ms(grant).filter(|end| (now_ms..=now_ms + SOON_MS).contains(end))
}

/// Neutral lines under a green dot.
pub(crate) fn notices(grant: &Grant, now_ms: i64) -> Vec<pb::Notice> {
    if health::is_dead(grant) {
        return Vec::new();
    }
    let mut notices = Vec::new();
    if let Some(at_ms) = expiring_soon(grant, now_ms) {
        notices.push(pb::Notice {
            code: "expiring_soon".into(),
            attempt: 0,
            at_ms,
        });
    }
    if grant.failed_attempts > 0 {
        let (attempt, at_ms) = (grant.failed_attempts, grant.next_refresh_at_ms);
        notices.push(pb::Notice {
            code: "refresh_pending".into(),
            attempt,
            at_ms,
        });
    }
    let trouble = grant.last_error.as_ref().map(PlatformError::class);
    let unreachable = matches!(
        trouble,
        Some(ErrorClass::Transient | ErrorClass::RateLimited | ErrorClass::AppMisconfigured)
    );
    if grant.check_delayed || unreachable {
        notices.push(pb::Notice {
            code: "check_delayed".into(),
            attempt: 0,
            at_ms: 0,
        });
    }
    notices
}
