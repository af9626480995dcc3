//! What replicas share to be quick: cached answers, locks, wake-ups, rate budgets. Redis, or memory in the one-command run.
//!
//! Carries no truth: losing all of it costs time, never a token, an event or a limit. Every call is bounded to half a second
//! and may fail; callers then go on with the database.

mod memory;
mod redis;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::id;

/// Longest that one call may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// The shared part is not there; go on without it.
#[derive(Debug, thiserror::Error)]
#[error("redis is not reachable: {0}")]
pub struct Unavailable(String);

type Result<T> = std::result::Result<T, Unavailable>;

/// A handle to Redis or to its stand-in, under one key prefix. Cheap to clone.
#[derive(Clone)]
pub struct Shared {
    prefix: Arc<str>,
    store: Store,
}

#[derive(Clone)]
#[allow(clippy::large_enum_variant, reason = "one per process")]
enum Store {
    Redis(redis::Redis),
    Memory(memory::Memory),
}

/// Runs a call on whichever store there is.
macro_rules! on_store {
    ($shared:expr, $method:ident($($argument:expr),*)) => {
        match &$shared.store {
            Store::Redis(store) => match tokio::time::timeout(PATIENCE, store.$method($($argument),*)).await {
                Ok(answer) => answer.map_err(|error| Unavailable(redis::describe(&error))),
                Err(_) => Err(Unavailable("no answer within 500 ms".to_owned())),
            },
            Store::Memory(store) => Ok(store.$method($($argument),*)),
        }
    };
}

impl Shared {
    /// Connects to Redis, or makes a store in memory when `url` is empty. Keys live under `socializioz:<prefix>:`.
    pub async fn connect(url: &str, prefix: &str) -> anyhow::Result<Self> {
        let store = if url.is_empty() {
            Store::Memory(memory::Memory::default())
        } else {
            Store::Redis(redis::Redis::connect(url).await?)
        };
        Ok(Self {
            prefix: format!("socializioz:{prefix}:").into(),
            store,
        })
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// What is kept under a key.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        on_store!(self, get(&self.key(key)))
    }

    /// What is kept under each of these keys, in one go.
    pub async fn get_all(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>> {
        let keys: Vec<String> = keys.iter().map(|key| self.key(key)).collect();
        on_store!(self, get_all(&keys))
    }

    /// Keeps a value for `ttl`.
    pub async fn put(&self, key: &str, value: &[u8], ttl: Duration) -> Result<()> {
        on_store!(self, put(&self.key(key), value, ttl))
    }

    /// Keeps a value unless there is one: once-per-interval marks, single flight. True when it was kept.
    pub async fn put_if_absent(&self, key: &str, value: &[u8], ttl: Duration) -> Result<bool> {
        on_store!(self, put_if_absent(&self.key(key), value, ttl))
    }

    /// Keeps a value unless a newer version is there, so that a slow writer never overwrites a later one. True when it was kept.
    pub async fn put_if_newer(&self, key: &str, version: i64, value: &[u8], ttl: Duration) -> Result<bool> {
        on_store!(self, put_if_newer(&self.key(key), version, value, ttl))
    }

    /// What [`Shared::put_if_newer`] kept, with its version.
    pub async fn get_versioned(&self, key: &str) -> Result<Option<(i64, Vec<u8>)>> {
        let found = self.get(key).await?;
        Ok(found.and_then(|bytes| {
            let (version, value) = bytes.split_at_checked(8)?;
            Some((i64::from_be_bytes(version.try_into().ok()?), value.to_vec()))
        }))
    }

    /// Forgets a key.
    pub async fn remove(&self, key: &str) -> Result<()> {
        on_store!(self, remove(&self.key(key)))
    }

    /// Forgets keys, in one go.
    pub async fn remove_all(&self, keys: &[String]) -> Result<()> {
        let keys: Vec<String> = keys.iter().map(|key| self.key(key)).collect();
        on_store!(self, remove_all(&keys))
    }

    /// Names the life of what is kept: another name says that something may have been lost since, as when the store was emptied,
    /// began anew from an older copy of itself, or was succeeded by its replica.
    pub async fn life(&self) -> Result<String> {
        on_store!(self, life(&self.key("life")))
    }

    /// Takes a lock, or `None` when somebody holds it. It is renewed while held, and given back only by its holder.
    pub async fn lock(&self, key: &str, ttl: Duration) -> Result<Option<Lock>> {
        let token = id::secret();
        if !self.put_if_absent(key, token.as_bytes(), ttl).await? {
            return Ok(None);
        }
        let lock = Lock {
            shared: self.clone(),
            key: key.to_owned(),
            token,
            renewal: None,
        };
        Ok(Some(lock.renewed(ttl)))
    }

    /// Wakes everybody who subscribed to a channel. Messages can be lost: subscribers poll as well.
    pub async fn notify(&self, channel: &str, message: &[u8]) -> Result<()> {
        on_store!(self, publish(&self.key(channel), message))
    }

    /// Listens to a channel.
    pub async fn subscribe(&self, channel: &str) -> Result<Wakeups> {
        let receiver = match &self.store {
            Store::Redis(store) => match tokio::time::timeout(PATIENCE, store.subscribe(&self.key(channel))).await {
                Ok(answer) => answer.map_err(|error| Unavailable(redis::describe(&error)))?,
                Err(_) => return Err(Unavailable("no answer within 500 ms".to_owned())),
            },
            Store::Memory(store) => store.subscribe(&self.key(channel)),
        };
        Ok(Wakeups(receiver))
    }

    /// Takes one call from a budget. `None` when there was one, else how long to wait.
    pub async fn spend(&self, bucket: &str, budget: Budget, now_ms: i64) -> Result<Option<Duration>> {
        self.take(bucket, budget.capacity, budget.per, now_ms).await
    }

    /// Takes one from a budget of `capacity` that fills evenly over `per`. `None` when there was one, else how long to wait.
    pub async fn take(&self, bucket: &str, capacity: u32, per: Duration, now_ms: i64) -> Result<Option<Duration>> {
        let wait = on_store!(self, take(&self.key(bucket), capacity, per, now_ms))?;
        Ok((wait > 0).then(|| Duration::from_millis(wait.unsigned_abs())))
    }
}

/// Calls that may be made: a small burst, then evenly, so that no minute has more than the limit, however it is laid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    capacity: u32,
    per: Duration,
}

impl Budget {
    /// At most `limit` calls in any minute: a tenth at once, the others spread over it.
    pub fn per_minute(limit: u32) -> Self {
        let capacity = (limit / 10).max(1);
        // What is taken at once and what flows in within the minute after it are the limit together.
        let flow = (limit.saturating_sub(capacity)).max(1);
        Self {
            capacity,
            per: Duration::from_secs(60) * capacity / flow,
        }
    }
}

/// A held lock. Dropping it stops its renewal and gives it back if it is still ours.
pub struct Lock {
    shared: Shared,
    key: String,
    token: String,
    /// Dropped with the lock: ends the renewal, which then gives the lock back.
    #[allow(dead_code, reason = "held for its drop")]
    renewal: Option<DropGuard>,
}

impl Lock {
    fn renewed(mut self, ttl: Duration) -> Self {
        let stop = CancellationToken::new();
        let (shared, key, token, stopped) = (self.shared.clone(), self.key.clone(), self.token.clone(), stop.clone());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = stopped.cancelled() => break,
                    () = tokio::time::sleep(ttl / 3) => {}
                }
                let full = shared.key(&key);
                let kept = async { on_store!(shared, renew(&full, token.as_bytes(), ttl)) }.await;
                if matches!(kept, Ok(false)) {
                    return;
                }
            }
            let full = shared.key(&key);
            // Nothing to do when it fails: the lock ends by itself.
            let _ = async { on_store!(shared, release(&full, token.as_bytes())) }.await;
        });
        self.renewal = Some(stop.drop_guard());
        self
    }

    /// Gives the lock back now, if it is still ours.
    pub async fn release(self) {
        let full = self.shared.key(&self.key);
        let _ = async { on_store!(self.shared, release(&full, self.token.as_bytes())) }.await;
    }
}

/// Messages of a channel.
pub struct Wakeups(broadcast::Receiver<Vec<u8>>);

impl Wakeups {
    /// The next message. When some were missed, an empty one: look at the database.
    pub async fn recv(&mut self) -> Vec<u8> {
        match self.0.recv().await {
            Ok(message) => message,
            Err(broadcast::error::RecvError::Lagged(_)) => Vec::new(),
            // The connection is gone for good: the caller's polling goes on without us.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests;
