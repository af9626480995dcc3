//! What can go wrong in accounts, and what callers are told of it.

use std::time::Duration;

use kit::{Code, Failure, db};

/// Why an RPC did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Unknown id, or one of another workspace: both look the same.
    #[error("no such account")]
    AccountNotFound,
    /// Unknown connect session or notification, or one of another workspace or person.
    #[error("not found")]
    NotFound,
    /// The account's version is not the one that the caller saw.
    #[error("changed meanwhile")]
    Changed,
    /// The session is not in a state that allows it.
    #[error("connect session is over or busy")]
    SessionState,
    /// The session's ten minutes passed.
    #[error("connect session expired")]
    SessionExpired,
    /// The callback does not belong to a session of this browser and person.
    #[error("oauth state mismatch")]
    StateMismatch,
    /// A refusal that carries its own words, of ours or of another service.
    #[error("{0}")]
    Refused(#[from] Failure),
    /// The database did not do it.
    #[error("the database failed")]
    Database(#[from] db::Error),
    /// A stored row cannot be read.
    #[error("stored {0} cannot be read")]
    Corrupt(&'static str),
}

impl Error {
    /// True when trying again later may help: nothing was refused.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(_) => true,
            Self::Refused(failure) => is_transient(failure),
            _ => false,
        }
    }
}

/// True for failures that say nothing about the request itself.
pub fn is_transient(failure: &Failure) -> bool {
    matches!(
        failure.code,
        Code::Unavailable | Code::DeadlineExceeded | Code::Internal | Code::RateLimited
    )
}

impl db::Cause for Error {
    fn database(&self) -> Option<&db::Error> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}

impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        Self::Refused(Failure::from_status(&status))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::AccountNotFound => Self::new(Code::AccountNotFound, "There is no such account in this workspace."),
            Error::NotFound => Self::new(Code::NotFound, "There is no such thing in this workspace."),
            Error::Changed => Self::new(
                Code::PreconditionFailed,
                "The account changed meanwhile; look at it again.",
            ),
            Error::SessionState => Self::new(
                Code::ConnectSessionState,
                "The connection attempt is not at this point.",
            ),
            Error::SessionExpired => Self::new(
                Code::ConnectSessionExpired,
                "The connection attempt expired; start again.",
            ),
            Error::StateMismatch => Self::new(
                Code::OauthStateMismatch,
                "This sign-in was not started here, or is over; start again.",
            ),
            Error::Refused(failure) => failure,
            Error::Database(cause) => {
                tracing::error!(%cause, "database");
                if db::is_unreachable(&cause) || db::is_contention(&cause) {
                    return Self::new(Code::Unavailable, "The database does not answer.")
                        .retry_after(Duration::from_secs(2));
                }
                Self::new(Code::Internal, "Something went wrong on our side.")
            }
            Error::Corrupt(what) => {
                tracing::error!(what, "a stored row cannot be read");
                Self::new(Code::Internal, "Something went wrong on our side.")
            }
        }
    }
}

impl From<Error> for tonic::Status {
    fn from(error: Error) -> Self {
        Failure::from(error).into()
    }
}
