//! Giving back what ended sessions and disconnected accounts still have elsewhere: exchanged credentials, reservations, slots,
//! tokens. What is owed is written with the end itself, so that a restart or an outage only delays it.

use std::time::Duration;

use kit::clock::millis;
use kit::grpc::Context;
use kit::shared::Lock;
use kit::{Code, Failure};
use proto::entitlements::v1::ReleaseSlotRequest;
use proto::tokens::v1::{DetachRequest, DiscardRequest};
use serde_json::json;
use tokio::time::Instant;

use super::{LOOK, lease_ms};
use crate::error::Error;
use crate::hub::Hub;
use crate::model::incident::Announcement;
use crate::model::session::Session;
use crate::store::again;

/// When something that could not be given back is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// A disconnect that is being finished here is not begun elsewhere for this long.
const ALONE: Duration = Duration::from_secs(30);
/// How long the one that finishes it is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long after its end a session that cannot go on is resumed again and again.
const GIVE_UP: Duration = Duration::from_secs(3600);

impl Hub {
    /// Gives back what an ended session owes.
    pub(super) async fn settle_session(&self, session: &Session, discard: bool, release: bool) {
        let discarded = !discard || {
            let ask = DiscardRequest {
                workspace_id: session.workspace_id.clone(),
                session_id: session.id.clone(),
            };
            let done = self.tokens.clone().discard(Context::background().request(ask)).await;
            done.inspect_err(|status| tracing::warn!(session = session.id, code = ?status.code(), "not discarded yet"))
                .is_ok()
        };
        let released = !release || self.release_slot(&session.workspace_id, &session.id).await.is_ok();
        let again_at_ms = self.clock.now_ms() + millis(AGAIN);
        if let Err(error) = self
            .store
            .settle_session(session, discarded, released, again_at_ms)
            .await
        {
            tracing::warn!(session = session.id, %error, "what was given back could not be noted");
        }
    }

    /// Gives a session's or an account's slot back. Idempotent.
    pub(crate) async fn release_slot(&self, workspace_id: &str, holder_id: &str) -> Result<(), Error> {
        let ask = ReleaseSlotRequest {
            workspace_id: workspace_id.to_owned(),
            holder_id: holder_id.to_owned(),
        };
        self.entitlements
            .clone()
            .release_slot(Context::background().request(ask))
            .await?;
        Ok(())
    }

    /// Finishes an account's disconnect: tokens destroyed, slot given back. Does nothing for one that owes nothing.
    pub(crate) async fn finish_disconnect(&self, workspace_id: &str, id: &str) -> Result<(), Error> {
        if self.store.leftover(workspace_id, id).await?.is_none() {
            return Ok(());
        }
        // One at a time: a second, slow one must not destroy what was connected after the first.
        let _alone = self.alone(id).await?;
        let Some(left) = self.store.leftover(workspace_id, id).await? else {
            return Ok(());
        };
        if left.detach_due != 0 {
            let ask = DetachRequest {
                workspace_id: workspace_id.to_owned(),
                account_id: id.to_owned(),
            };
            let answer = self.tokens.clone().detach(Context::background().request(ask)).await?;
            let revocation = answer.into_inner().revocation;
            again(|| async {
                let mut tx = self.store.change(workspace_id, self.clock.now_ms()).await?;
                let row = tx.account(id).await?;
                tx.detached(id, revocation).await?;
                let data = json!({ "changed": ["revocation"] });
                tx.tell(
                    &row,
                    vec![Announcement {
                        event: "account.updated",
                        toast: "",
                        data,
                    }],
                    "",
                )
                .await?;
                tx.commit().await
            })
            .await?;
        }
        if left.release_due != 0 {
            self.release_slot(workspace_id, id).await?;
            self.store.released(workspace_id, id).await?;
        }
        Ok(())
    }

    /// The right to finish an account's disconnect, waited for. Without Redis the rows' own state has to do.
    async fn alone(&self, id: &str) -> Result<Option<Lock>, Error> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self
                .store
                .cache()
                .shared()
                .lock(&format!("disconnect:{id}"), ALONE)
                .await
            {
                Ok(Some(lock)) => return Ok(Some(lock)),
                Ok(None) if Instant::now() < until => tokio::time::sleep(LOOK).await,
                Ok(None) => return Err(Failure::new(Code::Unavailable, "The account is being disconnected.").into()),
                Err(_) => return Ok(None),
            }
        }
    }

    /// Resumes sessions that this instance left behind when it ended.
    pub(crate) async fn resume_own(&self) -> Result<(), Error> {
        self.resume(true).await
    }

    async fn resume(&self, own: bool) -> Result<(), Error> {
        let adopted = self
            .store
            .adopt(&self.settings.instance, own, self.clock.now_ms(), lease_ms())
            .await?;
        for session in adopted {
            tracing::info!(session = session.id, step = session.step, "resuming a connect session");
            let hub = self.clone();
            self.tasks.spawn(async move {
                if hub.clock.now_ms() > session.expires_at_ms + millis(GIVE_UP) {
                    let failure = Failure::new(
                        Code::PlatformUnavailable,
                        "The sign-in could not be finished; try again.",
                    );
                    let _ = hub.fail(&session, failure, true).await;
                    return;
                }
                // A native session's redirect is lost with the process: its app cannot have a completion code.
                if session.is_native() && session.step == "exchange" && session.completion_until_ms == 0 {
                    let _ = hub.fail(&session, crate::error::Error::SessionExpired, true).await;
                    return;
                }
                let _ = hub.work(&session, "").await;
            });
        }
        Ok(())
    }

    /// One round of everything that time or an outage left to do.
    pub(crate) async fn tidy(&self) -> Result<(), Error> {
        let now_ms = self.clock.now_ms();
        for session in self.store.overdue(now_ms).await? {
            self.expire(&session).await?;
        }
        self.resume(false).await?;
        for session in self.store.unsettled(now_ms).await? {
            self.settle_session(&session, session.discard_due != 0, session.release_due != 0)
                .await;
        }
        for left in self.store.leftovers(now_ms).await? {
            let later = now_ms + millis(AGAIN);
            self.store
                .postpone_leftover(&left.workspace_id, &left.id, later)
                .await?;
            if let Err(error) = self.finish_disconnect(&left.workspace_id, &left.id).await {
                tracing::warn!(account = left.id, %error, "a disconnect is not finished yet");
            }
        }
        Ok(())
    }
}
