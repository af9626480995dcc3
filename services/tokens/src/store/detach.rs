//! Accounts taken off a grant. The generation is raised; where other accounts stay, the lineage moves on with it, so that an
//! answer that is on its way still finds its parent. With the last account everything is destroyed and ended at the platform.

use kit::db::Tx;
use proto::tokens::v1::RevocationState;

use super::attach::accounts_left;
use super::grants::{Sealing, lock, save};
use super::revocations::{Queued, queue, state, word};
use super::{Store, announce, retry};
use crate::Error;
use crate::model::State;
use crate::model::change::Rules;

impl Store {
    /// Takes an account off its grant and destroys what only it used. A repeated call answers what became of the first.
    pub async fn detach(
        &self,
        workspace_id: &str,
        account_id: &str,
        revocation_id: &str,
        rules: Rules<'_>,
    ) -> Result<RevocationState, Error> {
        retry(|| async {
            let mut tx = self.db.begin().await?;
            let sql = "UPDATE attachments SET state = 'detached', sealed_derived = NULL, can_publish = 0
                 WHERE account_id = $1 AND workspace_id = $2 AND state = 'attached' RETURNING grant_id";
            let query = sqlx::query_scalar(sql).bind(account_id).bind(workspace_id);
            let Some(grant_id) = query.fetch_optional(&mut *tx).await? else {
                drop(tx);
                return self.detached_before(workspace_id, account_id).await;
            };
            let grant_id: String = grant_id;
            let left = self
                .leave(
                    &mut tx,
                    workspace_id,
                    &grant_id,
                    (Some(account_id), revocation_id),
                    rules,
                )
                .await?;
            let sql = "UPDATE attachments SET revocation = $3 WHERE account_id = $1 AND workspace_id = $2";
            sqlx::query(sql)
                .bind(account_id)
                .bind(workspace_id)
                .bind(word(left))
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(left)
        })
        .await
    }

    /// Ends a grant that carries no account any more, as when its last one moved to another grant.
    pub async fn release(&self, key: (&str, &str), revocation_id: &str, rules: Rules<'_>) -> Result<(), Error> {
        retry(|| async {
            let mut tx = self.db.begin().await?;
            let live = lock(&mut tx, key.0, key.1)
                .await?
                .is_some_and(|stored| stored.grant.state != State::Revoked);
            if live && accounts_left(&mut tx, key.1).await? == 0 {
                self.leave(&mut tx, key.0, key.1, (None, revocation_id), rules).await?;
                tx.commit().await?;
            }
            Ok(())
        })
        .await
    }

    /// What became of an account that was taken off before; one that never was on a grant has nothing left to revoke.
    pub async fn detached_before(&self, workspace_id: &str, account_id: &str) -> Result<RevocationState, Error> {
        let sql = "SELECT revocation FROM attachments WHERE account_id = $1 AND workspace_id = $2";
        let query = sqlx::query_scalar(sql).bind(account_id).bind(workspace_id);
        let before: Option<String> = query.fetch_optional(self.db.pool()).await?;
        Ok(before.map_or(RevocationState::Done, |before| state(&before)))
    }

    /// After an account left: raises the generation; of a grant without accounts destroys everything and queues its end.
    pub(super) async fn leave(
        &self,
        tx: &mut Tx,
        workspace_id: &str,
        grant_id: &str,
        who: (Option<&str>, &str),
        rules: Rules<'_>,
    ) -> Result<RevocationState, Error> {
        let Some(stored) = lock(tx, workspace_id, grant_id).await? else {
            return Ok(RevocationState::Done);
        };
        let credential = self.credential(&stored)?;
        let mut grant = stored.grant;
        let over = grant.generation;
        let left = accounts_left(tx, grant_id).await?;
        let change = rules.detached(&mut grant, left);
        let sealing = match &credential {
            Some(credential) if left > 0 => Sealing::Replace(self.seal_credential(&grant, credential)?),
            _ => Sealing::Destroy,
        };
        save(tx, &grant, over, &sealing).await?;
        // The lineage moves on with the generation: answers that are on their way find their parent.
        let sql = "UPDATE attempts SET parent_generation = $3 WHERE grant_id = $1 AND parent_generation = $2";
        sqlx::query(sql)
            .bind(grant_id)
            .bind(over)
            .bind(grant.generation)
            .execute(&mut **tx)
            .await?;
        announce(tx, &grant, change, rules.now).await?;
        if left > 0 {
            return Ok(RevocationState::Shared);
        }
        for sql in [
            "DELETE FROM quarantine WHERE grant_id = $1",
            "UPDATE exchanges SET sealed_discovery = NULL, sealed_credential = NULL WHERE grant_id = $1",
        ] {
            sqlx::query(sql).bind(grant_id).execute(&mut **tx).await?;
        }
        let Some(credential) = credential else {
            return Ok(RevocationState::Done);
        };
        let item = Queued {
            id: who.1,
            workspace_id,
            connector: &grant.connector,
            platform_user_id: &grant.platform_user_id,
            grant_id: Some(grant_id),
            account_id: who.0,
            credential: &credential,
            now: rules.now,
        };
        queue(tx, self.vault(), rules.traits, &item).await
    }
}
