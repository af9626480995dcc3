//! Webhook endpoints: where a workspace's events are sent, what became of them. For owners and admins.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use proto::accounts::v1::{
    CreateWebhookEndpointRequest, DeleteWebhookEndpointRequest, GetWebhookEndpointRequest,
    ListWebhookDeliveriesRequest, ListWebhookEndpointsRequest, PingWebhookEndpointRequest,
    ReplayWebhookDeliveryRequest, RotateWebhookSecretRequest, UpdateWebhookEndpointRequest, WebhookDelivery,
    WebhookDeliveryStatus,
};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::path::{InDelivery, InEndpoint, InWorkspace};
use super::{Body, Page, Paging, Path, Query};
use crate::problem::Problem;
use crate::session::Viewer;
use crate::state::App;
use crate::view::{self, WebhookDeliveryView, WebhookEndpointView, WebhookSecretView};

/// Most types that may be listed.
const MOST_TYPES: usize = 50;

/// A new endpoint.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewEndpoint {
    /// A public https address.
    #[schema(max_length = 2048, example = "https://example.com/hooks/connections")]
    url: String,
    /// Your own words.
    #[serde(default)]
    #[schema(max_length = 200)]
    description: String,
    /// Types of events to send; none = all.
    #[serde(default)]
    #[schema(max_items = 50, example = json!(["account.health_changed"]))]
    event_types: Vec<String>,
}

/// An endpoint, replaced.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangedEndpoint {
    /// A public https address.
    #[schema(max_length = 2048, example = "https://example.com/hooks/connections")]
    url: String,
    /// Your own words.
    #[serde(default)]
    #[schema(max_length = 200)]
    description: String,
    /// Types of events to send; none = all.
    #[serde(default)]
    #[schema(max_items = 50, example = json!([]))]
    event_types: Vec<String>,
    /// False sends it nothing more, and ends what waits for it.
    enabled: bool,
}

/// Which deliveries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Deliveries {
    /// Only those.
    #[param(required = false, inline)]
    status: Option<DeliveryState>,
    /// How many, 1 to 100; more is taken as 100, less as 1.
    #[param(required = false)]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    #[param(required = false)]
    cursor: Option<String>,
}

/// Where a delivery is.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeliveryState {
    /// To be tried, again or for the first time.
    Pending,
    /// Taken.
    Delivered,
    /// Given up.
    Dead,
}

fn few(types: Vec<String>) -> Result<Vec<String>, Problem> {
    if types.len() > MOST_TYPES {
        return Err(Problem::invalid("/event_types", "are too many"));
    }
    Ok(types)
}

/// The workspace's webhook endpoints.
#[utoipa::path(get, path = "/workspaces/{workspace_id}/webhook-endpoints", tag = "webhooks", params(InWorkspace),
    responses((status = 200, body = Page<WebhookEndpointView>)))]
pub(crate) async fn list(
    State(app): State<App>,
    viewer: Viewer,
    OriginalUri(uri): OriginalUri,
    Path(path): Path<InWorkspace>,
) -> Result<Response, Problem> {
    let message = ListWebhookEndpointsRequest {
        workspace_id: path.workspace_id,
    };
    let answer = app
        .accounts()
        .list_webhook_endpoints(viewer.context.request(message))
        .await?
        .into_inner();
    let data: Vec<_> = answer.endpoints.into_iter().map(view::webhook_endpoint).collect();
    Ok(Page::answer(data, String::new(), &uri))
}

/// Makes an endpoint. Its secret is shown in this answer alone.
#[utoipa::path(post, path = "/workspaces/{workspace_id}/webhook-endpoints", tag = "webhooks", params(InWorkspace),
    request_body = NewEndpoint, responses((status = 201, body = WebhookSecretView)))]
pub(crate) async fn create(
    State(app): State<App>,
    viewer: Viewer,
    Path(path): Path<InWorkspace>,
    Body(body): Body<NewEndpoint>,
) -> Result<Response, Problem> {
    let message = CreateWebhookEndpointRequest {
        workspace_id: path.workspace_id.clone(),
        url: body.url,
        description: body.description,
        event_types: few(body.event_types)?,
    };
    let answer = app
        .accounts()
        .create_webhook_endpoint(viewer.context.request(message))
        .await?
        .into_inner();
    let endpoint = view::webhook_endpoint(answer.endpoint.unwrap_or_default());
    let location = format!(
        "/api/v1/workspaces/{}/webhook-endpoints/{}",
        path.workspace_id, endpoint.id
    );
    let secret = answer.secret;
    let shown = Json(WebhookSecretView { endpoint, secret });
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], shown).into_response())
}

/// One endpoint.
#[utoipa::path(get, path = "/workspaces/{workspace_id}/webhook-endpoints/{endpoint_id}", tag = "webhooks", params(InEndpoint),
    responses((status = 200, body = WebhookEndpointView)))]
pub(crate) async fn read(
    State(app): State<App>,
    viewer: Viewer,
    Path(path): Path<InEndpoint>,
) -> Result<Json<WebhookEndpointView>, Problem> {
    let message = GetWebhookEndpointRequest {
        workspace_id: path.workspace_id,
        endpoint_id: path.endpoint_id,
    };
    let answer = app
        .accounts()
        .get_webhook_endpoint(viewer.context.request(message))
        .await?
        .into_inner();
    Ok(Json(view::webhook_endpoint(answer.endpoint.unwrap_or_default())))
}

/// Replaces what an endpoint is; enabling one that was given up tries it anew.
#[utoipa::path(put, path = "/workspaces/{workspace_id}/webhook-endpoints/{endpoint_id}", tag = "webhooks", params(InEndpoint),
    request_body = ChangedEndpoint, responses((status = 200, body = WebhookEndpointView)))]
pub(crate) async fn update(
    State(app): State<App>,
    viewer: Viewer,
    Path(path): Path<InEndpoint>,
    Body(body): Body<ChangedEndpoint>,
) -> Result<Json<WebhookEndpointView>, Problem> {
    let message = UpdateWebhookEndpointRequest {
        workspace_id: path.workspace_id,
        endpoint_id: path.endpoint_id,
        url: body.url,
        description: body.description,
        event_types: few(body.event_types)?,
        enabled: body.enabled,
    };
    let answer = app
        .accounts()
        .update_webhook_endpoint(viewer.context.request(message))
        .await?
        .into_inner();
    Ok(Json(view::webhook_endpoint(answer.endpoint.unwrap_or_default())))
}

/// Removes an endpoint and what was or is to be sent to it.
#[utoipa::path(delete, path = "/workspaces/{workspace_id}/webhook-endpoints/{endpoint_id}", tag = "webhooks", params(InEndpoint),
    responses((status = 204)))]
pub(crate) async fn remove(
    State(app): State<App>,
    viewer: Viewer,
    Path(path): Path<InEndpoint>,
) -> Result<StatusCode, Problem> {
    let message = DeleteWebhookEndpointRequest {
        workspace_id: path.workspace_id,
        endpoint_id: path.endpoint_id,
    };
    app.accounts()
        .delete_webhook_endpoint(viewer.context.request(message))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives an endpoint another secret, shown in this answer alone. For a day messages carry two signatures, one of each.
#[utoipa::path(post, path = "/workspaces/{workspace_id}/webhook-endpoints/{endpoint_id}/secret-rotations", tag = "webhooks", params(InEndpoint),
    responses((status = 200, body = WebhookSecretView)))]
pub(crate) async fn rotate(
    State(app): State<App>,
    viewer: Viewer,
    Path(path): Path<InEndpoint>,
) -> Result<Json<WebhookSecretView>, Problem> {
    let message = RotateWebhookSecretRequest {
        workspace_id: path.workspace_id,
        endpoint_id: path.endpoint_id,
    };
    let answer = app
        .accounts()
        .rotate_webhook_secret(viewer.context.request(message))
        .await?
        .into_inner();
    Ok(Json(WebhookSecretView {
        endpoint: view::webhook_endpoint(answer.endpoint.unwrap_or_default()),
        secret: answer.secret,
    }))
}

/// Sends a `ping`, whatever the endpoint listens to.
#[utoipa::path(post, path = "/workspaces/{workspace_id}/webhook-endpoints/{endpoint_id}/pings", tag = "webhooks", params(InEndpoint),
    responses((status = 202, body = WebhookDeliveryView)))]
pub(crate) async fn ping(
    State(app): State<App>,
    viewer: Viewer,
    Path(path): Path<InEndpoint>,
) -> Result<Response, Problem> {
    let message = PingWebhookEndpointRequest {
        workspace_id: path.workspace_id,
        endpoint_id: path.endpoint_id,
    };
    let answer = app
        .accounts()
        .ping_webhook_endpoint(viewer.context.request(message))
        .await?
        .into_inner();
    Ok(accepted(answer.delivery))
}

/// What was, is and will be sent to an endpoint, newest first.
#[utoipa::path(get, path = "/workspaces/{workspace_id}/webhook-endpoints/{endpoint_id}/deliveries", tag = "webhooks",
    params(InEndpoint, Deliveries), responses((status = 200, body = Page<WebhookDeliveryView>)))]
pub(crate) async fn deliveries(
    State(app): State<App>,
    viewer: Viewer,
    OriginalUri(uri): OriginalUri,
    Path(path): Path<InEndpoint>,
    Query(query): Query<Deliveries>,
) -> Result<Response, Problem> {
    let Deliveries { status, limit, cursor } = query;
    let paging = Paging { limit, cursor };
    let status = match status {
        None => WebhookDeliveryStatus::Unspecified,
        Some(DeliveryState::Pending) => WebhookDeliveryStatus::Pending,
        Some(DeliveryState::Delivered) => WebhookDeliveryStatus::Delivered,
        Some(DeliveryState::Dead) => WebhookDeliveryStatus::Dead,
    };
    let message = ListWebhookDeliveriesRequest {
        workspace_id: path.workspace_id,
        endpoint_id: path.endpoint_id,
        limit: paging.limit(),
        cursor: paging.cursor()?,
        status: status.into(),
    };
    let answer = app
        .accounts()
        .list_webhook_deliveries(viewer.context.request(message))
        .await?
        .into_inner();
    let data: Vec<_> = answer.deliveries.into_iter().map(view::webhook_delivery).collect();
    Ok(Page::answer(data, answer.next_cursor, &uri))
}

/// Sends an ended delivery once more, under the same id, with a day of tries before it.
#[utoipa::path(post, path = "/workspaces/{workspace_id}/webhook-endpoints/{endpoint_id}/deliveries/{delivery_id}/replays",
    tag = "webhooks", params(InDelivery), responses((status = 202, body = WebhookDeliveryView)))]
pub(crate) async fn replay(
    State(app): State<App>,
    viewer: Viewer,
    Path(path): Path<InDelivery>,
) -> Result<Response, Problem> {
    let message = ReplayWebhookDeliveryRequest {
        workspace_id: path.workspace_id,
        endpoint_id: path.endpoint_id,
        delivery_id: path.delivery_id,
    };
    let answer = app
        .accounts()
        .replay_webhook_delivery(viewer.context.request(message))
        .await?
        .into_inner();
    Ok(accepted(answer.delivery))
}

fn accepted(delivery: Option<WebhookDelivery>) -> Response {
    let shown = view::webhook_delivery(delivery.unwrap_or_default());
    (StatusCode::ACCEPTED, Json(shown)).into_response()
}
