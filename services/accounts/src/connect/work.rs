//! The detached part of a session: exchange, decide, and on to `attach`. Every step may be repeated by another process with
//! the same result: the exchange is tokens' by session id, rows keep their ids, slots and attachments are idempotent.

use std::future::Future;
use std::time::Duration;

use kit::clock::millis;
use kit::grpc::Context;
use kit::{Code, Failure};
use proto::tokens::v1 as tokens;
use tokio::time::Instant;

use crate::error::{Error, is_transient};
use crate::hub::Hub;
use crate::model::session::{Place, Session, denied, exchange_problem};
use crate::store::again;

/// How long steps that fail for no reason of their own are tried.
const TRYING: Duration = Duration::from_secs(60);
/// Longest that one exchange may take: the platform's time and ours.
const EXCHANGE: Duration = Duration::from_secs(75);

impl Hub {
    /// From a consumed state to the end of the session, or to the person's choice.
    pub(super) async fn work(&self, session: &Session, code: &str) -> Result<(), Error> {
        if session.step == "attach" {
            let picks = session.picks();
            let picked = session
                .places()
                .into_iter()
                .filter(|place| picks.contains(&place.id))
                .collect::<Vec<_>>();
            return self
                .attach(session, &picked)
                .await
                .or_else(|error| spoken(error, session));
        }
        match self.exchanged(session, code).await? {
            Some(found) => self
                .decide(session, found)
                .await
                .or_else(|error| spoken(error, session)),
            None => Ok(()),
        }
    }

    /// Has the code exchanged. `None` when that failed and the session ended with it.
    pub(super) async fn exchanged(
        &self,
        session: &Session,
        code: &str,
    ) -> Result<Option<tokens::ExchangeResponse>, Error> {
        let answer = self
            .trying(|| async {
                let ask = tokens::ExchangeRequest {
                    workspace_id: session.workspace_id.clone(),
                    session_id: session.id.clone(),
                    connector: session.connector.clone(),
                    code: code.to_owned(),
                    redirect_uri: session.redirect_uri.clone(),
                    sealed_verifier: session.sealed_verifier.clone(),
                };
                let ask = Context::background().within(EXCHANGE).request(ask);
                Ok(self.tokens.clone().exchange(ask).await?.into_inner())
            })
            .await;
        match answer {
            Ok(found) => match &found.error {
                Some(error) => {
                    self.fail(session, exchange_problem(error, &found.missing_scopes), true)
                        .await?;
                    Ok(None)
                }
                None => Ok(Some(found)),
            },
            Err(error) => {
                self.fail(session, technical(error), true).await?;
                Ok(None)
            }
        }
    }

    /// What to do with what the sign-in reaches.
    async fn decide(&self, session: &Session, found: tokens::ExchangeResponse) -> Result<(), Error> {
        let snapshot = self.store.load(&session.workspace_id, 0).await?;
        let known = |paid: &str| {
            snapshot
                .accounts
                .iter()
                .find(|a| a.platform == session.platform && a.platform_account_id == paid)
        };
        let account_id = |paid: &str| known(paid).map(|account| account.id.clone()).unwrap_or_default();
        let places = found.destinations.iter();
        let places = places
            .map(|place| Place::new(place, account_id(&place.platform_account_id)))
            .collect::<Vec<_>>();
        if found.platform_user_id.is_empty() || (places.is_empty() && !found.missing_scopes.is_empty()) {
            return self.fail(session, denied(&found.missing_scopes), true).await.map(drop);
        }
        if session.is_reconnect() {
            let targets = session.account_ids();
            let wanted = places
                .iter()
                .filter(|place| targets.contains(&place.account_id))
                .cloned()
                .collect::<Vec<_>>();
            if wanted.is_empty() {
                let expected = snapshot.accounts.iter().find(|account| targets.contains(&account.id));
                let failure = wrong_person(expected.map_or("", |account| &account.display_name), &found, &places);
                return self.fail(session, failure, true).await.map(drop);
            }
            return self.go_on(session, &wanted, &found.skipped).await;
        }
        match places.len() {
            0 => {
                let failure = Failure::new(Code::NoDestinations, "The sign-in has nothing that can be connected.");
                let failure = failure.param("skipped", found.skipped.join("; "));
                self.fail(session, failure, true).await.map(drop)
            }
            1 => self.go_on(session, &places, &found.skipped).await,
            _ => self.offer(session, &places, &found.skipped).await,
        }
    }

    async fn go_on(&self, session: &Session, places: &[Place], skipped: &[String]) -> Result<(), Error> {
        again(|| async {
            let mut tx = self.store.change(&session.workspace_id, self.clock.now_ms()).await?;
            tx.note_places(session, places, skipped).await?;
            tx.commit().await
        })
        .await?;
        self.attach(session, places).await
    }

    /// Lets the person choose, with new time to do so.
    pub(super) async fn offer(&self, session: &Session, places: &[Place], skipped: &[String]) -> Result<(), Error> {
        let until_ms = self.clock.now_ms() + millis(self.settings.session_ttl);
        again(|| async {
            let mut tx = self.store.change(&session.workspace_id, self.clock.now_ms()).await?;
            tx.offer(session, places, skipped, until_ms).await?;
            tx.commit().await
        })
        .await?;
        // Keeps the slot for as long as the choice may take; without one the session competes when it completes.
        let longer = Session {
            expires_at_ms: until_ms,
            ..session.clone()
        };
        let _ = self.reserve(&Context::background(), &longer).await;
        Ok(())
    }

    /// Tries a step again while it fails for no reason of its own.
    pub(super) async fn trying<T, F: Future<Output = Result<T, Error>>>(
        &self,
        step: impl Fn() -> F,
    ) -> Result<T, Error> {
        let until = Instant::now() + TRYING;
        let mut wait = Duration::from_millis(100);
        loop {
            match step().await {
                Err(error) if error.is_transient() && Instant::now() + wait < until => tokio::time::sleep(wait).await,
                done => return done,
            }
            wait = (wait * 2).min(Duration::from_secs(5));
        }
    }
}

/// An error that nobody waits for is said in the log.
fn spoken(error: Error, session: &Session) -> Result<(), Error> {
    tracing::warn!(session = session.id, %error, "connect session could not go on");
    Err(error)
}

/// What a person is told when a part of the hub did not do its step.
pub(super) fn technical(error: Error) -> Failure {
    let failure = Failure::from(error);
    if is_transient(&failure) {
        return Failure::new(
            Code::PlatformUnavailable,
            "The sign-in could not be finished; try again.",
        );
    }
    failure
}

fn wrong_person(expected: &str, found: &tokens::ExchangeResponse, places: &[Place]) -> Failure {
    let first = places.first().map_or("", |place| place.display_name.as_str());
    let actual = if found.user_name.is_empty() {
        first
    } else {
        &found.user_name
    };
    let detail = format!("You signed in as {actual}; this account is {expected}.");
    Failure::new(Code::WrongPlatformAccount, detail)
        .param("expected", expected)
        .param("actual", actual)
}
