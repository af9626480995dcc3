//! Events and notifications: written in the change that they tell of, numbered without gaps, read by resuming streams.

use kit::id;
use proto::accounts::v1 as pb;
use serde_json::{Value, json};

use super::{Change, Store};
use crate::error::Error;
use crate::model::account::AccountRow;
use crate::model::incident::{self, Announcement, TOASTS_AN_HOUR};

const HOUR_MS: i64 = 3_600_000;

/// A row of `events`.
#[derive(sqlx::FromRow)]
struct EventRow {
    workspace_id: String,
    id: i64,
    #[sqlx(rename = "type")]
    kind: String,
    occurred_at_ms: i64,
    account_id: String,
    account_name: String,
    actor_name: String,
    toast: String,
    data: String,
}

impl From<EventRow> for pb::Event {
    fn from(row: EventRow) -> Self {
        Self {
            id: row.id,
            r#type: row.kind,
            workspace_id: row.workspace_id,
            occurred_at_ms: row.occurred_at_ms,
            account_id: row.account_id,
            data: row.data,
            toast: row.toast,
            account_name: row.account_name,
            actor_name: row.actor_name,
            account: None,
        }
    }
}

#[derive(sqlx::FromRow)]
struct NotificationRow {
    id: String,
    account_id: String,
    account_name: String,
    kind: String,
    occurred_at_ms: i64,
    actor_name: String,
    is_read: i64,
}

const COLUMNS: &str = "workspace_id, id, type, occurred_at_ms, account_id, account_name, actor_name, toast, data";

/// Where a workspace's events begin and end.
#[derive(Clone, Copy, Debug, Default, sqlx::FromRow)]
pub(crate) struct Range {
    pub(crate) seq: i64,
    /// Events up to this one are no longer kept.
    pub(crate) pruned_through: i64,
}

impl Store {
    /// Where the workspace's events begin and end.
    pub(crate) async fn range(&self, workspace_id: &str) -> Result<Range, Error> {
        let one = sqlx::query_as("SELECT seq, pruned_through FROM workspaces WHERE id = $1").bind(workspace_id);
        Ok(one.fetch_optional(self.db.pool()).await?.unwrap_or_default())
    }

    /// Events after `after`, in order.
    pub(crate) async fn events_after(
        &self,
        workspace_id: &str,
        after: i64,
        limit: i64,
    ) -> Result<Vec<pb::Event>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM events WHERE workspace_id = $1 AND id > $2 ORDER BY id LIMIT $3");
        let rows = sqlx::query_as::<_, EventRow>(sqlx::AssertSqlSafe(sql))
            .bind(workspace_id)
            .bind(after)
            .bind(limit);
        Ok(rows
            .fetch_all(self.db.pool())
            .await?
            .into_iter()
            .map(Into::into)
            .collect())
    }

    /// History of an account before an event, newest first.
    pub(crate) async fn history(
        &self,
        workspace_id: &str,
        account_id: &str,
        before: i64,
        limit: i64,
    ) -> Result<Vec<pb::Event>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM events WHERE workspace_id = $1 AND account_id = $2 AND notable = 1 AND id < $3 \
             ORDER BY id DESC LIMIT $4"
        );
        let rows = sqlx::query_as::<_, EventRow>(sqlx::AssertSqlSafe(sql));
        let rows = rows
            .bind(workspace_id)
            .bind(account_id)
            .bind(before)
            .bind(limit)
            .fetch_all(self.db.pool())
            .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Notifications before one, newest first, as one person sees them.
    pub(crate) async fn notifications(
        &self,
        workspace_id: &str,
        user_id: &str,
        before: &str,
        limit: i64,
    ) -> Result<Vec<pb::Notification>, Error> {
        let page = "SELECT n.id, n.account_id, n.account_name, n.kind, n.occurred_at_ms, n.actor_name, \
                    CASE WHEN r.user_id IS NULL THEN 0 ELSE 1 END AS is_read FROM notifications n \
                    LEFT JOIN notification_reads r \
                    ON r.workspace_id = n.workspace_id AND r.notification_id = n.id AND r.user_id = $2 \
                    WHERE n.workspace_id = $1 AND ($3 = '' OR n.id < $3) ORDER BY n.id DESC LIMIT $4";
        let rows = sqlx::query_as::<_, NotificationRow>(page)
            .bind(workspace_id)
            .bind(user_id)
            .bind(before)
            .bind(limit);
        let shown = |row: NotificationRow| pb::Notification {
            id: row.id,
            account_id: row.account_id,
            account_name: row.account_name,
            kind: row.kind,
            occurred_at_ms: row.occurred_at_ms,
            read: row.is_read != 0,
            actor_name: row.actor_name,
        };
        Ok(rows.fetch_all(self.db.pool()).await?.into_iter().map(shown).collect())
    }

    /// How many notifications a person has not read.
    pub(crate) async fn unread(&self, workspace_id: &str, user_id: &str) -> Result<i64, Error> {
        let count = "SELECT COUNT(*) FROM notifications n WHERE n.workspace_id = $1 AND NOT EXISTS (SELECT 1 \
                     FROM notification_reads r WHERE r.workspace_id = n.workspace_id AND r.notification_id = n.id AND r.user_id = $2)";
        Ok(sqlx::query_scalar(count)
            .bind(workspace_id)
            .bind(user_id)
            .fetch_one(self.db.pool())
            .await?)
    }

    /// A person read a notification.
    pub(crate) async fn mark_read(&self, workspace_id: &str, user_id: &str, id: &str) -> Result<(), Error> {
        let known = sqlx::query_scalar::<_, String>("SELECT id FROM notifications WHERE workspace_id = $1 AND id = $2");
        known
            .bind(workspace_id)
            .bind(id)
            .fetch_optional(self.db.pool())
            .await?
            .ok_or(Error::NotFound)?;
        let mark = "INSERT INTO notification_reads (workspace_id, notification_id, user_id) VALUES ($1, $2, $3) \
                    ON CONFLICT (workspace_id, user_id, notification_id) DO NOTHING";
        sqlx::query(mark)
            .bind(workspace_id)
            .bind(id)
            .bind(user_id)
            .execute(self.db.pool())
            .await?;
        Ok(())
    }
}

impl Change {
    async fn event(&mut self, told: &Announcement, account: Option<&AccountRow>, actor: &str) -> Result<(), Error> {
        let number = self.next_seq();
        let insert = "INSERT INTO events (workspace_id, id, type, occurred_at_ms, account_id, account_name, actor_name, toast, \
                      data, notable) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        sqlx::query(insert)
            .bind(&self.workspace_id)
            .bind(number)
            .bind(told.event)
            .bind(self.now_ms)
            .bind(account.map_or("", |account| &account.id))
            .bind(account.map_or("", |account| &account.display_name))
            .bind(actor)
            .bind(told.toast)
            .bind(told.data.to_string())
            .bind(i64::from(incident::is_notable(told.event)))
            .execute(&mut *self.tx)
            .await?;
        self.put_webhooks(number, told, account, actor).await
    }

    /// Writes what is told of an account: events, and a notification for everything that is shown as a toast.
    pub(crate) async fn tell(
        &mut self,
        account: &AccountRow,
        told: Vec<Announcement>,
        actor: &str,
    ) -> Result<(), Error> {
        for mut told in told {
            // One that flaps is not shouted about for ever.
            if !told.toast.is_empty() && self.toasts_within_an_hour(&account.id, told.toast).await? >= TOASTS_AN_HOUR {
                told.toast = "";
            }
            self.event(&told, Some(account), actor).await?;
            if !told.toast.is_empty() {
                self.notify(account, told.toast, actor).await?;
            }
        }
        Ok(())
    }

    async fn notify(&mut self, account: &AccountRow, kind: &str, actor: &str) -> Result<(), Error> {
        let id = id::new("ntf", &kit::Clock::manual(self.now_ms));
        let insert = "INSERT INTO notifications (workspace_id, id, account_id, account_name, kind, occurred_at_ms, actor_name) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7)";
        sqlx::query(insert)
            .bind(&self.workspace_id)
            .bind(&id)
            .bind(&account.id)
            .bind(&account.display_name)
            .bind(kind)
            .bind(self.now_ms)
            .bind(actor)
            .execute(&mut *self.tx)
            .await?;
        let data = json!({ "notification_id": id, "kind": kind });
        self.event(
            &Announcement {
                event: "notification.created",
                toast: "",
                data,
            },
            Some(account),
            actor,
        )
        .await
    }

    async fn toasts_within_an_hour(&mut self, account_id: &str, kind: &str) -> Result<i64, Error> {
        let count = "SELECT COUNT(*) FROM notifications WHERE workspace_id = $1 AND account_id = $2 AND kind = $3 \
                     AND occurred_at_ms > $4";
        let count = sqlx::query_scalar(count)
            .bind(&self.workspace_id)
            .bind(account_id)
            .bind(kind)
            .bind(self.now_ms - HOUR_MS);
        Ok(count.fetch_one(&mut *self.tx).await?)
    }

    /// An event of the workspace itself, or of something that is no account.
    pub(crate) async fn note(&mut self, event: &'static str, data: Value, actor: &str) -> Result<(), Error> {
        self.event(&Announcement { event, toast: "", data }, None, actor).await
    }

    pub(super) async fn session_event(&mut self, session_id: &str, status: &str) -> Result<(), Error> {
        self.note(
            "connect_session.updated",
            json!({ "session_id": session_id, "status": status }),
            "",
        )
        .await
    }
}
