//! Accounts of a workspace: list, counts, detail, disconnect.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use kit::{Code, Failure, Person};
use proto::accounts::v1::{
    Account, AccountSort, DisconnectRequest, GetAccountRequest, ListAccountsRequest, SummarizeAccountsRequest,
};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::path::{InAccount, InWorkspace};
use super::{Page, Paging, Path, Query, etag};
use crate::answers::{Encoding, Key};
use crate::problem::Problem;
use crate::session::Viewer;
use crate::state::App;
use crate::view::{self, AccountView, SummaryView};

const LONGEST_QUERY: usize = 200;

/// Which accounts, in which order.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only these; without it all that are connected.
    #[param(inline, required = false)]
    status: Option<StatusFilter>,
    /// Only of this platform.
    #[param(required = false)]
    platform: Option<String>,
    /// Part of a name or username.
    #[param(required = false)]
    q: Option<String>,
    /// The order; `attention` without it.
    #[param(inline, required = false)]
    sort: Option<Sort>,
    /// How many, 1 to 100; more is taken as 100, less as 1.
    #[param(required = false)]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    #[param(required = false)]
    cursor: Option<String>,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum StatusFilter {
    Healthy,
    NeedsReconnect,
    Disconnected,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
enum Sort {
    /// Amber first, then by name.
    #[serde(rename = "attention")]
    Attention,
    /// By name.
    #[serde(rename = "name")]
    Name,
    /// Newest first.
    #[serde(rename = "-connected_at")]
    Newest,
}

/// Connected accounts, those that need attention first.
#[utoipa::path(get, path = "/workspaces/{workspace_id}/accounts", tag = "accounts", params(InWorkspace, ListQuery),
    responses((status = 200, body = Page<AccountView>)))]
pub(crate) async fn list(
    State(app): State<App>,
    viewer: Viewer,
    encoding: Encoding,
    OriginalUri(uri): OriginalUri,
    Path(path): Path<InWorkspace>,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let paging = Paging {
        limit: query.limit,
        cursor: query.cursor,
    };
    let search = query.q.unwrap_or_default();
    if search.len() > LONGEST_QUERY {
        return Err(Problem::invalid("q", "is too long"));
    }
    let message = ListAccountsRequest {
        workspace_id: path.workspace_id,
        status: query.status.map(status_name).unwrap_or_default().to_owned(),
        platform: query.platform.unwrap_or_default(),
        query: search,
        sort: sort(query.sort).into(),
        limit: paging.limit(),
        cursor: paging.cursor()?,
    };
    let key = Key {
        person: Person {
            user_id: String::new(),
            name: String::new(),
            ..viewer.person.clone()
        },
        locale: viewer.locale,
        timezone: String::new(),
        toured: false,
        waits_for: Vec::new(),
        workspaces: Vec::new(),
        signed_in: false,
        path: uri.to_string(),
    };
    let versions = app.answers.of_workspace(&message.workspace_id).await;
    let make = async {
        let lens = app.lens(&viewer).await?;
        let answer = app
            .accounts()
            .list_accounts(viewer.context.request(message))
            .await?
            .into_inner();
        let data = answer
            .accounts
            .iter()
            .map(|one| view::account(one, &lens))
            .collect::<Vec<_>>();
        Ok(Page::answer(data, answer.next_cursor, &uri))
    };
    app.answers.serve(key, encoding, versions, make).await
}

fn status_name(status: StatusFilter) -> &'static str {
    match status {
        StatusFilter::Healthy => "healthy",
        StatusFilter::NeedsReconnect => "needs_reconnect",
        StatusFilter::Disconnected => "disconnected",
    }
}

fn sort(sort: Option<Sort>) -> AccountSort {
    match sort {
        None | Some(Sort::Attention) => AccountSort::Attention,
        Some(Sort::Name) => AccountSort::Name,
        Some(Sort::Newest) => AccountSort::Newest,
    }
}

/// Counts for the overview and the badge.
#[utoipa::path(get, path = "/workspaces/{workspace_id}/accounts/summary", tag = "accounts", params(InWorkspace),
    responses((status = 200, body = SummaryView)))]
pub(crate) async fn summary(
    State(app): State<App>,
    viewer: Viewer,
    Path(path): Path<InWorkspace>,
) -> Result<Json<SummaryView>, Problem> {
    let message = SummarizeAccountsRequest {
        workspace_id: path.workspace_id,
    };
    let answer = app
        .accounts()
        .summarize_accounts(viewer.context.request(message))
        .await?
        .into_inner();
    Ok(Json(view::summary(&answer)))
}

/// One account, also a disconnected one.
#[utoipa::path(get, path = "/workspaces/{workspace_id}/accounts/{account_id}", tag = "accounts", params(InAccount),
    responses((status = 200, body = AccountView)))]
pub(crate) async fn read(
    State(app): State<App>,
    viewer: Viewer,
    Path(path): Path<InAccount>,
) -> Result<Response, Problem> {
    let account = fetch(&app, &viewer, path).await?;
    answer(&app, &viewer, &account).await
}

/// An account by its path; what is not there is `account-not-found`.
pub(super) async fn fetch(app: &App, viewer: &Viewer, path: InAccount) -> Result<Account, Problem> {
    let message = GetAccountRequest {
        workspace_id: path.workspace_id,
        account_id: path.account_id,
    };
    let answer = app
        .accounts()
        .get_account(viewer.context.request(message))
        .await?
        .into_inner();
    answer
        .account
        .ok_or_else(|| Failure::new(Code::AccountNotFound, "no such account").into())
}

/// An account with its tag.
pub(super) async fn answer(app: &App, viewer: &Viewer, account: &Account) -> Result<Response, Problem> {
    let lens = app.lens(viewer).await?;
    let tag = etag::of_account(account.version, viewer);
    Ok(([(header::ETAG, tag)], Json(view::account(account, &lens))).into_response())
}

/// Disconnects: destroys its tokens, keeps its posts and its id. Doing it again changes nothing. For owners and admins.
#[utoipa::path(delete, path = "/workspaces/{workspace_id}/accounts/{account_id}", tag = "accounts",
    params(InAccount, ("If-Match" = Option<String>, Header, description = "Only while the account has this ETag")),
    responses((status = 204)))]
pub(crate) async fn disconnect(
    State(app): State<App>,
    viewer: Viewer,
    Path(path): Path<InAccount>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let message = DisconnectRequest {
        workspace_id: path.workspace_id,
        account_id: path.account_id,
        if_version: etag::version_wanted(&headers)?.unwrap_or_default(),
    };
    app.accounts().disconnect(viewer.context.request(message)).await?;
    Ok(StatusCode::NO_CONTENT)
}
