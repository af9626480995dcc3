//! Connect sessions: one run of a platform's OAuth flow each.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use kit::Code;
use proto::accounts::v1::{
    BeginConnectRequest, CancelConnectRequest, Channel, ConnectSession, FinishNativeConnectRequest,
    GetConnectSessionRequest, Intent, SelectDestinationsRequest,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::path::{InSession, InWorkspace};
use super::{Body, Path, etag};
use crate::oauth::Transaction;
use crate::problem::Problem;
use crate::session::{How, Viewer};
use crate::state::App;
use crate::view::{self, SessionView};

/// Most accounts that one sign-in may fix.
const MOST_IDS: usize = 100;
/// Most destinations that may be picked at once.
const MOST_DESTINATIONS: usize = 1000;

/// What is to be connected, and how the person gets to the platform and back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectRequest {
    /// A new account, or an old one anew.
    pub(crate) intent: IntentName,
    /// Id of the platform.
    pub(crate) platform: String,
    /// Accounts to reconnect; several when one sign-in fixes them together.
    #[serde(default)]
    pub(crate) account_ids: Vec<String>,
    /// `popup` and `redirect` end in the browser that began; `native` needs a bearer token.
    pub(crate) channel: ChannelName,
    /// The page to come back to; `connections` without it.
    #[serde(default)]
    pub(crate) return_to: Option<ReturnTo>,
    /// For Instagram; `instagram_login` without it.
    #[serde(default)]
    pub(crate) method: Option<Method>,
}

/// A new account, or an old one anew.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IntentName {
    /// A new account.
    Connect,
    /// An old one anew.
    Reconnect,
}

/// How the person gets to the platform and back.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChannelName {
    /// A window of its own.
    Popup,
    /// The same tab.
    Redirect,
    /// The device's browser, from an app.
    Native,
}

/// A page to come back to: a name, never an address.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReturnTo {
    /// The Connections page.
    Connections,
    /// The workspace's overview.
    Overview,
    /// The composer.
    Composer,
}

impl ReturnTo {
    fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Overview => "overview",
            Self::Composer => "composer",
        }
    }
}

/// Which of Instagram's ways.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Method {
    /// Instagram's own login.
    InstagramLogin,
    /// Through a Facebook Page.
    FacebookLogin,
}

/// What the person picked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Selection {
    /// Ids of `destinations`.
    destination_ids: Vec<String>,
}

/// What brought a native app back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Completion {
    /// `completion_code` of the link that opened the app.
    code: String,
}

/// Starts a run of a platform's OAuth flow: send the person to `authorize_url`. For owners and admins.
#[utoipa::path(post, path = "/workspaces/{workspace_id}/connect-sessions", tag = "connect", params(InWorkspace),
    request_body = ConnectRequest, responses((status = 201, body = SessionView)))]
pub(crate) async fn begin(
    State(app): State<App>,
    viewer: Viewer,
    Path(path): Path<InWorkspace>,
    Body(body): Body<ConnectRequest>,
) -> Result<Response, Problem> {
    let (session, transaction) = start(&app, &viewer, path.workspace_id, body).await?;
    let location = format!(
        "/api/v1/workspaces/{}/connect-sessions/{}",
        viewer.person.workspace_id, session.id
    );
    let mut response = (StatusCode::CREATED, [(header::LOCATION, location)], Json(session)).into_response();
    transaction.keep(&app, response.headers_mut());
    Ok(response)
}

/// Starts a session; the transaction must be kept in the browser that is answered. The page's forms begin here too.
pub(crate) async fn start(
    app: &App,
    viewer: &Viewer,
    workspace_id: String,
    body: ConnectRequest,
) -> Result<(SessionView, Transaction), Problem> {
    if body.channel == ChannelName::Native && viewer.how != How::Bearer {
        return Err(Problem::invalid("/channel", "native needs a bearer token"));
    }
    if body.account_ids.len() > MOST_IDS {
        return Err(Problem::invalid("/account_ids", "are too many"));
    }
    let lens = app.lens(viewer).await?;
    let Some(platform) = lens.catalogue.platform(&body.platform) else {
        return Err(Problem::invalid("/platform", "is not a platform that we know"));
    };
    let transaction = Transaction::new(&viewer.person.workspace_id, body.channel == ChannelName::Native);
    let message = BeginConnectRequest {
        workspace_id,
        intent: match body.intent {
            IntentName::Connect => Intent::Connect.into(),
            IntentName::Reconnect => Intent::Reconnect.into(),
        },
        redirect_uri: app.config.redirect_uri(&platform.id),
        platform: platform.id.clone(),
        account_ids: body.account_ids,
        channel: match body.channel {
            ChannelName::Popup => Channel::Popup.into(),
            ChannelName::Redirect => Channel::Redirect.into(),
            ChannelName::Native => Channel::Native.into(),
        },
        return_to: body.return_to.unwrap_or(ReturnTo::Connections).as_str().to_owned(),
        method: match body.method {
            None => String::new(),
            Some(Method::InstagramLogin) => "instagram_login".to_owned(),
            Some(Method::FacebookLogin) => "facebook_login".to_owned(),
        },
        browser_hash: transaction.browser_hash(),
    };
    let answer = app
        .accounts()
        .begin_connect(viewer.context.request(message))
        .await?
        .into_inner();
    let mut session = view::session(&answer.session.unwrap_or_default(), &lens);
    let transaction = transaction.of_flow(&answer.authorize_url)?;
    session.authorize_url = Some(answer.authorize_url);
    Ok((session, transaction))
}

/// How the run is going. For the person who started it.
#[utoipa::path(get, path = "/workspaces/{workspace_id}/connect-sessions/{session_id}", tag = "connect", params(InSession),
    responses((status = 200, body = SessionView)))]
pub(crate) async fn read(
    State(app): State<App>,
    viewer: Viewer,
    Path(path): Path<InSession>,
) -> Result<Json<SessionView>, Problem> {
    fetch(&app, &viewer, path).await.map(Json)
}

async fn fetch(app: &App, viewer: &Viewer, path: InSession) -> Result<SessionView, Problem> {
    let message = GetConnectSessionRequest {
        workspace_id: path.workspace_id,
        session_id: path.session_id,
    };
    let answer = app
        .accounts()
        .get_connect_session(viewer.context.request(message))
        .await?
        .into_inner();
    view(app, viewer, answer.session).await
}

async fn view(app: &App, viewer: &Viewer, session: Option<ConnectSession>) -> Result<SessionView, Problem> {
    let session = session.ok_or_else(|| Problem::new(Code::NotFound, "no such connect session"))?;
    Ok(view::session(&session, &app.lens(viewer).await?))
}

/// Picks one or more of the destinations of a session that is `choosing`.
#[utoipa::path(post, path = "/workspaces/{workspace_id}/connect-sessions/{session_id}/selection", tag = "connect", params(InSession),
    request_body = Selection, responses((status = 200, body = SessionView)))]
pub(crate) async fn select(
    State(app): State<App>,
    viewer: Viewer,
    Path(path): Path<InSession>,
    Body(body): Body<Selection>,
) -> Result<Json<SessionView>, Problem> {
    if body.destination_ids.is_empty() || body.destination_ids.len() > MOST_DESTINATIONS {
        return Err(Problem::invalid(
            "/destination_ids",
            "pick one or more, a thousand at most",
        ));
    }
    let message = SelectDestinationsRequest {
        workspace_id: path.workspace_id,
        session_id: path.session_id,
        destination_ids: body.destination_ids,
    };
    let answer = app
        .accounts()
        .select_destinations(viewer.context.request(message))
        .await?
        .into_inner();
    view(&app, &viewer, answer.session).await.map(Json)
}

/// Gives up; its reserved place is free again.
#[utoipa::path(delete, path = "/workspaces/{workspace_id}/connect-sessions/{session_id}", tag = "connect",
    params(InSession, ("If-Match" = Option<String>, Header, description = "Only while the session has this ETag")),
    responses((status = 204)))]
pub(crate) async fn cancel(
    State(app): State<App>,
    viewer: Viewer,
    Path(path): Path<InSession>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let message = CancelConnectRequest {
        workspace_id: path.workspace_id.clone(),
        session_id: path.session_id.clone(),
    };
    if headers.contains_key(header::IF_MATCH) {
        etag::check(&headers, &fetch(&app, &viewer, path).await?)?;
    }
    app.accounts().cancel_connect(viewer.context.request(message)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Finishes the run of a native app with the code that its link carried.
#[utoipa::path(post, path = "/workspaces/{workspace_id}/connect-sessions/{session_id}/completion", tag = "connect", params(InSession),
    request_body = Completion, responses((status = 200, body = SessionView)))]
pub(crate) async fn complete(
    State(app): State<App>,
    viewer: Viewer,
    Path(path): Path<InSession>,
    Body(body): Body<Completion>,
) -> Result<Json<SessionView>, Problem> {
    let message = FinishNativeConnectRequest {
        workspace_id: path.workspace_id,
        session_id: path.session_id,
        completion_code: body.code,
    };
    let answer = app
        .accounts()
        .finish_native_connect(viewer.context.request(message))
        .await?
        .into_inner();
    view(&app, &viewer, answer.session).await.map(Json)
}
