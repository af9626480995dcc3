//! One list of everything that can go wrong, owning both the gRPC code and the HTTP status, and one place each that builds
//! a gRPC status from it and reads it back.

use std::collections::BTreeMap;
use std::time::Duration;

use tonic_types::{ErrorDetails, StatusExt};

const DOMAIN: &str = "socializioz";

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $reason:literal $slug:literal $grpc:ident $http:literal $title:literal;)*) => {
        /// What went wrong, in the terms of the HTTP API's problem types.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// All codes, for documents and tests.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// `ErrorInfo.reason` of the gRPC status.
            pub fn reason(self) -> &'static str { match self { $(Self::$name => $reason,)* } }

            /// Last segment of the problem's type URI.
            pub fn slug(self) -> &'static str { match self { $(Self::$name => $slug,)* } }

            /// Title of the problem: the same for every occurrence.
            pub fn title(self) -> &'static str { match self { $(Self::$name => $title,)* } }

            /// gRPC status code.
            pub fn grpc(self) -> tonic::Code { match self { $(Self::$name => tonic::Code::$grpc,)* } }

            /// HTTP status.
            pub fn http(self) -> u16 { match self { $(Self::$name => $http,)* } }

            /// The reverse of [`Code::reason`].
            pub fn from_reason(reason: &str) -> Option<Self> { match reason { $($reason => Some(Self::$name),)* _ => None } }
        }
    };
}

// A macro, because five matches over forty rows would drift; the table is the documentation.
codes! {
    /// Nobody is signed in, or the credentials are not valid.
    Unauthenticated "UNAUTHENTICATED" "unauthenticated" Unauthenticated 401 "Sign-in required";
    /// The person's role does not allow it.
    ForbiddenRole "FORBIDDEN_ROLE" "forbidden-role" PermissionDenied 403 "Your role does not allow this";
    /// A service called an RPC that is not for it.
    CallerNotAllowed "CALLER_NOT_ALLOWED" "caller-not-allowed" PermissionDenied 403 "This caller is not allowed";
    /// A request from another site.
    CrossSite "CROSS_SITE" "cross-site" PermissionDenied 403 "Request from another site";
    /// No such account, or not in a workspace of yours.
    AccountNotFound "ACCOUNT_NOT_FOUND" "account-not-found" NotFound 404 "No such account";
    /// No such thing, or not in a workspace of yours.
    NotFound "NOT_FOUND" "not-found" NotFound 404 "Not found";
    /// The path exists, the verb does not.
    MethodNotAllowed "METHOD_NOT_ALLOWED" "method-not-allowed" Unimplemented 405 "Method not allowed";
    /// The plan lacks the platform.
    PlanPlatformLocked "PLAN_PLATFORM_LOCKED" "plan-platform-locked" PermissionDenied 403 "Not in your plan";
    /// The platform cannot be connected yet.
    PlatformComingSoon "PLATFORM_COMING_SOON" "platform-coming-soon" FailedPrecondition 409 "Coming soon";
    /// The plan's maximum of accounts is reached.
    AccountLimitReached "ACCOUNT_LIMIT_REACHED" "account-limit-reached" ResourceExhausted 403 "Account limit reached";
    /// The account is locked since a downgrade.
    PlanLocked "PLAN_LOCKED" "plan-locked" FailedPrecondition 403 "Locked by the plan";
    /// The account is connected already.
    AlreadyConnected "ALREADY_CONNECTED" "already-connected" AlreadyExists 409 "Already connected";
    /// The social account belongs to another workspace's grant.
    ConnectedElsewhere "CONNECTED_ELSEWHERE" "connected-elsewhere" AlreadyExists 409 "Connected elsewhere";
    /// Somebody else signed in than the account belongs to.
    WrongPlatformAccount "WRONG_PLATFORM_ACCOUNT" "wrong-platform-account" FailedPrecondition 409 "Wrong account";
    /// So much was declined that not even the account is known.
    PermissionsDenied "PERMISSIONS_DENIED" "permissions-denied" FailedPrecondition 422 "Permissions were declined";
    /// Nothing that could be connected came out of the sign-in.
    NoDestinations "NO_DESTINATIONS" "no-destinations" FailedPrecondition 422 "Nothing to connect";
    /// The connect session is over.
    ConnectSessionExpired "CONNECT_SESSION_EXPIRED" "connect-session-expired" FailedPrecondition 410 "The connection attempt expired";
    /// The connect session is not in the state that this call needs.
    ConnectSessionState "CONNECT_SESSION_STATE" "connect-session-state" FailedPrecondition 409 "Not possible at this point";
    /// The callback does not belong to a session of this browser and person.
    OauthStateMismatch "OAUTH_STATE_MISMATCH" "oauth-state-mismatch" InvalidArgument 400 "The sign-in does not match";
    /// The callback came to another browser than the one that the session was started in.
    OauthOtherBrowser "OAUTH_OTHER_BROWSER" "oauth-other-browser" PermissionDenied 403 "Started in another browser";
    /// The person cancelled at the platform.
    OauthDenied "OAUTH_DENIED" "oauth-denied" InvalidArgument 400 "Cancelled at the platform";
    /// The platform does not answer, or answers nonsense.
    PlatformUnavailable "PLATFORM_UNAVAILABLE" "platform-unavailable" Unavailable 503 "The platform does not answer";
    /// The platform refused what was asked; the detail says why.
    PlatformRefused "PLATFORM_REFUSED" "platform-refused" FailedPrecondition 422 "The platform refused";
    /// The platform asked us to slow down.
    PlatformRateLimited "PLATFORM_RATE_LIMITED" "platform-rate-limited" ResourceExhausted 429 "The platform is busy";
    /// The platform's tokens are not refreshed on request.
    PlatformNotRefreshable "PLATFORM_NOT_REFRESHABLE" "platform-not-refreshable" FailedPrecondition 409 "Nothing to refresh";
    /// The platform lacks the capability.
    CapabilityNotSupported "CAPABILITY_NOT_SUPPORTED" "capability-not-supported" FailedPrecondition 409 "Not supported for this platform";
    /// POST without Idempotency-Key.
    IdempotencyKeyMissing "IDEMPOTENCY_KEY_MISSING" "idempotency-key-missing" InvalidArgument 400 "Idempotency-Key is missing";
    /// The key was used for another request.
    IdempotencyKeyReused "IDEMPOTENCY_KEY_REUSED" "idempotency-key-reused" InvalidArgument 422 "Idempotency-Key was used for another request";
    /// The first request with this key still runs.
    IdempotencyInProgress "IDEMPOTENCY_IN_PROGRESS" "idempotency-in-progress" Aborted 409 "The same request is in progress";
    /// If-Match does not match.
    PreconditionFailed "PRECONDITION_FAILED" "precondition-failed" FailedPrecondition 412 "Changed meanwhile";
    /// Too many requests.
    RateLimited "RATE_LIMITED" "rate-limited" ResourceExhausted 429 "Too many requests";
    /// The request cannot be read at all.
    BadRequest "BAD_REQUEST" "bad-request" InvalidArgument 400 "The request cannot be read";
    /// The request did not arrive in time.
    RequestTimeout "REQUEST_TIMEOUT" "request-timeout" DeadlineExceeded 408 "The request took too long to arrive";
    /// The request's body is larger than we read.
    PayloadTooLarge "PAYLOAD_TOO_LARGE" "payload-too-large" InvalidArgument 413 "The request is too large";
    /// The body is of a type that we do not read.
    UnsupportedMediaType "UNSUPPORTED_MEDIA_TYPE" "unsupported-media-type" InvalidArgument 415 "Send application/json";
    /// A field is wrong; `fields` say which and why.
    ValidationFailed "VALIDATION_FAILED" "validation-failed" InvalidArgument 422 "The request is not valid";
    /// The account has no working token; `reason` says why.
    TokenUnavailable "TOKEN_UNAVAILABLE" "token-unavailable" FailedPrecondition 409 "No working token";
    /// A part of the hub is down.
    Unavailable "UNAVAILABLE" "unavailable" Unavailable 503 "Temporarily unavailable";
    /// It took too long.
    DeadlineExceeded "DEADLINE_EXCEEDED" "deadline-exceeded" DeadlineExceeded 504 "It took too long";
    /// Our fault.
    Internal "INTERNAL" "internal" Internal 500 "Something went wrong on our side";
}

/// A failure as other services and people see it: nothing internal, nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Failure {
    /// What went wrong.
    pub code: Code,
    /// One sentence, safe to show.
    pub detail: String,
    /// Facts that a program needs: `limit`, `used`, `required_plan`, …
    pub params: BTreeMap<String, String>,
    /// Which fields are wrong and why: JSON pointer and sentence.
    pub fields: Vec<(String, String)>,
    /// When to try again.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A failure with a sentence that may be shown.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            params: BTreeMap::new(),
            fields: Vec::new(),
            retry_after: None,
        }
    }

    /// `ValidationFailed` for one field.
    pub fn invalid(pointer: impl Into<String>, why: impl Into<String>) -> Self {
        let why = why.into();
        Self::new(Code::ValidationFailed, why.clone()).field(pointer, why)
    }

    /// Adds a fact for programs.
    #[must_use]
    pub fn param(mut self, name: &str, value: impl ToString) -> Self {
        self.params.insert(name.to_owned(), value.to_string());
        self
    }

    /// Names a field that is wrong.
    #[must_use]
    pub fn field(mut self, pointer: impl Into<String>, why: impl Into<String>) -> Self {
        self.fields.push((pointer.into(), why.into()));
        self
    }

    /// Says when to try again.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Reads a failure back from a gRPC status. What has no reason of ours becomes the nearest code, without the foreign text.
    pub fn from_status(status: &tonic::Status) -> Self {
        let details = status.get_error_details();
        let known = details.error_info().filter(|info| info.domain == DOMAIN);
        let Some((info, code)) = known.and_then(|info| Some((info, Code::from_reason(&info.reason)?))) else {
            return Self::foreign(status);
        };
        Self {
            code,
            detail: status.message().to_owned(),
            params: info.metadata.clone().into_iter().collect(),
            fields: details
                .bad_request()
                .map(|bad| {
                    bad.field_violations
                        .iter()
                        .map(|v| (v.field.clone(), v.description.clone()))
                        .collect()
                })
                .unwrap_or_default(),
            retry_after: details.retry_info().and_then(|retry| retry.retry_delay),
        }
    }

    fn foreign(status: &tonic::Status) -> Self {
        // Not said by the other side: the connection broke under the call. Whether it was done nobody knows.
        let is_broken = std::error::Error::source(status).is_some();
        match status.code() {
            tonic::Code::Unknown | tonic::Code::Internal if is_broken => {
                Self::new(Code::Unavailable, "a part of the hub went away; try again")
                    .retry_after(Duration::from_secs(2))
            }
            tonic::Code::DeadlineExceeded | tonic::Code::Cancelled => {
                Self::new(Code::DeadlineExceeded, "a part of the hub did not answer in time")
            }
            tonic::Code::Unauthenticated => Self::new(Code::Unauthenticated, "the call was not authenticated"),
            tonic::Code::PermissionDenied => Self::new(Code::CallerNotAllowed, "the call was not allowed"),
            tonic::Code::Unavailable | tonic::Code::ResourceExhausted => {
                Self::new(Code::Unavailable, "a part of the hub is not reachable").retry_after(Duration::from_secs(2))
            }
            _ => Self::new(Code::Internal, "a part of the hub failed"),
        }
    }
}

impl From<tonic::Status> for Failure {
    fn from(status: tonic::Status) -> Self {
        Self::from_status(&status)
    }
}

impl From<Failure> for tonic::Status {
    fn from(failure: Failure) -> Self {
        let mut details = ErrorDetails::with_error_info(
            failure.code.reason(),
            DOMAIN,
            failure
                .params
                .clone()
                .into_iter()
                .collect::<std::collections::HashMap<_, _>>(),
        );
        for (field, why) in &failure.fields {
            details.add_bad_request_violation(field, why);
        }
        if failure.code == Code::AccountLimitReached {
            let subject = failure.params.get("workspace_id").cloned().unwrap_or_default();
            details.add_quota_failure_violation(subject, &failure.detail);
        }
        if let Some(wait) = failure.retry_after {
            details.set_retry_info(Some(wait));
        }
        Self::with_error_details(failure.code.grpc(), failure.detail, details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_survives_the_way_through_a_status() {
        let failure = Failure::new(Code::AccountLimitReached, "5 of 5 accounts are used")
            .param("limit", 5)
            .field("/platform", "no room")
            .retry_after(Duration::from_secs(3));
        let status = tonic::Status::from(failure.clone());
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
        assert_eq!(Failure::from_status(&status), failure);
    }

    #[test]
    fn a_foreign_status_gives_away_nothing_of_its_text() {
        let failure = Failure::from_status(&tonic::Status::internal("relation \"grants\" does not exist"));
        assert_eq!(failure.code, Code::Internal);
        assert!(!failure.detail.contains("grants"));
    }

    #[test]
    fn a_connection_that_breaks_under_a_call_is_no_failure_of_the_hub_itself() {
        let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let failure = Failure::from_status(&tonic::Status::from_error(Box::new(broken)));
        assert_eq!(failure.code, Code::Unavailable);
        assert!(failure.retry_after.is_some());
        assert_eq!(Failure::from_status(&tonic::Status::unknown("x")).code, Code::Internal);
    }

    #[test]
    fn reasons_and_slugs_are_the_same_words() {
        for code in Code::ALL {
            assert_eq!(code.reason().to_lowercase().replace('_', "-"), code.slug());
            assert_eq!(Code::from_reason(code.reason()), Some(*code));
        }
    }
}
