//! Small steps that the adapters' `discover`, `inspect`, `revoke` and `publish` share. Pure, apart from the clock.

use proto::common::v1::{ErrorClass, PlatformError};
use proto::platforms::v1::{Credential, Destination, DiscoverResponse, Post};
use serde_json::Value;

use crate::adapter::{Draft, Result};
use crate::app::App;
use crate::classify;
use crate::ctx::{Ctx, Reply};

/// Publishing fails for lack of a permission, by an outdated grant, or for lack of a role.
pub(crate) const PERMISSION_MISSING: &str = "permission_missing";
pub(crate) const CAPABILITY_MISSING: &str = "publish_capability_missing";
pub(crate) const ROLE_LOST: &str = "platform_role_lost";

/// An id that an answer must have; text or number.
pub(crate) fn required_id(value: &Value) -> Result<String> {
    let id = classify::text(value);
    if id.is_empty() {
        return Err(classify::error(
            ErrorClass::Transient,
            "no_id",
            "the platform's answer has no id in it",
        ));
    }
    Ok(id)
}

/// A finding that knows the person and the scopes, and no destinations yet. Scopes are those of the token reply.
pub(crate) fn granted(app: &App, credential: &Credential, id: &str, name: &str) -> DiscoverResponse {
    let declined = app.scopes.iter().filter(|scope| !credential.scopes.contains(scope));
    DiscoverResponse {
        platform_user_id: id.to_owned(),
        user_name: name.to_owned(),
        granted_scopes: credential.scopes.clone(),
        declined_scopes: declined.cloned().collect(),
        ..DiscoverResponse::default()
    }
}

/// `can_publish` and `publish_problem` of a destination that only needs scopes.
pub(crate) fn publish_scopes(found: &DiscoverResponse, needed: &[&str]) -> (bool, String) {
    let all = needed
        .iter()
        .all(|needed| found.granted_scopes.iter().any(|granted| granted == needed));
    (
        all,
        if all {
            String::new()
        } else {
            PERMISSION_MISSING.to_owned()
        },
    )
}

/// An access token past its end proves nothing where a refresh token renews it: nobody is asked.
pub(crate) fn not_expired(ctx: &Ctx, credential: &Credential) -> Result<()> {
    let end = credential.access_expires_at_ms;
    if end > 0 && end <= ctx.clock.now_ms() {
        return Err(classify::error(
            ErrorClass::Expired,
            "expired",
            "the access token's end has passed",
        ));
    }
    Ok(())
}

/// A token that cannot be revoked because it is dead is as good as revoked.
pub(crate) fn done_if_dead(result: Result<Reply>) -> Result<()> {
    match result {
        Err(error) if is_dead(&error) => Ok(()),
        other => other.map(|_| ()),
    }
}

/// Whether the platform says that the token itself no longer works.
pub(crate) fn is_dead(error: &PlatformError) -> bool {
    matches!(
        error.class(),
        ErrorClass::Revoked | ErrorClass::Expired | ErrorClass::PasswordChanged | ErrorClass::Checkpoint
    )
}

/// Adds those `known` destinations that the grant no longer reaches. `problem` says why.
pub(crate) fn add_lost(found: &mut DiscoverResponse, known: &[Destination], problem: &str) {
    let lost = |known: &&Destination| {
        !found
            .destinations
            .iter()
            .any(|have| have.platform_account_id == known.platform_account_id)
    };
    let lost: Vec<Destination> = known.iter().filter(lost).cloned().collect();
    for mut destination in lost {
        destination.can_publish = false;
        problem.clone_into(&mut destination.publish_problem);
        found.destinations.push(destination);
    }
}

/// A post that was just published.
pub(crate) fn published(ctx: &Ctx, draft: &Draft, id: String) -> Post {
    let media = (!draft.image_url.is_empty()).then(|| proto::platforms::v1::Media {
        kind: "image".to_owned(),
        url: draft.image_url.clone(),
    });
    Post {
        platform_post_id: id,
        text: draft.text.clone(),
        media: media.into_iter().collect(),
        published_at_ms: ctx.clock.now_ms(),
        ..Post::default()
    }
}

/// A platform's time in milliseconds: RFC 3339, or Graph's form whose offset has no colon; 0 when it is neither.
pub(crate) fn time_ms(value: &Value) -> i64 {
    let text = value.as_str().unwrap_or_default();
    let graph = || jiff::fmt::strtime::parse("%Y-%m-%dT%H:%M:%S%z", text).and_then(|time| time.to_timestamp());
    text.parse::<jiff::Timestamp>()
        .or_else(|_| graph())
        .map_or(0, jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graphs_time_and_rfc_3339_are_read() {
        for text in [
            "2026-11-22T09:00:00+0000",
            "2026-11-22T09:00:00.000Z",
            "2026-11-22T10:00:00+0100",
        ] {
            assert_eq!(time_ms(&Value::from(text)), 1_795_338_000_000, "{text}");
        }
        assert_eq!(time_ms(&Value::from("yesterday")), 0);
    }
}
