//! Platforms of the catalogue, the plan of a workspace, and who waits for what.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use proto::entitlements::v1::{GetWorkspaceRequest, SetActiveAccountsRequest};
use serde::Deserialize;
use utoipa::ToSchema;

use super::path::{InPlatform, InWorkspace};
use super::{Body, Page, Path, me};
use crate::problem::Problem;
use crate::session::Viewer;
use crate::state::App;
use crate::view::{self, EntitlementsView, PlatformView};

/// Most accounts that one call may name.
const MOST_ACCOUNTS: usize = 1000;

/// Which accounts stay usable.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActiveAccounts {
    /// Not more than the plan allows.
    account_ids: Vec<String>,
}

/// Every platform, also those to come.
#[utoipa::path(get, path = "/platforms", tag = "platforms", responses((status = 200, body = Page<PlatformView>)))]
pub(crate) async fn list(State(app): State<App>, _viewer: Viewer) -> Result<Json<Page<PlatformView>>, Problem> {
    let catalogue = app.catalogue().await?;
    Ok(Json(Page {
        data: view::platforms(&catalogue),
        next_cursor: None,
    }))
}

/// Plan, usage and what each platform is under this plan.
#[utoipa::path(get, path = "/workspaces/{workspace_id}/entitlements", tag = "plans", params(InWorkspace),
    responses((status = 200, body = EntitlementsView)))]
pub(crate) async fn entitlements(
    State(app): State<App>,
    viewer: Viewer,
    Path(path): Path<InWorkspace>,
) -> Result<Json<EntitlementsView>, Problem> {
    let message = GetWorkspaceRequest {
        workspace_id: path.workspace_id,
    };
    let answer = app
        .entitlements()
        .get_workspace(viewer.context.request(message))
        .await?
        .into_inner();
    Ok(Json(view::entitlements(&answer.workspace.unwrap_or_default())))
}

/// Chooses which accounts stay usable after a downgrade. For owners.
#[utoipa::path(put, path = "/workspaces/{workspace_id}/entitlements/active-accounts", tag = "plans", params(InWorkspace),
    request_body = ActiveAccounts, responses((status = 200, body = EntitlementsView)))]
pub(crate) async fn set_active_accounts(
    State(app): State<App>,
    viewer: Viewer,
    Path(path): Path<InWorkspace>,
    Body(body): Body<ActiveAccounts>,
) -> Result<Json<EntitlementsView>, Problem> {
    if body.account_ids.len() > MOST_ACCOUNTS {
        return Err(Problem::invalid("/account_ids", "are too many"));
    }
    let message = SetActiveAccountsRequest {
        workspace_id: path.workspace_id,
        account_ids: body.account_ids,
    };
    let answer = app
        .entitlements()
        .set_active_accounts(viewer.context.request(message))
        .await?
        .into_inner();
    Ok(Json(view::entitlements(&answer.workspace.unwrap_or_default())))
}

/// "Notify me" for a platform to come.
#[utoipa::path(put, path = "/workspaces/{workspace_id}/platform-interests/{platform}", tag = "platforms", params(InPlatform),
    responses((status = 204)))]
pub(crate) async fn interest(
    State(app): State<App>,
    viewer: Viewer,
    Path(path): Path<InPlatform>,
) -> Result<StatusCode, Problem> {
    let catalogue = app.catalogue().await?;
    let platform = catalogue.platform(&path.platform).ok_or_else(Problem::not_found)?;
    me::remember_interest(&app, &viewer, &platform.id).await
}
