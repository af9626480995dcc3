//! The stand-in for Redis in one process: same answers, same expiry.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::broadcast;

/// Expired entries are swept out whenever this many writes have passed.
const SWEEP_EVERY: u64 = 1024;

#[derive(Clone, Default)]
pub(super) struct Memory(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    entries: HashMap<String, (Vec<u8>, Instant)>,
    channels: HashMap<String, broadcast::Sender<Vec<u8>>>,
    buckets: HashMap<String, (f64, i64)>,
    writes: u64,
}

impl State {
    fn live(&self, key: &str) -> Option<&Vec<u8>> {
        self.entries
            .get(key)
            .filter(|(_, until)| *until > Instant::now())
            .map(|(value, _)| value)
    }

    fn write(&mut self, key: &str, value: Vec<u8>, ttl: Duration) {
        self.writes += 1;
        if self.writes.is_multiple_of(SWEEP_EVERY) {
            let now = Instant::now();
            self.entries.retain(|_, (_, until)| *until > now);
        }
        self.entries.insert(key.to_owned(), (value, Instant::now() + ttl));
    }
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.state().live(key).cloned()
    }

    /// Memory is lost with all who could ask.
    #[allow(clippy::unused_self, reason = "as in Redis")]
    pub(super) fn life(&self, _: &str) -> String {
        String::new()
    }

    pub(super) fn get_all(&self, keys: &[String]) -> Vec<Option<Vec<u8>>> {
        let state = self.state();
        keys.iter().map(|key| state.live(key).cloned()).collect()
    }

    pub(super) fn put(&self, key: &str, value: &[u8], ttl: Duration) {
        self.state().write(key, value.to_vec(), ttl);
    }

    pub(super) fn put_if_absent(&self, key: &str, value: &[u8], ttl: Duration) -> bool {
        let mut state = self.state();
        let free = state.live(key).is_none();
        if free {
            state.write(key, value.to_vec(), ttl);
        }
        free
    }

    pub(super) fn put_if_newer(&self, key: &str, version: i64, value: &[u8], ttl: Duration) -> bool {
        let mut state = self.state();
        let newer = state
            .live(key)
            .and_then(|bytes| bytes.first_chunk::<8>())
            .is_none_or(|known| i64::from_be_bytes(*known) < version);
        if newer {
            state.write(key, [&version.to_be_bytes()[..], value].concat(), ttl);
        }
        newer
    }

    pub(super) fn remove(&self, key: &str) {
        self.state().entries.remove(key);
    }

    pub(super) fn remove_all(&self, keys: &[String]) {
        let mut state = self.state();
        for key in keys {
            state.entries.remove(key);
        }
    }

    pub(super) fn renew(&self, key: &str, token: &[u8], ttl: Duration) -> bool {
        let mut state = self.state();
        let ours = state.live(key).is_some_and(|value| value == token);
        if ours {
            state.write(key, token.to_vec(), ttl);
        }
        ours
    }

    pub(super) fn release(&self, key: &str, token: &[u8]) -> bool {
        let mut state = self.state();
        let ours = state.live(key).is_some_and(|value| value == token);
        if ours {
            state.entries.remove(key);
        }
        ours
    }

    pub(super) fn publish(&self, channel: &str, message: &[u8]) {
        let mut state = self.state();
        // A channel that nobody listens to any more is forgotten.
        if state
            .channels
            .get(channel)
            .is_some_and(|sender| sender.send(message.to_vec()).is_err())
        {
            state.channels.remove(channel);
        }
    }

    pub(super) fn subscribe(&self, channel: &str) -> broadcast::Receiver<Vec<u8>> {
        self.state()
            .channels
            .entry(channel.to_owned())
            .or_insert_with(|| broadcast::channel(256).0)
            .subscribe()
    }

    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "budgets are small numbers"
    )]
    pub(super) fn take(&self, bucket: &str, capacity: u32, per: Duration, now_ms: i64) -> i64 {
        let (capacity, per_ms) = (f64::from(capacity), per.as_millis() as f64);
        let mut state = self.state();
        let (level, at) = state.buckets.get(bucket).copied().unwrap_or((capacity, now_ms));
        let level = (level + (now_ms - at).max(0) as f64 * capacity / per_ms).min(capacity);
        let (level, wait) = if level >= 1.0 {
            (level - 1.0, 0)
        } else {
            (level, ((1.0 - level) * per_ms / capacity).ceil() as i64)
        };
        state.buckets.insert(bucket.to_owned(), (level, now_ms.max(at)));
        wait
    }
}
