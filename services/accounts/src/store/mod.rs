//! The database of accounts. One method = one statement or one transaction; every statement names the workspace.
//!
//! Whatever a client may see is changed through a [`Change`]: it locks the workspace's row, numbers the events that it
//! writes, and is committed with them or not at all.

pub(crate) mod accounts;
pub(crate) mod browsers;
pub(crate) mod deliveries;
pub(crate) mod endpoints;
pub(crate) mod events;
pub(crate) mod grants;
pub(crate) mod leftovers;
pub(crate) mod people;
pub(crate) mod posts;
pub(crate) mod sessions;
pub(crate) mod sweep;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kit::db::{self, Cause, Db, Tx};
use metrics::Counter;

use crate::cache::{Cache, Snapshot};
use crate::error::Error;

/// How often a transaction is tried when it loses to others.
const ATTEMPTS: u32 = 20;

/// The database, with the cache that its commits keep true.
#[derive(Clone)]
pub(crate) struct Store {
    db: Db,
    cache: Cache,
}

impl Store {
    pub(crate) fn new(db: Db, cache: Cache) -> Self {
        Self { db, cache }
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Begins a change of a workspace. Other changes of the same workspace wait until it is committed or dropped.
    pub(crate) async fn change(&self, workspace_id: &str, now_ms: i64) -> Result<Change, Error> {
        let mut tx = self.db.begin().await?;
        let lock =
            "INSERT INTO workspaces (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET seq = workspaces.seq RETURNING seq";
        let seq: i64 = sqlx::query_scalar(lock).bind(workspace_id).fetch_one(&mut *tx).await?;
        let cache = self.cache.clone();
        Ok(Change {
            tx,
            cache,
            workspace_id: workspace_id.to_owned(),
            now_ms,
            begun_at: seq,
            seq,
            counted: Vec::new(),
        })
    }

    /// Number of the workspace's last event.
    pub(crate) async fn seq(&self, workspace_id: &str) -> Result<i64, Error> {
        let seq = sqlx::query_scalar("SELECT seq FROM workspaces WHERE id = $1").bind(workspace_id);
        Ok(seq.fetch_optional(self.db.pool()).await?.unwrap_or(0))
    }

    /// Number of the workspace's last event as a reader may believe it: from the cache while that is current, else from the
    /// database.
    pub(crate) async fn version(&self, workspace_id: &str) -> Result<i64, Error> {
        if let Some(version) = self.cache.version(workspace_id).await {
            return Ok(version);
        }
        let asked = Instant::now();
        let version = self.seq(workspace_id).await?;
        self.cache.read(workspace_id, version, asked).await;
        Ok(version)
    }

    /// All accounts of a workspace with their grants: from the cache while that is current, else from the database.
    pub(crate) async fn snapshot(&self, workspace_id: &str) -> Result<Arc<Snapshot>, Error> {
        if let Some(current) = self.cache.current(workspace_id).await {
            return Ok(current);
        }
        let asked = Instant::now();
        // Read before the rows: they may be newer than the number, never older.
        let version = self.seq(workspace_id).await?;
        if let Some(kept) = self.cache.kept(workspace_id, version) {
            self.cache.read(workspace_id, version, asked).await;
            return Ok(kept);
        }
        let snapshot = self.load(workspace_id, version).await?;
        Ok(self.cache.fill(workspace_id, snapshot, asked).await)
    }

    /// The same, always from the database.
    pub(crate) async fn load(&self, workspace_id: &str, version: i64) -> Result<Snapshot, Error> {
        let rows = self.account_rows(workspace_id).await?;
        let grants = self.grants(workspace_id).await?;
        let accounts = rows
            .iter()
            .map(|row| row.view(grants.iter().find(|grant| grant.grant_id == row.grant_id)))
            .collect();
        Ok(Snapshot {
            version,
            accounts,
            grants,
        })
    }
}

/// A transaction that changes a workspace.
pub(crate) struct Change {
    pub(crate) tx: Tx,
    cache: Cache,
    pub(crate) workspace_id: String,
    pub(crate) now_ms: i64,
    begun_at: i64,
    seq: i64,
    /// Moved on once this is committed.
    counted: Vec<Counter>,
}

impl Change {
    /// The number of a new event.
    fn next_seq(&mut self) -> i64 {
        self.seq += 1;
        self.seq
    }

    /// Counts what this change is, once it is committed: one that loses to others is tried again, and has happened once.
    pub(crate) fn count(&mut self, counter: Counter) {
        self.counted.push(counter);
    }

    /// Commits; the cache stops serving what was before, and listeners are woken. Returns the last event's number.
    pub(crate) async fn commit(mut self) -> Result<i64, Error> {
        if self.seq == self.begun_at {
            self.tx.commit().await?;
            self.counted.iter().for_each(|counter| counter.increment(1));
            return Ok(self.seq);
        }
        let set = "UPDATE workspaces SET seq = $2 WHERE id = $1";
        sqlx::query(set)
            .bind(&self.workspace_id)
            .bind(self.seq)
            .execute(&mut *self.tx)
            .await?;
        self.cache.announce(&self.workspace_id, self.seq).await;
        self.tx.commit().await?;
        self.counted.iter().for_each(|counter| counter.increment(1));
        self.cache.confirm(&self.workspace_id, self.seq).await;
        self.cache.wake(&self.workspace_id).await;
        Ok(self.seq)
    }
}

/// Runs a whole transaction again while it loses to others. `work` must begin and commit it, and have no other effect.
pub(crate) async fn again<T, F: Future<Output = Result<T, Error>>>(work: impl Fn() -> F) -> Result<T, Error> {
    let mut attempt = 1;
    loop {
        match work().await {
            Err(error) if attempt < ATTEMPTS && error.database().is_some_and(db::is_contention) => {
                tokio::time::sleep(Duration::from_millis(u64::from(attempt) * 5)).await;
                attempt += 1;
            }
            done => return done,
        }
    }
}
