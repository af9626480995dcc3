//! When a grant is due, and for what: refresh, end, check, derivation of tokens for single destinations.
//!
//! Tokens that are renewed ahead are tried from `refresh_window` before their end, refused attempts spaced evenly into what
//! is left. Rotating ones are renewed lazily by readers; here they are only kept proven once a day, since every rotation is
//! a risk. Everything that is due is one indexed number, `next_due_at_ms`.

use proto::platforms::v1::Renewal;

use super::{Grant, Policy, State, Traits, spread};

/// One day.
pub const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;
/// What did not leave us is tried again after this, and as much again by chance.
const UNSENT_MS: i64 = 5_000;
/// Refused attempts are never closer than this, unless the configuration wants them closer.
const LEAST_SPACING_MS: i64 = MINUTE_MS;
/// A platform that could not be reached is asked again after this.
const DELAYED_CHECK_MS: i64 = 5 * MINUTE_MS;
/// Derivation that failed is tried again after this.
const DERIVE_AGAIN_MS: i64 = 2 * MINUTE_MS;

/// What is to be done with a grant, most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Its end passed.
    Expire,
    /// Renew the credential.
    Refresh,
    /// Derive the tokens of its destinations anew.
    Derive,
    /// Ask the platform whether it still works.
    Check,
    /// Nothing yet.
    Nothing,
}

/// What is due at `now`.
pub fn work(grant: &Grant, now: i64) -> Work {
    if !grant.state.is_live() {
        return Work::Nothing;
    }
    let passed = |at: i64| at > 0 && at <= now;
    if end(grant).is_some_and(|end| end <= now) {
        Work::Expire
    } else if passed(grant.next_refresh_at_ms) {
        Work::Refresh
    } else if grant.derive_pending {
        Work::Derive
    } else if passed(grant.next_check_at_ms) {
        Work::Check
    } else {
        Work::Nothing
    }
}

/// When the connection ends for good unless it is renewed before; `None` = not by time.
pub fn end(grant: &Grant) -> Option<i64> {
    let known = |at: i64| (at > 0).then_some(at);
    match (known(grant.access_expires_at_ms), known(grant.refresh_expires_at_ms)) {
        (None, _) => None,
        (Some(access), _) if !grant.has_refresh_token => Some(access),
        // The refresh token's end may be unknown; then only the platform can say.
        (Some(access), refresh) => refresh.map(|refresh| access.max(refresh)),
    }
}

/// Writes `next_refresh_at_ms` and `next_due_at_ms` after any change.
pub fn plan(grant: &mut Grant, traits: &Traits, policy: &Policy, now: i64) {
    if !grant.state.is_live() {
        grant.next_refresh_at_ms = 0;
        grant.next_due_at_ms = None;
        return;
    }
    grant.next_refresh_at_ms = next_refresh(grant, traits, policy).unwrap_or(0);
    // Suspected, and nothing to hand out: a renewal tells, so it is not put off to its day.
    let untried = grant.refusals == 0 && grant.troubles == 0;
    if grant.state == State::Suspect && untried && grant.access_ended(now) && grant.next_refresh_at_ms > 0 {
        grant.next_refresh_at_ms = grant.next_refresh_at_ms.min(now);
    }
    if grant.next_check_at_ms == 0 {
        grant.next_check_at_ms = now.saturating_add(policy.check_interval_ms);
    }
    let refresh = (grant.next_refresh_at_ms > 0).then_some(grant.next_refresh_at_ms);
    let derive = grant.derive_pending.then_some(now.saturating_add(DERIVE_AGAIN_MS));
    grant.next_due_at_ms = [refresh, derive, end(grant), Some(grant.next_check_at_ms)]
        .into_iter()
        .flatten()
        .min();
}

/// When the next refresh that nobody asks for is due.
fn next_refresh(grant: &Grant, traits: &Traits, policy: &Policy) -> Option<i64> {
    let first = match grant.renewal {
        Renewal::None | Renewal::ReconnectOnly | Renewal::Unspecified => return None,
        Renewal::Exchange | Renewal::InPlace => window_start(grant, traits, policy)?,
        Renewal::Rotating if !grant.has_refresh_token => return None,
        Renewal::Rotating => grant
            .last_refreshed_at_ms
            .max(grant.connected_at_ms)
            .saturating_add(DAY_MS + spread(&grant.id, HOUR_MS)),
    };
    if grant.refusals == 0 && grant.troubles == 0 {
        return Some(first);
    }
    // After a failure the next try follows the pause, whoever asked for the one that failed.
    Some(grant.last_attempt_at_ms.saturating_add(pause_ms(grant, policy)))
}

/// From when on a token is renewed ahead. One that came short from the connection is renewed at once, as far as the platform
/// lets it; one that a renewal left inside the window settles for half its life first, so that renewals never chase each other.
fn window_start(grant: &Grant, traits: &Traits, policy: &Policy) -> Option<i64> {
    let lifetime = grant.lifetime_ms()?;
    let was_renewed = grant.last_refreshed_at_ms > 0;
    let settling = if was_renewed { (lifetime / 2).min(DAY_MS) } else { 0 };
    let settled = grant
        .issued_at_ms
        .saturating_add(traits.min_refresh_age_ms.max(settling));
    // Grants that were connected together drift apart; what is born inside the window has nobody to drift from.
    let jitter = spread(&grant.id, HOUR_MS.min(lifetime / 64));
    let opens = (grant.access_expires_at_ms - policy.refresh_window_ms).saturating_add(jitter);
    Some(opens.max(settled))
}

/// True from `refresh_window` before the access token's end.
pub fn in_window(grant: &Grant, policy: &Policy, now: i64) -> bool {
    grant.access_expires_at_ms > 0 && grant.access_expires_at_ms - policy.refresh_window_ms <= now
}

/// How long to wait after the last failure: refusals are spaced into what is left, trouble backs off.
fn pause_ms(grant: &Grant, policy: &Policy) -> i64 {
    let left = (grant.access_expires_at_ms - grant.last_attempt_at_ms).max(0);
    if grant.troubles > 0 {
        return backoff_ms(grant, left);
    }
    let tries_left = (policy.refresh_attempts - grant.refusals).max(0) + 1;
    let least = LEAST_SPACING_MS.min(policy.attempt_spacing_ms);
    policy.attempt_spacing_ms.min(left / tries_left).max(least)
}

/// One minute, doubled, at most an hour, half of it jitter; what the platform asked for when it did, capped at an hour;
/// never more than half of the time that is left. What was not sent is free, and tried again soon.
fn backoff_ms(grant: &Grant, left: i64) -> i64 {
    let doubled = MINUTE_MS << grant.troubles.clamp(1, 7).unsigned_abs().saturating_sub(1);
    let longest = doubled.min(HOUR_MS);
    let jittered = longest / 2 + spread(&format!("{}{}", grant.id, grant.troubles), longest / 2);
    let asked = grant
        .last_error
        .as_ref()
        .map_or(0, |error| error.retry_after_ms)
        .clamp(0, HOUR_MS);
    let is_unsent = grant.last_error.as_ref().is_some_and(super::Refusal::is_unsent);
    let wait = if is_unsent {
        let seed = format!("{}{}", grant.id, grant.last_attempt_at_ms);
        asked.max(UNSENT_MS) + spread(&seed, UNSENT_MS)
    } else {
        jittered.max(asked)
    };
    if left > 0 {
        wait.min((left / 2).max(15_000))
    } else {
        wait
    }
}

/// May a reader or a person have the grant refreshed now? After a failure the pause holds for readers too.
pub fn may_refresh(grant: &Grant, traits: &Traits, now: i64) -> bool {
    let renewable = match grant.renewal {
        Renewal::Rotating => grant.has_refresh_token,
        // An expired token cannot be exchanged any more.
        Renewal::Exchange => !grant.access_ended(now),
        Renewal::InPlace => grant.has_refresh_token || !grant.access_ended(now),
        Renewal::None | Renewal::ReconnectOnly | Renewal::Unspecified => false,
    };
    renewable && grant.state.is_live() && now >= grant.issued_at_ms.saturating_add(traits.min_refresh_age_ms)
}

/// True while the pause after a failure lasts.
pub fn is_pausing(grant: &Grant, now: i64) -> bool {
    (grant.refusals > 0 || grant.troubles > 0) && grant.next_refresh_at_ms > now
}

/// [`is_pausing`] for a reader. Trouble does not keep one waiting for longer than a minute who has no token at all: how often a
/// platform is called that is down is its breaker's business.
pub fn is_pausing_for_reader(grant: &Grant, now: i64) -> bool {
    let asked = grant.last_error.as_ref().map_or(0, |error| error.retry_after_ms);
    let has_nothing = grant.refusals == 0 && grant.access_ended(now);
    let patience = asked.clamp(MINUTE_MS, HOUR_MS);
    is_pausing(grant, now) && !(has_nothing && now >= grant.last_attempt_at_ms.saturating_add(patience))
}

/// Whether a reader who wants `min_ttl_ms` should wait for a renewal. One who wants more than the platform's tokens live is
/// served the freshest there is: renewed once more than half of its life is gone.
pub fn too_short(grant: &Grant, min_ttl_ms: i64, now: i64) -> bool {
    if grant.access_ended(now) {
        return true;
    }
    let Some(lifetime) = grant.lifetime_ms() else {
        return false;
    };
    let left = grant.access_expires_at_ms - now;
    if min_ttl_ms > lifetime {
        left < lifetime / 2
    } else {
        left < min_ttl_ms
    }
}

/// When a grant is checked next, after one that reached the platform or did not.
pub fn next_check(grant: &Grant, policy: &Policy, reached: bool, now: i64) -> i64 {
    let wait = if reached {
        // A twentieth of jitter, so that grants that were connected together drift apart.
        policy.check_interval_ms - spread(&grant.id, policy.check_interval_ms / 20)
    } else {
        DELAYED_CHECK_MS.min(policy.check_interval_ms)
    };
    now.saturating_add(wait)
}

/// Can an inspection tell anything? Of a token that has ended and can be renewed it only tells what we know.
pub fn can_inspect(grant: &Grant, now: i64) -> bool {
    matches!(grant.state, State::Active | State::Suspect) && !grant.access_ended(now)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::tests::{NOW, exchange, grant, policy, rotating, rotating_grant};

    fn planned(mut grant: Grant, traits: &Traits) -> Grant {
        plan(&mut grant, traits, &policy(), NOW);
        grant
    }

    #[test]
    fn a_long_lived_token_is_renewed_within_seven_days_of_its_end() {
        let grant = planned(grant(), &exchange());
        let before_end = grant.access_expires_at_ms - grant.next_refresh_at_ms;
        assert!(
            before_end <= 7 * DAY_MS && before_end > 7 * DAY_MS - HOUR_MS,
            "{before_end}"
        );
    }

    #[test]
    fn refused_attempts_are_a_day_apart_and_closer_when_the_end_is_near() {
        let refused = |days_left: i64| {
            let mut grant = grant();
            grant.refusals = 1;
            grant.last_attempt_at_ms = grant.access_expires_at_ms - days_left * DAY_MS;
            let planned = planned(grant, &exchange());
            planned.next_refresh_at_ms - planned.last_attempt_at_ms
        };
        assert_eq!(refused(6), DAY_MS);
        assert_eq!(refused(1), DAY_MS / 3);
    }

    #[test]
    fn a_token_that_is_connected_inside_the_window_is_renewed_at_once_and_one_that_was_renewed_settles() {
        let mut short = grant();
        short.access_expires_at_ms = short.issued_at_ms + 6 * DAY_MS;
        assert_eq!(
            planned(short.clone(), &exchange()).next_refresh_at_ms,
            short.issued_at_ms
        );
        let young = Traits {
            min_refresh_age_ms: DAY_MS,
            ..exchange()
        };
        assert_eq!(
            planned(short.clone(), &young).next_refresh_at_ms,
            short.issued_at_ms + DAY_MS
        );
        short.last_refreshed_at_ms = short.issued_at_ms;
        assert_eq!(
            planned(short.clone(), &exchange()).next_refresh_at_ms,
            short.issued_at_ms + DAY_MS
        );
    }

    #[test]
    fn a_configured_spacing_below_a_minute_holds() {
        let mut refused = grant();
        (refused.refusals, refused.last_attempt_at_ms) = (1, refused.access_expires_at_ms - 6 * DAY_MS);
        let quick = Policy {
            attempt_spacing_ms: 1_000,
            ..policy()
        };
        plan(&mut refused, &exchange(), &quick, NOW);
        assert_eq!(refused.next_refresh_at_ms - refused.last_attempt_at_ms, 1_000);
    }

    #[test]
    fn a_rotating_token_is_only_kept_proven_once_a_day() {
        let grant = planned(rotating_grant(), &rotating());
        let after = grant.next_refresh_at_ms - grant.connected_at_ms;
        assert!((DAY_MS..DAY_MS + HOUR_MS).contains(&after));
        assert_eq!(end(&grant), None, "nobody told when the refresh token ends");
    }

    #[test]
    fn h21_a_token_is_not_refreshed_before_its_minimum_age_nor_exchanged_after_its_end() {
        let young = Traits {
            min_refresh_age_ms: DAY_MS,
            ..exchange()
        };
        assert!(!may_refresh(&grant(), &young, NOW + DAY_MS - 1));
        assert!(may_refresh(&grant(), &young, NOW + DAY_MS));
        assert!(!may_refresh(&grant(), &exchange(), grant().access_expires_at_ms));
    }

    #[test]
    fn h22_the_schedule_follows_the_reply_when_lifetimes_change() {
        let mut short = grant();
        short.access_expires_at_ms = NOW + 2 * HOUR_MS;
        short.last_refreshed_at_ms = NOW;
        let short = planned(short, &exchange());
        assert!(short.next_refresh_at_ms >= NOW + HOUR_MS && short.next_refresh_at_ms < short.access_expires_at_ms);
    }

    #[test]
    fn h3_retry_after_is_honoured_and_capped_at_an_hour() {
        let mut grant = rotating_grant();
        grant.access_expires_at_ms = NOW + 30 * DAY_MS;
        grant.troubles = 1;
        grant.last_attempt_at_ms = NOW;
        let wait = |asked: i64| {
            let mut grant = grant.clone();
            let error = crate::model::Refusal::new(proto::common::v1::ErrorClass::RateLimited, "429", "");
            grant.last_error = Some(crate::model::Refusal {
                retry_after_ms: asked,
                ..error
            });
            planned(grant, &rotating()).next_refresh_at_ms - NOW
        };
        assert_eq!(wait(600_000), 600_000);
        assert_eq!(wait(1_000_000_000_000), HOUR_MS);
        assert!(wait(0) >= MINUTE_MS / 2 && wait(0) <= MINUTE_MS);
    }

    #[test]
    fn h5_what_was_not_sent_is_tried_again_soon_and_makes_no_later_wait_longer() {
        let unsent = crate::model::Refusal::new(
            proto::common::v1::ErrorClass::Transient,
            crate::model::Refusal::NOT_SENT,
            "",
        );
        let mut grant = rotating_grant();
        let (traits, policy) = (rotating(), policy());
        for n in 0..6 {
            let now = grant.access_expires_at_ms + n * MINUTE_MS;
            let rules = crate::model::change::Rules {
                traits: &traits,
                policy: &policy,
                now,
            };
            rules.troubled(&mut grant, unsent.clone());
            assert_eq!(grant.troubles, 1);
            let wait = grant.next_refresh_at_ms - now;
            assert!((UNSENT_MS..=2 * UNSENT_MS).contains(&wait), "{wait}");
        }
    }

    #[test]
    fn trouble_keeps_a_reader_without_a_token_waiting_for_a_minute_and_one_with_a_token_for_its_time() {
        let mut grant = planned(
            Grant {
                troubles: 6,
                last_attempt_at_ms: rotating_grant().access_expires_at_ms,
                ..rotating_grant()
            },
            &rotating(),
        );
        let after = |wait: i64| grant.last_attempt_at_ms + wait;
        assert!(is_pausing_for_reader(&grant, after(MINUTE_MS - 1)));
        assert!(!is_pausing_for_reader(&grant, after(MINUTE_MS)) && is_pausing(&grant, after(MINUTE_MS)));
        let later = after(MINUTE_MS);
        grant.access_expires_at_ms = later + HOUR_MS;
        assert!(is_pausing_for_reader(&grant, later), "there is one to hand out");
    }

    #[test]
    fn a_reader_who_wants_more_than_tokens_live_gets_a_renewal_after_half_the_life() {
        let grant = rotating_grant();
        let half = grant.issued_at_ms + HOUR_MS;
        assert!(!too_short(&grant, 10 * DAY_MS, half));
        assert!(too_short(&grant, 10 * DAY_MS, half + 1));
        assert!(too_short(&grant, MINUTE_MS, grant.access_expires_at_ms - MINUTE_MS + 1));
    }

    proptest! {
        #[test]
        fn whatever_happened_a_live_grant_is_due_some_time_and_a_refresh_never_waits_for_ever(
            lifetime in 1_i64..200 * DAY_MS, refusals in 0_i64..3, troubles in 0_i64..40, age in 0_i64..200 * DAY_MS, asked in 0_i64..i64::MAX,
        ) {
            let mut grant = grant();
            grant.access_expires_at_ms = NOW + lifetime;
            (grant.refusals, grant.troubles, grant.last_attempt_at_ms) = (refusals, troubles, NOW + age);
            let error = crate::model::Refusal::new(proto::common::v1::ErrorClass::RateLimited, "429", "");
            grant.last_error = Some(crate::model::Refusal { retry_after_ms: asked, ..error });
            plan(&mut grant, &exchange(), &policy(), NOW + age);
            let due = grant.next_due_at_ms.unwrap();
            prop_assert!(due <= NOW + lifetime);
            if refusals + troubles > 0 {
                prop_assert!(grant.next_refresh_at_ms <= (NOW + age + DAY_MS).max(NOW + lifetime + HOUR_MS));
            }
        }
    }
}
