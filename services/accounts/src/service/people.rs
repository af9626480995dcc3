//! Preferences of persons, and idempotency keys of the HTTP API.

use kit::Failure;
use proto::accounts::v1 as pb;
use proto::accounts::v1::claim_request_response::Outcome;

use crate::error::Error;
use crate::hub::Hub;
use crate::store::people::Claim;

/// Longest key that is taken.
const LONGEST_KEY: usize = 255;
/// Tours and their names are few and short.
const MOST_TOURS: usize = 20;

impl Hub {
    pub(crate) async fn set_preferences(
        &self,
        user_id: &str,
        new: Option<pb::Preferences>,
    ) -> Result<pb::Preferences, Error> {
        let new = new.unwrap_or_default();
        let short = |text: &str| text.len() <= 64 && !text.chars().any(char::is_control);
        if !matches!(new.locale.as_str(), "" | "en" | "ar") {
            return Err(Failure::invalid("/locale", "The locale is en or ar.").into());
        }
        if !short(&new.timezone) {
            return Err(Failure::invalid("/timezone", "The time zone is an IANA name.").into());
        }
        let known = |state: &str| matches!(state, "completed" | "dismissed");
        if new.tours.len() > MOST_TOURS || new.tours.iter().any(|(name, state)| !short(name) || !known(state)) {
            return Err(Failure::invalid("/tours", "A tour is completed or dismissed.").into());
        }
        self.store.set_preferences(user_id, &new).await
    }

    pub(crate) async fn claim_request(
        &self,
        request: &pb::ClaimRequestRequest,
    ) -> Result<pb::ClaimRequestResponse, Error> {
        if request.key.is_empty() || request.key.len() > LONGEST_KEY || request.request_hash.is_empty() {
            return Err(
                Failure::invalid("/key", format!("An idempotency key has 1 to {LONGEST_KEY} characters.")).into(),
            );
        }
        let hash = hex::encode(&request.request_hash);
        let claim = self
            .store
            .claim(&request.workspace_id, &request.key, &hash, self.clock.now_ms())
            .await?;
        let (outcome, answer) = match claim {
            Claim::Claimed => (Outcome::Claimed, None),
            Claim::Replay(answer) => (Outcome::Replay, Some(answer)),
            Claim::InProgress => (Outcome::InProgress, None),
            Claim::Mismatch => (Outcome::Mismatch, None),
        };
        Ok(pb::ClaimRequestResponse {
            outcome: outcome.into(),
            answer,
        })
    }
}
