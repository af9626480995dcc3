//! Attempts and exchanges that were left on the way: by a former life of this process at once, by others after a while.
//!
//! A receipt of our own comes first, then platforms is asked for its copy, and only without one a single retry is made: where a
//! refresh token is single use, not beside a call that may still run. Answers later than that are sought in `late.rs`.
//!
//! What a former life of this process left is retried as soon as platforms has not heard of it. Were its marker lost as well,
//! with Redis or for want of it, and the replica of platforms that made the call, then nobody is left who knows of that call.

use std::sync::Arc;
use std::time::Duration;

use kit::clock::millis;
use proto::platforms::v1::{Answers, RefreshRequest};

use crate::Error;
use crate::engine::{Call, Engine};
use crate::model::Traits;
use crate::model::answer::{Arrival, arrival};
use crate::model::attempt::{Claim, claim, takeover_after_ms};
use crate::platforms::TOKEN_CALL;
use crate::refresh::{Why, tracked};
use crate::settle::{Next, note};
use crate::store::attempts::Attempt;
use crate::store::grants::Stored;

/// How long an answer is asked for. A call that is still under way ends before this, and platforms waits a little longer than
/// the call: so "no answer" is what became of it, never that nobody had the patience.
const ASK: Duration = TOKEN_CALL.saturating_add(Duration::from_secs(10));
/// How often it is looked for orphans.
const ROUND: Duration = Duration::from_secs(15);
pub(crate) const BATCH: i64 = 200;

/// What asking for an attempt's answer brought.
pub(crate) enum Found {
    /// There is one, and it is settled.
    Settled(Next),
    /// platforms has not heard of a call.
    NotSent,
    /// A call was made, and there is no answer of it so far.
    Silence,
    /// A call was made and is over; there will be no answer of it.
    Ended,
    /// platforms could not be asked.
    Away,
}

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
        if i64::try_from(unfinished.len()).is_ok_and(|count| count < BATCH) {
            let ids = unfinished.iter().map(|attempt| attempt.id.as_str()).collect();
            self.flights.forget_others(&ids);
        }
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
                    if let Err(error) = Box::pin(engine.resume(attempt, decided == Claim::Adopt)).await {
                        tracing::warn!(attempt = id, %error, "an attempt was not recovered");
                    }
                    engine.spread(&grant_id).await;
                });
            }
        }
        self.seek_late().await?;
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
            Box::pin(self.recover(attempt)).await?
        } else {
            tracked(&attempt, Box::pin(self.ask_again(&attempt))).await?
        };
        match next {
            Next::Done => Ok(()),
            Next::Again => Box::pin(self.renew(&workspace_id, &grant_id, parent, Why::Confirm)).await,
        }
    }

    async fn traits_of(&self, attempt: &Attempt) -> Result<Option<Arc<Traits>>, Error> {
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
        tracked(&attempt, self.go_on(&attempt)).await
    }

    async fn go_on(&self, attempt: &Attempt) -> Result<Next, Error> {
        let Some(stored) = self.store.grant(&attempt.workspace_id, &attempt.grant_id).await? else {
            return Ok(Next::Done);
        };
        let found = Box::pin(self.answered(attempt, &stored)).await?;
        match found {
            Found::Settled(next) => Ok(next),
            found => Box::pin(self.carry_on(attempt, &stored, &found)).await,
        }
    }

    /// From an attempt that has no answer: to one retry in its place, unless a call of it may still run.
    async fn carry_on(&self, attempt: &Attempt, stored: &Stored, found: &Found) -> Result<Next, Error> {
        let grant = &stored.grant;
        // Dead ones too: nothing is tried on their behalf, only a late answer could revive them.
        if !grant.state.is_live() || grant.generation != attempt.parent_generation {
            self.give_up(attempt, grant, "no answer").await?;
            return Ok(Next::Done);
        }
        let traits = self.platforms.traits(&grant.connector).await?;
        if self.may_run(attempt, found, &traits) {
            self.store.mark_unknown(attempt).await?;
            return Ok(Next::Done);
        }
        // Left as it is: the next life, or the next round, goes on with it.
        if self.draining() || matches!(found, Found::Away) {
            return Ok(Next::Done);
        }
        Box::pin(self.try_again(attempt, stored, &traits)).await
    }

    /// Is a call of an attempt to be feared that a retry would run beside, with the same single-use token?
    fn may_run(&self, attempt: &Attempt, found: &Found, traits: &Traits) -> bool {
        let heard = matches!(found, Found::Silence | Found::Away);
        let aged_at = attempt
            .started_at_ms
            .saturating_add(takeover_after_ms(traits, &self.policy));
        heard && !traits.repeatable_refresh && self.now() < aged_at
    }

    /// Puts one retry in the place of an attempt that has no answer.
    async fn try_again(&self, attempt: &Attempt, stored: &Stored, traits: &Traits) -> Result<Next, Error> {
        let grant = &stored.grant;
        let retry = Attempt {
            retry_of: Some(attempt.id.clone()),
            ..self.attempt(grant, "retry", attempt.salvage_id.clone())
        };
        let _running = self.flights.run(&retry.id);
        if !self.store.replace(attempt, &retry, self.now()).await? {
            return Ok(Next::Done);
        }
        self.flights.forget_call(&attempt.id);
        note(attempt, grant, "no answer", None);
        metrics::counter!("tokens_takeovers_total", "connector" => grant.connector.clone()).increment(1);
        tracked(&retry, Box::pin(self.perform(&retry, stored, traits))).await
    }

    /// Our own attempt whose answer did not come in time: it may have come since. After the deadline nobody sends it any more:
    /// one that no replica of platforms has heard of by then counts as never sent, and one whose call we saw end has nothing
    /// that still runs. When what platforms would know of a broken call may be lost, the longest time of a call is waited too.
    async fn ask_again(&self, attempt: &Attempt) -> Result<Next, Error> {
        let _running = self.flights.run(&attempt.id);
        let stored = self.store.grant(&attempt.workspace_id, &attempt.grant_id).await?;
        let Some(stored) = stored else { return Ok(Next::Done) };
        let asked_at = self.now();
        let found = Box::pin(self.answered(attempt, &stored)).await?;
        // Looked at after the answer: what Redis lost before it was given may be missing in it.
        let forgotten = match self.flights.call(&attempt.id) {
            Some(Call::Broken { life }) => !self.is_remembered(life.as_deref()).await,
            _ => false,
        };
        let runs_on = if forgotten { millis(TOKEN_CALL) } else { 0 };
        let over = asked_at >= attempt.deadline_at_ms.saturating_add(runs_on);
        match found {
            Found::Settled(next) => {
                self.flights.forget_call(&attempt.id);
                Ok(next)
            }
            found @ (Found::NotSent | Found::Ended) if over => Box::pin(self.carry_on(attempt, &stored, &found)).await,
            Found::NotSent | Found::Ended | Found::Silence | Found::Away => Ok(Next::Done),
        }
    }

    /// Settles an attempt by the answer that we or platforms kept.
    pub(crate) async fn answered(&self, attempt: &Attempt, stored: &Stored) -> Result<Found, Error> {
        let traits = self.platforms.traits(&stored.grant.connector).await?;
        let answers = match self.store.receipt(attempt)? {
            Some(answers) => answers,
            None => match self.ask(attempt, stored).await {
                Err(Error::Platforms(_)) => return Ok(Found::Away),
                asked => asked?,
            },
        };
        match arrival(answers.delivery()) {
            Arrival::NotSent => return Ok(Found::NotSent),
            Arrival::Unknown if self.flights.call_ended(&attempt.id) => return Ok(Found::Ended),
            Arrival::Unknown => return Ok(Found::Silence),
            Arrival::Answered => {}
        }
        self.keep(attempt, &answers).await?;
        Box::pin(self.settle(attempt, &answers, &traits))
            .await
            .map(Found::Settled)
    }

    async fn ask(&self, attempt: &Attempt, stored: &Stored) -> Result<Answers, Error> {
        let credential = self.sendable(attempt, stored).await?.unwrap_or_default();
        let request = RefreshRequest {
            attempt_id: attempt.id.clone(),
            connector: stored.grant.connector.clone(),
            credential: Some(credential),
            send_before_ms: 0,
            needs_marker: false,
        };
        // It may still be under way there; then this waits for it.
        self.platforms.seek(request, ASK).await
    }
}
