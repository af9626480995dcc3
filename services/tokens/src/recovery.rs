//! Attempts and exchanges that were left on the way: by a former life of this process at once, by others after a while.
//!
//! A receipt of our own comes first, then platforms is asked for its copy, and only without one a single retry is made.

use std::time::Duration;

use proto::platforms::v1::{Answers, Delivery, RefreshRequest};

use crate::Error;
use crate::engine::Engine;
use crate::model::State;
use crate::model::attempt::{Claim, claim};
use crate::refresh::Why;
use crate::settle::Next;
use crate::store::attempts::Attempt;
use crate::store::grants::Stored;

/// How often it is looked for orphans.
const ROUND: Duration = Duration::from_secs(15);
const BATCH: i64 = 200;
/// Already passed when it is compared: platforms only looks for the answer.
const ONLY_ASK: i64 = 1;

impl Engine {
    /// Recovers what is left behind, now and from time to time, until the process ends.
    pub async fn recover_all(&self) {
        while !self.draining() {
            if let Err(error) = self.recover_round().await {
                tracing::warn!(%error, "recovery could not look for orphans");
            }
            tokio::select! {
                () = self.shutdown.cancelled() => {}
                () = self.clock.sleep(ROUND) => {}
            }
        }
    }

    async fn recover_round(&self) -> Result<(), Error> {
        let unfinished = self.store.all_unfinished(BATCH).await?;
        for attempt in unfinished {
            let traits = match self.traits_of(&attempt).await {
                Ok(Some(traits)) => traits,
                Ok(None) => continue,
                // One grant's trouble does not hold up the others.
                Err(error) => {
                    tracing::warn!(attempt = attempt.id, %error, "an attempt cannot be recovered yet");
                    continue;
                }
            };
            let seen = attempt.unfinished(self.flights.is_running(&attempt.id));
            let decided = claim(Some(&seen), &self.me, &traits, &self.policy, self.now());
            let ours = attempt.owner == self.me && !seen.running_here;
            // An answer that did not come in time may have come since: asking for it costs nothing.
            if decided == Claim::Adopt || ours {
                let key = format!("refresh:{}", attempt.grant_id);
                self.join(key, |engine| async move {
                    let (id, grant_id) = (attempt.id.clone(), attempt.grant_id.clone());
                    if let Err(error) = engine.resume(attempt, decided == Claim::Adopt).await {
                        tracing::warn!(attempt = id, %error, "an attempt was not recovered");
                    }
                    engine.spread(&grant_id).await;
                });
            }
        }
        self.resume_exchanges().await
    }

    /// One orphan, and what its answer leads to.
    async fn resume(&self, attempt: Attempt, adopt: bool) -> Result<(), Error> {
        let (workspace_id, grant_id, parent) = (
            attempt.workspace_id.clone(),
            attempt.grant_id.clone(),
            attempt.parent_generation,
        );
        let next = if adopt {
            self.recover(attempt).await?
        } else {
            self.ask_again(&attempt).await?
        };
        match next {
            Next::Done => Ok(()),
            Next::Again => self.renew(&workspace_id, &grant_id, parent, Why::Confirm).await,
        }
    }

    async fn traits_of(&self, attempt: &Attempt) -> Result<Option<std::sync::Arc<crate::model::Traits>>, Error> {
        let Some(stored) = self.store.grant(&attempt.workspace_id, &attempt.grant_id).await? else {
            return Ok(None);
        };
        self.platforms.traits(&stored.grant.connector).await.map(Some)
    }

    /// Takes an orphan over: its answer if there is one, else one retry.
    pub(crate) async fn recover(&self, orphan: Attempt) -> Result<Next, Error> {
        let _running = self.flights.run(&orphan.id);
        if !self.store.adopt(&orphan, &self.me).await? {
            return Ok(Next::Done);
        }
        let attempt = Attempt {
            owner: self.me.clone(),
            ..orphan
        };
        let Some(stored) = self.store.grant(&attempt.workspace_id, &attempt.grant_id).await? else {
            return Ok(Next::Done);
        };
        if let Some(next) = self.answered(&attempt, &stored).await? {
            return Ok(next);
        }
        let grant = &stored.grant;
        // Dead ones too: nothing is tried on their behalf, only a late answer could revive them.
        if !grant.state.is_live() || grant.generation != attempt.parent_generation || self.draining() {
            let outcome = if grant.state == State::Revoked {
                "revoked"
            } else {
                "no answer"
            };
            self.store.abandon(&attempt, outcome, self.now()).await?;
            return Ok(Next::Done);
        }
        let traits = self.platforms.traits(&grant.connector).await?;
        let retry = Attempt {
            retry_of: Some(attempt.id.clone()),
            ..self.attempt(grant, "retry", attempt.salvage_id.clone())
        };
        let _running = self.flights.run(&retry.id);
        if !self.store.replace(&attempt, &retry, self.now()).await? {
            return Ok(Next::Done);
        }
        tracing::info!(
            attempt = retry.id,
            retry_of = attempt.id,
            grant = grant.id,
            "an attempt without an answer is tried once more"
        );
        metrics::counter!("tokens_takeovers_total", "connector" => grant.connector.clone()).increment(1);
        self.perform(&retry, &stored, &traits).await
    }

    /// Our own attempt whose answer did not come in time: it may have come since.
    async fn ask_again(&self, attempt: &Attempt) -> Result<Next, Error> {
        let _running = self.flights.run(&attempt.id);
        let stored = self.store.grant(&attempt.workspace_id, &attempt.grant_id).await?;
        let Some(stored) = stored else { return Ok(Next::Done) };
        Ok(self.answered(attempt, &stored).await?.unwrap_or(Next::Done))
    }

    /// Settles an attempt by the answer that we or platforms kept. `None` = there is none.
    async fn answered(&self, attempt: &Attempt, stored: &Stored) -> Result<Option<Next>, Error> {
        let traits = self.platforms.traits(&stored.grant.connector).await?;
        let answers = match self.store.receipt(attempt)? {
            Some(answers) => answers,
            None => self.ask(attempt, stored).await?,
        };
        if answers.delivery() != Delivery::Answered {
            return Ok(None);
        }
        self.keep(attempt, &answers).await?;
        self.settle(attempt, &answers, &traits).await.map(Some)
    }

    async fn ask(&self, attempt: &Attempt, stored: &Stored) -> Result<Answers, Error> {
        let credential = self.sendable(attempt, stored).await?.unwrap_or_default();
        let request = RefreshRequest {
            attempt_id: attempt.id.clone(),
            connector: stored.grant.connector.clone(),
            credential: Some(credential),
            send_before_ms: ONLY_ASK,
        };
        // It may still be under way there; then this waits for it.
        self.platforms.refresh(request, Duration::from_secs(75)).await
    }
}
