//! What happens once an answer is kept: read it, apply or classify it, and close the attempt. The same for an answer that just
//! came, one that came late, and one that a former life of this process left behind.

use std::time::Duration;

use kit::fault::{self, Point};
use proto::common::v1::ErrorClass;
use proto::platforms::v1::{Answers, Credential, Delivery, InterpretResponse};

use crate::Error;
use crate::engine::Engine;
use crate::model::answer::{Arrival, Outcome, Weight, arrival, judge, weight};
use crate::model::change::Proof;
use crate::model::sight::Sight;
use crate::model::{Grant, Refusal, State, Traits};
use crate::store::attempts::Attempt;
use crate::store::grants::Stored;
use crate::store::outcome::{Applied, Late};

/// What a refresh does after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is over.
    Done,
    /// Another attempt tells what this one could not.
    Again,
}

impl Engine {
    /// Settles an attempt by what came of it.
    pub(crate) async fn settle(&self, attempt: &Attempt, answers: &Answers, traits: &Traits) -> Result<Next, Error> {
        let stored = self.store.grant(&attempt.workspace_id, &attempt.grant_id).await?;
        let Some(stored) = stored else { return Ok(Next::Done) };
        let next = match arrival(answers.delivery()) {
            Arrival::Unknown => {
                self.persist("attempt", || self.store.mark_unknown(attempt)).await?;
                unanswered(attempt, &stored.grant);
                return Ok(Next::Done);
            }
            Arrival::NotSent => {
                let refusal = not_sent(answers);
                self.trouble(attempt, &stored.grant, &refusal, traits).await?;
                Next::Done
            }
            Arrival::Answered => Box::pin(self.read(attempt, answers, &stored, traits)).await?,
        };
        self.spread(&attempt.grant_id).await;
        self.platforms.acknowledge(&attempt.id).await;
        Ok(next)
    }

    async fn read(
        &self,
        attempt: &Attempt,
        answers: &Answers,
        stored: &Stored,
        traits: &Traits,
    ) -> Result<Next, Error> {
        let previous = self.store.credential(stored)?.unwrap_or_default();
        let read = self.interpret(&stored.grant, answers, &previous).await?;
        let salvaged = read.salvaged_refresh_token.clone();
        match judge(read, &previous) {
            Outcome::Renewed(new) => {
                Box::pin(self.apply(attempt, &stored.grant, &new, traits)).await?;
                Ok(Next::Done)
            }
            Outcome::Refused(refusal) => {
                if !salvaged.is_empty() && salvaged != previous.refresh_token {
                    let id = self.id("qrt");
                    self.persist("salvage", || self.store.salvage(attempt, &id, &salvaged, self.now()))
                        .await?;
                }
                if attempt.given_up {
                    // A newer attempt may be under way: nothing is counted, and nothing has to be proven.
                    self.store.end_late(attempt, "refused late").await?;
                    note(attempt, &stored.grant, "not_believed", Some(&refusal));
                    return Ok(Next::Done);
                }
                Box::pin(self.refused(attempt, stored, &refusal, traits)).await
            }
            Outcome::NotSent(refusal) => self
                .trouble(attempt, &stored.grant, &refusal, traits)
                .await
                .map(|()| Next::Done),
            Outcome::Unknown => {
                self.store.mark_unknown(attempt).await?;
                unanswered(attempt, &stored.grant);
                Ok(Next::Done)
            }
        }
    }

    /// Reading is pure and the receipt is kept, so it is tried while platforms comes and goes; then recovery goes on with it.
    async fn interpret(
        &self,
        grant: &Grant,
        answers: &Answers,
        previous: &Credential,
    ) -> Result<InterpretResponse, Error> {
        let mut tried = 0;
        loop {
            match self
                .platforms
                .interpret(&grant.connector, answers, Some(previous))
                .await
            {
                Err(Error::Platforms(_)) if tried < 20 && !self.draining() => {
                    tried += 1;
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                done => return done,
            }
        }
    }

    async fn apply(&self, attempt: &Attempt, grant: &Grant, new: &Credential, traits: &Traits) -> Result<(), Error> {
        let (revocation_id, quarantine_id) = (self.id("rev"), self.id("qrt"));
        // It may have been committed although the answer to that was lost.
        let mut committed = false;
        let mut wait = Duration::from_millis(50);
        let applied = loop {
            let late = Late {
                revocation_id: &revocation_id,
                quarantine_id: &quarantine_id,
            };
            match self.store.apply(attempt, new, self.rules(traits), late).await {
                Err(Error::Database(error)) => {
                    committed = true;
                    tracing::warn!(attempt = attempt.id, %error, "a renewed credential is not stored yet, trying again");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(5));
                }
                done => break done?,
            }
        };
        fault::hit(Point::AfterCommit).await;
        match applied {
            Applied::Renewed(grant) => {
                note(attempt, &grant, "renewed", None);
                if grant.derive_pending {
                    self.spread(&grant.id).await;
                    Box::pin(self.derive(&grant)).await?;
                }
            }
            Applied::Revoked => note(attempt, grant, "revoked", None),
            Applied::Superseded => note(attempt, grant, "superseded", None),
            Applied::Before if committed => note(attempt, grant, "renewed", None),
            // Whoever applied it noted it.
            Applied::Before => {}
        }
        Ok(())
    }

    async fn refused(
        &self,
        attempt: &Attempt,
        stored: &Stored,
        refusal: &Refusal,
        traits: &Traits,
    ) -> Result<Next, Error> {
        let weight = weight(refusal.class());
        if weight == Weight::Trouble {
            self.trouble(attempt, &stored.grant, refusal, traits).await?;
            return Ok(Next::Done);
        }
        if let Some(salvage_id) = &attempt.salvage_id {
            // The token out of quarantine is no good: nothing is counted, the stored one is next.
            self.store.salvage_refused(&attempt.workspace_id, salvage_id).await?;
            self.give_up(attempt, &stored.grant, "salvaged token refused").await?;
            return Ok(Next::Again);
        }
        let proof = if weight == Weight::Permanent {
            Box::pin(self.prove(stored, refusal)).await?
        } else {
            Proof::Missing
        };
        let grant = self.store.refuse(attempt, refusal, proof, self.rules(traits)).await?;
        note(
            attempt,
            &stored.grant,
            if grant.is_some() { "refused" } else { "not_believed" },
            Some(refusal),
        );
        let undecided = grant.is_some_and(|grant| grant.state == State::Suspect);
        Ok(if undecided && proof == Proof::Impossible {
            Next::Again
        } else {
            Next::Done
        })
    }

    /// Asks another way whether a grant is over: our own dates, else the access token at the platform.
    async fn prove(&self, stored: &Stored, refusal: &Refusal) -> Result<Proof, Error> {
        let grant = &stored.grant;
        if grant.access_ended(self.now()) {
            let known = !grant.has_refresh_token && refusal.class() == ErrorClass::Expired;
            return Ok(if known { Proof::Agrees } else { Proof::Impossible });
        }
        Ok(match self.look(stored).await? {
            Sight::Works(_) => Proof::Denies,
            Sight::Gone(_) => Proof::Agrees,
            Sight::Nothing(seen) if seen.class() == ErrorClass::Expired => Proof::Impossible,
            Sight::Nothing(_) => Proof::Missing,
        })
    }

    /// Gives an attempt up that brought nothing.
    pub(crate) async fn give_up(&self, attempt: &Attempt, grant: &Grant, outcome: &str) -> Result<(), Error> {
        self.store.abandon(attempt, outcome, self.now()).await?;
        note(attempt, grant, outcome, None);
        Ok(())
    }

    async fn trouble(&self, attempt: &Attempt, grant: &Grant, refusal: &Refusal, traits: &Traits) -> Result<(), Error> {
        self.store.trouble(attempt, refusal, self.rules(traits)).await?;
        note(attempt, grant, "transient", Some(refusal));
        Ok(())
    }
}

fn not_sent(answers: &Answers) -> Refusal {
    let held_back = answers.delivery() == Delivery::HeldBack;
    let class = if held_back {
        ErrorClass::RateLimited
    } else {
        ErrorClass::Transient
    };
    let code = if held_back {
        Refusal::HELD_BACK
    } else {
        Refusal::NOT_SENT
    };
    Refusal::new(class, code, &answers.reason).retry_after(answers.retry_after_ms.max(0))
}

/// No answer came, and one may still come: not an outcome.
fn unanswered(attempt: &Attempt, grant: &Grant) {
    metrics::counter!("tokens_unanswered_total", "connector" => grant.connector.clone()).increment(1);
    tracing::warn!(attempt = attempt.id, grant = grant.id, "no answer came in time");
}

/// One line and one count for every attempt, with what came of it; no secret is in either. One whose answer came after it was
/// given up has had its line, and has another one of another kind.
pub(crate) fn note(attempt: &Attempt, grant: &Grant, outcome: &str, refusal: Option<&Refusal>) {
    let outcome = outcome.replace(' ', "_");
    let (connector, label) = (grant.connector.clone(), outcome.clone());
    let (count, line) = if attempt.given_up {
        let count = metrics::counter!("tokens_late_answers_total", "connector" => connector, "outcome" => label);
        (count, "late answer")
    } else {
        let count = metrics::counter!("tokens_attempts_total", "connector" => connector, "outcome" => label);
        (count, "refresh attempt")
    };
    count.increment(1);
    tracing::info!(
        attempt = attempt.id,
        grant = grant.id,
        workspace = grant.workspace_id,
        connector = grant.connector,
        why = attempt.why,
        retry_of = attempt.retry_of,
        parent = attempt.parent_generation,
        outcome,
        reason = refusal.map(crate::error::reason).unwrap_or_default(),
        code = refusal.map(|refusal| refusal.code.as_str()).unwrap_or_default(),
        trace = &*attempt.trace,
        "{line}"
    );
}
