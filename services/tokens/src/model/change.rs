//! What becomes of a grant: every way in which one changes is a function here, and says what is to be announced.
//!
//! Fences: a renewal belongs to the generation it started from (`is_heir`), whoever holds a lock by now; a disconnect wins
//! over every refresh; a permanent refusal is believed once something confirms it.

use proto::common::v1::ErrorClass;
use proto::tokens::v1::GrantChangeCause as Cause;

use super::answer::{Weight, weight};
use super::schedule::{self, in_window, next_check};
use super::sight::View;
use super::{Facts, Grant, Policy, Refusal, State, Traits};

/// The rules that a change happens under.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Of the grant's connector.
    pub traits: &'a Traits,
    /// Configuration.
    pub policy: &'a Policy,
    /// Unix milliseconds.
    pub now: i64,
}

/// What is to be announced of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Why the grant changed.
    pub cause: Cause,
    /// People are told of a success.
    pub announce: bool,
}

/// Something that confirms a permanent refusal, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The platform says so when asked another way, or our own dates do.
    Agrees,
    /// The access token still works.
    Denies,
    /// The access token has ended: only another attempt can tell.
    Impossible,
    /// The platform could not be asked.
    Missing,
}

/// What to do with a late or timely answer that holds a new credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heir {
    /// Store it.
    Yes,
    /// The grant was disconnected: end the new token at the platform.
    Revoked,
    /// A sibling or a reconnect was first.
    Superseded,
}

/// The fence. On lineage, never on who holds a lock: a genuine answer is accepted however late it comes.
pub fn is_heir(grant: &Grant, parent_generation: i64) -> Heir {
    if grant.state == State::Revoked {
        Heir::Revoked
    } else if grant.generation == parent_generation {
        Heir::Yes
    } else {
        Heir::Superseded
    }
}

impl Rules<'_> {
    fn settle(&self, grant: &mut Grant, cause: Cause, announce: bool) -> Change {
        grant.version += 1;
        schedule::plan(grant, self.traits, self.policy, self.now);
        Change { cause, announce }
    }

    fn take(&self, grant: &mut Grant, facts: &Facts) {
        grant.renewal = facts.renewal;
        grant.has_refresh_token = facts.has_refresh_token;
        grant.issued_at_ms = if facts.issued_at_ms > 0 {
            facts.issued_at_ms
        } else {
            self.now
        };
        grant.access_expires_at_ms = facts.access_expires_at_ms;
        grant.refresh_expires_at_ms = facts.refresh_expires_at_ms;
        grant.generation += 1;
        grant.state = State::Active;
        (grant.dead, grant.last_error) = (None, None);
        (grant.refusals, grant.troubles) = (0, 0);
    }

    /// A refresh succeeded. `derives`: its destinations have tokens of their own.
    pub fn renewed(&self, grant: &mut Grant, facts: &Facts, derives: bool) -> Change {
        self.take(grant, facts);
        if !facts.scopes.is_empty() {
            grant.granted_scopes.clone_from(&facts.scopes);
        }
        grant.last_attempt_at_ms = self.now;
        grant.last_refreshed_at_ms = self.now;
        grant.checked_at_ms = self.now;
        grant.check_delayed = false;
        grant.derive_pending = derives;
        self.settle(grant, Cause::Refreshed, self.traits.announced_refresh)
    }

    /// The person signed in again, or for the first time: starts a new lineage and wins over everything older.
    pub fn connected(&self, grant: &mut Grant, facts: &Facts, view: &View) -> Change {
        self.take(grant, facts);
        grant.granted_scopes = if view.granted_scopes.is_empty() {
            facts.scopes.clone()
        } else {
            view.granted_scopes.clone()
        };
        grant.user_name.clone_from(&view.user_name);
        grant.data_access_expires_at_ms = view.data_access_expires_at_ms;
        grant.connected_at_ms = self.now;
        grant.checked_at_ms = self.now;
        grant.next_check_at_ms = next_check(grant, self.policy, true, self.now);
        grant.check_delayed = false;
        grant.derive_pending = false;
        (grant.last_refreshed_at_ms, grant.last_attempt_at_ms) = (0, 0);
        self.settle(grant, Cause::Connected, false)
    }

    /// The platform answered an attempt and did not renew.
    pub fn refused(&self, grant: &mut Grant, refusal: Refusal, proof: Proof) -> Change {
        let again = grant.state == State::Suspect && proof == Proof::Impossible;
        let permanent = weight(refusal.class()) == Weight::Permanent;
        grant.last_attempt_at_ms = self.now;
        grant.last_error = Some(refusal.clone());
        grant.troubles = 0;
        if permanent && (proof == Proof::Agrees || again) {
            return self.die(grant, refusal);
        }
        // Outside the window a token that was not extended is as good as before.
        if refusal.class() != ErrorClass::NotExtended || in_window(grant, self.policy, self.now) {
            grant.refusals += 1;
        }
        if grant.refusals >= self.policy.refresh_attempts {
            return if permanent {
                self.die(grant, refusal)
            } else {
                self.give_up(grant, refusal)
            };
        }
        if permanent {
            grant.state = State::Suspect;
        }
        self.settle(grant, Cause::RefreshFailed, false)
    }

    /// Trouble that says nothing about the grant. Announced where renewals are, so that a card can say that something is
    /// delayed, and when it is tried next.
    pub fn troubled(&self, grant: &mut Grant, refusal: Refusal) -> Option<Change> {
        grant.last_attempt_at_ms = self.now;
        grant.troubles = if refusal.is_unsent() {
            grant.troubles.max(1)
        } else {
            grant.troubles + 1
        };
        grant.last_error = Some(refusal);
        if self.traits.announced_refresh {
            return Some(self.settle(grant, Cause::Checked, false));
        }
        schedule::plan(grant, self.traits, self.policy, self.now);
        None
    }

    fn give_up(&self, grant: &mut Grant, refusal: Refusal) -> Change {
        (grant.state, grant.dead) = (State::Dead, Some(refusal));
        self.settle(grant, Cause::RefreshFailed, false)
    }

    /// It is proven that the grant is over.
    pub fn die(&self, grant: &mut Grant, refusal: Refusal) -> Change {
        let cause = if refusal.class() == ErrorClass::Expired {
            Cause::Expired
        } else {
            Cause::Died
        };
        (grant.state, grant.dead) = (State::Dead, Some(refusal));
        self.settle(grant, cause, false)
    }

    /// Its end passed. `None` when it has not, or when an attempt that may still renew it is `open`.
    pub fn expire(&self, grant: &mut Grant, open: bool) -> Option<Change> {
        let ended = grant.state.is_live() && schedule::end(grant).is_some_and(|end| end <= self.now);
        if !ended || open {
            return None;
        }
        let refusal = match grant.last_error.take() {
            // It was refused for good before and only lived on to its end: that is the reason.
            Some(error) if grant.state == State::Suspect && weight(error.class()) == Weight::Permanent => error,
            _ => Refusal::new(ErrorClass::Expired, "expired", "the token's end passed"),
        };
        Some(self.die(grant, refusal))
    }

    /// The platform accepted the credential and told what it is good for.
    pub fn seen(&self, grant: &mut Grant, view: &View) -> Change {
        if !view.granted_scopes.is_empty() {
            grant.granted_scopes.clone_from(&view.granted_scopes);
        }
        if view.access_expires_at_ms > 0 {
            grant.access_expires_at_ms = view.access_expires_at_ms;
        }
        if view.data_access_expires_at_ms > 0 {
            grant.data_access_expires_at_ms = view.data_access_expires_at_ms;
        }
        if !view.user_name.is_empty() {
            grant.user_name.clone_from(&view.user_name);
        }
        // What was suspected is the access token itself, unless there is a refresh token, of which this says nothing.
        if grant.state == State::Suspect && !grant.has_refresh_token {
            grant.state = State::Active;
        }
        grant.checked_at_ms = self.now;
        grant.check_delayed = false;
        grant.next_check_at_ms = next_check(grant, self.policy, true, self.now);
        self.settle(grant, Cause::Checked, false)
    }

    /// The platform could not be asked: noted once, and asked again soon.
    pub fn unseen(&self, grant: &mut Grant) -> Option<Change> {
        grant.next_check_at_ms = next_check(grant, self.policy, false, self.now);
        if !grant.check_delayed {
            grant.check_delayed = true;
            return Some(self.settle(grant, Cause::Checked, false));
        }
        schedule::plan(grant, self.traits, self.policy, self.now);
        None
    }

    /// Nothing can be seen at this time: the next check is as planned.
    pub fn skip_check(&self, grant: &mut Grant) {
        grant.next_check_at_ms = next_check(grant, self.policy, true, self.now);
        self.replan(grant);
    }

    /// Writes the plan anew, for instance over a lease.
    pub fn replan(&self, grant: &mut Grant) {
        schedule::plan(grant, self.traits, self.policy, self.now);
    }

    /// One account was taken off; with none left the grant is revoked. The generation is raised either way.
    pub fn detached(&self, grant: &mut Grant, accounts_left: i64) -> Change {
        grant.generation += 1;
        if accounts_left == 0 {
            grant.state = State::Revoked;
            (grant.dead, grant.last_error) = (None, None);
            grant.derive_pending = false;
        }
        self.settle(grant, Cause::Detached, false)
    }

    /// The platform announced, verified, that the person withdrew the grant. The generation is raised: an answer that is
    /// still on its way must not bring it back. `None` = nothing to announce: it was dead before, or disconnected.
    pub fn withdrawn(&self, grant: &mut Grant, refusal: Refusal) -> Option<Change> {
        if grant.state == State::Revoked {
            return None;
        }
        grant.generation += 1;
        grant.state.is_live().then(|| self.die(grant, refusal))
    }
}
