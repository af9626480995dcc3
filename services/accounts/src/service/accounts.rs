//! Reading accounts, their health, and disconnecting them.

use std::collections::HashMap;

use futures_util::future::{try_join, try_join_all};
use kit::{Failure, Person};
use proto::accounts::v1 as pb;
use serde_json::json;

use crate::cache::Snapshot;
use crate::error::Error;
use crate::hub::Hub;
use crate::model::incident::Announcement;
use crate::model::listing::{self, is_amber, is_connected};
use crate::model::notices::notices;
use crate::store::again;

/// Most accounts that one call asks the health of.
const BATCH: usize = 500;
/// Most readers that one call asks the versions for.
const MOST_READERS: usize = 1000;

impl Hub {
    /// Adds what depends on the time to an account.
    fn dated(&self, snapshot: &Snapshot, mut account: pb::Account) -> pb::Account {
        let grant = snapshot
            .grants
            .iter()
            .find(|grant| grant.grant_id == account.grant_group);
        if let (Some(health), Some(grant)) = (account.health.as_mut(), grant) {
            health.notices = notices(grant, self.clock.now_ms());
        }
        account
    }

    pub(crate) async fn list_accounts(
        &self,
        request: &pb::ListAccountsRequest,
    ) -> Result<pb::ListAccountsResponse, Error> {
        let snapshot = self.store.snapshot(&request.workspace_id).await?;
        let (page, next_cursor) = listing::page(&self.cursors, &snapshot.accounts, request)?;
        let accounts = page.into_iter().map(|account| self.dated(&snapshot, account)).collect();
        Ok(pb::ListAccountsResponse {
            accounts,
            next_cursor,
            version: snapshot.version,
        })
    }

    pub(crate) async fn account(&self, workspace_id: &str, id: &str) -> Result<pb::Account, Error> {
        let snapshot = self.store.snapshot(workspace_id).await?;
        let account = snapshot
            .accounts
            .iter()
            .find(|account| account.id == id)
            .cloned()
            .ok_or(Error::AccountNotFound)?;
        Ok(self.dated(&snapshot, account))
    }

    pub(crate) async fn summarize(
        &self,
        workspace_id: &str,
        person: &Person,
    ) -> Result<pb::SummarizeAccountsResponse, Error> {
        let snapshot = self.store.snapshot(workspace_id).await?;
        let connected = snapshot
            .accounts
            .iter()
            .filter(|account| is_connected(account))
            .collect::<Vec<_>>();
        let amber = connected
            .iter()
            .filter(|account| is_amber(account))
            .copied()
            .collect::<Vec<_>>();
        let waiting = amber
            .iter()
            .filter_map(|account| account.scheduled)
            .filter(|scheduled| scheduled.count > 0);
        let checks = connected
            .iter()
            .filter_map(|account| account.health.as_ref())
            .map(|health| health.checked_at_ms);
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        Ok(pb::SummarizeAccountsResponse {
            total: count(connected.len()),
            needs_reconnect: count(amber.len()),
            healthy: count(connected.len() - amber.len()),
            checked_at_ms: checks.filter(|at_ms| *at_ms > 0).min().unwrap_or(0),
            at_risk: Some(pb::ScheduledPosts {
                count: waiting.clone().map(|scheduled| scheduled.count).sum(),
                next_at_ms: waiting
                    .map(|scheduled| scheduled.next_at_ms)
                    .filter(|at_ms| *at_ms > 0)
                    .min()
                    .unwrap_or(0),
            }),
            unread_notifications: self.store.unread(workspace_id, &person.user_id).await?,
            version: snapshot.version,
        })
    }

    /// The number of each workspace's last change, and how much of it each reader has not read.
    pub(crate) async fn versions(&self, request: &pb::GetVersionsRequest) -> Result<pb::GetVersionsResponse, Error> {
        if request.readers.len() > MOST_READERS {
            return Err(Failure::invalid("/readers", format!("Ask for at most {MOST_READERS} readers.")).into());
        }
        let versions = request.readers.iter().map(|reader| async move {
            let unread = async {
                match reader.user_id.as_str() {
                    "" => Ok(0),
                    user_id => self.store.unread(&reader.workspace_id, user_id).await,
                }
            };
            let (version, unread_notifications) = try_join(self.store.version(&reader.workspace_id), unread).await?;
            Ok::<_, Error>(pb::ReaderVersion {
                version,
                unread_notifications,
            })
        });
        let versions = try_join_all(versions).await?;
        Ok(pb::GetVersionsResponse { versions })
    }

    /// All or nothing: one id that the workspace does not have fails the call, and says nothing about the others.
    pub(crate) async fn health(&self, request: &pb::GetHealthRequest) -> Result<pb::GetHealthResponse, Error> {
        if request.account_ids.is_empty() || request.account_ids.len() > BATCH {
            return Err(Failure::invalid("/account_ids", format!("Ask for 1 to {BATCH} accounts.")).into());
        }
        let snapshot = self.store.snapshot(&request.workspace_id).await?;
        let known = snapshot
            .accounts
            .iter()
            .map(|account| (account.id.as_str(), account))
            .collect::<HashMap<_, _>>();
        let health = |id: &String| {
            let account = self.dated(&snapshot, (*known.get(id.as_str())?).clone());
            Some(pb::AccountHealth {
                account_id: account.id,
                health: account.health,
                can_publish: account.can_publish,
                publish_problem: account.publish_problem,
            })
        };
        let accounts = request.account_ids.iter().map(health).collect::<Option<Vec<_>>>();
        Ok(pb::GetHealthResponse {
            accounts: accounts.ok_or(Error::AccountNotFound)?,
        })
    }

    /// Disconnects: marked first, in one transaction with its event; then tokens are destroyed and the slot is given back
    /// before this answers. What cannot be done now is done later, and the caller is told to ask again.
    pub(crate) async fn disconnect(
        &self,
        person: &Person,
        request: &pb::DisconnectRequest,
    ) -> Result<pb::Account, Error> {
        let (workspace_id, id) = (&request.workspace_id, &request.account_id);
        again(|| async {
            let mut tx = self.store.change(workspace_id, self.clock.now_ms()).await?;
            let row = tx.account(id).await?;
            if row.status == "new" {
                return Err(Error::AccountNotFound);
            }
            if !row.is_connected() {
                return Ok(0);
            }
            if request.if_version != 0 && request.if_version != row.version {
                return Err(Error::Changed);
            }
            tx.disconnect(id).await?;
            let told = Announcement {
                event: "account.disconnected",
                toast: "",
                data: json!({}),
            };
            tx.tell(&row, vec![told], &person.name).await?;
            tx.commit().await
        })
        .await?;
        let (hub, workspace, account) = (self.clone(), workspace_id.clone(), id.clone());
        let finished = self
            .tasks
            .spawn(async move { hub.finish_disconnect(&workspace, &account).await });
        finished.await.map_err(|_| Error::Corrupt("task"))??;
        self.account(workspace_id, id).await
    }

    /// How many posts wait for an account, from the scheduler.
    pub(crate) async fn set_scheduled(&self, request: &pb::SetScheduledPostsRequest) -> Result<(), Error> {
        let scheduled = request.scheduled.unwrap_or_default();
        if scheduled.count < 0 || scheduled.next_at_ms < 0 {
            return Err(Failure::invalid("/scheduled", "Counts and times are not negative.").into());
        }
        again(|| async {
            let mut tx = self.store.change(&request.workspace_id, self.clock.now_ms()).await?;
            let row = tx.account(&request.account_id).await?;
            if row.status == "new" {
                return Err(Error::AccountNotFound);
            }
            if (row.scheduled_count, row.scheduled_next_at_ms) == (scheduled.count, scheduled.next_at_ms) {
                return Ok(());
            }
            tx.set_scheduled(&row.id, scheduled.count, scheduled.next_at_ms).await?;
            let data = json!({ "changed": ["scheduled"] });
            tx.tell(
                &row,
                vec![Announcement {
                    event: "account.updated",
                    toast: "",
                    data,
                }],
                "",
            )
            .await?;
            tx.commit().await.map(drop)
        })
        .await
    }

    /// A member asks owners and admins to reconnect an account.
    pub(crate) async fn request_reconnect(
        &self,
        person: &Person,
        request: &pb::RequestReconnectRequest,
    ) -> Result<(), Error> {
        again(|| async {
            let mut tx = self.store.change(&request.workspace_id, self.clock.now_ms()).await?;
            let row = tx.account(&request.account_id).await?;
            if row.status == "new" {
                return Err(Error::AccountNotFound);
            }
            let told = Announcement {
                event: "account.reconnect_requested",
                toast: "reconnect_requested",
                data: json!({}),
            };
            tx.tell(&row, vec![told], &person.name).await?;
            tx.commit().await.map(drop)
        })
        .await
    }
}
