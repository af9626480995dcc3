//! Everything that a toast said.

use axum::extract::{OriginalUri, State};
use axum::response::Response;
use http::StatusCode;
use proto::accounts::v1::{ListNotificationsRequest, MarkNotificationReadRequest};

use super::path::{InNotification, InWorkspace};
use super::{Page, Paging, Path, Query};
use crate::problem::Problem;
use crate::session::Viewer;
use crate::state::App;
use crate::view::{self, NotificationView};

/// Notifications of the workspace, newest first.
#[utoipa::path(get, path = "/workspaces/{workspace_id}/notifications", tag = "notifications", params(InWorkspace, Paging),
    responses((status = 200, body = Page<NotificationView>)))]
pub(crate) async fn list(
    State(app): State<App>,
    viewer: Viewer,
    OriginalUri(uri): OriginalUri,
    Path(path): Path<InWorkspace>,
    Query(paging): Query<Paging>,
) -> Result<Response, Problem> {
    let message = ListNotificationsRequest {
        workspace_id: path.workspace_id,
        limit: paging.limit(),
        cursor: paging.cursor()?,
    };
    let answer = app
        .accounts()
        .list_notifications(viewer.context.request(message))
        .await?
        .into_inner();
    let data: Vec<_> = answer
        .notifications
        .iter()
        .map(|one| view::notification(one, viewer.locale))
        .collect();
    Ok(Page::answer(data, answer.next_cursor, &uri))
}

/// Marks a notification as read.
#[utoipa::path(put, path = "/workspaces/{workspace_id}/notifications/{notification_id}/read", tag = "notifications", params(InNotification),
    responses((status = 204)))]
pub(crate) async fn mark_read(
    State(app): State<App>,
    viewer: Viewer,
    Path(path): Path<InNotification>,
) -> Result<StatusCode, Problem> {
    let message = MarkNotificationReadRequest {
        workspace_id: path.workspace_id,
        notification_id: path.notification_id,
    };
    app.accounts()
        .mark_notification_read(viewer.context.request(message))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
