//! Renewing a grant's credential so that a rotated token is never lost and never spent twice.
//!
//! Claim in the database, then everything in a task that nobody can stop: check, send by attempt id, keep the raw answer,
//! read it, apply it by lineage, announce it. Who asks meanwhile, on whatever replica, waits for the one under way.
//! Called by readers (lazily), by the sweep, by people, and by checks that want proof.

use std::time::Duration;

use kit::fault::{self, Point};
use kit::telemetry;
use proto::platforms::v1::{Answers, Credential, Delivery, RefreshRequest};
use tokio::time::Instant;
use tracing::Instrument;

use crate::Error;
use crate::engine::{Engine, REFRESHED};
use crate::model::attempt::{Claim, PROTOCOL, claim};
use crate::model::schedule::{is_pausing, is_pausing_for_reader, may_refresh};
use crate::model::{Grant, Traits};
use crate::settle::Next;
use crate::store::attempts::Attempt;
use crate::store::grants::Stored;

/// Longer than any refresh, so that the lock does not end before its holder's work: it is only a filter all the same.
const LOCK: Duration = Duration::from_secs(90);
/// Attempts that one call may make: the first, its confirmation, and one with the stored token after a salvaged one.
const ROUNDS: usize = 3;

/// Who wants a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A reader whose token does not live long enough.
    Lazy,
    /// The schedule.
    Schedule,
    /// A person who pressed the button.
    Person,
    /// A check that saw the access token refused and wants proof.
    Confirm,
}

impl Why {
    fn as_str(self) -> &'static str {
        match self {
            Self::Lazy => "lazy",
            Self::Schedule => "schedule",
            Self::Person => "person",
            Self::Confirm => "confirm",
        }
    }
}

/// Work on an attempt, in the trace that it was claimed in: also when it is detached, and when another process goes on with it.
pub(crate) async fn tracked<F: Future>(attempt: &Attempt, work: F) -> F::Output {
    let span = tracing::info_span!(
        "refresh_attempt",
        attempt = attempt.id,
        grant = attempt.grant_id,
        trace = &*attempt.trace
    );
    telemetry::join(&span, &attempt.trace);
    let trace = Some(attempt.trace.clone()).filter(|trace| !trace.is_empty());
    telemetry::traced(trace, work.instrument(span)).await
}

fn is_unsent(answers: &Answers) -> bool {
    matches!(answers.delivery(), Delivery::NotSent | Delivery::HeldBack)
}

fn unanswered(delivery: Delivery, reason: &str) -> Answers {
    Answers {
        delivery: delivery.into(),
        reason: reason.to_owned(),
        ..Answers::default()
    }
}

impl Engine {
    /// Has a grant refreshed, or joins the refresh that is under way, and waits for its end. Dropping the future stops the waiting,
    /// never the refresh.
    pub async fn refresh(&self, grant: &Grant, why: Why) -> Result<(), Error> {
        if self.draining() {
            return Err(Error::Draining);
        }
        let (workspace_id, grant_id, generation) = (grant.workspace_id.clone(), grant.id.clone(), grant.generation);
        let ended = self.join(format!("refresh:{grant_id}"), |engine| async move {
            if let Err(error) = Box::pin(engine.renew(&workspace_id, &grant_id, generation, why)).await {
                tracing::warn!(grant = grant_id, %error, "refresh did not run");
            }
        });
        ended.cancelled().await;
        Ok(())
    }

    /// One caller's refresh, over all replicas.
    pub(crate) async fn renew(
        &self,
        workspace_id: &str,
        grant_id: &str,
        generation: i64,
        why: Why,
    ) -> Result<(), Error> {
        fault::hit(Point::BeforeClaim).await;
        // Without Redis everybody goes to the database, whose unique index is what counts.
        let lock = match self.shared.lock(&format!("refresh:{grant_id}"), LOCK).await {
            Ok(None) if self.wait_for_other(workspace_id, grant_id, generation).await? => return Ok(()),
            Ok(lock) => lock,
            Err(_) => None,
        };
        let mut why = why;
        for _ in 0..ROUNDS {
            let next = Box::pin(self.round(workspace_id, grant_id, generation, why)).await?;
            if next == Next::Done {
                break;
            }
            // The pause after a failure is for those who ask anew, not for what confirms that failure.
            why = Why::Confirm;
        }
        drop(lock);
        Ok(())
    }

    async fn round(&self, workspace_id: &str, grant_id: &str, generation: i64, why: Why) -> Result<Next, Error> {
        let Some(stored) = self.store.grant(workspace_id, grant_id).await? else {
            return Ok(Next::Done);
        };
        let grant = &stored.grant;
        let traits = self.platforms.traits(&grant.connector).await?;
        let now = self.now();
        let paused = match why {
            Why::Lazy => is_pausing_for_reader(grant, now),
            Why::Schedule => is_pausing(grant, now),
            Why::Person | Why::Confirm => false,
        };
        if grant.generation != generation || paused || !may_refresh(grant, &traits, now) {
            return Ok(Next::Done);
        }
        let found = self.store.unfinished(workspace_id, grant_id).await?;
        let seen = found
            .as_ref()
            .map(|attempt| attempt.unfinished(self.flights.is_running(&attempt.id)));
        match (claim(seen.as_ref(), &self.me, &traits, &self.policy, now), found) {
            (Claim::Adopt, Some(orphan)) => return Box::pin(self.recover(orphan)).await,
            (Claim::Free, _) => {
                let attempt = self.attempt(grant, why.as_str(), None);
                // Before the claim: recovery must not take our own fresh row for an orphan.
                let _running = self.flights.run(&attempt.id);
                if let Some(attempt) = self.store.claim(attempt).await? {
                    return tracked(&attempt, Box::pin(self.perform(&attempt, &stored, &traits))).await;
                }
            }
            _ => {}
        }
        self.wait_for_other(workspace_id, grant_id, generation).await?;
        Ok(Next::Done)
    }

    /// A new attempt from where the grant is.
    pub(crate) fn attempt(&self, grant: &Grant, why: &'static str, salvage_id: Option<String>) -> Attempt {
        let now = self.now();
        Attempt {
            id: self.id("att"),
            workspace_id: grant.workspace_id.clone(),
            grant_id: grant.id.clone(),
            parent_generation: grant.generation,
            owner: self.me.clone(),
            protocol: PROTOCOL,
            why,
            retry_of: None,
            salvage_id,
            unknown: false,
            given_up: false,
            sealed_receipt: None,
            started_at_ms: now,
            deadline_at_ms: now.saturating_add(self.policy.refresh_deadline_ms),
            trace: telemetry::trace(),
        }
    }

    /// A claimed attempt: send, keep the answer, settle.
    pub(crate) async fn perform(&self, attempt: &Attempt, stored: &Stored, traits: &Traits) -> Result<Next, Error> {
        let claimed = Instant::now();
        fault::hit(Point::AfterClaim).await;
        let Some(credential) = self.sendable(attempt, stored).await? else {
            self.give_up(attempt, &stored.grant, "no credential").await?;
            return Ok(Next::Done);
        };
        // The last moment at which nothing has happened. The claim's commit just now shows that the database takes writes; one
        // that was held up (stopped, starved) since may have been taken over, and does not send any more.
        let late = self.now() >= attempt.deadline_at_ms || claimed.elapsed() >= self.deadline();
        if self.draining() || late {
            self.give_up(attempt, &stored.grant, "not sent").await?;
            return Ok(Next::Done);
        }
        let answers = self.send(attempt, credential, &stored.grant, traits).await;
        if answers.delivery() != Delivery::Unknown {
            self.flights.forget_call(&attempt.id);
        }
        fault::hit(Point::AfterAnswer).await;
        self.keep(attempt, &answers).await?;
        Box::pin(self.settle(attempt, &answers, traits)).await
    }

    fn deadline(&self) -> Duration {
        Duration::from_millis(self.policy.refresh_deadline_ms.unsigned_abs())
    }

    /// The credential to send: with the salvaged refresh token where there is one.
    pub(crate) async fn sendable(&self, attempt: &Attempt, stored: &Stored) -> Result<Option<Credential>, Error> {
        let Some(mut credential) = self.store.credential(stored)? else {
            return Ok(None);
        };
        if attempt.salvage_id.is_some()
            && let Some((_, token)) = self.store.salvaged(&attempt.workspace_id, &attempt.grant_id).await?
        {
            token.expose().clone_into(&mut credential.refresh_token);
        }
        Ok(Some(credential))
    }

    /// Sends, and asks platforms again for the same attempt while it is away: it knows attempts by their id.
    async fn send(&self, attempt: &Attempt, credential: Credential, grant: &Grant, traits: &Traits) -> Answers {
        let patience = self.deadline() + Duration::from_secs(15);
        let give_up = Instant::now() + patience;
        let mut request = RefreshRequest {
            attempt_id: attempt.id.clone(),
            connector: grant.connector.clone(),
            credential: Some(credential),
            send_before_ms: attempt.deadline_at_ms,
            needs_marker: false,
        };
        let mut life = self.shared.life().await.ok();
        request.needs_marker = life.is_some() && !traits.repeatable_refresh;
        let mut arrived = false;
        loop {
            // After a broken call somebody may be at it or have its answer, whatever Redis knows.
            let may_send = !arrived
                || match self.platforms.seek(request.clone(), patience).await {
                    Ok(found) if !is_unsent(&found) => return found,
                    // All replicas say "not sent" of what none of them got, as of a call over a connection that was dying. They
                    // also say it when the marker was lost, with whoever made the call: recovery waits for that.
                    Ok(_) if !traits.repeatable_refresh && !self.is_remembered(life.as_deref()).await => {
                        return unanswered(Delivery::Unknown, "platforms does not know what became of the call");
                    }
                    Ok(_) => true,
                    Err(_) => traits.repeatable_refresh,
                };
            if may_send {
                let (asked, ()) = tokio::join!(
                    self.platforms.refresh(request.clone(), patience),
                    fault::hit(Point::AfterAsk)
                );
                match asked {
                    // Without a marker, then; what becomes of the call is not to be learned from Redis any more.
                    Ok(answers) if answers.unmarked => (life, request.needs_marker) = (None, false),
                    // After a broken call "not sent" is what a replica says that has not heard of it: not good enough where a
                    // refresh token is single use. Recovery asks again once the deadline has passed.
                    Ok(mut answers) if is_unsent(&answers) && arrived && !traits.repeatable_refresh => {
                        answers.set_delivery(Delivery::Unknown);
                        return answers;
                    }
                    Ok(answers) => {
                        // One call, and platforms saw its end.
                        if answers.delivery() == Delivery::Unknown && !arrived {
                            self.flights.end_call(&attempt.id);
                        }
                        return answers;
                    }
                    Err(broken) => {
                        arrived |= broken.arrived;
                        if arrived {
                            self.flights.break_call(&attempt.id, life.clone());
                        }
                        tracing::debug!(attempt = attempt.id, arrived, error = %broken.error, "a call to platforms broke");
                    }
                }
            }
            if Instant::now() >= give_up {
                tracing::warn!(attempt = attempt.id, arrived, "platforms did not come back in time");
                let delivery = if arrived { Delivery::Unknown } else { Delivery::NotSent };
                return unanswered(delivery, "platforms was not reachable");
            }
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    }

    /// Redis still has what it took since it was in this life: `None` when it took nothing.
    pub(crate) async fn is_remembered(&self, life: Option<&str>) -> bool {
        life.is_some() && self.shared.life().await.ok().as_deref() == life
    }

    /// Stores the raw answer before anybody reads it, for as long as it takes: platforms keeps its copy meanwhile.
    pub(crate) async fn keep(&self, attempt: &Attempt, answers: &Answers) -> Result<(), Error> {
        if answers.delivery() != Delivery::Answered {
            return Ok(());
        }
        let arrived = Instant::now();
        let kept = self
            .persist("receipt", || self.store.keep_receipt(attempt, answers, self.now()))
            .await;
        metrics::histogram!("tokens_receipt_window_seconds").record(arrived.elapsed().as_secs_f64());
        fault::hit(Point::AfterReceipt).await;
        kept
    }

    /// Waits until whoever refreshes this grant is done: woken by them, looking by itself as well. False when nobody seems to
    /// be at it, however a lock looks.
    async fn wait_for_other(&self, workspace_id: &str, grant_id: &str, generation: i64) -> Result<bool, Error> {
        let mut wakeups = self.shared.subscribe(REFRESHED).await.ok();
        let until = Instant::now() + self.deadline() + Duration::from_secs(5);
        let (mut idle, mut pause) = (0, Duration::from_millis(50));
        while Instant::now() < until {
            let Some(stored) = self.store.grant(workspace_id, grant_id).await? else {
                return Ok(true);
            };
            if stored.grant.generation != generation || !stored.grant.state.is_live() {
                return Ok(true);
            }
            match self.store.unfinished(workspace_id, grant_id).await? {
                // The lock may be that of a former life of this process, whose attempt nobody else goes on with.
                Some(attempt) if self.is_orphan(&attempt, &stored.grant).await? => return Ok(false),
                Some(attempt) if attempt.unknown => return Ok(true),
                Some(_) => idle = 0,
                // Between the lock and the claim, or after a failure: look a few times before believing it.
                None if idle >= 5 => return Ok(is_pausing(&stored.grant, self.now())),
                None => idle += 1,
            }
            let woken = async {
                match &mut wakeups {
                    Some(wakeups) => while wakeups.recv().await != grant_id.as_bytes() {},
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_millis(500)),
            }
        }
        Ok(true)
    }

    /// Nobody is at the attempt, and this process may take it over.
    async fn is_orphan(&self, attempt: &Attempt, grant: &Grant) -> Result<bool, Error> {
        let traits = self.platforms.traits(&grant.connector).await?;
        let seen = attempt.unfinished(self.flights.is_running(&attempt.id));
        Ok(claim(Some(&seen), &self.me, &traits, &self.policy, self.now()) == Claim::Adopt)
    }
}
