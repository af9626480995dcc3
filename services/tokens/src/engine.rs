//! What the parts of tokens share: the store, platforms, the clock, who we are, and which work is under way in this process.
//!
//! Work that must not be stopped by a caller runs in tracked tasks; callers only wait for them. Its steps are boxed one by one:
//! in one piece they are deeper than a thread's stack in a build that is not optimised.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kit::outbox::Relay;
use kit::shared::Shared;
use kit::tasks::Tasks;
use kit::{Clock, id};
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::access::memory::Memory;
use crate::audit::Audit;
use crate::model::attempt::Owner;
use crate::model::change::Rules;
use crate::model::{Grant, Policy, Traits};
use crate::platforms::Platforms;
use crate::store::Store;

/// Channel on which replicas tell each other that a refresh has ended: the grant's id.
pub const REFRESHED: &str = "refreshed";
/// Channel on which replicas tell each other to forget a grant at once.
pub const FORGET: &str = "forget";

/// Everything that tokens' work needs. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Parts>);

/// The parts of an [`Engine`].
pub struct Parts {
    /// The database.
    pub store: Store,
    /// The adapters.
    pub platforms: Platforms,
    /// Locks and wake-ups; carries no truth.
    pub shared: Shared,
    /// The time.
    pub clock: Clock,
    /// How patient and eager.
    pub policy: Policy,
    /// Who we are as owner of attempts.
    pub me: Owner,
    /// Work that a shutdown waits for.
    pub tasks: Tasks,
    /// The process is ending: begin nothing new.
    pub shutdown: CancellationToken,
    /// Delivers grant changes to accounts.
    pub relay: Relay,
    /// Tokens that were handed out a moment ago.
    pub memory: Memory,
    /// Who was given what.
    pub audit: Audit,
    /// Work under way in this process, by what it is about: `refresh:<grant>`, `check:<grant>`, `exchange:<session>`.
    pub flights: Flights,
}

impl std::ops::Deref for Engine {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Engine {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Unix milliseconds.
    pub fn now(&self) -> i64 {
        self.clock.now_ms()
    }

    /// A new row's id.
    pub fn id(&self, prefix: &str) -> String {
        id::new(prefix, &self.clock)
    }

    /// The rules for a change now.
    pub fn rules<'a>(&'a self, traits: &'a Traits) -> Rules<'a> {
        Rules {
            traits,
            policy: &self.policy,
            now: self.now(),
        }
    }

    /// The process is ending.
    pub fn draining(&self) -> bool {
        self.shutdown.is_cancelled()
    }

    /// Tells everybody that a grant changed: readers forget it, waiters look, accounts is delivered what is in the outbox.
    /// Losing these messages costs time only.
    pub async fn spread(&self, grant_id: &str) {
        self.relay.wake();
        self.memory.forget_grant(grant_id);
        for channel in [FORGET, REFRESHED] {
            if let Err(error) = self.shared.notify(channel, grant_id.as_bytes()).await {
                tracing::debug!(%error, "replicas were not told");
            }
        }
    }

    /// The grant as it is now.
    pub async fn latest(&self, grant: &Grant) -> Result<Grant, Error> {
        let stored = self.store.grant(&grant.workspace_id, &grant.id).await?;
        Ok(stored.ok_or(Error::NoSuchAccount)?.grant)
    }

    /// Begins work that nobody can stop, or joins it when it is under way. The token is cancelled when it has ended.
    pub fn join<F>(&self, key: String, work: impl FnOnce(Engine) -> F) -> CancellationToken
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Some(flight) = self.flights.begin(&key) else {
            return self.flights.ended(&key);
        };
        let ended = flight.ended.clone();
        let work = work(self.clone());
        self.tasks.spawn(async move {
            // Also when it panics: the flight ends by being dropped.
            let _flight = flight;
            work.await;
        });
        ended
    }

    /// Keeps trying to write while the database is away: what is written here exists nowhere else for long.
    pub async fn persist<T, F: Future<Output = Result<T, Error>>>(
        &self,
        what: &str,
        mut write: impl FnMut() -> F,
    ) -> Result<T, Error> {
        let mut wait = Duration::from_millis(50);
        loop {
            match write().await {
                Err(Error::Database(error)) => {
                    tracing::warn!(what, %error, "not stored yet, trying again");
                    metrics::counter!("tokens_store_retries_total").increment(1);
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(5));
                }
                done => return done,
            }
        }
    }
}

/// Work under way in this process, each of a kind once.
#[derive(Clone, Default)]
pub struct Flights(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    flights: HashMap<String, CancellationToken>,
    attempts: HashSet<String>,
    calls: HashMap<String, Call>,
}

/// What is known of the call of an attempt whose answer did not come.
#[derive(Clone)]
pub enum Call {
    /// It broke, after it may have arrived.
    Broken {
        /// The life of Redis in which the call was marked there; `None` if it was not.
        life: Option<String>,
    },
    /// It is over; nothing of it runs any more.
    Ended,
}

/// A piece of work; it ends when it is dropped.
pub struct Flight {
    flights: Flights,
    key: String,
    ended: CancellationToken,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.flights.state().flights.remove(&self.key);
        self.ended.cancel();
    }
}

/// An attempt that a task of this process is at.
pub struct Running(Flights, String);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.state().attempts.remove(&self.1);
    }
}

impl Flights {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, key: &str) -> Option<Flight> {
        let mut state = self.state();
        if state.flights.contains_key(key) {
            return None;
        }
        let ended = CancellationToken::new();
        state.flights.insert(key.to_owned(), ended.clone());
        Some(Flight {
            flights: self.clone(),
            key: key.to_owned(),
            ended,
        })
    }

    fn ended(&self, key: &str) -> CancellationToken {
        let found = self.state().flights.get(key).cloned();
        // Ended since: nothing to wait for.
        found.unwrap_or_else(|| {
            let ended = CancellationToken::new();
            ended.cancel();
            ended
        })
    }

    /// Notes that a task is at an attempt until the guard is dropped.
    pub fn run(&self, attempt_id: &str) -> Running {
        self.state().attempts.insert(attempt_id.to_owned());
        Running(self.clone(), attempt_id.to_owned())
    }

    /// Notes that an attempt's call is over and brought no answer: nothing of it runs any more.
    pub fn end_call(&self, attempt_id: &str) {
        self.state().calls.insert(attempt_id.to_owned(), Call::Ended);
    }

    /// Notes that an attempt's call broke, and the life of Redis that has its marker.
    pub fn break_call(&self, attempt_id: &str, life: Option<String>) {
        self.state().calls.insert(attempt_id.to_owned(), Call::Broken { life });
    }

    /// What was noted of an attempt's call.
    pub fn call(&self, attempt_id: &str) -> Option<Call> {
        self.state().calls.get(attempt_id).cloned()
    }

    /// Forgets the calls of all attempts but these and those that a task is at.
    pub fn forget_others(&self, unfinished: &HashSet<&str>) {
        let mut state = self.state();
        let State { attempts, calls, .. } = &mut *state;
        calls.retain(|id, _| unfinished.contains(id.as_str()) || attempts.contains(id));
    }

    /// Is an attempt's call known to be over?
    pub fn call_ended(&self, attempt_id: &str) -> bool {
        matches!(self.state().calls.get(attempt_id), Some(Call::Ended))
    }

    /// Forgets what was noted of an attempt's call.
    pub fn forget_call(&self, attempt_id: &str) {
        self.state().calls.remove(attempt_id);
    }

    /// Is a task of this process at this attempt?
    pub fn is_running(&self, attempt_id: &str) -> bool {
        self.state().attempts.contains(attempt_id)
    }
}
