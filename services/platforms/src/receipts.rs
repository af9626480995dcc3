//! Calls that must not be repeated, by id: single flight over all replicas, and the answers kept until acknowledged.
//!
//! For each id: a renewed lock says that somebody is at it; a marker, written before the first byte leaves, says that it
//! was sent; the answers are sealed and stored before anybody gets them. So whoever asks again gets the same answers; an
//! id whose marker is there without an answer and without a living owner is `DELIVERY_UNKNOWN`, and nothing is sent for it
//! again until it is acknowledged. While Redis is away, this process alone keeps the same promises from its memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use kit::Clock;
use kit::seal::{Aad, KeyRing};
use kit::shared::{Lock, Shared};
use kit::tasks::Tasks;
use prost::Message as _;
use proto::platforms::v1::{Answers, Delivery};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use crate::flow;

/// How long markers and answers are kept.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// Life of the lock of a process that died.
const LOCK: Duration = Duration::from_secs(15);
/// Longest that a caller waits: longer than a call, so that who asks for the answer of one that is under way gets it, and does
/// not take "unknown" for its end. Callers' own deadlines are shorter where they want less; the call goes on all the same.
pub(crate) const PATIENCE: Duration = flow::CALL.saturating_add(Duration::from_secs(5));
/// How often another replica's answer is looked for.
const LOOK: Duration = Duration::from_millis(100);

/// Hands one call's marker and its first answers over to the store.
#[derive(Clone)]
pub(crate) struct Flight {
    receipts: Receipts,
    id: String,
}

/// Makes the call. Gets the answers that an owner who died had already kept.
pub(crate) type Work = Box<dyn FnOnce(Flight, Option<Answers>) -> BoxFuture<'static, Answers> + Send>;

/// See the file's head. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Receipts(Arc<Inner>);

struct Inner {
    shared: Shared,
    ring: KeyRing,
    clock: Clock,
    tasks: Tasks,
    patience: Duration,
    flights: Mutex<HashMap<String, watch::Receiver<Option<Answers>>>>,
    /// What Redis did not take, sealed, with the time when it may be forgotten.
    spill: Mutex<HashMap<String, (i64, Vec<u8>)>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unknown(reason: &str) -> Answers {
    Answers {
        delivery: Delivery::Unknown.into(),
        reason: reason.to_owned(),
        ..Answers::default()
    }
}

impl Receipts {
    /// `patience` is how long callers wait.
    pub(crate) fn new(shared: Shared, ring: KeyRing, clock: Clock, tasks: Tasks, patience: Duration) -> Self {
        Self(Arc::new(Inner {
            shared,
            ring,
            clock,
            tasks,
            patience,
            flights: Mutex::default(),
            spill: Mutex::default(),
        }))
    }

    /// The kept answers of `id`, or those of the call in flight, or those of `work`, which then runs detached: no caller's
    /// going away stops it.
    pub(crate) async fn once(&self, id: &str, work: Work) -> Answers {
        let until = Instant::now() + self.0.patience;
        if let Some(answers) = self.kept(id).await {
            return answers;
        }
        let mut flight = self.join(id, work);
        let ended = timeout_at(until, flight.wait_for(Option::is_some)).await;
        match ended {
            Ok(Ok(answers)) => answers
                .clone()
                .unwrap_or_else(|| unknown("the call ended without an answer")),
            Ok(Err(_)) => unknown("the call ended without an answer"),
            Err(_) => unknown("no answer in time"),
        }
    }

    /// Listens to the call in flight in this process, or starts it.
    fn join(&self, id: &str, work: Work) -> watch::Receiver<Option<Answers>> {
        let mut flights = locked(&self.0.flights);
        if let Some(flight) = flights.get(id) {
            return flight.clone();
        }
        let (done, flight) = watch::channel(None);
        flights.insert(id.to_owned(), flight.clone());
        drop(flights);
        let (receipts, id) = (self.clone(), id.to_owned());
        // A panic inside the work must not leave a flight behind that nobody ends.
        let landing = Landing {
            receipts: self.clone(),
            id: id.clone(),
        };
        self.0.tasks.spawn(async move {
            let answers = receipts.fly(&id, work).await;
            drop(landing);
            let _ = done.send(Some(answers));
        });
        flight
    }

    async fn fly(&self, id: &str, work: Work) -> Answers {
        let lock = match self.own(id).await {
            Ok(lock) => lock,
            Err(answers) => return *answers,
        };
        if let Some(answers) = self.kept(id).await {
            return answers;
        }
        let early = self.load(&key("early", id), "early", id).await;
        if early.is_none() && self.sent(id).await {
            return unknown("an earlier call was sent and its answer did not arrive");
        }
        let answers = work(
            Flight {
                receipts: self.clone(),
                id: id.to_owned(),
            },
            early,
        )
        .await;
        match answers.delivery() {
            Delivery::Answered => {
                let began = std::time::Instant::now();
                self.store(&key("receipt", id), "receipt", id, &answers).await;
                metrics::histogram!("platforms_receipt_seconds").record(began.elapsed());
            }
            // Nothing left: the next one may try.
            Delivery::NotSent | Delivery::HeldBack => self.remove(&key("sent", id)).await,
            _ => {}
        }
        if let Some(lock) = lock {
            lock.release().await;
        }
        answers
    }

    /// The right to make the call, or what another replica made of it. Without Redis the right is this process's own.
    async fn own(&self, id: &str) -> Result<Option<Lock>, Box<Answers>> {
        let until = Instant::now() + self.0.patience;
        loop {
            match self.0.shared.lock(&key("flight", id), LOCK).await {
                Ok(Some(lock)) => return Ok(Some(lock)),
                Err(_) => return Ok(None),
                Ok(None) => {}
            }
            if let Some(answers) = self.kept(id).await {
                return Err(Box::new(answers));
            }
            if Instant::now() >= until {
                return Err(Box::new(unknown("another process is still waiting for the answer")));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn kept(&self, id: &str) -> Option<Answers> {
        self.load(&key("receipt", id), "receipt", id).await
    }

    async fn sent(&self, id: &str) -> bool {
        let key = key("sent", id);
        locked(&self.0.spill).contains_key(&key) || matches!(self.0.shared.get(&key).await, Ok(Some(_)))
    }

    async fn load(&self, key: &str, field: &str, id: &str) -> Option<Answers> {
        let spilled = locked(&self.0.spill).get(key).map(|(_, sealed)| sealed.clone());
        let sealed = match spilled {
            Some(sealed) => sealed,
            None => self.0.shared.get(key).await.ok().flatten()?,
        };
        match self.0.ring.open(&aad(field, id), &sealed) {
            Ok(plain) => Answers::decode(plain.as_slice()).ok(),
            Err(error) => {
                tracing::error!(%error, "a kept answer does not open");
                None
            }
        }
    }

    async fn store(&self, key: &str, field: &str, id: &str, answers: &Answers) {
        let plain = Zeroizing::new(answers.encode_to_vec());
        match self.0.ring.seal(&aad(field, id), &plain) {
            Ok(sealed) => self.put(key, sealed).await,
            Err(error) => tracing::error!(%error, "an answer cannot be sealed and is not kept"),
        }
    }

    /// Redis, or this process's memory while Redis is away; it is handed over when Redis is back.
    async fn put(&self, key: &str, value: Vec<u8>) {
        if self.0.shared.put(key, &value, KEPT).await.is_ok() {
            return;
        }
        tracing::warn!("an answer is kept in memory: redis did not take it");
        let end = self.0.clock.now_ms() + i64::try_from(KEPT.as_millis()).unwrap_or(0);
        locked(&self.0.spill).insert(key.to_owned(), (end, value));
        let (receipts, key) = (self.clone(), key.to_owned());
        tokio::spawn(async move { receipts.hand_over(&key).await });
    }

    async fn hand_over(&self, key: &str) {
        loop {
            self.0.clock.sleep(Duration::from_secs(5)).await;
            let Some((end, value)) = locked(&self.0.spill).get(key).cloned() else {
                return;
            };
            if end <= self.0.clock.now_ms() || self.0.shared.put(key, &value, KEPT).await.is_ok() {
                locked(&self.0.spill).remove(key);
                return;
            }
        }
    }

    async fn remove(&self, key: &str) {
        locked(&self.0.spill).remove(key);
        let _ = self.0.shared.remove(key).await;
    }

    /// Forgets an id: its answers were stored elsewhere, or nobody wants them. The id is as new afterwards.
    pub(crate) async fn acknowledge(&self, id: &str) {
        for kind in ["receipt", "early", "sent"] {
            self.remove(&key(kind, id)).await;
        }
    }
}

impl Flight {
    /// From here on the platform may have seen the call.
    pub(crate) async fn mark_sent(&self) {
        self.receipts.put(&key("sent", &self.id), vec![1]).await;
    }

    /// Keeps the answers so far, for a flow that goes on with calls that may be repeated.
    pub(crate) async fn keep_early(&self, answers: &Answers) {
        self.receipts
            .store(&key("early", &self.id), "early", &self.id, answers)
            .await;
    }
}

/// Takes a flight off the list when its task ends, however it ends.
struct Landing {
    receipts: Receipts,
    id: String,
}

impl Drop for Landing {
    fn drop(&mut self) {
        locked(&self.receipts.0.flights).remove(&self.id);
    }
}

/// Ids are made by callers: hashed, they cannot be mistaken for another key.
fn key(kind: &str, id: &str) -> String {
    format!("{kind}/{}", kit::id::sha256_hex(id.as_bytes()))
}

fn aad<'a>(field: &'a str, id: &'a str) -> Aad<'a> {
    Aad {
        workspace: "",
        record: id,
        field,
        generation: 0,
    }
}

#[cfg(test)]
mod tests;
