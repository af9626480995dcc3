//! Connect sessions: one run of a platform's OAuth flow each, from `begin` to accounts or to a named problem.
//!
//! `begin` makes one; `callback` consumes its state exactly once, in the browser and by the person who started it; `work` is
//! the detached part that exchanges, decides and goes on to `attach`, and that a restart resumes; `select` is the person's choice;
//! `settle` gives back what an ended session or a disconnected account still has elsewhere.

mod attach;
mod begin;
mod callback;
mod select;
mod settle;
mod work;

use std::time::Duration;

use kit::Failure;
use kit::clock::millis;
use proto::accounts::v1 as pb;
use tokio::time::Instant;

use crate::error::Error;
use crate::hub::Hub;
use crate::model::session::{Problem, Session};
use crate::store::again;
use crate::store::sessions::End;

/// How long a worker has a session before another one may resume it. Longer than everything that it does.
const LEASE: Duration = Duration::from_secs(180);
/// How often the result of somebody else's work is looked for.
const LOOK: Duration = Duration::from_millis(50);
/// How long a caller waits for work that goes on without it.
const PATIENCE: Duration = Duration::from_secs(25);

impl Hub {
    /// The session as others see it, with the accounts that it connected.
    pub(crate) async fn show_session(&self, session: &Session) -> Result<pb::ConnectSession, Error> {
        let results = session.results();
        if results.is_empty() {
            return Ok(session.view(Vec::new()));
        }
        let snapshot = self.store.snapshot(&session.workspace_id).await?;
        let accounts = snapshot
            .accounts
            .iter()
            .filter(|account| results.contains(&account.id))
            .cloned()
            .collect();
        Ok(session.view(accounts))
    }

    /// Ends a session in its own transaction, and gives back at once what it can. False when it had ended otherwise.
    pub(crate) async fn end_session(&self, session: &Session, from: &[&str], end: &End<'_>) -> Result<bool, Error> {
        let ended = again(|| async {
            let mut tx = self.store.change(&session.workspace_id, self.clock.now_ms()).await?;
            let ended = tx.end_session(session, from, end).await?;
            tx.commit().await?;
            Ok(ended)
        })
        .await?;
        if ended && (end.discard || end.release) {
            let (hub, session) = (self.clone(), session.clone());
            let (discard, release) = (end.discard, end.release);
            self.tasks
                .spawn(async move { hub.settle_session(&session, discard, release).await });
        }
        Ok(ended)
    }

    /// Ends a session with a problem.
    async fn fail(&self, session: &Session, problem: impl Into<Problem>, discard: bool) -> Result<bool, Error> {
        let problem = problem.into();
        tracing::info!(
            session = session.id,
            platform = session.platform,
            problem = problem.code,
            "connect session failed"
        );
        metrics::counter!("connect_sessions_total", "platform" => session.platform.clone(), "outcome" => problem.code.clone()).increment(1);
        let end = End {
            status: "failed",
            problem: Some(problem),
            results: &[],
            discard,
            release: true,
        };
        self.end_session(session, &["pending", "authorizing", "choosing"], &end)
            .await
    }

    /// Ends a session whose time is over.
    pub(crate) async fn expire(&self, session: &Session) -> Result<(), Error> {
        let discard = session.status != "pending";
        let end = End {
            status: "expired",
            problem: Some(Failure::from(Error::SessionExpired).into()),
            results: &[],
            discard,
            release: true,
        };
        self.end_session(session, &[session.status.as_str()], &end)
            .await
            .map(drop)
    }

    /// The session once nobody works on it any more, or as it is when the caller's patience ends.
    async fn settled(&self, session: &Session, deadline: Instant) -> Result<Session, Error> {
        let until = deadline.min(Instant::now() + PATIENCE);
        loop {
            let now = self.store.session(&session.workspace_id, &session.id).await?;
            let working = now.status == "authorizing" && now.step != "parked";
            if !working || Instant::now() + LOOK >= until {
                return Ok(now);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn lease_ms() -> i64 {
    millis(LEASE)
}
