//! What a disconnect, or a connection that failed late, still has to do elsewhere.

use super::{Change, Store};
use crate::error::Error;

/// What is left to do elsewhere after a disconnect.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Leftover {
    pub(crate) workspace_id: String,
    pub(crate) id: String,
    pub(crate) detach_due: i64,
    pub(crate) release_due: i64,
}

impl Store {
    /// Accounts whose disconnect is not finished elsewhere and is due for another try.
    pub(crate) async fn leftovers(&self, now_ms: i64) -> Result<Vec<Leftover>, Error> {
        let due = "SELECT workspace_id, id, detach_due, release_due FROM accounts \
                   WHERE detach_due + release_due > 0 AND cleanup_at_ms <= $1 ORDER BY cleanup_at_ms LIMIT 50";
        Ok(sqlx::query_as(due).bind(now_ms).fetch_all(self.db.pool()).await?)
    }

    /// What is left to do for one account.
    pub(crate) async fn leftover(&self, workspace_id: &str, id: &str) -> Result<Option<Leftover>, Error> {
        let one = "SELECT workspace_id, id, detach_due, release_due FROM accounts \
                   WHERE workspace_id = $1 AND id = $2 AND status <> 'connected' AND detach_due + release_due > 0";
        Ok(sqlx::query_as(one)
            .bind(workspace_id)
            .bind(id)
            .fetch_optional(self.db.pool())
            .await?)
    }

    /// The slot of a disconnected account was given back.
    pub(crate) async fn released(&self, workspace_id: &str, id: &str) -> Result<(), Error> {
        let done = "UPDATE accounts SET release_due = 0 WHERE workspace_id = $1 AND id = $2 AND status <> 'connected'";
        sqlx::query(done)
            .bind(workspace_id)
            .bind(id)
            .execute(self.db.pool())
            .await?;
        Ok(())
    }

    /// Accounts that got a slot and were not connected after all.
    pub(crate) async fn owe_release(&self, workspace_id: &str, ids: &[String], now_ms: i64) -> Result<(), Error> {
        for id in ids {
            let set = "UPDATE accounts SET release_due = 1, cleanup_at_ms = $3 \
                       WHERE workspace_id = $1 AND id = $2 AND status <> 'connected'";
            sqlx::query(set)
                .bind(workspace_id)
                .bind(id)
                .bind(now_ms)
                .execute(self.db.pool())
                .await?;
        }
        Ok(())
    }

    /// The next try at what is left to do.
    pub(crate) async fn postpone_leftover(&self, workspace_id: &str, id: &str, at_ms: i64) -> Result<(), Error> {
        let set = "UPDATE accounts SET cleanup_at_ms = $3 WHERE workspace_id = $1 AND id = $2";
        sqlx::query(set)
            .bind(workspace_id)
            .bind(id)
            .bind(at_ms)
            .execute(self.db.pool())
            .await?;
        Ok(())
    }
}

impl Change {
    /// The tokens of a disconnected account are destroyed; what becomes of the access at the platform.
    pub(crate) async fn detached(&mut self, id: &str, revocation: i32) -> Result<(), Error> {
        let set = "UPDATE accounts SET detach_due = 0, revocation = $3, version = version + 1 \
                   WHERE workspace_id = $1 AND id = $2 AND status = 'disconnected'";
        sqlx::query(set)
            .bind(&self.workspace_id)
            .bind(id)
            .bind(i64::from(revocation))
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }
}
