//! What happened and happens with an account: posts, history, what is at risk, and the ways to get help.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use proto::accounts::v1::{CreatePostRequest, ListHistoryRequest, ListRecentPostsRequest, RequestReconnectRequest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::path::InAccount;
use super::{Body, Page, Paging, Path, Query, accounts};
use crate::problem::Problem;
use crate::session::Viewer;
use crate::state::App;
use crate::view::{self, EventView, Impact, PostView, ReasonView};

/// A post to publish.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPost {
    /// Its text.
    text: String,
    /// https address of a picture, where the platform needs one.
    #[serde(default)]
    image_url: Option<String>,
}

/// What a support request should know.
#[derive(Serialize, ToSchema)]
pub(crate) struct SupportContext {
    /// The account.
    account_id: String,
    /// Its name.
    display_name: String,
    /// Its platform.
    platform: String,
    /// The first reason's code; null while it is healthy.
    error_code: Option<String>,
    /// The error in one sentence.
    message: Option<String>,
    /// All reasons.
    reasons: Vec<ReasonView>,
    /// The support page with the error filled in.
    href: String,
}

/// Recent posts of the account, newest first. Facebook and Instagram.
#[utoipa::path(get, path = "/workspaces/{workspace_id}/accounts/{account_id}/posts", tag = "posts", params(InAccount, Paging),
    responses((status = 200, body = Page<PostView>)))]
pub(crate) async fn posts(
    State(app): State<App>,
    viewer: Viewer,
    OriginalUri(uri): OriginalUri,
    Path(path): Path<InAccount>,
    Query(paging): Query<Paging>,
) -> Result<Response, Problem> {
    let message = ListRecentPostsRequest {
        workspace_id: path.workspace_id,
        account_id: path.account_id,
        limit: paging.limit(),
        cursor: paging.cursor()?,
    };
    let answer = app
        .accounts()
        .list_recent_posts(viewer.context.request(message))
        .await?
        .into_inner();
    let data: Vec<_> = answer.posts.iter().map(view::post).collect();
    Ok(Page::answer(data, answer.next_cursor, &uri))
}

/// Publishes a post through the account.
#[utoipa::path(post, path = "/workspaces/{workspace_id}/accounts/{account_id}/posts", tag = "posts", params(InAccount),
    request_body = NewPost, responses((status = 201, body = PostView)))]
pub(crate) async fn publish(
    State(app): State<App>,
    viewer: Viewer,
    Path(path): Path<InAccount>,
    Body(body): Body<NewPost>,
) -> Result<Response, Problem> {
    let message = CreatePostRequest {
        workspace_id: path.workspace_id,
        account_id: path.account_id,
        text: body.text,
        image_url: body.image_url.unwrap_or_default(),
    };
    let answer = app
        .accounts()
        .create_post(viewer.context.request(message))
        .await?
        .into_inner();
    Ok((StatusCode::CREATED, Json(view::post(&answer.post.unwrap_or_default()))).into_response())
}

/// What happened to the account, newest first.
#[utoipa::path(get, path = "/workspaces/{workspace_id}/accounts/{account_id}/history", tag = "accounts", params(InAccount, Paging),
    responses((status = 200, body = Page<EventView>)))]
pub(crate) async fn history(
    State(app): State<App>,
    viewer: Viewer,
    OriginalUri(uri): OriginalUri,
    Path(path): Path<InAccount>,
    Query(paging): Query<Paging>,
) -> Result<Response, Problem> {
    let message = ListHistoryRequest {
        workspace_id: path.workspace_id,
        account_id: path.account_id,
        limit: paging.limit(),
        cursor: paging.cursor()?,
    };
    let lens = app.lens(&viewer).await?;
    let answer = app
        .accounts()
        .list_history(viewer.context.request(message))
        .await?
        .into_inner();
    let data: Vec<_> = answer.events.iter().map(|event| view::event(event, &lens)).collect();
    Ok(Page::answer(data, answer.next_cursor, &uri))
}

/// Scheduled posts that would fail now.
#[utoipa::path(get, path = "/workspaces/{workspace_id}/accounts/{account_id}/impact", tag = "health", params(InAccount),
    responses((status = 200, body = Impact)))]
pub(crate) async fn impact(
    State(app): State<App>,
    viewer: Viewer,
    Path(path): Path<InAccount>,
) -> Result<Json<Impact>, Problem> {
    Ok(Json(view::impact(&accounts::fetch(&app, &viewer, path).await?)))
}

/// Facts for a support request.
#[utoipa::path(get, path = "/workspaces/{workspace_id}/accounts/{account_id}/support-context", tag = "health", params(InAccount),
    responses((status = 200, body = SupportContext)))]
pub(crate) async fn support(
    State(app): State<App>,
    viewer: Viewer,
    Path(path): Path<InAccount>,
) -> Result<Json<SupportContext>, Problem> {
    let lens = app.lens(&viewer).await?;
    let account = view::account(&accounts::fetch(&app, &viewer, path).await?, &lens);
    let first = account.health.reasons.first();
    let error_code = first.map(|reason| reason.code.clone());
    Ok(Json(SupportContext {
        href: lens
            .links
            .support(&account.id, error_code.as_deref().unwrap_or_default()),
        message: first.map(|reason| reason.text.clone()),
        error_code,
        account_id: account.id,
        display_name: account.display_name,
        platform: account.platform,
        reasons: account.health.reasons,
    }))
}

/// Asks owners and admins to reconnect the account. For members, who cannot do it themselves.
#[utoipa::path(post, path = "/workspaces/{workspace_id}/accounts/{account_id}/reconnect-requests", tag = "health", params(InAccount),
    responses((status = 204)))]
pub(crate) async fn request_reconnect(
    State(app): State<App>,
    viewer: Viewer,
    Path(path): Path<InAccount>,
) -> Result<StatusCode, Problem> {
    let message = RequestReconnectRequest {
        workspace_id: path.workspace_id,
        account_id: path.account_id,
    };
    app.accounts()
        .request_reconnect(viewer.context.request(message))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
