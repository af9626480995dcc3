//! What can go wrong in this service, and what callers are told of it. Refusals of a platform that an RPC returns as data
//! (`PlatformError`) are not errors; they become one where the RPC has nothing else to return.

use std::time::Duration;

use kit::{Code, Failure, seal};
use proto::common::v1::{ErrorClass, PlatformError};

/// Why an RPC did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connector, account or capability of that name.
    #[error("{0}")]
    Refused(#[from] Failure),
    /// The sealed proof key of a connect session does not open.
    #[error("the sealed proof key does not open: {0}")]
    Seal(#[from] seal::Error),
    /// A platform refused, or did not answer.
    #[error("{platform}: {} {}", error.code, error.message)]
    Platform {
        /// Title of the platform.
        platform: &'static str,
        /// What it said.
        error: PlatformError,
    },
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(failure) => failure,
            Error::Seal(error) => {
                tracing::error!(%error, "a sealed proof key does not open");
                Self::new(Code::ValidationFailed, "this sign-in cannot be completed; start again")
            }
            Error::Platform { platform, error } => refusal(platform, &error),
        }
    }
}

impl From<Error> for tonic::Status {
    fn from(error: Error) -> Self {
        Failure::from(error).into()
    }
}

/// A platform's refusal in plain words, with its class and code as parameters.
fn refusal(platform: &str, error: &PlatformError) -> Failure {
    let class = error.class();
    let (code, sentence) = match class {
        ErrorClass::Expired => (
            Code::TokenUnavailable,
            "the connection has expired; reconnect the account",
        ),
        ErrorClass::Revoked => (Code::TokenUnavailable, "access was removed; reconnect the account"),
        ErrorClass::PasswordChanged => (
            Code::TokenUnavailable,
            "the password was changed; reconnect the account",
        ),
        ErrorClass::Checkpoint => (
            Code::TokenUnavailable,
            "the person has to confirm their identity there first",
        ),
        ErrorClass::RoleLost => (
            Code::TokenUnavailable,
            "the person who connected it no longer has the role that is needed",
        ),
        ErrorClass::PermissionMissing => (
            Code::PermissionsDenied,
            "a permission is missing; reconnect and allow it",
        ),
        ErrorClass::RateLimited => (Code::PlatformRateLimited, "too many calls for now; try again later"),
        ErrorClass::AccountRestricted => (Code::PlatformRefused, "the account is restricted there"),
        ErrorClass::AppMisconfigured => (
            Code::PlatformRefused,
            "our app is refused; the operator has to look at it",
        ),
        ErrorClass::NotFound => (
            Code::PlatformRefused,
            "it does not exist there, or not for this account",
        ),
        ErrorClass::InvalidRequest => (Code::PlatformRefused, "the content was refused"),
        _ => (Code::PlatformUnavailable, "the platform did not do it; try again later"),
    };
    let said = if error.message.is_empty() {
        String::new()
    } else {
        format!(" ({})", error.message)
    };
    let failure = Failure::new(code, format!("{platform}: {sentence}{said}"))
        .param(
            "class",
            class.as_str_name().trim_start_matches("ERROR_CLASS_").to_lowercase(),
        )
        .param("platform_code", &error.code);
    match error.retry_after_ms {
        Some(wait) => failure.retry_after(Duration::from_millis(wait.unsigned_abs())),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_in_plain_words_what_to_do() {
        let error = PlatformError {
            class: ErrorClass::PermissionMissing.into(),
            code: "200".into(),
            ..PlatformError::default()
        };
        let failure = Failure::from(Error::Platform {
            platform: "Facebook",
            error,
        });
        assert_eq!(failure.code, Code::PermissionsDenied);
        assert_eq!(
            failure.detail,
            "Facebook: a permission is missing; reconnect and allow it"
        );
        assert_eq!(failure.params["class"], "permission_missing");
    }
}
