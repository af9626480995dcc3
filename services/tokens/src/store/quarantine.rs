//! Refresh tokens out of answers that could not be used otherwise. Tried before the stored one, and gone with the next success.

use kit::Secret;
use kit::db::Tx;
use sqlx::Row;

use super::Store;
use super::attempts::Attempt;
use crate::Error;
use crate::vault::Place;

impl Store {
    /// Keeps a salvaged token of an attempt that brought nothing else.
    pub async fn salvage(&self, attempt: &Attempt, id: &str, token: &str, now: i64) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        self.keep_aside(&mut tx, attempt, id, "waiting", token, now).await?;
        Ok(tx.commit().await?)
    }

    pub(super) async fn keep_aside(
        &self,
        tx: &mut Tx,
        attempt: &Attempt,
        id: &str,
        state: &str,
        token: &str,
        now: i64,
    ) -> Result<(), Error> {
        let sealed = self
            .vault
            .seal_token(Place(&attempt.workspace_id, id, "token", 0), token)?;
        let sql = "INSERT INTO quarantine (id, workspace_id, grant_id, state, sealed_token, found_at_ms) VALUES ($1, $2, $3, $4, $5, $6)";
        let query = sqlx::query(sql)
            .bind(id)
            .bind(&attempt.workspace_id)
            .bind(&attempt.grant_id)
            .bind(state);
        query.bind(sealed).bind(now).execute(&mut **tx).await?;
        Ok(())
    }

    /// The newest salvaged token of a grant that was not tried: its id and itself.
    pub async fn salvaged(&self, workspace_id: &str, grant_id: &str) -> Result<Option<(String, Secret)>, Error> {
        let sql =
            "SELECT id, sealed_token FROM quarantine WHERE grant_id = $1 AND workspace_id = $2 AND state = 'waiting'
             ORDER BY found_at_ms DESC, id DESC LIMIT 1";
        let row = sqlx::query(sql)
            .bind(grant_id)
            .bind(workspace_id)
            .fetch_optional(self.db.pool())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let (id, sealed): (String, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
        let token = self.vault.token(Place(workspace_id, &id, "token", 0), &sealed)?;
        Ok(Some((id, token)))
    }

    /// The platform refused a salvaged token: the stored one is next.
    pub async fn salvage_refused(&self, workspace_id: &str, id: &str) -> Result<(), Error> {
        let sql = "UPDATE quarantine SET state = 'refused' WHERE id = $1 AND workspace_id = $2";
        sqlx::query(sql)
            .bind(id)
            .bind(workspace_id)
            .execute(self.db.pool())
            .await?;
        Ok(())
    }
}
