//! Webhook endpoints of a workspace, with their sealed secrets.

use kit::Secret;
use proto::accounts::v1 as pb;

use super::{Store, again};
use crate::error::Error;
use crate::store::deliveries::end_waiting;
use crate::webhooks::{OVERLAP_MS, Place, Webhooks};

const ENDPOINT: &str = "workspace_id, id, url, description, event_types, status, secret, secret_generation, former_secret, \
                        former_until_ms, created_at_ms, created_by_name, last_success_at_ms, failing_since_ms";

/// A row of `webhook_endpoints`.
#[derive(Clone, sqlx::FromRow)]
pub(crate) struct EndpointRow {
    pub(crate) workspace_id: String,
    pub(crate) id: String,
    pub(crate) url: String,
    pub(crate) description: String,
    pub(crate) event_types: String,
    pub(crate) status: String,
    pub(crate) secret: Vec<u8>,
    pub(crate) secret_generation: i64,
    pub(crate) former_secret: Vec<u8>,
    pub(crate) former_until_ms: i64,
    pub(crate) created_at_ms: i64,
    pub(crate) created_by_name: String,
    pub(crate) last_success_at_ms: i64,
    pub(crate) failing_since_ms: i64,
}

impl EndpointRow {
    /// Where its secret belongs, and the one before it.
    pub(crate) fn place(&self) -> Place<'_> {
        Place {
            workspace_id: &self.workspace_id,
            endpoint_id: &self.id,
            generation: self.secret_generation,
        }
    }

    pub(crate) fn former_place(&self) -> Place<'_> {
        Place {
            generation: self.secret_generation - 1,
            ..self.place()
        }
    }

    pub(crate) fn shown(&self) -> pb::WebhookEndpoint {
        use pb::WebhookEndpointStatus as Status;
        let status = match self.status.as_str() {
            "enabled" => Status::Enabled,
            "given_up" => Status::GivenUp,
            _ => Status::Disabled,
        };
        pb::WebhookEndpoint {
            id: self.id.clone(),
            workspace_id: self.workspace_id.clone(),
            url: self.url.clone(),
            description: self.description.clone(),
            event_types: types(&self.event_types),
            status: status.into(),
            created_at_ms: self.created_at_ms,
            created_by_name: self.created_by_name.clone(),
            last_success_at_ms: self.last_success_at_ms,
            failing_since_ms: self.failing_since_ms,
            former_secret_until_ms: self.former_until_ms,
        }
    }

    /// What signs: the secret, and its predecessor for a while.
    pub(crate) fn secrets(&self, webhooks: &Webhooks, now_ms: i64) -> Result<Vec<Secret>, Error> {
        let mut secrets = vec![webhooks.open(self.place(), &self.secret)?];
        if self.former_until_ms > now_ms {
            secrets.push(webhooks.open(self.former_place(), &self.former_secret)?);
        }
        Ok(secrets)
    }
}

/// The types of events in a row.
pub(super) fn types(json: &str) -> Vec<String> {
    serde_json::from_str(json).unwrap_or_default()
}

impl Store {
    /// Endpoints of a workspace, oldest first.
    pub(crate) async fn webhook_endpoints(&self, workspace_id: &str) -> Result<Vec<EndpointRow>, Error> {
        let all = format!("SELECT {ENDPOINT} FROM webhook_endpoints WHERE workspace_id = $1 ORDER BY id");
        let all = sqlx::query_as(sqlx::AssertSqlSafe(all)).bind(workspace_id);
        Ok(all.fetch_all(self.db.pool()).await?)
    }

    /// One endpoint.
    pub(crate) async fn webhook_endpoint(&self, workspace_id: &str, id: &str) -> Result<EndpointRow, Error> {
        let one = format!("SELECT {ENDPOINT} FROM webhook_endpoints WHERE workspace_id = $1 AND id = $2");
        let one = sqlx::query_as(sqlx::AssertSqlSafe(one)).bind(workspace_id).bind(id);
        one.fetch_optional(self.db.pool()).await?.ok_or(Error::NotFound)
    }

    /// Writes a new endpoint, unless the workspace has enough. False when it has.
    pub(crate) async fn add_webhook_endpoint(&self, row: &EndpointRow, most: i64) -> Result<bool, Error> {
        again(|| async {
            // Takes the workspace's lock, so that two at once cannot both be the last.
            let mut tx = self.change(&row.workspace_id, row.created_at_ms).await?;
            let count = "SELECT COUNT(*) FROM webhook_endpoints WHERE workspace_id = $1";
            let count: i64 = sqlx::query_scalar(count).bind(&row.workspace_id).fetch_one(&mut *tx.tx).await?;
            if count >= most {
                return Ok(false);
            }
            let insert = format!("INSERT INTO webhook_endpoints ({ENDPOINT}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)");
            sqlx::query(sqlx::AssertSqlSafe(insert))
                .bind(&row.workspace_id)
                .bind(&row.id)
                .bind(&row.url)
                .bind(&row.description)
                .bind(&row.event_types)
                .bind(&row.status)
                .bind(&row.secret)
                .bind(row.secret_generation)
                .bind(&row.former_secret)
                .bind(row.former_until_ms)
                .bind(row.created_at_ms)
                .bind(&row.created_by_name)
                .bind(row.last_success_at_ms)
                .bind(row.failing_since_ms)
                .execute(&mut *tx.tx)
                .await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Replaces what a person may set. One that is disabled gets nothing more, and what waited for it is dead.
    pub(crate) async fn set_webhook_endpoint(&self, row: &EndpointRow, now_ms: i64) -> Result<(), Error> {
        again(|| async {
            let mut tx = self.db.begin().await?;
            let set = "UPDATE webhook_endpoints SET url = $3, description = $4, event_types = $5, status = $6, \
                       failing_since_ms = $7 WHERE workspace_id = $1 AND id = $2";
            let set = sqlx::query(set)
                .bind(&row.workspace_id)
                .bind(&row.id)
                .bind(&row.url)
                .bind(&row.description)
                .bind(&row.event_types)
                .bind(&row.status)
                .bind(row.failing_since_ms);
            set.execute(&mut *tx).await?;
            if row.status != "enabled" {
                end_waiting(&mut tx, &row.workspace_id, &row.id, "the endpoint was disabled", now_ms).await?;
            }
            Ok(tx.commit().await?)
        })
        .await
    }

    /// Another secret; the one before it signs for a day more. Only if nobody else did so meanwhile.
    pub(crate) async fn rotate_webhook_secret(
        &self,
        row: &EndpointRow,
        sealed: &[u8],
        now_ms: i64,
    ) -> Result<(), Error> {
        let rotate = "UPDATE webhook_endpoints SET former_secret = secret, secret = $3, secret_generation = $4 + 1, \
                      former_until_ms = $5 WHERE workspace_id = $1 AND id = $2 AND secret_generation = $4";
        let rotate = sqlx::query(rotate)
            .bind(&row.workspace_id)
            .bind(&row.id)
            .bind(sealed)
            .bind(row.secret_generation)
            .bind(now_ms + OVERLAP_MS);
        match rotate.execute(self.db.pool()).await?.rows_affected() {
            1 => Ok(()),
            _ => Err(Error::Changed),
        }
    }

    /// Removes an endpoint with its deliveries.
    pub(crate) async fn remove_webhook_endpoint(&self, workspace_id: &str, id: &str) -> Result<(), Error> {
        again(|| async {
            let mut tx = self.db.begin().await?;
            let remove = "DELETE FROM webhook_endpoints WHERE workspace_id = $1 AND id = $2";
            let removed = sqlx::query(remove)
                .bind(workspace_id)
                .bind(id)
                .execute(&mut *tx)
                .await?;
            if removed.rows_affected() == 0 {
                return Err(Error::NotFound);
            }
            let forget = "DELETE FROM webhook_deliveries WHERE workspace_id = $1 AND endpoint_id = $2";
            sqlx::query(forget)
                .bind(workspace_id)
                .bind(id)
                .execute(&mut *tx)
                .await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    /// Seals secrets anew that are not under the first key of the ring.
    ///
    /// # Errors
    /// When one is under a key that the ring does not have.
    pub(crate) async fn reseal_webhook_secrets(&self, webhooks: &Webhooks) -> anyhow::Result<()> {
        let all = format!("SELECT {ENDPOINT} FROM webhook_endpoints");
        let all: Vec<EndpointRow> = sqlx::query_as(sqlx::AssertSqlSafe(all))
            .fetch_all(self.db.pool())
            .await?;
        for row in all {
            let (secret, former) = (
                webhooks.resealed(row.place(), &row.secret)?,
                webhooks.resealed(row.former_place(), &row.former_secret)?,
            );
            if secret.is_none() && former.is_none() {
                continue;
            }
            let set = "UPDATE webhook_endpoints SET secret = $4, former_secret = $5 \
                       WHERE workspace_id = $1 AND id = $2 AND secret_generation = $3";
            sqlx::query(set)
                .bind(&row.workspace_id)
                .bind(&row.id)
                .bind(row.secret_generation)
                .bind(secret.unwrap_or(row.secret.clone()))
                .bind(former.unwrap_or(row.former_secret.clone()))
                .execute(self.db.pool())
                .await?;
        }
        Ok(())
    }
}
