//! Accounts and the mirror of their grants.

use kit::db;
use prost::Message;
use proto::tokens::v1::{Grant, RevocationState};

use super::{Change, Store};
use crate::error::Error;
use crate::model::account::AccountRow;
use crate::model::health::Assessment;
use crate::model::session::{Place, Session, json};

macro_rules! columns {
    () => {
        "id, workspace_id, platform, connector, kind, platform_account_id, display_name, username, avatar_url, status, \
         connected_at_ms, connected_by_id, connected_by_name, disconnected_at_ms, grant_id, health_since_ms, assessment, \
         announced_end_ms, plan_locked, scheduled_count, scheduled_next_at_ms, revocation, version"
    };
}

/// What is left to do elsewhere after a disconnect.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Leftover {
    pub(crate) workspace_id: String,
    pub(crate) id: String,
    pub(crate) detach_due: i64,
    pub(crate) release_due: i64,
}

impl Store {
    /// All accounts of a workspace that were ever connected.
    pub(super) async fn account_rows(&self, workspace_id: &str) -> Result<Vec<AccountRow>, Error> {
        let all = concat!(
            "SELECT ",
            columns!(),
            " FROM accounts WHERE workspace_id = $1 AND status <> 'new'"
        );
        Ok(sqlx::query_as(all).bind(workspace_id).fetch_all(self.db.pool()).await?)
    }

    /// One account that was ever connected.
    pub(crate) async fn account(&self, workspace_id: &str, id: &str) -> Result<AccountRow, Error> {
        let one = concat!(
            "SELECT ",
            columns!(),
            " FROM accounts WHERE workspace_id = $1 AND id = $2 AND status <> 'new'"
        );
        let row = sqlx::query_as(one)
            .bind(workspace_id)
            .bind(id)
            .fetch_optional(self.db.pool())
            .await?;
        row.ok_or(Error::AccountNotFound)
    }

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

    /// The rows that the places of a sign-in are or will be: made where there is none, so that an id is for ever.
    pub(crate) async fn claim_accounts(
        &self,
        session: &Session,
        places: &[Place],
        new_id: impl Fn() -> String,
    ) -> Result<Vec<AccountRow>, Error> {
        let mut rows = Vec::with_capacity(places.len());
        for place in places {
            let make = "INSERT INTO accounts (id, workspace_id, platform, connector, kind, platform_account_id, display_name, \
                        username, avatar_url, status) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'new') \
                        ON CONFLICT (workspace_id, platform, platform_account_id) DO NOTHING";
            sqlx::query(make)
                .bind(new_id())
                .bind(&session.workspace_id)
                .bind(&session.platform)
                .bind(&session.connector)
                .bind(&place.kind)
                .bind(&place.id)
                .bind(&place.display_name)
                .bind(&place.username)
                .bind(&place.avatar_url)
                .execute(self.db.pool())
                .await?;
            let find = concat!(
                "SELECT ",
                columns!(),
                " FROM accounts WHERE workspace_id = $1 AND platform = $2 AND platform_account_id = $3"
            );
            let row = sqlx::query_as(find)
                .bind(&session.workspace_id)
                .bind(&session.platform)
                .bind(&place.id);
            rows.push(row.fetch_one(self.db.pool()).await?);
        }
        Ok(rows)
    }

    /// Accounts whose disconnect is not finished elsewhere and is due for another try.
    pub(crate) async fn leftovers(&self, now_ms: i64) -> Result<Vec<Leftover>, Error> {
        let due = "SELECT workspace_id, id, detach_due, release_due FROM accounts \
                   WHERE detach_due + release_due > 0 AND cleanup_at_ms <= $1 ORDER BY cleanup_at_ms LIMIT 50";
        Ok(sqlx::query_as(due).bind(now_ms).fetch_all(self.db.pool()).await?)
    }

    /// What is left to do for one account.
    pub(crate) async fn leftover(&self, workspace_id: &str, id: &str) -> Result<Option<Leftover>, Error> {
        let one = "SELECT workspace_id, id, detach_due, release_due FROM accounts \
                   WHERE workspace_id = $1 AND id = $2 AND status <> 'connected' AND detach_due + release_due > 0";
        Ok(sqlx::query_as(one)
            .bind(workspace_id)
            .bind(id)
            .fetch_optional(self.db.pool())
            .await?)
    }

    /// The slot of a disconnected account was given back.
    pub(crate) async fn released(&self, workspace_id: &str, id: &str) -> Result<(), Error> {
        let done = "UPDATE accounts SET release_due = 0 WHERE workspace_id = $1 AND id = $2 AND status <> 'connected'";
        sqlx::query(done)
            .bind(workspace_id)
            .bind(id)
            .execute(self.db.pool())
            .await?;
        Ok(())
    }

    /// Accounts that got a slot and were not connected after all.
    pub(crate) async fn owe_release(&self, workspace_id: &str, ids: &[String], now_ms: i64) -> Result<(), Error> {
        for id in ids {
            let set = "UPDATE accounts SET release_due = 1, cleanup_at_ms = $3 \
                       WHERE workspace_id = $1 AND id = $2 AND status <> 'connected'";
            sqlx::query(set)
                .bind(workspace_id)
                .bind(id)
                .bind(now_ms)
                .execute(self.db.pool())
                .await?;
        }
        Ok(())
    }

    /// The next try at what is left to do.
    pub(crate) async fn postpone_leftover(&self, workspace_id: &str, id: &str, at_ms: i64) -> Result<(), Error> {
        let set = "UPDATE accounts SET cleanup_at_ms = $3 WHERE workspace_id = $1 AND id = $2";
        sqlx::query(set)
            .bind(workspace_id)
            .bind(id)
            .bind(at_ms)
            .execute(self.db.pool())
            .await?;
        Ok(())
    }
}

/// What connecting writes on an account's row.
pub(crate) struct Connected<'a> {
    pub(crate) session: &'a Session,
    pub(crate) place: &'a Place,
    pub(crate) grant_id: &'a str,
}

impl Change {
    /// One account, to be changed.
    pub(crate) async fn account(&mut self, id: &str) -> Result<AccountRow, Error> {
        let one = concat!(
            "SELECT ",
            columns!(),
            " FROM accounts WHERE workspace_id = $1 AND id = $2"
        );
        let row = sqlx::query_as(one)
            .bind(&self.workspace_id)
            .bind(id)
            .fetch_optional(&mut *self.tx)
            .await?;
        row.ok_or(Error::AccountNotFound)
    }

    /// Accounts that hang on a grant, or last did.
    pub(crate) async fn accounts_of(&mut self, grant_id: &str) -> Result<Vec<AccountRow>, Error> {
        let of = concat!(
            "SELECT ",
            columns!(),
            " FROM accounts WHERE workspace_id = $1 AND grant_id = $2 ORDER BY id"
        );
        Ok(sqlx::query_as(of)
            .bind(&self.workspace_id)
            .bind(grant_id)
            .fetch_all(&mut *self.tx)
            .await?)
    }

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

    /// Makes an account connected: same row, same id, whatever it was before.
    pub(crate) async fn connect(&mut self, id: &str, connected: &Connected<'_>) -> Result<AccountRow, Error> {
        let set = concat!(
            "UPDATE accounts SET connector = $3, kind = $4, display_name = $5, username = $6, avatar_url = $7, \
             connected_at_ms = CASE WHEN status = 'connected' THEN connected_at_ms ELSE $8 END, \
             connected_by_id = $9, connected_by_name = $10, disconnected_at_ms = 0, grant_id = $11, status = 'connected', \
             revocation = 0, detach_due = 0, release_due = 0, announced_end_ms = 0 \
             WHERE workspace_id = $1 AND id = $2 RETURNING ",
            columns!()
        );
        let row = sqlx::query_as(set)
            .bind(&self.workspace_id)
            .bind(id)
            .bind(&connected.session.connector)
            .bind(&connected.place.kind)
            .bind(&connected.place.display_name)
            .bind(&connected.place.username)
            .bind(&connected.place.avatar_url)
            .bind(self.now_ms)
            .bind(&connected.session.user_id)
            .bind(&connected.session.user_name)
            .bind(connected.grant_id)
            .fetch_optional(&mut *self.tx)
            .await?;
        row.ok_or(Error::AccountNotFound)
    }

    /// Writes an account's health; `since_ms` moves when the status does.
    pub(crate) async fn set_health(
        &mut self,
        row: &AccountRow,
        health: &Assessment,
        expiring: Option<i64>,
    ) -> Result<(), Error> {
        let moved = row.health_since_ms == 0 || row.assessment().is_amber() != health.is_amber();
        let set = "UPDATE accounts SET health = $3, health_since_ms = $4, assessment = $5, announced_end_ms = $6, \
                   version = version + 1 WHERE workspace_id = $1 AND id = $2";
        sqlx::query(set)
            .bind(&self.workspace_id)
            .bind(&row.id)
            .bind(if health.is_amber() {
                "needs_reconnect"
            } else {
                "healthy"
            })
            .bind(if moved { self.now_ms } else { row.health_since_ms })
            .bind(json(health))
            .bind(expiring.unwrap_or(row.announced_end_ms))
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// Marks an account disconnected and notes what is to be done elsewhere. Its history, posts and id stay.
    pub(crate) async fn disconnect(&mut self, id: &str) -> Result<(), Error> {
        let set = "UPDATE accounts SET status = 'disconnected', disconnected_at_ms = $3, detach_due = 1, release_due = 1, \
                   cleanup_at_ms = $3, plan_locked = 0, scheduled_count = 0, scheduled_next_at_ms = 0, assessment = '{}', \
                   health = 'healthy', health_since_ms = 0, revocation = $4, version = version + 1 \
                   WHERE workspace_id = $1 AND id = $2 AND status = 'connected'";
        let queued = i64::from(i32::from(RevocationState::Queued));
        sqlx::query(set)
            .bind(&self.workspace_id)
            .bind(id)
            .bind(self.now_ms)
            .bind(queued)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// The tokens of a disconnected account are destroyed; what becomes of the access at the platform.
    pub(crate) async fn detached(&mut self, id: &str, revocation: i32) -> Result<(), Error> {
        let set = "UPDATE accounts SET detach_due = 0, revocation = $3, version = version + 1 \
                   WHERE workspace_id = $1 AND id = $2 AND status = 'disconnected'";
        sqlx::query(set)
            .bind(&self.workspace_id)
            .bind(id)
            .bind(i64::from(revocation))
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// The version of the last applied change of plan, raised. False when this one or a later one was applied already.
    pub(crate) async fn raise_plan_version(&mut self, version: i64) -> Result<bool, Error> {
        let raise = "UPDATE workspaces SET plan_version = $2 WHERE id = $1 AND plan_version < $2";
        let raise = sqlx::query(raise).bind(&self.workspace_id).bind(version);
        Ok(raise.execute(&mut *self.tx).await?.rows_affected() == 1)
    }

    /// Locks exactly these accounts. Returns those whose lock changed.
    pub(crate) async fn set_locks(&mut self, locked: &[String]) -> Result<Vec<AccountRow>, Error> {
        let listed = if locked.is_empty() {
            "''".to_owned()
        } else {
            db::placeholders(2, locked.len())
        };
        let sql = format!(
            "UPDATE accounts SET plan_locked = 1 - plan_locked, version = version + 1 WHERE workspace_id = $1 \
             AND ((plan_locked = 0 AND id IN ({listed})) OR (plan_locked = 1 AND id NOT IN ({listed}))) RETURNING {}",
            columns!()
        );
        let mut set = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(&self.workspace_id);
        for id in locked {
            set = set.bind(id);
        }
        Ok(set.fetch_all(&mut *self.tx).await?)
    }

    /// How many posts wait for an account.
    pub(crate) async fn set_scheduled(&mut self, id: &str, count: i64, next_at_ms: i64) -> Result<(), Error> {
        let set = "UPDATE accounts SET scheduled_count = $3, scheduled_next_at_ms = $4, version = version + 1 \
                   WHERE workspace_id = $1 AND id = $2";
        sqlx::query(set)
            .bind(&self.workspace_id)
            .bind(id)
            .bind(count)
            .bind(next_at_ms)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }
}
