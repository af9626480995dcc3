//! Grants as the engine reasons about them: plain data and pure rules, the time passed in, no tokens and no I/O.
//!
//! `attempt` says who may refresh, `answer` what an answer means, `change` what becomes of a grant, `schedule` when it is
//! due. The same functions run in the service, in its tests and in a model of the protocol.

pub mod answer;
pub mod attempt;
pub mod change;
pub mod schedule;
pub mod sight;

#[cfg(test)]
mod change_tests;

use proto::common::v1::{ErrorClass, PlatformError};
use proto::platforms::v1 as platforms;
use proto::platforms::v1::Renewal;
use proto::tokens::v1 as pb;

/// Where a grant is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Works as far as we know.
    Active,
    /// Refused once, not confirmed; still handed out while valid.
    Suspect,
    /// Needs the person.
    Dead,
    /// Disconnected; holds no credential.
    Revoked,
}

impl State {
    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspect => "suspect",
            Self::Dead => "dead",
            Self::Revoked => "revoked",
        }
    }

    /// The reverse of [`State::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Suspect, Self::Dead, Self::Revoked]
            .into_iter()
            .find(|state| state.as_str() == text)
    }

    /// True while a credential may be used.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Active | Self::Suspect)
    }
}

/// What a platform said when it did not do what was asked. Carries no secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Refusal {
    class: i32,
    /// The platform's own code.
    pub code: String,
    /// One sentence for an operator.
    pub message: String,
    /// How long the platform asked us to wait; 0 = it did not.
    pub retry_after_ms: i64,
}

impl Refusal {
    /// Code of a call that never left: no connection, or nobody to make it.
    pub const NOT_SENT: &str = "not_sent";
    /// Code of a call that we held back ourselves.
    pub const HELD_BACK: &str = "held_back";

    /// The platform was not asked: free, and no reason to wait longer the next time.
    pub fn is_unsent(&self) -> bool {
        self.code == Self::NOT_SENT || self.code == Self::HELD_BACK
    }

    /// A refusal of our own making.
    pub fn new(class: ErrorClass, code: &str, message: &str) -> Self {
        Self {
            class: class.into(),
            code: code.to_owned(),
            message: message.to_owned(),
            retry_after_ms: 0,
        }
    }

    /// The same, with a wait that was asked for.
    #[must_use]
    pub fn retry_after(self, retry_after_ms: i64) -> Self {
        Self { retry_after_ms, ..self }
    }

    /// The class; what this version does not know counts as trouble that says nothing.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::try_from(self.class).unwrap_or(ErrorClass::Transient)
    }
}

impl From<PlatformError> for Refusal {
    fn from(error: PlatformError) -> Self {
        let retry_after_ms = error.retry_after_ms.unwrap_or(0);
        Self {
            class: error.class,
            code: error.code,
            message: error.message,
            retry_after_ms,
        }
    }
}

impl From<Refusal> for PlatformError {
    fn from(refusal: Refusal) -> Self {
        Self {
            class: refusal.class,
            code: refusal.code,
            message: refusal.message,
            retry_after_ms: (refusal.retry_after_ms > 0).then_some(refusal.retry_after_ms),
        }
    }
}

/// What a connector is like: the engine branches on this, never on a name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "independent facts of a platform, as in platforms.proto"
)]
pub struct Traits {
    /// Used when a token reply does not say.
    pub renewal: Renewal,
    /// A refresh without an answer may be sent again without harm.
    pub repeatable_refresh: bool,
    /// Youngest age at which a token may be refreshed.
    pub min_refresh_age_ms: i64,
    /// Renewed ahead of its end and announced; else lazily and silently.
    pub announced_refresh: bool,
    /// Several accounts hang on one grant, and revoking it ends all grants of the person.
    pub shared_grant: bool,
    /// The platform has a call that revokes.
    pub revocable: bool,
    /// Scopes that an account must not miss, with the kinds of destination that need them (empty = all).
    pub required_scopes: Vec<(String, Vec<String>)>,
}

impl From<&platforms::Connector> for Traits {
    fn from(connector: &platforms::Connector) -> Self {
        Self {
            renewal: connector.renewal(),
            repeatable_refresh: connector.repeatable_refresh,
            min_refresh_age_ms: connector.min_refresh_age_ms,
            announced_refresh: connector.announced_refresh,
            shared_grant: connector.shared_grant,
            revocable: connector.revocable,
            required_scopes: connector
                .scopes
                .iter()
                .filter(|scope| scope.required)
                .map(|scope| (scope.name.clone(), scope.kinds.clone()))
                .collect(),
        }
    }
}

/// How patient and how eager the hub is: configuration as milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How often a grant is checked at its platform.
    pub check_interval_ms: i64,
    /// How long before its end a token is renewed ahead.
    pub refresh_window_ms: i64,
    /// Refusals that make a grant dead.
    pub refresh_attempts: i64,
    /// Time between refused attempts; shrinks when the end is near.
    pub attempt_spacing_ms: i64,
    /// When another process's attempt is taken over, where a refresh may be repeated.
    pub takeover_repeatable_ms: i64,
    /// The same where refresh tokens are single use.
    pub takeover_single_use_ms: i64,
    /// How long an attempt may take.
    pub refresh_deadline_ms: i64,
}

/// What a credential says about itself, without its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// How it is kept alive.
    pub renewal: Renewal,
    /// It can be renewed by something other than its access token.
    pub has_refresh_token: bool,
    /// Of the access token.
    pub issued_at_ms: i64,
    /// 0 = no end.
    pub access_expires_at_ms: i64,
    /// 0 = unknown.
    pub refresh_expires_at_ms: i64,
    /// Empty = the reply does not say.
    pub scopes: Vec<String>,
}

impl Facts {
    /// The facts of a credential; a renewal that it does not name is the connector's.
    pub fn of(credential: &platforms::Credential, traits: &Traits) -> Self {
        let renewal = match credential.renewal() {
            Renewal::Unspecified => traits.renewal,
            renewal => renewal,
        };
        Self {
            renewal,
            has_refresh_token: !credential.refresh_token.is_empty(),
            issued_at_ms: credential.issued_at_ms,
            access_expires_at_ms: credential.access_expires_at_ms,
            refresh_expires_at_ms: credential.refresh_expires_at_ms,
            scopes: credential.scopes.clone(),
        }
    }
}

/// A grant without its credential. Times are unix milliseconds, 0 = none or unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as in tokens.proto, which documents them")]
pub struct Grant {
    pub id: String,
    pub workspace_id: String,
    pub connector: String,
    pub platform_user_id: String,
    pub user_name: String,
    pub generation: i64,
    pub version: i64,
    pub state: State,
    pub renewal: Renewal,
    pub has_refresh_token: bool,
    pub issued_at_ms: i64,
    pub access_expires_at_ms: i64,
    pub refresh_expires_at_ms: i64,
    pub data_access_expires_at_ms: i64,
    pub granted_scopes: Vec<String>,
    pub dead: Option<Refusal>,
    pub last_error: Option<Refusal>,
    /// Counted refusals since the last success.
    pub refusals: i64,
    /// Troubles that say nothing, in a row.
    pub troubles: i64,
    pub last_attempt_at_ms: i64,
    pub last_refreshed_at_ms: i64,
    pub next_refresh_at_ms: i64,
    pub checked_at_ms: i64,
    pub next_check_at_ms: i64,
    pub check_delayed: bool,
    /// Tokens of single destinations are to be derived anew.
    pub derive_pending: bool,
    pub connected_at_ms: i64,
    /// The earliest of all that is to be done; `None` = never anything.
    pub next_due_at_ms: Option<i64>,
}

impl Grant {
    /// The contract's form, with the accounts that hang on the grant.
    pub fn message(&self, accounts: Vec<pb::GrantAccount>) -> pb::Grant {
        let state = match self.state {
            State::Active => pb::GrantState::Active,
            State::Suspect => pb::GrantState::Suspect,
            State::Dead => pb::GrantState::Dead,
            State::Revoked => pb::GrantState::Revoked,
        };
        pb::Grant {
            grant_id: self.id.clone(),
            workspace_id: self.workspace_id.clone(),
            connector: self.connector.clone(),
            platform_user_id: self.platform_user_id.clone(),
            user_name: self.user_name.clone(),
            generation: self.generation,
            version: self.version,
            state: state.into(),
            dead: self.dead.clone().map(Into::into),
            renewal: self.renewal.into(),
            access_expires_at_ms: self.access_expires_at_ms,
            refresh_expires_at_ms: self.refresh_expires_at_ms,
            last_refreshed_at_ms: self.last_refreshed_at_ms,
            next_refresh_at_ms: self.next_refresh_at_ms,
            failed_attempts: i32::try_from(self.refusals).unwrap_or(i32::MAX),
            last_error: self.last_error.clone().map(Into::into),
            granted_scopes: self.granted_scopes.clone(),
            checked_at_ms: self.checked_at_ms,
            check_delayed: self.check_delayed,
            data_access_expires_at_ms: self.data_access_expires_at_ms,
            accounts,
            connected_at_ms: self.connected_at_ms,
        }
    }

    /// The access token's end has passed.
    pub fn access_ended(&self, now: i64) -> bool {
        self.access_expires_at_ms > 0 && self.access_expires_at_ms <= now
    }

    /// How long the access token lives in all; `None` = for ever.
    pub fn lifetime_ms(&self) -> Option<i64> {
        (self.access_expires_at_ms > 0).then(|| (self.access_expires_at_ms - self.issued_at_ms).max(0))
    }
}

/// Evenly spread, the same for the same key: jitter that a test can repeat.
pub fn spread(key: &str, below: i64) -> i64 {
    let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // The low bits of FNV are the weak ones.
    i64::try_from((hash >> 16) % u64::try_from(below.max(1)).unwrap_or(1)).unwrap_or(0)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::schedule::DAY_MS;
    use super::*;

    /// When everything in the tests of the model begins.
    pub(crate) const NOW: i64 = 1_790_000_000_000;

    pub(crate) fn policy() -> Policy {
        Policy {
            check_interval_ms: 3_600_000,
            refresh_window_ms: 7 * DAY_MS,
            refresh_attempts: 3,
            attempt_spacing_ms: DAY_MS,
            takeover_repeatable_ms: 120_000,
            takeover_single_use_ms: 900_000,
            refresh_deadline_ms: 60_000,
        }
    }

    /// A connector like Facebook's.
    pub(crate) fn exchange() -> Traits {
        Traits {
            renewal: Renewal::Exchange,
            repeatable_refresh: true,
            min_refresh_age_ms: 0,
            announced_refresh: true,
            shared_grant: true,
            revocable: true,
            required_scopes: Vec::new(),
        }
    }

    /// A connector like X's.
    pub(crate) fn rotating() -> Traits {
        let traits = Traits {
            renewal: Renewal::Rotating,
            repeatable_refresh: false,
            ..exchange()
        };
        Traits {
            announced_refresh: false,
            shared_grant: false,
            ..traits
        }
    }

    /// A grant of [`exchange`], connected now for 60 days.
    pub(crate) fn grant() -> Grant {
        Grant {
            id: "grt_1".into(),
            workspace_id: "demo".into(),
            connector: "facebook".into(),
            platform_user_id: "900".into(),
            user_name: "Ada".into(),
            generation: 1,
            version: 1,
            state: State::Active,
            renewal: Renewal::Exchange,
            has_refresh_token: false,
            issued_at_ms: NOW,
            access_expires_at_ms: NOW + 60 * DAY_MS,
            refresh_expires_at_ms: 0,
            data_access_expires_at_ms: 0,
            granted_scopes: vec!["a".into()],
            dead: None,
            last_error: None,
            refusals: 0,
            troubles: 0,
            last_attempt_at_ms: 0,
            last_refreshed_at_ms: 0,
            next_refresh_at_ms: 0,
            checked_at_ms: NOW,
            next_check_at_ms: 0,
            check_delayed: false,
            derive_pending: false,
            connected_at_ms: NOW,
            next_due_at_ms: None,
        }
    }

    /// A grant of [`rotating`], connected now for two hours.
    pub(crate) fn rotating_grant() -> Grant {
        let grant = Grant {
            renewal: Renewal::Rotating,
            has_refresh_token: true,
            ..grant()
        };
        Grant {
            access_expires_at_ms: NOW + 7_200_000,
            ..grant
        }
    }

    #[test]
    fn states_are_stored_by_name() {
        for state in [State::Active, State::Suspect, State::Dead, State::Revoked] {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        assert_eq!(State::parse("zombie"), None);
    }
}
