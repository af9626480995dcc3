//! Calls that must not be repeated, by id: single flight over all replicas, and the answers kept until acknowledged.
//!
//! For each id: a renewed lock says that somebody is at it; a marker, written before the first byte leaves, says that it
//! was sent; the answers are sealed and stored before anybody gets them. So whoever asks again gets the same answers; an
//! id whose marker is there without an answer and without a living owner is `DELIVERY_UNKNOWN`, and nothing is sent for it
//! again until it is acknowledged.
//!
//! Marker and answers are in this process's memory as well (`copies`): Redis may be emptied between the platform's answer and
//! the death of the tokens process that waits for it. They are put back when Redis is there again, so that this process may
//! die after that; a tokens process that comes sooner asks every replica, and the one whose call it was has them.

mod copies;
mod shelf;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use kit::Clock;
use kit::fault::{self, Point};
use kit::seal::KeyRing;
use kit::shared::{Lock, Shared};
use kit::tasks::Tasks;
use proto::platforms::v1::{Answers, Delivery};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::flow;
use shelf::{Kind, Shelf};

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
    /// A marker in this process alone does not do: should it die before Redis has it, nobody knows of the call.
    pub(crate) needs_marker: bool,
}

/// Makes the call. Gets the answers that an owner who died had already kept.
pub(crate) type Work = Box<dyn FnOnce(Flight, Option<Answers>) -> BoxFuture<'static, Answers> + Send>;

/// See the file's head. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Receipts(Arc<Inner>);

struct Inner {
    shared: Shared,
    shelf: Arc<Shelf>,
    tasks: Tasks,
    patience: Duration,
    flights: Mutex<HashMap<String, watch::Receiver<Option<Answers>>>>,
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
            shelf: Shelf::new(shared.clone(), ring, clock),
            shared,
            tasks,
            patience,
            flights: Mutex::default(),
        }))
    }

    /// The kept answers of `id`, or those of the call in flight, or those of `work`, which then runs detached: no caller's
    /// going away stops it.
    pub(crate) async fn once(&self, id: &str, work: Work) -> Answers {
        let until = Instant::now() + self.0.patience;
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
        let known = self.0.shelf.known(id).await;
        if let Some(answers) = known.receipt {
            return answers;
        }
        if known.early.is_none() && known.is_sent {
            return unknown("an earlier call was sent and its answer did not arrive");
        }
        let answers = work(
            Flight {
                receipts: self.clone(),
                id: id.to_owned(),
                needs_marker: false,
            },
            known.early,
        )
        .await;
        match answers.delivery() {
            Delivery::Answered => {
                let began = std::time::Instant::now();
                self.0.shelf.store(Kind::Receipt, id, &answers).await;
                metrics::histogram!("platforms_receipt_seconds").record(began.elapsed());
                fault::hit(Point::AfterPlatformsReceipt).await;
            }
            // Nothing left: the next one may try.
            Delivery::NotSent | Delivery::HeldBack => self.0.shelf.remove(Kind::Sent, id).await,
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
            match self.0.shared.lock(&flight(id), LOCK).await {
                Ok(Some(lock)) => return Ok(Some(lock)),
                Err(_) => return Ok(None),
                Ok(None) => {}
            }
            if let Some(answers) = self.0.shelf.load(Kind::Receipt, id).await {
                return Err(Box::new(answers));
            }
            if Instant::now() >= until {
                return Err(Box::new(unknown("another process is still waiting for the answer")));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Puts into Redis what it does not have: at the end of a process's life, the last chance.
    pub(crate) async fn hand_over(&self) {
        self.0.shelf.hand_over().await;
    }

    /// Forgets an id: its answers were stored elsewhere, or nobody wants them. The id is as new afterwards. False when another
    /// replica may still have a copy.
    pub(crate) async fn acknowledge(&self, id: &str) -> bool {
        self.0.shelf.acknowledge(id).await
    }
}

impl Flight {
    /// An answer can be kept whatever happens: without that nothing is sent.
    pub(crate) fn has_room(&self) -> bool {
        self.receipts.0.shelf.has_room()
    }

    /// From here on the platform may have seen the call. False when it must not be sent: Redis did not take the marker.
    pub(crate) async fn mark_sent(&self) -> bool {
        self.receipts.0.shelf.mark_sent(&self.id).await || !self.needs_marker
    }

    /// Keeps the answers so far, for a flow that goes on with calls that may be repeated.
    pub(crate) async fn keep_early(&self, answers: &Answers) {
        self.receipts.0.shelf.store(Kind::Early, &self.id, answers).await;
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

/// Key of the lock that says that somebody is at an id.
fn flight(id: &str) -> String {
    format!("flight/{}", kit::id::sha256_hex(id.as_bytes()))
}

#[cfg(test)]
mod tests;
