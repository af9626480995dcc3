//! What makes reads quick: a workspace's accounts as of one event number, in this process and in Redis.
//!
//! The answer is always the database's. A writer marks the workspace as changing before it commits and as current after it;
//! readers use a kept snapshot only while its number is marked current. So a reader that starts after a commit never gets
//! what was before it, and nothing turns green again after it was amber. Where Redis cannot be reached while it is written,
//! the mark ends by itself after `CURRENT_FOR`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kit::shared::Shared;
use prost::Message;
use proto::accounts::v1::Account;
use proto::tokens::v1::Grant;

/// How long a mark is believed.
const CURRENT_FOR: Duration = Duration::from_secs(2);
/// How long a snapshot is kept for the next reader.
const KEPT_FOR: Duration = Duration::from_secs(600);
/// Workspaces that one process keeps; beyond it starts anew.
const MOST_KEPT: usize = 2_000;
/// Channel on which processes tell each other which workspace has new events.
const EVENTS: &str = "events";

/// All accounts of a workspace, disconnected ones too, with their grants.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Snapshot {
    /// Number of the last event that is in it.
    #[prost(int64, tag = "1")]
    pub(crate) version: i64,
    #[prost(message, repeated, tag = "2")]
    pub(crate) accounts: Vec<Account>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) grants: Vec<Grant>,
}

/// Keeps snapshots and wakes listeners.
#[derive(Clone)]
pub(crate) struct Cache {
    shared: Shared,
    kept: Arc<Mutex<HashMap<String, Arc<Snapshot>>>>,
}

impl Cache {
    pub(crate) fn new(shared: Shared) -> Self {
        Self {
            shared,
            kept: Arc::default(),
        }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The number that is marked current, if one is.
    pub(crate) async fn version(&self, workspace_id: &str) -> Option<i64> {
        let (mark, _) = self.shared.get_versioned(&mark_key(workspace_id)).await.ok()??;
        // Even: a writer is about to commit.
        (mark % 2 == 1).then_some(mark / 2)
    }

    /// The snapshot that is marked current, if one is.
    pub(crate) async fn current(&self, workspace_id: &str) -> Option<Arc<Snapshot>> {
        let version = self.version(workspace_id).await?;
        if let Some(kept) = self.kept(workspace_id, version) {
            return Some(kept);
        }
        let (found, bytes) = self.shared.get_versioned(&snapshot_key(workspace_id)).await.ok()??;
        let snapshot = (found == version).then(|| Snapshot::decode(bytes.as_slice()).ok())??;
        Some(self.keep(workspace_id, snapshot))
    }

    /// This process' snapshot, if it is of that number.
    pub(crate) fn kept(&self, workspace_id: &str, version: i64) -> Option<Arc<Snapshot>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(workspace_id)
            .filter(|snapshot| snapshot.version == version)
            .cloned()
    }

    fn keep(&self, workspace_id: &str, snapshot: Snapshot) -> Arc<Snapshot> {
        let snapshot = Arc::new(snapshot);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert(workspace_id.to_owned(), snapshot.clone());
        snapshot
    }

    /// Keeps what the database just said, and marks it current unless a writer was quicker.
    pub(crate) async fn fill(&self, workspace_id: &str, snapshot: Snapshot, asked: Instant) -> Arc<Snapshot> {
        let (version, bytes) = (snapshot.version, snapshot.encode_to_vec());
        let _ = self
            .shared
            .put_if_newer(&snapshot_key(workspace_id), version, &bytes, KEPT_FOR)
            .await;
        self.read(workspace_id, version, asked).await;
        self.keep(workspace_id, snapshot)
    }

    /// Marks what a reader asked the database for at `asked`. One that was slow does not: marks of later changes may have
    /// ended meanwhile, and with them the memory that there were any.
    pub(crate) async fn read(&self, workspace_id: &str, version: i64, asked: Instant) {
        if asked.elapsed() < CURRENT_FOR / 2 {
            self.confirm(workspace_id, version).await;
        }
    }

    /// Before a commit that makes `version` true: nothing older is served from here on.
    pub(crate) async fn announce(&self, workspace_id: &str, version: i64) {
        if let Err(error) = self
            .shared
            .put_if_newer(&mark_key(workspace_id), version * 2, b"", CURRENT_FOR)
            .await
        {
            tracing::debug!(%error, "a change could not be announced to the cache");
        }
    }

    /// `version` was just committed, or read.
    pub(crate) async fn confirm(&self, workspace_id: &str, version: i64) {
        let _ = self
            .shared
            .put_if_newer(&mark_key(workspace_id), version * 2 + 1, b"", CURRENT_FOR)
            .await;
    }

    /// Wakes everybody who follows the workspace's events.
    pub(crate) async fn wake(&self, workspace_id: &str) {
        // Lost messages are made up for by the listeners' polling.
        let _ = self.shared.notify(EVENTS, workspace_id.as_bytes()).await;
    }

    /// Messages with ids of workspaces that have new events; an empty one stands for any.
    pub(crate) async fn wakeups(&self) -> Option<kit::shared::Wakeups> {
        self.shared.subscribe(EVENTS).await.ok()
    }
}

fn mark_key(workspace_id: &str) -> String {
    format!("mark:{workspace_id}")
}

fn snapshot_key(workspace_id: &str) -> String {
    format!("accounts:{workspace_id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(version: i64) -> Snapshot {
        Snapshot {
            version,
            ..Snapshot::default()
        }
    }

    #[tokio::test]
    async fn a_snapshot_is_not_served_once_a_change_was_announced() {
        let cache = Cache::new(Shared::connect("", "accounts").await.unwrap());
        cache.fill("demo", of(4), Instant::now()).await;
        assert_eq!(cache.current("demo").await.unwrap().version, 4);
        cache.announce("demo", 5).await;
        assert!(cache.current("demo").await.is_none());
        cache.fill("demo", of(4), Instant::now()).await;
        assert!(
            cache.current("demo").await.is_none(),
            "a slow reader does not bring back what was"
        );
        cache.fill("demo", of(5), Instant::now()).await;
        assert_eq!(cache.current("demo").await.unwrap().version, 5);
        assert!(cache.current("other").await.is_none());
    }

    #[tokio::test]
    async fn another_process_finds_the_snapshot_in_the_shared_part() {
        let shared = Shared::connect("", "accounts").await.unwrap();
        Cache::new(shared.clone()).fill("demo", of(7), Instant::now()).await;
        assert_eq!(Cache::new(shared).current("demo").await.unwrap().version, 7);
    }
}
