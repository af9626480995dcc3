//! Rows of `token_reads`: who was given a token, how often, and when.

use std::collections::HashMap;

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
pub const BATCH: usize = 4_096;

/// Reads of one group that differ in their time alone.
struct Row<'a> {
    of: &'a Read,
    reads: i64,
    until_ms: i64,
}

/// A busy caller's reads of a moment in one row: all that is known of them stays, but for the times between the first and the last.
fn together(reads: &[Read]) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    let mut places = HashMap::new();
    for read in reads {
        let place = *places
            .entry((&read.caller, &read.account_id, &read.grant_id, read.generation))
            .or_insert_with(|| {
                rows.push(Row {
                    of: read,
                    reads: 0,
                    until_ms: read.read_at_ms,
                });
                rows.len() - 1
            });
        if let Some(row) = rows.get_mut(place) {
            row.reads += 1;
            row.until_ms = row.until_ms.max(read.read_at_ms);
        }
    }
    rows
}

impl Store {
    /// Writes a group of reads, each row under the group's id and its place, in one commit. Repeating it changes nothing.
    pub async fn record_reads(&self, group: &str, reads: &[Read]) -> Result<(), Error> {
        let row = |(place, row): (usize, Row<'_>)| {
            json!([
                format!("{group}_{place}"),
                &*row.of.caller,
                &*row.of.workspace_id,
                &*row.of.account_id,
                &*row.of.grant_id,
                row.of.generation,
                row.of.read_at_ms,
                row.reads,
                row.until_ms,
            ])
        };
        let rows = together(reads)
            .into_iter()
            .enumerate()
            .map(row)
            .collect::<serde_json::Value>()
            .to_string();
        let sql = format!(
            "INSERT INTO token_reads (id, caller, workspace_id, account_id, grant_id, generation, read_at_ms, reads, last_read_at_ms)
             SELECT value->>0, value->>1, value->>2, value->>3, value->>4, CAST(value->>5 AS BIGINT), CAST(value->>6 AS BIGINT),
                 CAST(value->>7 AS BIGINT), CAST(value->>8 AS BIGINT)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s6_every_read_is_counted_and_other_callers_accounts_and_generations_are_other_rows() {
        let read = |caller: &str, account: &str, generation, read_at_ms| Read {
            caller: caller.into(),
            workspace_id: "demo".into(),
            account_id: account.into(),
            grant_id: "grt_1".into(),
            generation,
            read_at_ms,
        };
        let reads = [
            read("composer", "acc_1", 1, 10),
            read("scheduler", "acc_1", 1, 11),
            read("composer", "acc_1", 1, 14),
            read("composer", "acc_2", 1, 12),
            read("composer", "acc_1", 2, 13),
            read("composer", "acc_1", 1, 12),
        ];
        let rows = together(&reads);
        let rows: Vec<_> = rows
            .iter()
            .map(|row| {
                (
                    &*row.of.caller,
                    &*row.of.account_id,
                    row.of.generation,
                    row.reads,
                    row.of.read_at_ms,
                    row.until_ms,
                )
            })
            .collect();
        assert_eq!(
            rows,
            [
                ("composer", "acc_1", 1, 3, 10, 14),
                ("scheduler", "acc_1", 1, 1, 11, 11),
                ("composer", "acc_2", 1, 1, 12, 12),
                ("composer", "acc_1", 2, 1, 13, 13),
            ]
        );
    }
}
