//! Looks for grants that are due and does what they are due for: the hourly check of workspaces that nobody has open, refreshes
//! ahead of the end, ends that passed, tokens to derive. Also what is cleaned up from time to time.
//!
//! Replicas share the work by leases in the database. Each connector has a lane of its own: a platform that hangs fills its lane
//! and no other, and its grants are not even looked for until there is room again. In a lane the nearest end goes first, at half
//! the pace that the platform allows, over all replicas: after an outage thousands are due at once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kit::clock::millis;
use tokio::sync::Semaphore;

use crate::Error;
use crate::engine::Engine;
use crate::model::schedule::{Work, work};
use crate::refresh::Why;

/// A grant that was leased and not settled is looked at again after this.
const LEASE_MS: i64 = 600_000;
/// Pieces of work that one look at a grant may find, one after another.
const PIECES: usize = 4;
const HOUR: Duration = Duration::from_secs(3600);

/// How the sweep goes about it.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Time between two looks.
    pub interval: Duration,
    /// Grants leased at a time.
    pub batch: i64,
    /// Grants of one connector that are worked on at a time.
    pub concurrency: usize,
    /// How long reads of tokens are remembered.
    pub keep_reads: Duration,
}

/// Work under way, by connector.
#[derive(Clone)]
struct Lanes {
    width: usize,
    lanes: Arc<Mutex<HashMap<String, Lane>>>,
}

struct Lane {
    slots: Arc<Semaphore>,
    /// In the order in which they are worked on; those under way are not among them.
    waiting: VecDeque<Due>,
    taken: usize,
}

/// A grant that was leased: its workspace and its id.
type Due = (String, String);

impl Lanes {
    fn new(width: usize) -> Self {
        Self {
            width,
            lanes: Arc::default(),
        }
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<String, Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connectors that have as much to do as they can.
    fn full(&self) -> Vec<String> {
        let lanes = self.lanes();
        lanes
            .iter()
            .filter(|(_, lane)| lane.taken >= self.width)
            .map(|(connector, _)| connector.clone())
            .collect()
    }

    fn enter(&self, connector: &str, due: Due) -> Arc<Semaphore> {
        let mut lanes = self.lanes();
        let fresh = || Lane {
            slots: Arc::new(Semaphore::new(self.width)),
            waiting: VecDeque::new(),
            taken: 0,
        };
        let lane = lanes.entry(connector.to_owned()).or_insert_with(fresh);
        lane.taken += 1;
        lane.waiting.push_back(due);
        lane.slots.clone()
    }

    /// The one that waits first: whoever has a slot takes it, in whatever order tasks come to run.
    fn next(&self, connector: &str) -> Option<Due> {
        self.lanes().get_mut(connector)?.waiting.pop_front()
    }

    fn leave(&self, connector: &str) {
        if let Some(lane) = self.lanes().get_mut(connector) {
            lane.taken = lane.taken.saturating_sub(1);
        }
    }
}

impl Engine {
    /// Sweeps until the process ends.
    pub async fn sweep_all(&self, pace: Pace) {
        let lanes = Lanes::new(pace.concurrency);
        while !self.draining() {
            let leased = match self.sweep(pace, &lanes).await {
                Ok(leased) => leased,
                Err(error) => {
                    tracing::warn!(%error, "the sweep could not look for what is due");
                    0
                }
            };
            if leased < pace.batch {
                tokio::select! {
                    () = self.shutdown.cancelled() => {}
                    () = self.clock.sleep(pace.interval) => {}
                }
            }
        }
    }

    /// One round: leases what is due and begins the work. How many there were.
    async fn sweep(&self, pace: Pace, lanes: &Lanes) -> Result<i64, Error> {
        let now = self.now();
        let late = self.store.oldest_due().await?.map_or(0, |due| (now - due).max(0));
        metrics::gauge!("tokens_oldest_due_seconds").set(seconds(late));
        metrics::gauge!("tokens_open_attempts").set(count(self.store.count_unfinished().await?));
        let due = self
            .store
            .lease_due(now, now.saturating_add(LEASE_MS), pace.batch, &lanes.full())
            .await?;
        let leased = i64::try_from(due.len()).unwrap_or(i64::MAX);
        for (workspace_id, grant_id, connector) in due {
            let (engine, lanes) = (self.clone(), lanes.clone());
            let slots = lanes.enter(&connector, (workspace_id, grant_id));
            self.tasks.spawn(async move {
                // Never closed; without a slot there is nothing to do.
                if let Ok(_slot) = slots.acquire().await {
                    // Whoever the pace lets through takes the nearest end: those who wait for it get there in no order.
                    let turn = engine.turn(&connector).await;
                    if let Some((workspace_id, grant_id)) = lanes.next(&connector)
                        && let Err(error) = engine.take_turn(turn, &workspace_id, &grant_id).await
                    {
                        tracing::warn!(grant = grant_id, %error, "a grant that was due made trouble");
                    }
                }
                lanes.leave(&connector);
            });
        }
        Ok(leased)
    }

    /// Waits until the connector's pace has room. False when that takes too long: a lease would end meanwhile.
    async fn turn(&self, connector: &str) -> Result<bool, Error> {
        let Some(budget) = self.platforms.background(connector).await? else {
            return Ok(true);
        };
        let bucket = format!("sweep/{connector}");
        let give_up = self.now().saturating_add(LEASE_MS / 2);
        // Without Redis the lane's width and what platforms admits keep the pace.
        while let Ok(Some(wait)) = self.shared.spend(&bucket, budget, self.now()).await {
            if self.draining() || self.now() >= give_up {
                return Ok(false);
            }
            tokio::select! {
                () = self.shutdown.cancelled() => {}
                () = self.clock.sleep(wait) => {}
            }
        }
        Ok(true)
    }

    /// Does what a grant is due for, or leaves it to whoever looks next, who takes it in its order.
    async fn take_turn(&self, turn: Result<bool, Error>, workspace_id: &str, grant_id: &str) -> Result<(), Error> {
        if turn? {
            self.attend(workspace_id, grant_id).await
        } else {
            self.replan(workspace_id, grant_id).await
        }
    }

    /// Does what a grant is due for.
    pub(crate) async fn attend(&self, workspace_id: &str, grant_id: &str) -> Result<(), Error> {
        // A process died between moving a grant's last account and ending the grant.
        if self.store.attached(workspace_id, grant_id).await?.is_empty() {
            return self.release(workspace_id, grant_id).await;
        }
        for _ in 0..PIECES {
            if self.draining() {
                break;
            }
            let Some(stored) = self.store.grant(workspace_id, grant_id).await? else {
                return Ok(());
            };
            let grant = stored.grant;
            match work(&grant, self.now()) {
                Work::Expire => {
                    if !Box::pin(self.expire(workspace_id, grant_id)).await? {
                        break;
                    }
                }
                Work::Refresh => {
                    self.refresh(&grant, Why::Schedule).await?;
                    let after = self.latest(&grant).await?;
                    if after.next_refresh_at_ms == grant.next_refresh_at_ms {
                        break;
                    }
                }
                Work::Derive => {
                    Box::pin(self.derive(&grant)).await?;
                    break;
                }
                Work::Check => {
                    self.check(&grant).await?;
                }
                Work::Nothing => break,
            }
        }
        self.replan(workspace_id, grant_id).await
    }

    /// Its end passed. An attempt that may still renew it is waited for.
    async fn expire(&self, workspace_id: &str, grant_id: &str) -> Result<bool, Error> {
        let open = self.store.unfinished(workspace_id, grant_id).await?;
        let Some(stored) = self.store.grant(workspace_id, grant_id).await? else {
            return Ok(false);
        };
        let traits = self.platforms.traits(&stored.grant.connector).await?;
        let rules = self.rules(&traits);
        let patience = crate::model::attempt::takeover_after_ms(&traits, &self.policy).saturating_mul(2);
        let waiting = open.is_some_and(|attempt| attempt.started_at_ms.saturating_add(patience) > rules.now);
        let key = (workspace_id, grant_id);
        let generation = Some(stored.grant.generation);
        let changed = self
            .store
            .change(key, generation, rules.now, |grant| rules.expire(grant, waiting))
            .await?;
        self.spread(grant_id).await;
        Ok(changed.is_some() && !waiting)
    }

    /// Puts the plan in the place of the lease. What could not be done now is due again soon, by its own dates.
    async fn replan(&self, workspace_id: &str, grant_id: &str) -> Result<(), Error> {
        let Some(stored) = self.store.grant(workspace_id, grant_id).await? else {
            return Ok(());
        };
        let traits = self.platforms.traits(&stored.grant.connector).await?;
        let rules = self.rules(&traits);
        self.store
            .change((workspace_id, grant_id), None, rules.now, |grant| {
                rules.replan(grant);
                // Still due: somebody else is at it, or it could not be begun. Not at once again.
                let soon = rules.now.saturating_add(30_000);
                grant.next_due_at_ms = grant
                    .next_due_at_ms
                    .map(|due| if due <= rules.now { soon } else { due });
                None
            })
            .await?;
        Ok(())
    }

    /// Forgets, hourly, what is no longer of use.
    pub async fn tidy_all(&self, pace: Pace) {
        while !self.draining() {
            if let Err(error) = self.tidy(pace).await {
                tracing::warn!(%error, "old records were not forgotten");
            }
            tokio::select! {
                () = self.shutdown.cancelled() => {}
                () = self.clock.sleep(HOUR) => {}
            }
        }
    }

    async fn tidy(&self, pace: Pace) -> Result<(), Error> {
        let now = self.now();
        self.store.prune_reads(now - millis(pace.keep_reads)).await?;
        self.store
            .prune_attempts(now - 30 * crate::model::schedule::DAY_MS)
            .await?;
        self.tidy_exchanges().await
    }
}

#[allow(clippy::cast_precision_loss, reason = "a gauge")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

#[allow(clippy::cast_precision_loss, reason = "a gauge")]
fn count(number: i64) -> f64 {
    number as f64
}
