//! A database that was restored from a backup knows refresh tokens that may have been spent since. Who restores one changes
//! `tokens.restore_epoch`; the first process that finds the old epoch in the database makes these grants suspect.

use proto::platforms::v1::Renewal;

use super::{Store, retry};
use crate::Error;

impl Store {
    /// Enters an epoch. Out of another one, live grants with single-use refresh tokens become suspect: their access tokens count
    /// as ended, so that nothing is handed out before a renewal, which is due at once. An answer that is still on its way
    /// belongs to a lineage that is gone, and is kept aside as a sibling's. Gives how many grants that are.
    pub async fn enter_epoch(&self, epoch: &str, now: i64) -> Result<u64, Error> {
        retry(|| async {
            let mut tx = self.db.begin().await?;
            // Of several processes one gets past this.
            let sql = "UPDATE restore_epoch SET epoch = $1 WHERE id = 1 AND epoch <> $1";
            if sqlx::query(sql).bind(epoch).execute(&mut *tx).await?.rows_affected() == 0 {
                return Ok(0);
            }
            let sql = "UPDATE attempts SET parent_generation = 0 WHERE state IN ('open', 'unknown', 'abandoned')
                 AND grant_id IN (SELECT id FROM grants WHERE renewal = $1 AND has_refresh_token = 1)";
            let rotating = Renewal::Rotating.as_str_name();
            sqlx::query(sql).bind(rotating).execute(&mut *tx).await?;
            let sql = "UPDATE grants SET state = 'suspect', version = version + 1, next_refresh_at_ms = $1, next_due_at_ms = $1,
                    access_expires_at_ms = CASE WHEN access_expires_at_ms BETWEEN 1 AND $1 THEN access_expires_at_ms ELSE $1 END
                 WHERE state IN ('active', 'suspect') AND renewal = $2 AND has_refresh_token = 1";
            let query = sqlx::query(sql).bind(now).bind(rotating);
            let suspects = query.execute(&mut *tx).await?.rows_affected();
            tx.commit().await?;
            Ok(suspects)
        })
        .await
    }
}
