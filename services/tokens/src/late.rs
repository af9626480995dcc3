//! Answers that come after their attempt was given up: kept by platforms once a retry was in its place, or stored by a process
//! that died before it read them. Without this a rotated token would be lost, or live on at the platform after a disconnect.
//!
//! They are settled by lineage like any other; a refusal among them counts for nothing, for a newer attempt may be under way.

use std::time::Duration;

use kit::clock::millis;

use crate::Error;
use crate::engine::Engine;
use crate::model::schedule::DAY_MS;
use crate::platforms::TOKEN_CALL;
use crate::recovery::{BATCH, Found};
use crate::refresh::tracked;
use crate::store::attempts::Attempt;

/// After an attempt's deadline, when no call of it can be running any more: platforms may make a second one with its other
/// client secret, and a machine may have stood still for a while.
const OVER: Duration = TOKEN_CALL.saturating_mul(2).saturating_add(Duration::from_secs(120));

impl Engine {
    /// Looks for late answers. platforms keeps them for a day.
    pub(crate) async fn seek_late(&self) -> Result<(), Error> {
        for attempt in self.store.given_up(self.now() - DAY_MS, BATCH).await? {
            // Whoever is at it settles it.
            if self.flights.is_running(&attempt.id) {
                continue;
            }
            self.join(format!("late:{}", attempt.id), |engine| async move {
                if let Err(error) = tracked(&attempt, Box::pin(engine.seek(&attempt))).await {
                    tracing::warn!(attempt = attempt.id, %error, "a late answer was not looked for");
                }
            });
        }
        Ok(())
    }

    async fn seek(&self, attempt: &Attempt) -> Result<(), Error> {
        let _running = self.flights.run(&attempt.id);
        let Some(stored) = self.store.grant(&attempt.workspace_id, &attempt.grant_id).await? else {
            return Ok(());
        };
        let over = self.now() >= attempt.deadline_at_ms.saturating_add(millis(OVER));
        match Box::pin(self.answered(attempt, &stored)).await? {
            Found::NotSent | Found::Ended | Found::Silence if over => self.store.end_late(attempt, "silent").await,
            Found::Settled(_) | Found::NotSent | Found::Ended | Found::Silence | Found::Away => Ok(()),
        }
    }
}
