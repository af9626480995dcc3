//! What can go wrong in tokens, and as what others see it.

use std::time::Duration;

use kit::{Code, Failure, db};
use proto::common::v1::ErrorClass;

use crate::model::Refusal;

/// Everything that can go wrong here. Causes stay inside the process; others see a [`Failure`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database did not do it.
    #[error("database: {0}")]
    Database(#[from] db::Error),
    /// A sealed record does not open, or could not be made.
    #[error("sealed record: {0}")]
    Sealed(#[from] kit::seal::Error),
    /// A sealed record holds something else than it should.
    #[error("a sealed record cannot be read")]
    Unreadable,
    /// No such account on a grant of this workspace.
    #[error("no such account")]
    NoSuchAccount,
    /// No such exchange in this workspace.
    #[error("no such connect session")]
    NoSuchSession,
    /// The exchange is not where this call needs it.
    #[error("the exchange is {0}")]
    SessionState(String),
    /// The destination was not among those discovered.
    #[error("no such destination in this session")]
    NoSuchDestination,
    /// The grant's platform has nothing to refresh now.
    #[error("not refreshable: {0}")]
    NotRefreshable(&'static str),
    /// The grant needs the person.
    #[error("the grant is dead")]
    Dead(Refusal),
    /// There is no working token now, and there may be one soon.
    #[error("no token at the moment")]
    NoTokenNow(Option<Refusal>),
    /// Reads cannot be audited, so there are none.
    #[error("the audit cannot be written")]
    AuditClosed,
    /// platforms does not answer, or refused the call.
    #[error("platforms: {0}")]
    Platforms(Box<Failure>),
    /// No connector of this name.
    #[error("no connector {0:?}")]
    NoSuchConnector(String),
    /// The process is ending and begins nothing new.
    #[error("ending")]
    Draining,
    /// It goes on in the background; the caller's time is over.
    #[error("it takes longer than the caller waits")]
    TooSlow,
    /// Something about the request.
    #[error("{0}")]
    Request(Failure),
}

impl db::Cause for Error {
    fn database(&self) -> Option<&db::Error> {
        if let Self::Database(error) = self {
            Some(error)
        } else {
            None
        }
    }
}

impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        Self::Platforms(Box::new(Failure::from_status(&status)))
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Request(failure)
    }
}

/// The class of a refusal in a word, for logs, metrics and the `class` of an error.
pub fn reason(refusal: &Refusal) -> String {
    refusal
        .class()
        .as_str_name()
        .trim_start_matches("ERROR_CLASS_")
        .to_lowercase()
}

/// Why a grant is dead, in the closed list of reasons that health shows for it.
fn health_reason(refusal: &Refusal) -> &'static str {
    match refusal.class() {
        ErrorClass::Expired => "token_expired",
        ErrorClass::Revoked | ErrorClass::NotFound | ErrorClass::PasswordChanged => "access_revoked",
        ErrorClass::Checkpoint | ErrorClass::AccountRestricted => "platform_checkpoint",
        ErrorClass::PermissionMissing => "permission_missing",
        ErrorClass::RoleLost => "platform_role_lost",
        _ => "refresh_failed",
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let soon = Duration::from_secs(2);
        match error {
            Error::Request(failure) => failure,
            Error::NoSuchAccount => Self::new(Code::AccountNotFound, "no such account"),
            Error::NoSuchSession => Self::new(Code::NotFound, "no such connect session"),
            Error::NoSuchDestination => {
                Self::invalid("/attachments", "names a destination that this sign-in does not reach")
            }
            Error::SessionState(state) => {
                Self::new(Code::ConnectSessionState, format!("the sign-in is {state}")).param("state", state)
            }
            Error::NotRefreshable(why) => Self::new(Code::PlatformNotRefreshable, why),
            Error::NoSuchConnector(name) => Self::invalid("/connector", format!("there is no connector {name:?}")),
            Error::Dead(refusal) => {
                let failure = Self::new(Code::TokenUnavailable, "the account has to be reconnected")
                    .param("reason", health_reason(&refusal))
                    .param("class", reason(&refusal));
                if refusal.code.is_empty() {
                    failure
                } else {
                    failure.param("platform_code", refusal.code)
                }
            }
            Error::NoTokenNow(refusal) => {
                let failure = Self::new(
                    Code::PlatformUnavailable,
                    "the token could not be renewed at the moment",
                )
                .retry_after(soon * 15);
                match refusal {
                    Some(refusal) => failure.param("class", reason(&refusal)),
                    None => failure,
                }
            }
            Error::AuditClosed => {
                Self::new(Code::Unavailable, "token reads cannot be audited at the moment").retry_after(soon)
            }
            Error::Platforms(failure) => {
                tracing::warn!(reason = failure.code.reason(), "platforms did not answer");
                Self::new(Code::Unavailable, "a part of the hub is not reachable").retry_after(soon)
            }
            Error::Draining => Self::new(Code::Unavailable, "this process is ending").retry_after(soon),
            Error::TooSlow => Self::new(Code::DeadlineExceeded, "it goes on in the background").retry_after(soon),
            Error::Database(error) if db::is_unreachable(&error) => {
                tracing::warn!(%error, "the database cannot be reached");
                Self::new(Code::Unavailable, "a part of the hub is not reachable").retry_after(soon)
            }
            Error::Database(_) | Error::Sealed(_) | Error::Unreadable => {
                tracing::error!(%error, "call failed");
                Self::new(Code::Internal, "something went wrong on our side")
            }
        }
    }
}

impl From<Error> for tonic::Status {
    fn from(error: Error) -> Self {
        Failure::from(error).into()
    }
}
