//! Tokens that were handed out a moment ago, in this process' memory.
//!
//! An entry is good for one second after the database last confirmed it, so that no replica answers longer than a second after
//! a disconnect, whatever Redis does. Entries in use are confirmed ahead of that in the background, many in one query, so a
//! busy reader never waits for it. Redis only lets replicas forget sooner; a stamp kept there would be one more thing to be
//! wrong, and would save nothing that a batched point read costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kit::Secret;
use moka::sync::Cache;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::store::Store;

/// How long an entry is good after it was confirmed.
const GOOD_US: u64 = 1_000_000;
/// From when on a reader has it confirmed in the background.
const TEND_US: u64 = 400_000;
const CAPACITY: u64 = 100_000;
const IDLE: Duration = Duration::from_secs(600);
const BATCH: usize = 500;

/// A token as it is handed out, and what it is the token of.
pub struct Entry {
    /// Whose.
    pub workspace_id: Arc<str>,
    /// Which account.
    pub account_id: Arc<str>,
    /// Which grant.
    pub grant_id: Arc<str>,
    /// The token.
    pub token: Secret,
    /// `Bearer`, as a rule.
    pub token_type: String,
    /// 0 = no end.
    pub expires_at_ms: i64,
    /// Below this much life left the reader should wait for a renewal; see [`Entry::serves`].
    pub issued_at_ms: i64,
    /// It is the destination's own, derived from the grant's.
    pub own: bool,
    /// It can be renewed.
    pub renewable: bool,
    /// Of the grant.
    pub generation: i64,
    /// Of the grant.
    pub version: i64,
    /// Granted.
    pub scopes: Vec<String>,
    /// Which platform and method.
    pub connector: String,
    /// At the platform.
    pub platform_account_id: String,
    pub(super) life: Life,
}

/// How fresh an entry is.
pub(super) struct Life {
    confirmed_us: AtomicU64,
    queued: AtomicBool,
    epoch: Arc<AtomicU64>,
    born_in: u64,
}

impl Entry {
    /// Is the token good for a reader who wants `min_ttl_ms`? One that cannot be renewed is the best there is until its end.
    pub fn serves(&self, min_ttl_ms: i64, now: i64) -> bool {
        if self.expires_at_ms == 0 {
            return true;
        }
        let (left, lifetime) = (self.expires_at_ms - now, self.expires_at_ms - self.issued_at_ms);
        let enough = if min_ttl_ms > lifetime {
            left >= lifetime / 2
        } else {
            left >= min_ttl_ms
        };
        left > 0 && (enough || !self.renewable)
    }
}

/// The tokens. Cheap to clone.
#[derive(Clone)]
pub struct Memory {
    entries: Cache<String, Arc<Entry>>,
    epochs: Cache<String, Arc<AtomicU64>>,
    start: Instant,
    tend: mpsc::Sender<Arc<Entry>>,
}

/// Confirms entries: run it beside the server.
pub struct Confirmer {
    memory: Memory,
    queue: mpsc::Receiver<Arc<Entry>>,
}

/// A memory and what keeps it true.
pub fn memory() -> (Memory, Confirmer) {
    let (tend, queue) = mpsc::channel(BATCH * 20);
    let entries = Cache::builder().max_capacity(CAPACITY).time_to_idle(IDLE).build();
    let epochs = Cache::builder()
        .max_capacity(2 * CAPACITY)
        .time_to_idle(2 * IDLE)
        .build();
    let memory = Memory {
        entries,
        epochs,
        start: Instant::now(),
        tend,
    };
    (memory.clone(), Confirmer { memory, queue })
}

impl Memory {
    /// This moment, to be taken before the database is asked.
    pub fn moment(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// An entry that is good now. Takes no lock and asks nobody.
    pub fn fresh(&self, account_id: &str) -> Option<Arc<Entry>> {
        let entry = self.entries.get(account_id)?;
        let age = self
            .moment()
            .saturating_sub(entry.life.confirmed_us.load(Ordering::Acquire));
        if age >= GOOD_US || entry.life.epoch.load(Ordering::Acquire) != entry.life.born_in {
            return None;
        }
        if age >= TEND_US
            && !entry.life.queued.swap(true, Ordering::AcqRel)
            && self.tend.try_send(entry.clone()).is_err()
        {
            entry.life.queued.store(false, Ordering::Release);
        }
        Some(entry)
    }

    /// The life of an entry that the database gave after `asked_at`.
    pub(super) fn life(&self, grant_id: &str, asked_at: u64) -> Life {
        let epoch = self.epochs.get_with_by_ref(grant_id, Arc::default);
        let born_in = epoch.load(Ordering::Acquire);
        Life {
            confirmed_us: AtomicU64::new(asked_at),
            queued: AtomicBool::new(false),
            epoch,
            born_in,
        }
    }

    /// Keeps an entry.
    pub fn keep(&self, entry: &Arc<Entry>) {
        self.entries.insert(entry.account_id.to_string(), entry.clone());
    }

    /// Forgets all tokens of a grant.
    pub fn forget_grant(&self, grant_id: &str) {
        if let Some(epoch) = self.epochs.get(grant_id) {
            epoch.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Forgets one account's token.
    pub fn forget(&self, account_id: &str) {
        self.entries.invalidate(account_id);
    }
}

impl Confirmer {
    /// Confirms until `stop`.
    pub async fn run(mut self, store: Store, stop: CancellationToken) {
        let mut entries = Vec::with_capacity(BATCH);
        loop {
            entries.clear();
            tokio::select! {
                () = stop.cancelled() => return,
                count = self.queue.recv_many(&mut entries, BATCH) => if count == 0 { return },
            }
            self.confirm(&store, &entries).await;
        }
    }

    async fn confirm(&self, store: &Store, entries: &[Arc<Entry>]) {
        let asked_at = self.memory.moment();
        let ids = entries
            .iter()
            .map(|entry| entry.account_id.to_string())
            .collect::<Vec<_>>();
        let stamps = store.stamps(&ids).await;
        for entry in entries {
            entry.life.queued.store(false, Ordering::Release);
            match &stamps {
                Ok(stamps) => {
                    let holds = stamps.iter().any(|(account_id, grant_id, generation, version)| {
                        **account_id == *entry.account_id
                            && **grant_id == *entry.grant_id
                            && (*generation, *version) == (entry.generation, entry.version)
                    });
                    if holds {
                        entry.life.confirmed_us.fetch_max(asked_at, Ordering::AcqRel);
                    } else {
                        self.memory.forget(&entry.account_id);
                    }
                }
                // Not confirmed: it ends by itself within the second.
                Err(error) => tracing::debug!(%error, "entries were not confirmed"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(memory: &Memory, asked_at: u64) -> Arc<Entry> {
        Arc::new(Entry {
            workspace_id: "demo".into(),
            account_id: "acc_1".into(),
            grant_id: "grt_1".into(),
            token: Secret::new("SBXtoken"),
            token_type: "Bearer".into(),
            expires_at_ms: 7_200_000,
            issued_at_ms: 0,
            own: false,
            renewable: true,
            generation: 1,
            version: 1,
            scopes: Vec::new(),
            connector: "x".into(),
            platform_account_id: "1".into(),
            life: memory.life("grt_1", asked_at),
        })
    }

    #[tokio::test]
    async fn an_entry_is_good_for_a_second_after_it_was_confirmed_and_not_longer() {
        let (mut memory, _confirmer) = memory();
        // A start in the past: two seconds have gone by.
        memory.start = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
        memory.keep(&entry(&memory, memory.moment()));
        assert!(memory.fresh("acc_1").is_some());
        memory.keep(&entry(&memory, memory.moment() - GOOD_US));
        assert!(memory.fresh("acc_1").is_none());
    }

    #[tokio::test]
    async fn a_grant_that_changed_is_forgotten_at_once() {
        let (memory, _confirmer) = memory();
        memory.keep(&entry(&memory, memory.moment()));
        assert!(memory.fresh("acc_1").is_some());
        memory.forget_grant("grt_1");
        assert!(memory.fresh("acc_1").is_none());
    }

    #[test]
    fn a_reader_is_served_from_memory_only_when_the_token_lives_long_enough() {
        let (memory, _confirmer) = memory();
        let entry = entry(&memory, 0);
        assert!(entry.serves(60_000, 7_140_000));
        assert!(!entry.serves(60_000, 7_140_001));
        assert!(entry.serves(86_400_000, 3_600_000) && !entry.serves(86_400_000, 3_600_001));
        assert!(!entry.serves(0, 7_200_000));
    }
}
