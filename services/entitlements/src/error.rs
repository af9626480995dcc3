//! What can go wrong with plans and slots, and what callers are told of it.

use kit::{Code, Failure, db};

/// Why an RPC did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Every slot is held.
    #[error("{used} of {limit} accounts are used")]
    LimitReached {
        /// Most accounts of the plan.
        limit: i64,
        /// Accounts that hold a slot.
        used: i64,
    },
    /// A better plan has the platform.
    #[error("{platform} needs the plan {required_plan}")]
    PlatformLocked {
        /// Platform id.
        platform: String,
        /// Cheapest plan that has it.
        required_plan: String,
    },
    /// Not connectable on any plan yet.
    #[error("{0} is coming soon")]
    ComingSoon(String),
    /// No plan names the platform.
    #[error("unknown platform")]
    UnknownPlatform,
    /// The catalogue has no such plan.
    #[error("unknown plan")]
    UnknownPlan,
    /// An account that has no slot in the workspace.
    #[error("no such account")]
    AccountNotFound,
    /// The caller or the request is refused before anything is looked up.
    #[error("{0}")]
    Refused(#[from] Failure),
    /// The database did not do it.
    #[error("the database failed")]
    Database(#[from] db::Error),
}

impl db::Cause for Error {
    fn database(&self) -> Option<&db::Error> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::LimitReached { limit, used } => Self::new(
                Code::AccountLimitReached,
                format!("The plan's limit is reached: {used} of {limit} social accounts are in use."),
            )
            .param("limit", limit)
            .param("used", used),
            Error::PlatformLocked {
                platform,
                required_plan,
            } => Self::new(
                Code::PlanPlatformLocked,
                "The platform is not part of the workspace's plan.",
            )
            .param("platform", platform)
            .param("required_plan", required_plan),
            Error::ComingSoon(platform) => {
                Self::new(Code::PlatformComingSoon, "The platform cannot be connected yet.").param("platform", platform)
            }
            Error::UnknownPlatform => Self::invalid("/platform", "There is no such platform."),
            Error::UnknownPlan => Self::invalid("/plan", "There is no such plan."),
            Error::AccountNotFound => Self::new(Code::AccountNotFound, "There is no such account."),
            Error::Refused(failure) => failure,
            Error::Database(cause) => {
                tracing::error!(%cause, "database");
                if db::is_unreachable(&cause) {
                    return Self::new(Code::Unavailable, "The database does not answer.")
                        .retry_after(std::time::Duration::from_secs(2));
                }
                Self::new(Code::Internal, "Plans could not be read or changed.")
            }
        }
    }
}

impl From<Error> for tonic::Status {
    fn from(error: Error) -> Self {
        Failure::from(error).into()
    }
}
