//! Webhook endpoints and what was sent to them.

use proto::accounts::v1::{WebhookDelivery, WebhookDeliveryStatus, WebhookEndpoint, WebhookEndpointStatus};
use serde::Serialize;
use utoipa::ToSchema;

use super::Time;

/// An address that the workspace's events are sent to.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = WebhookEndpoint)]
pub struct WebhookEndpointView {
    /// `whe_…`
    pub id: String,
    /// Where events are sent.
    pub url: String,
    /// The admins' own words.
    pub description: String,
    /// Types of events that are sent; none = all.
    pub event_types: Vec<String>,
    /// `enabled`, `disabled`, or `given_up`: it took nothing for five days, or said that it is gone.
    pub status: &'static str,
    /// When it was made.
    pub created_at: Option<Time>,
    /// By whom.
    pub created_by: String,
    /// When it last took something.
    pub last_success_at: Option<Time>,
    /// Since when it takes nothing; null while it does.
    pub failing_since: Option<Time>,
    /// Until when messages are signed with the former secret too.
    pub former_secret_until: Option<Time>,
}

/// An endpoint with its secret, which is shown this once.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = WebhookEndpointWithSecret)]
pub struct WebhookSecretView {
    /// The endpoint.
    #[serde(flatten)]
    pub endpoint: WebhookEndpointView,
    /// `whsec_…`: verifies the header `webhook-signature`.
    pub secret: String,
}

/// One message for one endpoint.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = WebhookDelivery)]
pub struct WebhookDeliveryView {
    /// `msg_…`: the header `webhook-id`, the same for every try.
    pub id: String,
    /// Type of the event, or `ping`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `pending`, `delivered`, or `dead`: given up after a day of tries.
    pub status: &'static str,
    /// Tries so far.
    pub attempts: i32,
    /// When the event happened.
    pub created_at: Option<Time>,
    /// When it was taken, or given up.
    pub ended_at: Option<Time>,
    /// When it is tried next.
    pub next_attempt_at: Option<Time>,
    /// HTTP status of the last answer.
    pub last_status: Option<i32>,
    /// What went wrong last.
    pub last_error: Option<String>,
}

/// An endpoint.
pub fn webhook_endpoint(endpoint: WebhookEndpoint) -> WebhookEndpointView {
    let status = match endpoint.status() {
        WebhookEndpointStatus::Enabled => "enabled",
        WebhookEndpointStatus::GivenUp => "given_up",
        WebhookEndpointStatus::Disabled | WebhookEndpointStatus::Unspecified => "disabled",
    };
    WebhookEndpointView {
        id: endpoint.id,
        url: endpoint.url,
        description: endpoint.description,
        event_types: endpoint.event_types,
        status,
        created_at: Time::of(endpoint.created_at_ms),
        created_by: endpoint.created_by_name,
        last_success_at: Time::of(endpoint.last_success_at_ms),
        failing_since: Time::of(endpoint.failing_since_ms),
        former_secret_until: Time::of(endpoint.former_secret_until_ms),
    }
}

/// A delivery.
pub fn webhook_delivery(delivery: WebhookDelivery) -> WebhookDeliveryView {
    let status = match delivery.status() {
        WebhookDeliveryStatus::Delivered => "delivered",
        WebhookDeliveryStatus::Dead => "dead",
        WebhookDeliveryStatus::Pending | WebhookDeliveryStatus::Unspecified => "pending",
    };
    WebhookDeliveryView {
        id: delivery.id,
        kind: delivery.r#type,
        status,
        attempts: delivery.attempts,
        created_at: Time::of(delivery.created_at_ms),
        ended_at: Time::of(delivery.ended_at_ms),
        next_attempt_at: Time::of(delivery.next_attempt_at_ms),
        last_status: Some(delivery.last_status).filter(|status| *status > 0),
        last_error: Some(delivery.last_error).filter(|error| !error.is_empty()),
    }
}
