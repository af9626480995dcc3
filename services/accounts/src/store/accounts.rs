//! Accounts: one row for each social account that a workspace ever connected, under one id for ever.

use kit::db;
use proto::tokens::v1::RevocationState;

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
