//! Small calls on a workspace's grants: taking an account off, and checking several at once.

use proto::tokens::v1::RevocationState;

use crate::Error;
use crate::engine::Engine;

/// Grants of one call that are checked at the same time.
const AT_A_TIME: usize = 8;

impl Engine {
    /// Takes an account off its grant. From the commit on, nothing of it is handed out here; elsewhere within a second.
    pub async fn detach(&self, workspace_id: &str, account_id: &str) -> Result<RevocationState, Error> {
        let Some((stored, _)) = self.store.account(workspace_id, account_id).await? else {
            return self.store.detached_before(workspace_id, account_id).await;
        };
        let traits = self.platforms.traits(&stored.grant.connector).await?;
        let revocation = self
            .store
            .detach(workspace_id, account_id, &self.id("rev"), self.rules(&traits))
            .await?;
        self.memory.forget(account_id);
        self.spread(&stored.grant.id).await;
        Ok(revocation)
    }

    /// Ends a grant that carries no account any more.
    pub(crate) async fn release(&self, workspace_id: &str, grant_id: &str) -> Result<(), Error> {
        let Some(stored) = self.store.grant(workspace_id, grant_id).await? else {
            return Ok(());
        };
        let traits = self.platforms.traits(&stored.grant.connector).await?;
        self.store
            .release((workspace_id, grant_id), &self.id("rev"), self.rules(&traits))
            .await?;
        self.spread(grant_id).await;
        Ok(())
    }

    /// Checks the grants of a workspace, or of some of its accounts. How many.
    pub async fn check_workspace(&self, workspace_id: &str, account_ids: &[String], wait: bool) -> Result<i32, Error> {
        let grants = self.store.grants_of(workspace_id, account_ids).await?;
        let count = i32::try_from(grants.len()).unwrap_or(i32::MAX);
        let (engine, workspace_id) = (self.clone(), workspace_id.to_owned());
        let work = self.tasks.spawn(async move {
            for some in grants.chunks(AT_A_TIME) {
                let checks = some.iter().map(|grant_id| engine.check_one(&workspace_id, grant_id));
                futures_util::future::join_all(checks).await;
            }
        });
        if wait {
            // It only fails by a panic, which was logged; the others were checked.
            let _ = work.await;
        }
        Ok(count)
    }

    async fn check_one(&self, workspace_id: &str, grant_id: &str) {
        let checked = match self.store.grant(workspace_id, grant_id).await {
            Ok(Some(stored)) => self.check(&stored.grant).await.map(|_| ()),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = checked {
            tracing::warn!(grant = grant_id, %error, "a grant was not checked");
        }
    }
}
