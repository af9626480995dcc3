//! Rows of `token_reads`: who was given a token, and when.

use super::Store;
use crate::Error;

/// One release of a token.
pub struct Read {
    /// Name of the calling service.
    pub caller: std::sync::Arc<str>,
    /// Of the account.
    pub workspace_id: std::sync::Arc<str>,
    /// Which account.
    pub account_id: std::sync::Arc<str>,
    /// Which grant.
    pub grant_id: std::sync::Arc<str>,
    /// Of the token that was given.
    pub generation: i64,
    /// Unix milliseconds.
    pub read_at_ms: i64,
}

/// Rows of one statement: SQLite and PostgreSQL both take far more parameters than these have.
pub const BATCH: usize = 500;

impl Store {
    /// Writes a group of reads, each with its id, in one commit. Repeating it changes nothing.
    pub async fn record_reads(&self, reads: &[(String, Read)]) -> Result<(), Error> {
        let rows = (0..reads.len())
            .map(|row| format!("({})", kit::db::placeholders(row * 7 + 1, 7)))
            .collect::<Vec<_>>()
            .join(", ");
        let sql = format!(
            "INSERT INTO token_reads (id, caller, workspace_id, account_id, grant_id, generation, read_at_ms) VALUES {rows}
             ON CONFLICT DO NOTHING"
        );
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
        for (id, read) in reads {
            query = query
                .bind(id)
                .bind(&*read.caller)
                .bind(&*read.workspace_id)
                .bind(&*read.account_id);
            query = query.bind(&*read.grant_id).bind(read.generation).bind(read.read_at_ms);
        }
        query.execute(self.db.pool()).await?;
        Ok(())
    }

    /// Forgets reads older than `before`.
    pub async fn prune_reads(&self, before: i64) -> Result<u64, Error> {
        let sql = "DELETE FROM token_reads WHERE read_at_ms < $1";
        Ok(sqlx::query(sql)
            .bind(before)
            .execute(self.db.pool())
            .await?
            .rows_affected())
    }
}
