//! Who may refresh a grant: claim, wait, take over. One attempt without an outcome per grant, whoever asks.
//!
//! The database's unique index enforces it; these rules decide what the loser does.

use super::{Policy, Traits};

/// Attempts carry the version of the protocol that made them; an older process leaves a newer one's attempts alone.
pub const PROTOCOL: i64 = 1;

/// Which process, and which life of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Name of the process; one living process has it.
    pub name: String,
    /// New with every start.
    pub incarnation: String,
}

/// An attempt without an outcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Unfinished {
    /// Who made it.
    pub owner: Owner,
    /// No answer came, and one may still come.
    pub unknown: bool,
    /// A task of this very process is at it.
    pub running_here: bool,
    /// Version of the protocol that made it.
    pub protocol: i64,
    /// When it was claimed.
    pub started_at_ms: i64,
}

/// What somebody who wants a refresh may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nothing is in the way.
    Free,
    /// Somebody is at it. It may be taken over at the given time.
    Wait(i64),
    /// It is an orphan: take it over, ask for its answer, and without one try once more.
    Adopt,
}

/// How long another process's attempt is left alone.
pub fn takeover_after_ms(traits: &Traits, policy: &Policy) -> i64 {
    if traits.repeatable_refresh {
        policy.takeover_repeatable_ms
    } else {
        policy.takeover_single_use_ms
    }
}

/// Decides for `me` at `now`. A process that was started anew adopts what its former life left; others wait.
/// An answer that did not come in time may still come: where a refresh token is single use, that too has to age.
pub fn claim(found: Option<&Unfinished>, me: &Owner, traits: &Traits, policy: &Policy, now: i64) -> Claim {
    let Some(found) = found else { return Claim::Free };
    let aged_at = found.started_at_ms.saturating_add(takeover_after_ms(traits, policy));
    if found.protocol > PROTOCOL {
        return Claim::Wait(i64::MAX);
    }
    if found.owner.name == me.name && found.owner.incarnation != me.incarnation {
        return Claim::Adopt;
    }
    if found.running_here {
        return Claim::Wait(i64::MAX);
    }
    // Our own task that ended without an outcome is an orphan, once a late answer is no longer to be feared.
    let ours = found.owner == *me && (!found.unknown || traits.repeatable_refresh);
    if ours || now >= aged_at {
        Claim::Adopt
    } else {
        Claim::Wait(aged_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::{exchange, policy, rotating};

    fn owner(name: &str, incarnation: &str) -> Owner {
        Owner {
            name: name.into(),
            incarnation: incarnation.into(),
        }
    }

    fn unfinished(owner: Owner, unknown: bool) -> Unfinished {
        Unfinished {
            owner,
            unknown,
            running_here: false,
            protocol: PROTOCOL,
            started_at_ms: 1_000,
        }
    }

    #[test]
    fn a_restarted_process_adopts_what_its_former_life_left_at_once() {
        let found = unfinished(owner("tokens-0", "first"), false);
        let me = owner("tokens-0", "second");
        assert_eq!(claim(Some(&found), &me, &rotating(), &policy(), 1_001), Claim::Adopt);
    }

    #[test]
    fn another_process_waits_two_minutes_where_a_refresh_repeats_and_fifteen_where_it_does_not() {
        let found = unfinished(owner("tokens-0", "a"), false);
        let me = owner("tokens-1", "b");
        let decide = |traits: &Traits, now| claim(Some(&found), &me, traits, &policy(), now);
        assert_eq!(decide(&exchange(), 1_000 + 119_999), Claim::Wait(121_000));
        assert_eq!(decide(&exchange(), 1_000 + 120_000), Claim::Adopt);
        assert_eq!(decide(&rotating(), 1_000 + 120_000), Claim::Wait(901_000));
        assert_eq!(decide(&rotating(), 1_000 + 900_000), Claim::Adopt);
    }

    #[test]
    fn our_own_running_attempt_is_waited_for_and_our_unknown_single_use_one_has_to_age() {
        let me = owner("tokens-0", "a");
        let running = Unfinished {
            running_here: true,
            ..unfinished(me.clone(), false)
        };
        assert_eq!(
            claim(Some(&running), &me, &rotating(), &policy(), i64::MAX - 1),
            Claim::Wait(i64::MAX)
        );
        let unknown = unfinished(me.clone(), true);
        assert_eq!(
            claim(Some(&unknown), &me, &rotating(), &policy(), 70_000),
            Claim::Wait(901_000)
        );
        assert_eq!(claim(Some(&unknown), &me, &exchange(), &policy(), 70_000), Claim::Adopt);
    }

    #[test]
    fn i20_an_attempt_of_a_newer_protocol_is_left_alone() {
        let me = owner("tokens-0", "second");
        let newer = Unfinished {
            protocol: PROTOCOL + 1,
            ..unfinished(owner("tokens-0", "first"), false)
        };
        assert_eq!(
            claim(Some(&newer), &me, &exchange(), &policy(), i64::MAX - 1),
            Claim::Wait(i64::MAX)
        );
    }
}
