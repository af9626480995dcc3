//! What an inspection at the platform showed: it works, it is over, or nothing could be seen.

use proto::common::v1::ErrorClass;
use proto::platforms::v1::DiscoverResponse;

use super::answer::{Weight, weight};
use super::{Refusal, Traits};

/// What was seen of a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// The platform accepted the credential.
    Works(View),
    /// The platform says that it is over.
    Gone(Refusal),
    /// The platform could not be asked, or said nothing about the grant.
    Nothing(Refusal),
}

/// What the platform told of a credential that works. 0 and empty = it did not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Name of the person.
    pub user_name: String,
    /// Scopes that are granted now.
    pub granted_scopes: Vec<String>,
    /// End of the access token.
    pub access_expires_at_ms: i64,
    /// End of the access to data.
    pub data_access_expires_at_ms: i64,
    /// What may be published to: platform account id, can publish, problem.
    pub destinations: Vec<(String, bool, String)>,
    /// Destinations that the platform gives tokens of their own for: platform account ids.
    pub own_tokens: Vec<String>,
}

impl Sight {
    /// Reads an inspection of a credential that can or cannot be renewed without its access token.
    pub fn of(found: &DiscoverResponse, has_refresh_token: bool) -> Self {
        if let Some(error) = found.error.clone() {
            let refusal = Refusal::from(error);
            return match weight(refusal.class()) {
                // Only the access token ended, which a renewal heals.
                Weight::Permanent if has_refresh_token && refusal.class() == ErrorClass::Expired => {
                    Self::Nothing(refusal)
                }
                Weight::Permanent => Self::Gone(refusal),
                Weight::Counted | Weight::Trouble => Self::Nothing(refusal),
            };
        }
        Self::Works(View {
            user_name: found.user_name.clone(),
            granted_scopes: found.granted_scopes.clone(),
            access_expires_at_ms: found.access_expires_at_ms,
            data_access_expires_at_ms: found.data_access_expires_at_ms,
            destinations: found
                .destinations
                .iter()
                .map(|destination| {
                    let problem = destination.publish_problem.clone();
                    (
                        destination.platform_account_id.clone(),
                        destination.can_publish,
                        problem,
                    )
                })
                .collect(),
            own_tokens: found
                .destinations
                .iter()
                .filter(|destination| !destination.derived_token.is_empty())
                .map(|destination| destination.platform_account_id.clone())
                .collect(),
        })
    }

    /// Nothing could be seen.
    pub fn unreachable(why: &str) -> Self {
        Self::Nothing(Refusal::new(ErrorClass::Transient, "unreachable", why))
    }
}

impl View {
    /// What an account's publish capability is by this view; `None` when it shows nothing of it.
    pub fn capability(&self, platform_account_id: &str) -> Option<(bool, &str)> {
        let found = self.destinations.iter().find(|(id, ..)| id == platform_account_id);
        found.map(|(_, can_publish, problem)| (*can_publish, problem.as_str()))
    }
}

/// Required scopes that were not granted; scopes that only other kinds of destination need do not count.
pub fn missing_scopes(traits: &Traits, granted: &[String], kinds: &[String]) -> Vec<String> {
    let applies =
        |needed: &[String]| needed.is_empty() || kinds.is_empty() || needed.iter().any(|kind| kinds.contains(kind));
    traits
        .required_scopes
        .iter()
        .filter(|(name, needed)| applies(needed) && !granted.contains(name))
        .map(|(name, _)| name.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use proto::common::v1::PlatformError;

    use super::*;
    use crate::model::tests::exchange;

    fn failing(class: ErrorClass) -> DiscoverResponse {
        let error = PlatformError {
            class: class.into(),
            ..PlatformError::default()
        };
        DiscoverResponse {
            error: Some(error),
            ..DiscoverResponse::default()
        }
    }

    #[test]
    fn only_an_answer_that_says_so_means_gone() {
        assert!(matches!(Sight::of(&failing(ErrorClass::Revoked), true), Sight::Gone(_)));
        assert!(matches!(
            Sight::of(&failing(ErrorClass::Expired), false),
            Sight::Gone(_)
        ));
        assert!(matches!(
            Sight::of(&failing(ErrorClass::Expired), true),
            Sight::Nothing(_)
        ));
        for class in [
            ErrorClass::Transient,
            ErrorClass::RateLimited,
            ErrorClass::AppMisconfigured,
            ErrorClass::PermissionMissing,
        ] {
            assert!(
                matches!(Sight::of(&failing(class), false), Sight::Nothing(_)),
                "{class:?}"
            );
        }
    }

    #[test]
    fn a_view_says_nothing_of_accounts_that_it_does_not_show() {
        let view = View {
            destinations: vec![("p1".into(), false, "platform_role_lost".into())],
            ..View::default()
        };
        assert_eq!(view.capability("p1"), Some((false, "platform_role_lost")));
        assert_eq!(view.capability("p2"), None);
    }

    #[test]
    fn a_scope_that_only_other_kinds_need_is_not_missing() {
        let traits = Traits {
            required_scopes: vec![("page".into(), vec!["page".into()]), ("base".into(), vec![])],
            ..exchange()
        };
        assert_eq!(missing_scopes(&traits, &[], &["member".into()]), ["base"]);
        assert_eq!(missing_scopes(&traits, &["base".into()], &["page".into()]), ["page"]);
    }
}
