//! What is sent to webhook endpoints: one row for each event and endpoint, written with the event.

use std::time::Duration;

use kit::id;
use proto::accounts::v1 as pb;
use serde_json::json;

use super::endpoints::{EndpointRow, types};
use super::{Change, Store, again};
use crate::error::Error;
use crate::model::account::AccountRow;
use crate::model::incident::Announcement;
use crate::webhooks::{self, EVENT_TYPES, KEPT_MS, PATIENCE_MS};

const DELIVERY: &str =
    "endpoint_id, id, type, status, attempts, created_at_ms, ended_at_ms, due_at_ms, last_status, last_error";

/// A row of `webhook_deliveries`, without its body.
#[derive(sqlx::FromRow)]
struct DeliveryRow {
    endpoint_id: String,
    id: String,
    #[sqlx(rename = "type")]
    kind: String,
    status: String,
    attempts: i64,
    created_at_ms: i64,
    ended_at_ms: i64,
    due_at_ms: i64,
    last_status: i64,
    last_error: String,
}

impl From<DeliveryRow> for pb::WebhookDelivery {
    fn from(row: DeliveryRow) -> Self {
        use pb::WebhookDeliveryStatus as Status;
        let status = match row.status.as_str() {
            "pending" => Status::Pending,
            "delivered" => Status::Delivered,
            _ => Status::Dead,
        };
        Self {
            endpoint_id: row.endpoint_id,
            id: row.id,
            r#type: row.kind,
            status: status.into(),
            attempts: i32::try_from(row.attempts).unwrap_or(i32::MAX),
            created_at_ms: row.created_at_ms,
            ended_at_ms: row.ended_at_ms,
            next_attempt_at_ms: if status == Status::Pending { row.due_at_ms } else { 0 },
            last_status: i32::try_from(row.last_status).unwrap_or(0),
            last_error: row.last_error,
        }
    }
}

/// A delivery on its way.
pub(crate) struct Due {
    pub(crate) endpoint: EndpointRow,
    pub(crate) id: String,
    pub(crate) body: String,
    attempts: i64,
}

/// What became of one try.
pub(crate) struct Outcome {
    taken: bool,
    gone: bool,
    status: u16,
    error: &'static str,
    /// The receiver asked for this long.
    asked: Option<Duration>,
}

impl Outcome {
    pub(crate) fn taken(status: u16) -> Self {
        Self {
            taken: true,
            ..Self::answered(status, "", None)
        }
    }

    pub(crate) fn gone() -> Self {
        Self {
            gone: true,
            ..Self::answered(410, "the endpoint says that it is gone", None)
        }
    }

    pub(crate) fn answered(status: u16, error: &'static str, asked: Option<Duration>) -> Self {
        Self {
            taken: false,
            gone: false,
            status,
            error,
            asked,
        }
    }

    pub(crate) fn failed(error: &'static str) -> Self {
        Self::answered(0, error, None)
    }

    /// For metrics.
    pub(crate) fn name(&self) -> &'static str {
        if self.taken { "taken" } else { "failed" }
    }
}

impl Store {
    /// Gives back what a former life of this instance was sending.
    pub(crate) async fn release_deliveries(&self, instance: &str) -> Result<(), Error> {
        let release = "UPDATE webhook_deliveries SET leased_until_ms = 0 WHERE status = 'pending' AND leased_by = $1";
        sqlx::query(release).bind(instance).execute(self.db.pool()).await?;
        Ok(())
    }

    /// Takes what is due, the first of each endpoint that has nothing on its way.
    pub(crate) async fn lease_deliveries(
        &self,
        instance: &str,
        (now_ms, until_ms): (i64, i64),
        limit: i64,
    ) -> Result<Vec<Due>, Error> {
        let lease = "UPDATE webhook_deliveries SET leased_until_ms = $1, leased_by = $4 \
                     WHERE status = 'pending' AND leased_until_ms <= $2 AND (endpoint_id, id) IN ( \
                         SELECT d.endpoint_id, d.id FROM webhook_deliveries d \
                         WHERE d.status = 'pending' AND d.due_at_ms <= $2 AND d.leased_until_ms <= $2 \
                           AND NOT EXISTS (SELECT 1 FROM webhook_deliveries e WHERE e.endpoint_id = d.endpoint_id \
                             AND e.status = 'pending' AND (e.leased_until_ms > $2 OR (e.due_at_ms <= $2 AND e.position < d.position))) \
                         ORDER BY d.due_at_ms LIMIT $3) \
                     RETURNING workspace_id, endpoint_id, id, body, attempts";
        let leased: Vec<(String, String, String, String, i64)> = sqlx::query_as(lease)
            .bind(until_ms)
            .bind(now_ms)
            .bind(limit)
            .bind(instance)
            .fetch_all(self.db.pool())
            .await?;
        let mut due = Vec::with_capacity(leased.len());
        for (workspace_id, endpoint_id, id, body, attempts) in leased {
            // Removed a moment ago: its deliveries go with it.
            let Ok(endpoint) = self.webhook_endpoint(&workspace_id, &endpoint_id).await else {
                continue;
            };
            due.push(Due {
                endpoint,
                id,
                body,
                attempts,
            });
        }
        Ok(due)
    }

    /// Keeps what became of a try, and gives up an endpoint that took nothing for days or said that it is gone.
    pub(crate) async fn settle_delivery(&self, due: &Due, outcome: &Outcome, now_ms: i64) -> Result<(), Error> {
        again(|| async {
            let mut tx = self.change(&due.endpoint.workspace_id, now_ms).await?;
            let next = webhooks::next_try(due.attempts + 1, outcome.asked).filter(|_| !outcome.gone);
            let (status, due_at_ms, ended_at_ms) = match next {
                _ if outcome.taken => ("delivered", now_ms, now_ms),
                Some(wait) => ("pending", now_ms + wait, 0),
                None => ("dead", now_ms, now_ms),
            };
            let settle = "UPDATE webhook_deliveries SET status = $4, attempts = attempts + 1, due_at_ms = $5, ended_at_ms = $6, \
                          leased_until_ms = 0, last_status = $7, last_error = $8 \
                          WHERE workspace_id = $1 AND endpoint_id = $2 AND id = $3 AND status = 'pending'";
            sqlx::query(settle)
                .bind(&due.endpoint.workspace_id)
                .bind(&due.endpoint.id)
                .bind(&due.id)
                .bind(status)
                .bind(due_at_ms)
                .bind(ended_at_ms)
                .bind(i64::from(outcome.status))
                .bind(outcome.error)
                .execute(&mut *tx.tx)
                .await?;
            let mark = if outcome.taken {
                "UPDATE webhook_endpoints SET last_success_at_ms = $3, failing_since_ms = 0 WHERE workspace_id = $1 AND id = $2 \
                 RETURNING failing_since_ms"
            } else {
                "UPDATE webhook_endpoints SET failing_since_ms = CASE WHEN failing_since_ms = 0 THEN $3 ELSE failing_since_ms END \
                 WHERE workspace_id = $1 AND id = $2 RETURNING failing_since_ms"
            };
            let failing: Option<i64> = sqlx::query_scalar(mark)
                .bind(&due.endpoint.workspace_id)
                .bind(&due.endpoint.id)
                .bind(now_ms)
                .fetch_optional(&mut *tx.tx)
                .await?;
            let too_long = failing.is_some_and(|since| since > 0 && now_ms - since > PATIENCE_MS);
            if outcome.gone || too_long {
                tx.give_up(&due.endpoint.id).await?;
            }
            tx.commit().await.map(drop)
        })
        .await
    }

    /// Deliveries to an endpoint before one, newest first; of one status, or of all when it is empty.
    pub(crate) async fn webhook_deliveries(
        &self,
        workspace_id: &str,
        endpoint_id: &str,
        (before, status): (&str, &str),
        limit: i64,
    ) -> Result<Vec<pb::WebhookDelivery>, Error> {
        let page = format!(
            "SELECT {DELIVERY} FROM webhook_deliveries WHERE workspace_id = $1 AND endpoint_id = $2 \
             AND ($3 = '' OR id < $3) AND ($4 = '' OR status = $4) ORDER BY id DESC LIMIT $5"
        );
        let page = sqlx::query_as::<_, DeliveryRow>(sqlx::AssertSqlSafe(page))
            .bind(workspace_id)
            .bind(endpoint_id)
            .bind(before)
            .bind(status)
            .bind(limit);
        Ok(page
            .fetch_all(self.db.pool())
            .await?
            .into_iter()
            .map(Into::into)
            .collect())
    }

    /// Makes an ended delivery pending again, with all its tries before it.
    pub(crate) async fn replay_delivery(
        &self,
        workspace_id: &str,
        endpoint_id: &str,
        id: &str,
        now_ms: i64,
    ) -> Result<pb::WebhookDelivery, Error> {
        let replay = format!(
            "UPDATE webhook_deliveries SET status = 'pending', attempts = 0, due_at_ms = $4, ended_at_ms = 0, leased_until_ms = 0 \
             WHERE workspace_id = $1 AND endpoint_id = $2 AND id = $3 AND status <> 'pending' RETURNING {DELIVERY}"
        );
        let replay = sqlx::query_as::<_, DeliveryRow>(sqlx::AssertSqlSafe(replay))
            .bind(workspace_id)
            .bind(endpoint_id)
            .bind(id)
            .bind(now_ms);
        replay
            .fetch_optional(self.db.pool())
            .await?
            .map(Into::into)
            .ok_or(Error::NotFound)
    }

    /// Forgets deliveries that ended long ago.
    pub(crate) async fn prune_deliveries(&self, now_ms: i64) -> Result<(), Error> {
        let prune = "DELETE FROM webhook_deliveries WHERE status <> 'pending' AND ended_at_ms < $1";
        sqlx::query(prune)
            .bind(now_ms - KEPT_MS)
            .execute(self.db.pool())
            .await?;
        Ok(())
    }

    /// Writes a message for one endpoint alone.
    pub(crate) async fn send_webhook(
        &self,
        row: &EndpointRow,
        kind: &str,
        body: &str,
        now_ms: i64,
    ) -> Result<pb::WebhookDelivery, Error> {
        let put = format!("{PUT} RETURNING {DELIVERY}");
        let put = sqlx::query_as::<_, DeliveryRow>(sqlx::AssertSqlSafe(put))
            .bind(&row.workspace_id)
            .bind(&row.id)
            .bind(new_id(now_ms))
            // After what is due already.
            .bind(i64::MAX)
            .bind(kind)
            .bind(body)
            .bind(now_ms);
        Ok(put.fetch_one(self.db.pool()).await?.into())
    }
}

const PUT: &str = "INSERT INTO webhook_deliveries (workspace_id, endpoint_id, id, position, type, body, status, created_at_ms, due_at_ms) \
                   VALUES ($1, $2, $3, $4, $5, $6, 'pending', $7, $7)";

fn new_id(now_ms: i64) -> String {
    id::new("msg", &kit::Clock::manual(now_ms))
}

/// Ends what waits for an endpoint.
pub(super) async fn end_waiting(
    tx: &mut kit::db::Tx,
    workspace_id: &str,
    endpoint_id: &str,
    why: &str,
    now_ms: i64,
) -> Result<(), Error> {
    let end = "UPDATE webhook_deliveries SET status = 'dead', ended_at_ms = $3, leased_until_ms = 0, last_error = $4 \
               WHERE workspace_id = $1 AND endpoint_id = $2 AND status = 'pending'";
    let end = sqlx::query(end)
        .bind(workspace_id)
        .bind(endpoint_id)
        .bind(now_ms)
        .bind(why);
    end.execute(&mut **tx).await?;
    Ok(())
}

impl Change {
    /// Writes the event's message for every endpoint that listens to it.
    pub(super) async fn put_webhooks(
        &mut self,
        event_id: i64,
        told: &Announcement,
        account: Option<&AccountRow>,
        actor: &str,
    ) -> Result<(), Error> {
        if !EVENT_TYPES.contains(&told.event) {
            return Ok(());
        }
        let listening = "SELECT id, event_types FROM webhook_endpoints WHERE workspace_id = $1 AND status = 'enabled'";
        let listening: Vec<(String, String)> = sqlx::query_as(listening)
            .bind(&self.workspace_id)
            .fetch_all(&mut *self.tx)
            .await?;
        for (endpoint_id, wanted) in listening {
            let wanted = types(&wanted);
            if !wanted.is_empty() && !wanted.iter().any(|name| name == told.event) {
                continue;
            }
            let body = webhooks::body(&self.workspace_id, self.now_ms, event_id, told, account, actor);
            sqlx::query(PUT)
                .bind(&self.workspace_id)
                .bind(&endpoint_id)
                .bind(new_id(self.now_ms))
                .bind(event_id)
                .bind(told.event)
                .bind(body)
                .bind(self.now_ms)
                .execute(&mut *self.tx)
                .await?;
        }
        Ok(())
    }

    /// Sends an endpoint nothing more, and says so once.
    async fn give_up(&mut self, endpoint_id: &str) -> Result<(), Error> {
        let give_up = "UPDATE webhook_endpoints SET status = 'given_up' WHERE workspace_id = $1 AND id = $2 AND status = 'enabled'";
        let given_up = sqlx::query(give_up)
            .bind(&self.workspace_id)
            .bind(endpoint_id)
            .execute(&mut *self.tx)
            .await?;
        if given_up.rows_affected() == 0 {
            return Ok(());
        }
        let (workspace_id, now_ms) = (self.workspace_id.clone(), self.now_ms);
        end_waiting(
            &mut self.tx,
            &workspace_id,
            endpoint_id,
            "the endpoint was given up",
            now_ms,
        )
        .await?;
        self.note("webhook_endpoint.given_up", json!({ "endpoint_id": endpoint_id }), "")
            .await
    }
}
