//! What admins do with webhook endpoints.

use kit::{Code, Failure, Person, id};
use proto::accounts::v1 as pb;
use proto::accounts::v1::WebhookDeliveryStatus as DeliveryStatus;
use serde_json::{Map, json};

use crate::error::Error;
use crate::hub::Hub;
use crate::model::cursor;
use crate::store::endpoints::EndpointRow;
use crate::webhooks::courier::Courier;
use crate::webhooks::{MOST_ENDPOINTS, PING, Place, message, sign};

impl Hub {
    /// Before anything is sent: secrets are under the first key of the ring, and what a former life left is free.
    pub(crate) async fn begin_webhooks(&self) -> anyhow::Result<()> {
        let resealed = self.store.reseal_webhook_secrets(&self.webhooks).await;
        resealed.map_err(|error| {
            kit::config::Error::new(
                "keys.ring",
                format!("does not open the secrets of webhook endpoints ({error})"),
                "put the key back that they are sealed under",
            )
        })?;
        Ok(self.store.release_deliveries(&self.settings.instance).await?)
    }

    /// Sends what is due.
    pub(crate) fn courier(&self) -> Courier {
        Courier {
            store: self.store.clone(),
            webhooks: self.webhooks.clone(),
            clock: self.clock.clone(),
            instance: self.settings.instance.clone(),
        }
    }

    pub(crate) async fn webhook_endpoints(&self, workspace_id: &str) -> Result<Vec<pb::WebhookEndpoint>, Error> {
        let rows = self.store.webhook_endpoints(workspace_id).await?;
        Ok(rows.iter().map(EndpointRow::shown).collect())
    }

    /// A new endpoint and its secret, which is told this once.
    pub(crate) async fn create_webhook_endpoint(
        &self,
        person: &Person,
        request: pb::CreateWebhookEndpointRequest,
    ) -> Result<pb::CreateWebhookEndpointResponse, Error> {
        self.webhooks
            .check(&request.url, &request.description, &request.event_types)?;
        let endpoint_id = id::new("whe", &self.clock);
        let secret = sign::new_secret();
        let place = Place {
            workspace_id: &request.workspace_id,
            endpoint_id: &endpoint_id,
            generation: 1,
        };
        let row = EndpointRow {
            secret: self.webhooks.seal(place, &secret)?,
            secret_generation: 1,
            former_secret: Vec::new(),
            former_until_ms: 0,
            id: endpoint_id.clone(),
            url: request.url,
            description: request.description,
            event_types: json!(request.event_types).to_string(),
            status: "enabled".to_owned(),
            created_at_ms: self.clock.now_ms(),
            created_by_name: person.name.clone(),
            last_success_at_ms: 0,
            failing_since_ms: 0,
            workspace_id: request.workspace_id.clone(),
        };
        if !self.store.add_webhook_endpoint(&row, MOST_ENDPOINTS).await? {
            let detail = format!("A workspace has at most {MOST_ENDPOINTS} webhook endpoints.");
            return Err(Failure::new(Code::ValidationFailed, detail).into());
        }
        Ok(pb::CreateWebhookEndpointResponse {
            endpoint: Some(row.shown()),
            secret: secret.expose().to_owned(),
        })
    }

    pub(crate) async fn update_webhook_endpoint(
        &self,
        request: pb::UpdateWebhookEndpointRequest,
    ) -> Result<pb::WebhookEndpoint, Error> {
        let mut row = self
            .store
            .webhook_endpoint(&request.workspace_id, &request.endpoint_id)
            .await?;
        self.webhooks
            .check(&request.url, &request.description, &request.event_types)?;
        row.url = request.url;
        row.description = request.description;
        row.event_types = json!(request.event_types).to_string();
        if request.enabled && row.status != "enabled" {
            row.failing_since_ms = 0;
        }
        let status = if request.enabled { "enabled" } else { "disabled" };
        status.clone_into(&mut row.status);
        self.store.set_webhook_endpoint(&row, self.clock.now_ms()).await?;
        Ok(row.shown())
    }

    pub(crate) async fn rotate_webhook_secret(
        &self,
        request: &pb::RotateWebhookSecretRequest,
    ) -> Result<pb::RotateWebhookSecretResponse, Error> {
        let (workspace_id, endpoint_id) = (&request.workspace_id, &request.endpoint_id);
        let row = self.store.webhook_endpoint(workspace_id, endpoint_id).await?;
        let secret = sign::new_secret();
        let place = Place {
            generation: row.secret_generation + 1,
            ..row.place()
        };
        let sealed = self.webhooks.seal(place, &secret)?;
        self.store
            .rotate_webhook_secret(&row, &sealed, self.clock.now_ms())
            .await?;
        Ok(pb::RotateWebhookSecretResponse {
            endpoint: Some(self.store.webhook_endpoint(workspace_id, endpoint_id).await?.shown()),
            secret: secret.expose().to_owned(),
        })
    }

    pub(crate) async fn ping_webhook_endpoint(
        &self,
        request: &pb::PingWebhookEndpointRequest,
    ) -> Result<pb::WebhookDelivery, Error> {
        let row = self
            .store
            .webhook_endpoint(&request.workspace_id, &request.endpoint_id)
            .await?;
        let now_ms = self.clock.now_ms();
        let body = message(PING, &row.workspace_id, now_ms, None, Map::new());
        self.store.send_webhook(&row, PING, &body, now_ms).await
    }

    pub(crate) async fn webhook_deliveries(
        &self,
        request: &pb::ListWebhookDeliveriesRequest,
    ) -> Result<pb::ListWebhookDeliveriesResponse, Error> {
        let (workspace_id, endpoint_id) = (&request.workspace_id, &request.endpoint_id);
        self.store.webhook_endpoint(workspace_id, endpoint_id).await?;
        let limit = cursor::limit(request.limit, 25, 100)?;
        let list = format!("webhook deliveries {endpoint_id}");
        let before = self
            .cursors
            .decode(workspace_id, &list, &request.cursor)?
            .unwrap_or_default();
        let status = match request.status() {
            DeliveryStatus::Unspecified => "",
            DeliveryStatus::Pending => "pending",
            DeliveryStatus::Delivered => "delivered",
            DeliveryStatus::Dead => "dead",
        };
        let more = i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1;
        let mut deliveries = self
            .store
            .webhook_deliveries(workspace_id, endpoint_id, (&before, status), more)
            .await?;
        let there_is_more = deliveries.len() > limit;
        deliveries.truncate(limit);
        let next = deliveries
            .last()
            .filter(|_| there_is_more)
            .map(|last| self.cursors.encode(workspace_id, &list, &last.id));
        Ok(pb::ListWebhookDeliveriesResponse {
            deliveries,
            next_cursor: next.unwrap_or_default(),
        })
    }

    pub(crate) async fn replay_webhook_delivery(
        &self,
        request: &pb::ReplayWebhookDeliveryRequest,
    ) -> Result<pb::WebhookDelivery, Error> {
        let (workspace_id, endpoint_id) = (&request.workspace_id, &request.endpoint_id);
        self.store
            .replay_delivery(workspace_id, endpoint_id, &request.delivery_id, self.clock.now_ms())
            .await
    }
}
