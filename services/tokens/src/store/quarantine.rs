//! Refresh tokens out of answers that could not be used otherwise. Tried before the stored one, and gone with the next success.
//! Those of siblings that lost a race are tried only once the platform has refused the stored one.

use kit::Secret;
use kit::db::Tx;
use sqlx::Row;

use super::Store;
use super::attempts::Attempt;
use super::grants::lock;
use crate::Error;
use crate::model::State;
use crate::vault::Place;

/// Id of the token that a grant `g` is to be renewed with before its stored one: the newest that was not tried, or a sibling's
/// where the stored one is suspect.
pub(super) const WAITING: &str =
    "SELECT q.id FROM quarantine q WHERE q.grant_id = g.id AND q.workspace_id = g.workspace_id
     AND (q.state = 'waiting' OR (q.state = 'sibling' AND g.state = 'suspect'))
     ORDER BY CASE q.state WHEN 'waiting' THEN 0 ELSE 1 END, q.found_at_ms DESC, q.id DESC LIMIT 1";

impl Store {
    /// Keeps a salvaged token of an attempt that brought nothing else, unless the grant was disconnected.
    pub async fn salvage(&self, attempt: &Attempt, id: &str, token: &str, now: i64) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        let stored = lock(&mut tx, &attempt.workspace_id, &attempt.grant_id).await?;
        if stored.is_none_or(|stored| stored.grant.state == State::Revoked) {
            return Ok(());
        }
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

    /// The newest salvaged token of a grant that was not tried, or a sibling's if the stored one is suspect: its id and itself.
    pub async fn salvaged(&self, workspace_id: &str, grant_id: &str) -> Result<Option<(String, Secret)>, Error> {
        let sql = format!(
            "SELECT id, sealed_token FROM quarantine WHERE id = (
                 SELECT ({WAITING}) FROM grants g WHERE g.id = $1 AND g.workspace_id = $2)"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
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
