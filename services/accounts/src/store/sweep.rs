//! Clearing what is no longer kept, and the marks that keep checks from being asked for too often.

use super::{Store, again, people};
use crate::error::Error;

/// Ended sessions are kept this long for their readers.
const SESSIONS_KEPT_MS: i64 = 7 * 24 * 3600 * 1000;
/// Notifications and accounts' histories.
const HISTORY_KEPT_MS: i64 = 400 * 24 * 3600 * 1000;

impl Store {
    /// Forgets events that nobody resumes from any more, and what else is too old. Histories are kept longer.
    pub(crate) async fn prune(&self, events_kept_ms: i64, now_ms: i64) -> Result<(), Error> {
        let old = "SELECT workspace_id, MAX(id) FROM events WHERE occurred_at_ms < $1 AND notable = 0 GROUP BY workspace_id LIMIT 1000";
        let old: Vec<(String, i64)> = sqlx::query_as(old)
            .bind(now_ms - events_kept_ms)
            .fetch_all(self.db.pool())
            .await?;
        for (workspace_id, through) in old {
            again(|| async {
                let mut tx = self.db.begin().await?;
                let floor = "UPDATE workspaces SET pruned_through = $2 WHERE id = $1 AND pruned_through < $2";
                sqlx::query(floor)
                    .bind(&workspace_id)
                    .bind(through)
                    .execute(&mut *tx)
                    .await?;
                let delete = "DELETE FROM events WHERE workspace_id = $1 AND id <= $2 AND notable = 0";
                sqlx::query(delete)
                    .bind(&workspace_id)
                    .bind(through)
                    .execute(&mut *tx)
                    .await?;
                Ok(tx.commit().await?)
            })
            .await?;
        }
        for (delete, before) in [
            (
                "DELETE FROM requests WHERE claimed_at_ms < $1",
                now_ms - people::ANSWERS_KEPT_MS,
            ),
            (
                "DELETE FROM sessions WHERE created_at_ms < $1 AND discard_due + release_due = 0 \
                 AND status IN ('completed', 'failed', 'cancelled', 'expired')",
                now_ms - SESSIONS_KEPT_MS,
            ),
            ("DELETE FROM browser_sessions WHERE ends_at_ms < $1", now_ms),
            ("DELETE FROM events WHERE occurred_at_ms < $1", now_ms - HISTORY_KEPT_MS),
            (
                "DELETE FROM notification_reads WHERE EXISTS (SELECT 1 FROM notifications n WHERE n.occurred_at_ms < $1 \
                 AND n.workspace_id = notification_reads.workspace_id AND n.id = notification_reads.notification_id)",
                now_ms - HISTORY_KEPT_MS,
            ),
            (
                "DELETE FROM notifications WHERE occurred_at_ms < $1",
                now_ms - HISTORY_KEPT_MS,
            ),
        ] {
            sqlx::query(delete).bind(before).execute(self.db.pool()).await?;
        }
        Ok(())
    }

    /// Marks that an open page's check is asked for now. False when one was, less than `every_ms` ago, by any replica.
    pub(crate) async fn mark_open_check(&self, workspace_id: &str, every_ms: i64, now_ms: i64) -> Result<bool, Error> {
        let mark = "INSERT INTO workspaces (id, open_check_at_ms) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE \
                    SET open_check_at_ms = excluded.open_check_at_ms WHERE workspaces.open_check_at_ms <= $3";
        let mark = sqlx::query(mark)
            .bind(workspace_id)
            .bind(now_ms)
            .bind(now_ms - every_ms);
        Ok(mark.execute(self.db.pool()).await?.rows_affected() == 1)
    }

    /// The same for a check that a person asks for, of a workspace.
    pub(crate) async fn mark_asked_check(&self, workspace_id: &str, every_ms: i64, now_ms: i64) -> Result<bool, Error> {
        let mark = "INSERT INTO workspaces (id, asked_check_at_ms) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE \
                    SET asked_check_at_ms = excluded.asked_check_at_ms WHERE workspaces.asked_check_at_ms <= $3";
        let mark = sqlx::query(mark)
            .bind(workspace_id)
            .bind(now_ms)
            .bind(now_ms - every_ms);
        Ok(mark.execute(self.db.pool()).await?.rows_affected() == 1)
    }

    /// The same for a check that a person asks for, of one account.
    pub(crate) async fn mark_account_check(
        &self,
        workspace_id: &str,
        id: &str,
        every_ms: i64,
        now_ms: i64,
    ) -> Result<bool, Error> {
        let mark = "UPDATE accounts SET asked_check_at_ms = $3 WHERE workspace_id = $1 AND id = $2 AND asked_check_at_ms <= $4";
        let mark = sqlx::query(mark)
            .bind(workspace_id)
            .bind(id)
            .bind(now_ms)
            .bind(now_ms - every_ms);
        Ok(mark.execute(self.db.pool()).await?.rows_affected() == 1)
    }
}
