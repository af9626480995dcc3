//! Trading an authorization code: once per session, kept step by step, resumed after a crash and never repeated blindly.
//!
//! `open` → (answer kept) `received` → (read) `exchanged` → (identity and destinations) `discovered` → `attached`. Every step
//! may run again: platforms trades a session once, and each row changes only from the step before.

use std::time::Duration;

use proto::common::v1::ErrorClass;
use proto::platforms::v1::{self as platforms, Answers, Credential, Delivery, Destination, DiscoverResponse};
use proto::tokens::v1 as pb;

use crate::Error;
use crate::engine::Engine;
use crate::model::answer::{Arrival, Outcome, Weight, arrival, judge, weight};
use crate::model::schedule::DAY_MS;
use crate::model::sight::missing_scopes;
use crate::model::{Refusal, Traits};
use crate::store::attach::Hanging;
use crate::store::exchanges::{Exchange, Step};

/// An exchange that nobody touched for so long was left behind.
const LEFT_BEHIND_MS: i64 = 30_000;
/// Nothing left the host: the code is still good, tried again this often.
const UNSENT_TRIES: u32 = 3;
const DISCOVER_TRIES: u32 = 3;
/// Looks at whether the workspace's revocations are over, before a code is traded all the same: ten seconds.
const REVOCATION_LOOKS: u32 = 50;
const REVOCATION_LOOK: Duration = Duration::from_millis(200);

impl Engine {
    /// Trades a session's code, or finds what became of it.
    pub async fn exchange(
        &self,
        workspace_id: &str,
        request: platforms::ExchangeRequest,
    ) -> Result<pb::ExchangeResponse, Error> {
        // An unknown connector is refused before anything is kept.
        self.platforms.traits(&request.connector).await?;
        let session_id = request.session_id.clone();
        self.store.begin_exchange(workspace_id, &request, self.now()).await?;
        self.run_exchange(workspace_id, &session_id).await;
        let exchange = self
            .store
            .exchange(workspace_id, &session_id)
            .await?
            .ok_or(Error::NoSuchSession)?;
        let traits = self.platforms.traits(&exchange.connector).await?;
        match (exchange.step, &exchange.error) {
            (Step::Discovered | Step::Attached, _) => {
                let found = self.store.exchange_discovery(&exchange)?.ok_or(Error::NoSuchSession)?;
                let credential = self.store.exchange_credential(&exchange)?;
                Ok(answer(&found, credential.as_ref(), &traits))
            }
            (_, Some(refusal)) => {
                let credential = self.store.exchange_credential(&exchange)?;
                Ok(pb::ExchangeResponse {
                    missing_scopes: declined(refusal, credential.as_ref(), &traits),
                    ..failed(refusal.clone())
                })
            }
            (Step::Discarded, None) => Err(Error::SessionState("discarded".to_owned())),
            // Identity could not be found out yet: the credential is kept, and the same call goes on from there.
            _ => Ok(failed(Refusal::new(
                ErrorClass::Transient,
                "unfinished",
                "the platform did not say whose account it is yet",
            ))),
        }
    }

    /// Runs the steps that are left, in a task that outlives the caller.
    async fn run_exchange(&self, workspace_id: &str, session_id: &str) {
        let (workspace_id, session_id) = (workspace_id.to_owned(), session_id.to_owned());
        let ended = self.join(format!("exchange:{session_id}"), |engine| async move {
            if let Err(error) = engine.exchange_steps(&workspace_id, &session_id).await {
                tracing::warn!(session = session_id, %error, "an exchange stopped on the way");
            }
        });
        ended.cancelled().await;
    }

    async fn exchange_steps(&self, workspace_id: &str, session_id: &str) -> Result<(), Error> {
        let mut before = None;
        loop {
            let Some(exchange) = self.store.exchange(workspace_id, session_id).await? else {
                return Ok(());
            };
            // A step that did not get on is left for later.
            if before == Some(exchange.step) {
                return Ok(());
            }
            before = Some(exchange.step);
            match exchange.step {
                Step::Open => self.trade(&exchange).await?,
                Step::Received => self.read_exchange(&exchange).await?,
                // Discarded while the code was on its way: what came of it is read all the same, and revoked.
                Step::Discarded if exchange.has_receipt() => self.read_exchange(&exchange).await?,
                Step::Exchanged => self.discover_exchange(&exchange).await?,
                Step::Discovered | Step::Attached | Step::Failed | Step::Discarded => return Ok(()),
            }
        }
    }

    async fn trade(&self, exchange: &Exchange) -> Result<(), Error> {
        let Some(request) = self.store.exchange_request(exchange)? else {
            return Ok(());
        };
        if self.platforms.traits(&exchange.connector).await?.shared_grant {
            self.await_revocations(&exchange.workspace_id).await?;
        }
        let mut tried = 0;
        let answers = loop {
            tried += 1;
            // platforms knows the session by its id: asking again is not sending again.
            let answers = self.platforms.exchange(request.clone()).await;
            match answers {
                Ok(answers) if arrival(answers.delivery()) != Arrival::NotSent || tried >= UNSENT_TRIES => {
                    break answers;
                }
                Err(error) if tried > UNSENT_TRIES => return Err(error),
                Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
            }
        };
        self.persist("exchange", || {
            self.store.receive_exchange(exchange, &answers, self.now())
        })
        .await
    }

    /// Ending a person's former access would end what they are about to be given: what runs is waited for, and what is queued
    /// waits until it is known who signs in.
    async fn await_revocations(&self, workspace_id: &str) -> Result<(), Error> {
        for _ in 0..REVOCATION_LOOKS {
            if self.store.hold_revocations(workspace_id, self.now()).await? {
                return Ok(());
            }
            // By the machine's clock: a person waits.
            tokio::time::sleep(REVOCATION_LOOK).await;
        }
        Ok(())
    }

    async fn read_exchange(&self, exchange: &Exchange) -> Result<(), Error> {
        let Some(answers) = self.store.exchange_receipt(exchange)? else {
            return Ok(());
        };
        let traits = self.platforms.traits(&exchange.connector).await?;
        match self.judge_exchange(exchange, &answers).await? {
            Ok(credential) => {
                let revocation_id = self.id("rev");
                let keep = || {
                    self.store
                        .keep_exchanged(exchange, &credential, &traits, &revocation_id, self.now())
                };
                self.persist("credential", keep).await?;
            }
            Err(refusal) => {
                tracing::info!(
                    session = exchange.session_id,
                    connector = exchange.connector,
                    code = refusal.code,
                    "an exchange failed"
                );
                self.persist("exchange", || self.store.fail_exchange(exchange, &refusal, self.now()))
                    .await?;
            }
        }
        self.platforms.acknowledge(&exchange.session_id).await;
        Ok(())
    }

    async fn judge_exchange(
        &self,
        exchange: &Exchange,
        answers: &Answers,
    ) -> Result<Result<Credential, Refusal>, Error> {
        if answers.answers.is_empty() && answers.delivery() != Delivery::Answered {
            let held_back = answers.delivery() == Delivery::HeldBack;
            let class = if held_back {
                ErrorClass::RateLimited
            } else {
                ErrorClass::Transient
            };
            return Ok(Err(Refusal::new(class, "no_answer", &answers.reason)));
        }
        let read = self.platforms.interpret(&exchange.connector, answers, None).await?;
        Ok(match judge(read, &Credential::default()) {
            Outcome::Renewed(credential) => Ok(credential),
            Outcome::Refused(refusal) | Outcome::NotSent(refusal) => Err(refusal),
            Outcome::Unknown => Err(Refusal::new(
                ErrorClass::Transient,
                "no_answer",
                "the platform did not answer",
            )),
        })
    }

    async fn discover_exchange(&self, exchange: &Exchange) -> Result<(), Error> {
        let Some(credential) = self.store.exchange_credential(exchange)? else {
            return Ok(());
        };
        for tried in 1..=DISCOVER_TRIES {
            let asked_at = self.now();
            let found = self.platforms.discover(&exchange.connector, &credential).await;
            match found {
                Ok(found) if found.error.is_none() => {
                    let keep = || self.store.keep_discovered(exchange, &found, asked_at, self.now());
                    if self.persist("discovery", keep).await? {
                        return Ok(());
                    }
                    tracing::info!(
                        session = exchange.session_id,
                        "the person's former access is being ended: looking again"
                    );
                    tokio::time::sleep(Duration::from_millis(700)).await;
                }
                // Denied so much that not even the person is known: that will not change.
                Ok(found)
                    if found
                        .error
                        .as_ref()
                        .is_some_and(|error| is_final(&error.clone().into())) =>
                {
                    let refusal = found
                        .error
                        .map_or_else(|| Refusal::new(ErrorClass::Transient, "", ""), Refusal::from);
                    return self
                        .persist("exchange", || self.store.unidentified(exchange, &refusal, self.now()))
                        .await;
                }
                _ if tried < DISCOVER_TRIES => tokio::time::sleep(Duration::from_millis(700)).await,
                _ => tracing::info!(session = exchange.session_id, "identity could not be found out yet"),
            }
        }
        self.store.touch_exchange(exchange, self.now()).await
    }

    /// Goes on with exchanges that were left on the way.
    pub(crate) async fn resume_exchanges(&self) -> Result<(), Error> {
        for exchange in self.store.stale_exchanges(self.now() - LEFT_BEHIND_MS, 50).await? {
            let engine = self.clone();
            self.tasks
                .spawn(async move { engine.run_exchange(&exchange.workspace_id, &exchange.session_id).await });
        }
        Ok(())
    }

    /// Makes an exchanged credential the grant's and hangs accounts on it.
    pub async fn attach(
        &self,
        workspace_id: &str,
        session_id: &str,
        attachments: &[pb::Attachment],
    ) -> Result<pb::Grant, Error> {
        let exchange = self
            .store
            .exchange(workspace_id, session_id)
            .await?
            .ok_or(Error::NoSuchSession)?;
        let traits = self.platforms.traits(&exchange.connector).await?;
        let grant_id = self.id("grt");
        let hanging = Hanging {
            exchange: &exchange,
            attachments,
            grant_id: &grant_id,
        };
        let (grant, emptied) = self.store.attach(&hanging, self.rules(&traits)).await?;
        for grant_id in emptied {
            self.release(workspace_id, &grant_id).await?;
        }
        self.spread(&grant.id).await;
        self.store.message(workspace_id, &grant).await
    }

    /// Throws an exchanged credential away.
    pub async fn discard(&self, workspace_id: &str, session_id: &str) -> Result<(), Error> {
        let Some(exchange) = self.store.exchange(workspace_id, session_id).await? else {
            return Ok(());
        };
        let traits = self.platforms.traits(&exchange.connector).await?;
        self.store
            .discard(&exchange, &traits, &self.id("rev"), self.now())
            .await
    }

    /// Forgets sessions of yesterday; credentials in them that no grant took are revoked.
    pub(crate) async fn tidy_exchanges(&self) -> Result<(), Error> {
        loop {
            let old = self.store.old_exchanges(self.now() - DAY_MS, 100).await?;
            if old.is_empty() || self.draining() {
                return Ok(());
            }
            for exchange in old {
                self.discard(&exchange.workspace_id, &exchange.session_id).await?;
                self.store.forget_exchange(&exchange).await?;
            }
        }
    }
}

fn is_final(refusal: &Refusal) -> bool {
    weight(refusal.class()) != Weight::Trouble
}

/// Which of the permissions that we need made the platform refuse, as far as that is known.
fn declined(refusal: &Refusal, credential: Option<&Credential>, traits: &Traits) -> Vec<String> {
    if refusal.class() != ErrorClass::PermissionMissing {
        return Vec::new();
    }
    let Some(credential) = credential else {
        let names = traits.required_scopes.iter().map(|(name, _)| name);
        return names.filter(|name| **name == refusal.code).cloned().collect();
    };
    missing_scopes(traits, &credential.scopes, &[])
}

fn failed(refusal: Refusal) -> pb::ExchangeResponse {
    pb::ExchangeResponse {
        error: Some(refusal.into()),
        ..pb::ExchangeResponse::default()
    }
}

/// What others are told of an exchange: no token is in it.
fn answer(found: &DiscoverResponse, credential: Option<&Credential>, traits: &Traits) -> pb::ExchangeResponse {
    let granted = match credential {
        Some(credential) if found.granted_scopes.is_empty() => credential.scopes.clone(),
        _ => found.granted_scopes.clone(),
    };
    let kinds = found
        .destinations
        .iter()
        .map(|destination| destination.kind.clone())
        .collect::<Vec<_>>();
    pb::ExchangeResponse {
        platform_user_id: found.platform_user_id.clone(),
        user_name: found.user_name.clone(),
        missing_scopes: missing_scopes(traits, &granted, &kinds),
        granted_scopes: granted,
        destinations: found
            .destinations
            .iter()
            .map(|destination| Destination {
                derived_token: String::new(),
                ..destination.clone()
            })
            .collect(),
        skipped: found.skipped.clone(),
        error: None,
    }
}
