//! The service's own rules, applied to the model's small rows: nothing that `tokens::model` decides is decided here again.

use proto::common::v1::{ErrorClass, PlatformError};
use proto::platforms::v1::interpret_response::Outcome as Read;
use proto::platforms::v1::{Credential, InterpretResponse, Renewal};
use tokens::model::answer::{Outcome, Weight, judge, weight};
use tokens::model::attempt::{Claim, Owner, PROTOCOL, Unfinished, claim};
use tokens::model::change::{Heir, Proof, Rules, is_heir};
use tokens::model::schedule::{DAY_MS, may_refresh};
use tokens::model::sight::View;
use tokens::model::{Facts, Grant, Policy, Refusal, State, Traits};

use crate::rows::{Answer, Attempt, Row, Stored, Token};
use crate::world::World;

const NOW: i64 = 1_790_000_000_000;
/// How old an attempt is by its `age`: fresh, past its deadline of a minute, past both takeover thresholds.
const AGES_MS: [i64; 3] = [0, 70_000, 1_000_000];

/// How a platform behaves when a token comes a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Single use: refused.
    Strict,
    /// Single use: refused, and the whole family ends.
    Family,
    /// The last one still gives the same pair.
    Grace,
    /// Tokens are exchanged as often as one likes.
    Repeatable,
}

/// What an answer means, without its credential.
pub enum Judged {
    Renewed(Token),
    Trouble(Refusal),
    Refused(Refusal),
}

/// The rules for one platform.
pub struct Core {
    traits: Traits,
    policy: Policy,
}

impl Core {
    pub fn new(platform: Platform) -> Self {
        let repeatable = platform == Platform::Repeatable;
        let traits = Traits {
            renewal: if repeatable {
                Renewal::Exchange
            } else {
                Renewal::Rotating
            },
            repeatable_refresh: repeatable,
            min_refresh_age_ms: 0,
            announced_refresh: repeatable,
            shared_grant: false,
            revocable: true,
            required_scopes: Vec::new(),
        };
        let policy = Policy {
            check_interval_ms: 3_600_000,
            refresh_window_ms: 7 * DAY_MS,
            refresh_attempts: 3,
            attempt_spacing_ms: DAY_MS,
            takeover_repeatable_ms: 120_000,
            takeover_single_use_ms: 900_000,
            refresh_deadline_ms: 60_000,
        };
        Self { traits, policy }
    }

    fn change(&self) -> Rules<'_> {
        Rules {
            traits: &self.traits,
            policy: &self.policy,
            now: NOW,
        }
    }

    fn credential(&self, token: Token) -> Credential {
        let refresh_token = if self.traits.repeatable_refresh {
            String::new()
        } else {
            format!("r{token}")
        };
        Credential {
            access_token: format!("a{token}"),
            refresh_token,
            access_expires_at_ms: NOW + DAY_MS,
            issued_at_ms: NOW - DAY_MS,
            ..Credential::default()
        }
    }

    fn grant(&self, stored: Stored) -> Grant {
        let error = |class, code| Some(Refusal::new(class, code, ""));
        Grant {
            id: "grt".into(),
            workspace_id: String::new(),
            connector: String::new(),
            platform_user_id: String::new(),
            user_name: String::new(),
            generation: i64::from(stored.generation),
            version: 1,
            state: stored.state,
            renewal: self.traits.renewal,
            has_refresh_token: !self.traits.repeatable_refresh,
            issued_at_ms: NOW - DAY_MS,
            access_expires_at_ms: if stored.ended { NOW - 1 } else { NOW + DAY_MS },
            refresh_expires_at_ms: 0,
            data_access_expires_at_ms: 0,
            granted_scopes: Vec::new(),
            dead: None,
            last_error: if stored.refused_for_good {
                error(ErrorClass::Revoked, "invalid_grant")
            } else {
                None
            },
            refusals: i64::from(stored.refusals),
            troubles: i64::from(stored.troubled),
            last_attempt_at_ms: 0,
            last_refreshed_at_ms: 0,
            next_refresh_at_ms: 0,
            checked_at_ms: NOW,
            next_check_at_ms: 0,
            check_delayed: false,
            derive_pending: false,
            connected_at_ms: NOW - DAY_MS,
            next_due_at_ms: None,
        }
    }

    /// Changes the row by a rule of the service.
    fn by<T>(&self, stored: &mut Stored, rule: impl FnOnce(Rules<'_>, &mut Grant) -> T) -> T {
        let mut grant = self.grant(*stored);
        let done = rule(self.change(), &mut grant);
        *stored = Stored {
            generation: u8::try_from(grant.generation).unwrap(),
            state: grant.state,
            refusals: u8::try_from(grant.refusals).unwrap(),
            troubled: grant.troubles > 0,
            refused_for_good: grant
                .last_error
                .as_ref()
                .is_some_and(|error| weight(error.class()) == Weight::Permanent),
            ended: grant.access_ended(NOW),
            token: stored.token,
        };
        done
    }

    pub fn repeatable(&self) -> bool {
        self.traits.repeatable_refresh
    }

    /// The statement that claims looks at the state, the engine before it at the dates.
    pub fn may_refresh(&self, stored: Stored) -> bool {
        stored.state.is_live() && may_refresh(&self.grant(stored), &self.traits, NOW)
    }

    /// May this process claim, must it wait, or does it adopt?
    pub fn claim(&self, world: &World, who: usize) -> Claim {
        let owner = |number: usize, former: bool| Owner {
            name: format!("tokens-{number}"),
            incarnation: if former { "before".into() } else { "now".into() },
        };
        let seen = world.unfinished().map(|at| {
            let Attempt {
                row,
                owner: of,
                former_life,
                age,
                ..
            } = world.attempts[at];
            Unfinished {
                owner: owner(usize::from(of), former_life),
                unknown: row == Row::Unknown,
                running_here: world.is_running(who, at),
                protocol: PROTOCOL,
                started_at_ms: NOW - AGES_MS[usize::from(age)],
            }
        });
        claim(seen.as_ref(), &owner(who, false), &self.traits, &self.policy, NOW)
    }

    /// Reads an answer as the service does, `previous` being the token that is stored.
    pub fn judge(&self, answer: Answer, previous: Token) -> Judged {
        let refused = |class: ErrorClass, code: &str| {
            Read::Refused(PlatformError {
                class: class.into(),
                code: code.into(),
                ..PlatformError::default()
            })
        };
        let outcome = match answer {
            Answer::Renewed(token) => Read::Renewed(self.credential(token)),
            Answer::Refused => refused(ErrorClass::Revoked, "invalid_grant"),
            Answer::Trouble => refused(ErrorClass::Transient, "503"),
        };
        let read = InterpretResponse {
            outcome: Some(outcome),
            salvaged_refresh_token: String::new(),
        };
        match judge(read, &self.credential(previous)) {
            Outcome::Renewed(new) => {
                let stored = if self.repeatable() {
                    &new.access_token
                } else {
                    &new.refresh_token
                };
                Judged::Renewed(stored[1..].parse().unwrap())
            }
            Outcome::Refused(refusal) if weight(refusal.class()) == Weight::Trouble => Judged::Trouble(refusal),
            Outcome::Refused(refusal) => Judged::Refused(refusal),
            Outcome::NotSent(_) | Outcome::Unknown => panic!("an answer that was read is neither"),
        }
    }

    pub fn heir(&self, stored: Stored, parent: u8) -> Heir {
        is_heir(&self.grant(stored), i64::from(parent))
    }

    pub fn renew(&self, stored: &mut Stored, token: Token) {
        let facts = Facts::of(&self.credential(token), &self.traits);
        self.by(stored, |rules, grant| rules.renewed(grant, &facts, false));
        stored.token = token;
    }

    pub fn connect(&self, stored: &mut Stored, token: Token) {
        let facts = Facts::of(&self.credential(token), &self.traits);
        self.by(stored, |rules, grant| rules.connected(grant, &facts, &View::default()));
        stored.token = token;
    }

    pub fn refuse(&self, stored: &mut Stored, refusal: Refusal, proof: Proof) {
        self.by(stored, |rules, grant| rules.refused(grant, refusal, proof));
    }

    pub fn trouble(&self, stored: &mut Stored, refusal: Refusal) {
        self.by(stored, |rules, grant| rules.troubled(grant, refusal));
    }

    pub fn detach(&self, stored: &mut Stored, left: i64) {
        self.by(stored, |rules, grant| rules.detached(grant, left));
        if stored.state == State::Revoked {
            stored.token = 0;
        }
    }

    /// The platform announced that the person withdrew the grant.
    pub fn withdraw(&self, stored: &mut Stored) {
        let refusal = Refusal::new(ErrorClass::Revoked, "withdrawn", "");
        self.by(stored, |rules, grant| rules.withdrawn(grant, refusal));
    }

    /// True when the end has come.
    pub fn expire(&self, stored: &mut Stored, open: bool) -> bool {
        self.by(stored, |rules, grant| rules.expire(grant, open)).is_some()
    }
}
