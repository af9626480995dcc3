//! What can be asked of the platform about an account: a check now, a refresh now, and the diagnostics of its token.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use proto::accounts::v1::{Account, CheckHealthRequest, CheckTrigger, GetDiagnosticsRequest, RefreshTokenRequest};
use serde::Serialize;
use utoipa::ToSchema;

use super::path::{InAccount, InWorkspace};
use super::{Path, accounts};
use crate::problem::Problem;
use crate::session::Viewer;
use crate::state::App;
use crate::view::{self, AccountView, DiagnosticsView};

/// A check that was asked for.
#[derive(Serialize, ToSchema)]
pub(crate) struct Check {
    /// Comes back in `check.started` and `check.completed`.
    check_id: String,
    /// False when one that runs already serves.
    started: bool,
}

/// Checks all accounts at their platforms; results come as events. Again only after ten seconds.
#[utoipa::path(post, path = "/workspaces/{workspace_id}/account-checks", tag = "health", params(InWorkspace),
    responses((status = 202, body = Check)))]
pub(crate) async fn check_all(
    State(app): State<App>,
    viewer: Viewer,
    Path(path): Path<InWorkspace>,
) -> Result<Response, Problem> {
    let location = format!("/api/v1/workspaces/{}/accounts/summary", path.workspace_id);
    check(&app, &viewer, path.workspace_id, String::new(), location).await
}

/// Checks one account at its platform; the result comes as an event.
#[utoipa::path(post, path = "/workspaces/{workspace_id}/accounts/{account_id}/checks", tag = "health", params(InAccount),
    responses((status = 202, body = Check)))]
pub(crate) async fn check_one(
    State(app): State<App>,
    viewer: Viewer,
    Path(path): Path<InAccount>,
) -> Result<Response, Problem> {
    let location = format!("/api/v1/workspaces/{}/accounts/{}", path.workspace_id, path.account_id);
    check(&app, &viewer, path.workspace_id, path.account_id, location).await
}

async fn check(
    app: &App,
    viewer: &Viewer,
    workspace_id: String,
    account_id: String,
    location: String,
) -> Result<Response, Problem> {
    let message = CheckHealthRequest {
        workspace_id,
        account_id,
        trigger: CheckTrigger::Person.into(),
    };
    let answer = app
        .accounts()
        .check_health(viewer.context.request(message))
        .await?
        .into_inner();
    let body = Json(Check {
        check_id: answer.check_id,
        started: answer.started,
    });
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], body).into_response())
}

/// Refreshes the token now, on platforms whose tokens are refreshed ahead of their end.
#[utoipa::path(post, path = "/workspaces/{workspace_id}/accounts/{account_id}/token-refreshes", tag = "health", params(InAccount),
    responses((status = 200, body = AccountView)))]
pub(crate) async fn refresh(
    State(app): State<App>,
    viewer: Viewer,
    Path(path): Path<InAccount>,
) -> Result<Response, Problem> {
    let message = RefreshTokenRequest {
        workspace_id: path.workspace_id,
        account_id: path.account_id,
    };
    let answer = app
        .accounts()
        .refresh_token(viewer.context.request(message))
        .await?
        .into_inner();
    let account: Account = answer.account.unwrap_or_default();
    accounts::answer(&app, &viewer, &account).await
}

/// Granted and missing scopes, and the dates of the token; never the token. For owners and admins, Facebook and Instagram.
#[utoipa::path(get, path = "/workspaces/{workspace_id}/accounts/{account_id}/diagnostics", tag = "health", params(InAccount),
    responses((status = 200, body = DiagnosticsView)))]
pub(crate) async fn diagnostics(
    State(app): State<App>,
    viewer: Viewer,
    Path(path): Path<InAccount>,
) -> Result<Json<DiagnosticsView>, Problem> {
    let message = GetDiagnosticsRequest {
        workspace_id: path.workspace_id,
        account_id: path.account_id,
    };
    let answer = app
        .accounts()
        .get_diagnostics(viewer.context.request(message))
        .await?
        .into_inner();
    Ok(Json(view::diagnostics(&answer)))
}
