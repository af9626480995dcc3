//! What the answer to a refresh means, and what a renewed credential is made of.
//!
//! Nothing but an answer that says so counts as a refusal; silence is `Unknown`, never "failed". A reply that leaves a
//! refresh token out, or sends an empty one, keeps the old one.

use proto::common::v1::ErrorClass;
use proto::platforms::v1::{Credential, Delivery, InterpretResponse, Renewal, interpret_response};

use super::Refusal;

/// Weight of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Says that the grant is over; believed once something confirms it.
    Permanent,
    /// An answer that does not renew: counted.
    Counted,
    /// Says nothing about the grant: tried again, never counted.
    Trouble,
}

/// How heavy a class weighs when a refresh is refused.
pub fn weight(class: ErrorClass) -> Weight {
    match class {
        ErrorClass::Expired | ErrorClass::Revoked | ErrorClass::PasswordChanged | ErrorClass::Checkpoint => {
            Weight::Permanent
        }
        ErrorClass::PermissionMissing
        | ErrorClass::AccountRestricted
        | ErrorClass::NotFound
        | ErrorClass::InvalidRequest
        | ErrorClass::BadCode
        | ErrorClass::UserDenied
        | ErrorClass::RoleLost
        | ErrorClass::NotExtended => Weight::Counted,
        // Our own app's settings are never the person's fault.
        ErrorClass::AppMisconfigured | ErrorClass::RateLimited | ErrorClass::Transient | ErrorClass::Unspecified => {
            Weight::Trouble
        }
    }
}

/// What became of an attempt. No `Debug`: it may hold a credential.
pub enum Outcome {
    /// A new credential.
    Renewed(Credential),
    /// The platform answered and did not renew, or there was trouble.
    Refused(Refusal),
    /// Nothing was sent.
    NotSent(Refusal),
    /// Something may have reached the platform and no answer came.
    Unknown,
}

/// What is known about an attempt before its answer is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// There is an answer to read.
    Answered,
    /// Nothing left: free to try again.
    NotSent,
    /// No answer, and nothing is known.
    Unknown,
}

/// Reads how a call was delivered; what this version does not know is unknown.
pub fn arrival(delivery: Delivery) -> Arrival {
    match delivery {
        Delivery::Answered => Arrival::Answered,
        Delivery::NotSent | Delivery::HeldBack => Arrival::NotSent,
        Delivery::Unknown | Delivery::Unspecified => Arrival::Unknown,
    }
}

/// Judges an answer that was read. A "success" without an access token is no success.
pub fn judge(read: InterpretResponse, previous: &Credential) -> Outcome {
    match read.outcome {
        Some(interpret_response::Outcome::Renewed(new)) if !new.access_token.is_empty() => {
            Outcome::Renewed(merge(previous, new))
        }
        Some(interpret_response::Outcome::Refused(error)) => Outcome::Refused(error.into()),
        _ => Outcome::Refused(Refusal::new(
            ErrorClass::Transient,
            "unreadable",
            "the answer could not be read",
        )),
    }
}

/// The credential to store after a renewal: what the reply left out is kept from the previous one.
pub fn merge(previous: &Credential, mut new: Credential) -> Credential {
    if new.refresh_token.is_empty() {
        new.refresh_token.clone_from(&previous.refresh_token);
        if new.refresh_expires_at_ms == 0 {
            new.refresh_expires_at_ms = previous.refresh_expires_at_ms;
        }
    }
    if new.token_type.is_empty() {
        new.token_type.clone_from(&previous.token_type);
    }
    if new.platform_user_id.is_empty() {
        new.platform_user_id.clone_from(&previous.platform_user_id);
    }
    if new.scopes.is_empty() {
        new.scopes.clone_from(&previous.scopes);
    }
    if new.renewal() == Renewal::Unspecified {
        new.renewal = previous.renewal;
    }
    new
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proto::common::v1::PlatformError;

    use super::*;

    fn credential(access: &str, refresh: &str) -> Credential {
        Credential {
            access_token: access.into(),
            refresh_token: refresh.into(),
            ..Credential::default()
        }
    }

    #[test]
    fn h12_missing_refresh_token_keeps_the_old_one() {
        let previous = Credential {
            refresh_expires_at_ms: 77,
            ..credential("a1", "r1")
        };
        let merged = merge(&previous, credential("a2", ""));
        assert_eq!(
            (merged.access_token.as_str(), merged.refresh_token.as_str()),
            ("a2", "r1")
        );
        assert_eq!(merged.refresh_expires_at_ms, 77);
        assert_eq!(merge(&previous, credential("a2", "r2")).refresh_token, "r2");
    }

    #[test]
    fn h11_a_success_without_an_access_token_is_trouble_and_not_a_credential() {
        let read = InterpretResponse {
            outcome: Some(interpret_response::Outcome::Renewed(credential("", "r2"))),
            salvaged_refresh_token: "r2".into(),
        };
        let Outcome::Refused(refusal) = judge(read, &credential("a1", "r1")) else {
            panic!("taken for a success")
        };
        assert_eq!(weight(refusal.class()), Weight::Trouble);
    }

    #[test]
    fn silence_is_unknown_and_never_a_failure() {
        assert_eq!(arrival(Delivery::Unknown), Arrival::Unknown);
        assert_eq!(arrival(Delivery::Unspecified), Arrival::Unknown);
        assert_eq!(arrival(Delivery::HeldBack), Arrival::NotSent);
    }

    #[test]
    fn g14_trouble_with_our_own_app_never_weighs_on_a_grant() {
        for class in [
            ErrorClass::AppMisconfigured,
            ErrorClass::RateLimited,
            ErrorClass::Transient,
            ErrorClass::Unspecified,
        ] {
            assert_eq!(weight(class), Weight::Trouble);
        }
    }

    proptest! {
        #[test]
        fn r12_a_merge_never_ends_without_the_refresh_token_it_had(old in "[a-z]{1,8}", new in "[a-z]{0,8}", access in "[a-z]{1,8}") {
            let merged = merge(&credential("a1", &old), credential(&access, &new));
            prop_assert_eq!(merged.refresh_token, if new.is_empty() { old } else { new });
            prop_assert_eq!(merged.access_token, access);
        }

        #[test]
        fn r10_no_answer_of_any_kind_becomes_a_renewal_without_an_access_token(class in any::<i32>(), code in ".{0,12}", salvaged in ".{0,12}") {
            let error = PlatformError { class, code, ..PlatformError::default() };
            for outcome in [None, Some(interpret_response::Outcome::Refused(error)), Some(interpret_response::Outcome::Renewed(credential("", &salvaged)))] {
                let read = InterpretResponse { outcome, salvaged_refresh_token: salvaged.clone() };
                prop_assert!(!matches!(judge(read, &credential("a", "r")), Outcome::Renewed(_)));
            }
        }
    }
}
