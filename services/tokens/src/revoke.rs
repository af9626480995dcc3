//! Ending at the platform what a disconnect left behind: queued in the disconnect's transaction, tried until the platform has
//! done it or time is up, the credential destroyed then.

use std::time::Duration;

use proto::tokens::v1::GrantChangeCause;

use crate::Error;
use crate::engine::Engine;
use crate::model::answer::{Weight, weight};
use crate::model::change::Change;
use crate::model::{Refusal, State};
use crate::store::revocations::Revocation;

const BATCH: i64 = 32;
const ROUND: Duration = Duration::from_secs(2);
const LEASE_MS: i64 = 120_000;
/// Two days of tries, then the person is told to remove it at the platform.
const TRIES: i64 = 60;
const LONGEST_WAIT_MS: i64 = 3_600_000;

impl Engine {
    /// Revokes what is queued until the process ends.
    pub async fn revoke_all(&self) {
        while !self.draining() {
            match self.revoke_round().await {
                Ok(0) => {}
                Ok(_) => continue,
                Err(error) => tracing::warn!(%error, "revocations cannot be read"),
            }
            tokio::select! {
                () = self.shutdown.cancelled() => {}
                // By the machine's clock: a queue, not a schedule.
                () = tokio::time::sleep(ROUND) => {}
            }
        }
    }

    async fn revoke_round(&self) -> Result<usize, Error> {
        let now = self.now();
        let due = self
            .store
            .lease_revocations(now, now.saturating_add(LEASE_MS), BATCH)
            .await?;
        let count = due.len();
        let work = due.iter().map(|revocation| self.revoke(revocation));
        for done in futures_util::future::join_all(work).await {
            done?;
        }
        Ok(count)
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<(), Error> {
        let asked = self
            .platforms
            .revoke(
                &revocation.connector,
                &revocation.credential,
                &revocation.platform_user_id,
            )
            .await;
        let refusal = match asked {
            Ok(answer) if !answer.supported => return self.finish(revocation, "unsupported").await,
            Ok(answer) => match answer.error {
                None => return self.finish(revocation, "done").await,
                Some(error) => Some(Refusal::from(error)),
            },
            Err(_) => None,
        };
        // A token that the platform says is over needs no end any more.
        if refusal
            .as_ref()
            .is_some_and(|refusal| weight(refusal.class()) == Weight::Permanent)
        {
            return self.finish(revocation, "done").await;
        }
        if revocation.failures >= TRIES {
            return self.finish(revocation, "given_up").await;
        }
        let wait = refusal
            .as_ref()
            .map_or(0, |refusal| refusal.retry_after_ms)
            .max(1_000 << revocation.failures.clamp(0, 12));
        let due = self.now().saturating_add(wait.min(LONGEST_WAIT_MS));
        self.store
            .postpone_revocation(revocation, refusal.as_ref(), self.now(), due)
            .await
    }

    async fn finish(&self, revocation: &Revocation, state: &'static str) -> Result<(), Error> {
        self.store.finish_revocation(revocation, state, self.now()).await?;
        metrics::counter!("tokens_revocations_total", "connector" => revocation.connector.clone(), "outcome" => state)
            .increment(1);
        tracing::info!(
            revocation = revocation.id,
            connector = revocation.connector,
            outcome = state,
            "revoked at the platform"
        );
        let Some(grant_id) = &revocation.grant_id else {
            return Ok(());
        };
        let key = (revocation.workspace_id.as_str(), grant_id.as_str());
        self.store
            .change(key, None, self.now(), |grant| {
                // Connected again since: that is what counts, and it was announced.
                (grant.state == State::Revoked).then(|| {
                    grant.version += 1;
                    Change {
                        cause: GrantChangeCause::RevocationDone,
                        announce: false,
                    }
                })
            })
            .await?;
        self.relay.wake();
        Ok(())
    }
}
