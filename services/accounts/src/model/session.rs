//! A connect session as it is stored and shown, and the small facts in it.

use std::collections::BTreeMap;

use kit::{Code, Failure};
use proto::accounts::v1 as pb;
use proto::common::v1::{ErrorClass, PlatformError};
use proto::platforms::v1::Destination;
use serde::{Deserialize, Serialize};

/// A row of `sessions`. No `Debug`: it has what a callback is matched with.
#[derive(Clone, Default, sqlx::FromRow)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) workspace_id: String,
    pub(crate) state_hash: String,
    pub(crate) browser_hash: String,
    pub(crate) user_id: String,
    pub(crate) user_name: String,
    pub(crate) intent: String,
    pub(crate) platform: String,
    pub(crate) connector: String,
    pub(crate) account_ids: String,
    pub(crate) channel: String,
    pub(crate) return_to: String,
    pub(crate) redirect_uri: String,
    pub(crate) sealed_verifier: Vec<u8>,
    pub(crate) status: String,
    pub(crate) created_at_ms: i64,
    pub(crate) expires_at_ms: i64,
    pub(crate) step: String,
    pub(crate) completion_until_ms: i64,
    pub(crate) destinations: String,
    pub(crate) picks: String,
    pub(crate) skipped: String,
    pub(crate) results: String,
    pub(crate) problem: String,
    pub(crate) discard_due: i64,
    pub(crate) release_due: i64,
}

/// One place that the sign-in reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The platform's id; also what a person picks it by.
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) display_name: String,
    pub(crate) username: String,
    pub(crate) avatar_url: String,
    pub(crate) can_publish: bool,
    /// The account that it already is, if it is.
    pub(crate) account_id: String,
}

impl Place {
    pub(crate) fn new(found: &Destination, account_id: String) -> Self {
        Self {
            id: found.platform_account_id.clone(),
            kind: found.kind.clone(),
            display_name: found.display_name.clone(),
            username: found.username.clone(),
            avatar_url: found.avatar_url.clone(),
            can_publish: found.can_publish,
            account_id,
        }
    }
}

/// Why a session failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    pub(crate) code: String,
    pub(crate) detail: String,
    pub(crate) params: BTreeMap<String, String>,
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self {
            code: failure.code.slug().into(),
            detail: failure.detail,
            params: failure.params,
        }
    }
}

impl From<crate::error::Error> for Problem {
    fn from(error: crate::error::Error) -> Self {
        Failure::from(error).into()
    }
}

/// What a platform's refusal to exchange means for the person.
pub(crate) fn exchange_problem(error: &PlatformError, missing: &[String]) -> Problem {
    let failure = match error.class() {
        ErrorClass::PermissionMissing => denied(missing),
        ErrorClass::UserDenied => Failure::new(Code::OauthDenied, "The sign-in was cancelled at the platform."),
        ErrorClass::BadCode | ErrorClass::InvalidRequest => Failure::new(
            Code::OauthDenied,
            "The platform did not accept the sign-in; start again.",
        ),
        ErrorClass::RateLimited => Failure::new(Code::PlatformRateLimited, "The platform is busy; try again later."),
        ErrorClass::Checkpoint | ErrorClass::AccountRestricted => Failure::new(
            Code::PlatformRefused,
            "The platform wants the person to confirm their identity there first.",
        ),
        _ => Failure::new(
            Code::PlatformUnavailable,
            "The platform could not finish the sign-in; try again.",
        ),
    };
    let failure = if error.code.is_empty() {
        failure
    } else {
        failure.param("platform_code", &error.code)
    };
    failure.into()
}

/// So much was declined that nothing can be connected.
pub(crate) fn denied(missing: &[String]) -> Failure {
    Failure::new(
        Code::PermissionsDenied,
        "Permissions that are needed were declined at the platform.",
    )
    .param("missing", missing.join(","))
}

impl Session {
    pub(crate) fn is_native(&self) -> bool {
        self.channel == "native"
    }

    pub(crate) fn is_reconnect(&self) -> bool {
        self.intent == "reconnect"
    }

    pub(crate) fn account_ids(&self) -> Vec<String> {
        list(&self.account_ids)
    }

    pub(crate) fn results(&self) -> Vec<String> {
        list(&self.results)
    }

    pub(crate) fn picks(&self) -> Vec<String> {
        list(&self.picks)
    }

    pub(crate) fn places(&self) -> Vec<Place> {
        list(&self.destinations)
    }

    /// The session as others see it; `accounts` are those it connected.
    pub(crate) fn view(&self, accounts: Vec<pb::Account>) -> pb::ConnectSession {
        let choosing = self.status == "choosing";
        let problem = serde_json::from_str::<Problem>(&self.problem).ok();
        pb::ConnectSession {
            id: self.id.clone(),
            workspace_id: self.workspace_id.clone(),
            intent: intent(&self.intent).into(),
            platform: self.platform.clone(),
            connector: self.connector.clone(),
            account_ids: self.account_ids(),
            channel: channel(&self.channel).into(),
            return_to: self.return_to.clone(),
            status: status(&self.status).into(),
            created_at_ms: self.created_at_ms,
            expires_at_ms: self.expires_at_ms,
            destinations: if choosing {
                self.places().into_iter().map(Into::into).collect()
            } else {
                Vec::new()
            },
            accounts,
            problem: problem.map(|problem| pb::Problem {
                code: problem.code,
                detail: problem.detail,
                params: problem.params.into_iter().collect(),
            }),
            skipped: list(&self.skipped),
        }
    }
}

impl From<Place> for pb::SessionDestination {
    fn from(place: Place) -> Self {
        Self {
            id: place.id,
            kind: place.kind,
            display_name: place.display_name,
            username: place.username,
            avatar_url: place.avatar_url,
            can_publish: place.can_publish,
            account_id: place.account_id,
        }
    }
}

fn list<T: for<'de> Deserialize<'de>>(json: &str) -> Vec<T> {
    serde_json::from_str(json).unwrap_or_default()
}

fn intent(text: &str) -> pb::Intent {
    if text == "reconnect" {
        pb::Intent::Reconnect
    } else {
        pb::Intent::Connect
    }
}

fn channel(text: &str) -> pb::Channel {
    match text {
        "native" => pb::Channel::Native,
        "redirect" => pb::Channel::Redirect,
        _ => pb::Channel::Popup,
    }
}

fn status(text: &str) -> pb::SessionStatus {
    match text {
        "pending" => pb::SessionStatus::Pending,
        "authorizing" => pb::SessionStatus::Authorizing,
        "choosing" => pb::SessionStatus::Choosing,
        "completed" => pb::SessionStatus::Completed,
        "cancelled" => pb::SessionStatus::Cancelled,
        "expired" => pb::SessionStatus::Expired,
        _ => pb::SessionStatus::Failed,
    }
}

/// JSON of a list, for a column.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
