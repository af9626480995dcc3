//! Rows of `token_reads`: who was given a token, and when.

use serde_json::json;

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

/// Reads in one group.
pub const BATCH: usize = 500;

impl Store {
    /// Writes a group of reads, each under the group's id and its place, in one commit. Repeating it changes nothing.
    pub async fn record_reads(&self, group: &str, reads: &[Read]) -> Result<(), Error> {
        let row = |(place, read): (usize, &Read)| {
            json!([
                format!("{group}_{place}"),
                &*read.caller,
                &*read.workspace_id,
                &*read.account_id,
                &*read.grant_id,
                read.generation,
                read.read_at_ms,
            ])
        };
        let rows = reads
            .iter()
            .enumerate()
            .map(row)
            .collect::<serde_json::Value>()
            .to_string();
        let sql = format!(
            "INSERT INTO token_reads (id, caller, workspace_id, account_id, grant_id, generation, read_at_ms)
             SELECT value->>0, value->>1, value->>2, value->>3, value->>4, CAST(value->>5 AS BIGINT), CAST(value->>6 AS BIGINT)
             FROM {} WHERE 1 = 1 ON CONFLICT DO NOTHING",
            self.db.rows()
        );
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(rows)
            .execute(self.db.pool())
            .await?;
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
