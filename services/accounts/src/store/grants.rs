//! The mirror of grants: what tokens told last of each, newest version wins.

use prost::Message;
use proto::tokens::v1::Grant;

use super::{Change, Store};
use crate::error::Error;

impl Store {
    /// The mirrored grants of a workspace.
    pub(super) async fn grants(&self, workspace_id: &str) -> Result<Vec<Grant>, Error> {
        let all = "SELECT snapshot FROM grants WHERE workspace_id = $1";
        let rows: Vec<Vec<u8>> = sqlx::query_scalar(all)
            .bind(workspace_id)
            .fetch_all(self.db.pool())
            .await?;
        rows.iter()
            .map(|bytes| Grant::decode(bytes.as_slice()).map_err(|_| Error::Corrupt("grant")))
            .collect()
    }

    /// Version of a mirrored grant; 0 when it is not known.
    pub(crate) async fn grant_version(&self, workspace_id: &str, id: &str) -> Result<i64, Error> {
        let one = sqlx::query_scalar("SELECT version FROM grants WHERE workspace_id = $1 AND id = $2");
        Ok(one
            .bind(workspace_id)
            .bind(id)
            .fetch_optional(self.db.pool())
            .await?
            .unwrap_or(0))
    }
}

impl Change {
    /// The mirrored grant.
    pub(crate) async fn grant(&mut self, id: &str) -> Result<Option<Grant>, Error> {
        let one = sqlx::query_scalar("SELECT snapshot FROM grants WHERE workspace_id = $1 AND id = $2");
        let bytes: Option<Vec<u8>> = one
            .bind(&self.workspace_id)
            .bind(id)
            .fetch_optional(&mut *self.tx)
            .await?;
        bytes
            .map(|bytes| Grant::decode(bytes.as_slice()).map_err(|_| Error::Corrupt("grant")))
            .transpose()
    }

    /// Mirrors a grant unless a newer version is known. False when this one was known already.
    pub(crate) async fn mirror(&mut self, grant: &Grant) -> Result<bool, Error> {
        let put = "INSERT INTO grants (workspace_id, id, version, snapshot) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (workspace_id, id) DO UPDATE SET version = excluded.version, snapshot = excluded.snapshot \
                   WHERE grants.version < excluded.version";
        let put = sqlx::query(put)
            .bind(&self.workspace_id)
            .bind(&grant.grant_id)
            .bind(grant.version)
            .bind(grant.encode_to_vec());
        Ok(put.execute(&mut *self.tx).await?.rows_affected() == 1)
    }
}
