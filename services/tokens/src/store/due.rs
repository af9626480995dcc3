//! Grants that are due: found by index, however many there are, and leased in the order of their need.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::Store;
use crate::Error;

/// Which of two grants that are due is worked on first; `$1` is now. What renews a credential comes before what only looks at it.
const REFRESHES_FIRST: &str = "CAST(CASE WHEN next_refresh_at_ms BETWEEN 1 AND $1 THEN 0 ELSE 1 END AS BIGINT)";

/// When a grant ends unless it is renewed, as `model::schedule::end` has it: the nearest first, those without an end last.
const END: &str = "CAST(CASE WHEN access_expires_at_ms = 0 THEN 9223372036854775807
        WHEN has_refresh_token = 0 THEN access_expires_at_ms
        WHEN refresh_expires_at_ms = 0 THEN 9223372036854775807
        WHEN access_expires_at_ms > refresh_expires_at_ms THEN access_expires_at_ms ELSE refresh_expires_at_ms END AS BIGINT)";

impl Store {
    /// Leases grants that are due, but for connectors that have enough to do: workspace, grant, connector. Refreshes come before
    /// checks, and the nearest end before all others. A process that dies with them loses them after the lease.
    pub async fn lease_due(
        &self,
        now: i64,
        until: i64,
        limit: i64,
        but: &[String],
    ) -> Result<Vec<(String, String, String)>, Error> {
        let others = match but.len() {
            0 => String::new(),
            count => format!("AND connector NOT IN ({})", kit::db::placeholders(4, count)),
        };
        let sql = format!(
            "UPDATE grants SET next_due_at_ms = $2
             WHERE next_due_at_ms <= $1 AND id IN (
                 SELECT id FROM grants WHERE next_due_at_ms IS NOT NULL AND next_due_at_ms <= $1 {others}
                 ORDER BY {REFRESHES_FIRST}, {END}, next_due_at_ms LIMIT $3)
             RETURNING workspace_id, id, connector, {REFRESHES_FIRST}, {END}, next_refresh_at_ms"
        );
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(now).bind(until).bind(limit);
        for connector in but {
            query = query.bind(connector);
        }
        let mut rows = query.fetch_all(self.db.pool()).await?;
        // What RETURNING gives has no order.
        let number = |row: &AnyRow, column: usize| row.try_get::<i64, _>(column).unwrap_or_default();
        rows.sort_by_key(|row| [3, 4, 5].map(|column| number(row, column)));
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
            .collect()
    }

    /// When the grant that is due the longest became due.
    pub async fn oldest_due(&self) -> Result<Option<i64>, Error> {
        let sql = "SELECT next_due_at_ms FROM grants WHERE next_due_at_ms IS NOT NULL ORDER BY next_due_at_ms LIMIT 1";
        Ok(sqlx::query_scalar(sql).fetch_optional(self.db.pool()).await?)
    }
}
