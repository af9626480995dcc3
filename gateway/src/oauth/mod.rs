//! The way back from a platform's consent page.
//!
//! The callback consumes a session once, in the browser and for the person that started it, and leaves its own address at
//! once, because that address holds a code. It redirects to constants only, and shows nothing of what the platform sent.

mod callback;
mod transaction;

use axum::Router;
use axum::extract::{OriginalUri, State};
use axum::response::Response;
use axum::routing::get;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use proto::accounts::v1::{Channel, ConnectSession, GetConnectSessionRequest, SessionStatus};

#[cfg(any(test, feature = "fuzz"))]
pub(crate) use callback::parse as parse_callback;
pub(crate) use transaction::Transaction;

use crate::api::Path;
use crate::page;
use crate::problem::Problem;
use crate::session::{Viewer, context};
use crate::state::App;
use crate::view::{self, Locale};

/// Routes of the way back.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/oauth/{platform}/callback", get(callback::answer))
        .route("/oauth/return/{session_id}", get(come_back))
}

/// `GET /oauth/return/{session}`: a window tells the page that opened it and closes; a tab goes on to the page it came from.
async fn come_back(
    State(app): State<App>,
    viewer: Option<Viewer>,
    Path(session_id): Path<String>,
    OriginalUri(_): OriginalUri,
) -> Result<Response, Problem> {
    let Some(viewer) = viewer else {
        return Ok(sealed(page::oauth_return(None, Locale::default())));
    };
    let Some(session) = find(&app, &viewer, &session_id).await else {
        return Ok(sealed(page::oauth_return(None, viewer.locale)));
    };
    if session.channel() == Channel::Redirect && is_ready(&session) {
        return Ok(see_other(&page_of(&session)));
    }
    let lens = app.lens(&viewer).await?;
    Ok(sealed(page::oauth_return(
        Some(&view::session(&session, &lens)),
        viewer.locale,
    )))
}

/// The session, in whichever of the person's workspaces it is.
async fn find(app: &App, viewer: &Viewer, session_id: &str) -> Option<ConnectSession> {
    for (workspace_id, _) in &viewer.identity.memberships {
        let person = viewer.identity.person_in(workspace_id)?;
        let message = GetConnectSessionRequest {
            workspace_id: workspace_id.clone(),
            session_id: session_id.to_owned(),
        };
        let answer = app
            .accounts()
            .get_connect_session(context(app, person).request(message))
            .await;
        if let Some(session) = answer.ok().and_then(|answer| answer.into_inner().session) {
            return Some(session);
        }
    }
    None
}

fn is_ready(session: &ConnectSession) -> bool {
    !matches!(session.status(), SessionStatus::Pending | SessionStatus::Authorizing)
}

/// Where a tab goes on: a page of ours by its name, with the session to tell of.
fn page_of(session: &ConnectSession) -> String {
    let page = match session.return_to.as_str() {
        "overview" => "/overview",
        "composer" => "/composer",
        _ => "/connections",
    };
    format!("{page}?session={}", session.id)
}

/// A look ahead is not the person: what it would consume would be gone when they come.
pub(crate) fn is_look_ahead(method: &Method, headers: &HeaderMap) -> bool {
    let says = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.contains("prefetch"))
    };
    method == Method::HEAD || says("sec-purpose") || says("purpose") || says("x-moz")
}

/// A redirect after which the address with the code is gone.
pub(crate) fn see_other(to: &str) -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SEE_OTHER;
    if let Ok(location) = HeaderValue::try_from(to) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    sealed(response)
}

/// Kept nowhere, told nobody.
pub(crate) fn sealed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e8_a_tab_goes_on_to_a_page_of_ours_whatever_was_stored() {
        let to = |return_to: &str| {
            page_of(&ConnectSession {
                id: "cs_1".into(),
                return_to: return_to.into(),
                ..ConnectSession::default()
            })
        };
        assert_eq!(to("overview"), "/overview?session=cs_1");
        for evil in [
            "https://evil.example",
            "//evil",
            "/\\evil",
            "javascript:alert(1)",
            "x\r\nLocation: y",
        ] {
            assert_eq!(to(evil), "/connections?session=cs_1");
        }
    }

    #[test]
    fn a29_a_look_ahead_is_recognised() {
        let with = |name: &'static str, value: &'static str| {
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
            is_look_ahead(&Method::GET, &headers)
        };
        assert!(with("sec-purpose", "prefetch;prerender") && with("purpose", "prefetch"));
        assert!(!with("sec-fetch-mode", "navigate") && is_look_ahead(&Method::HEAD, &HeaderMap::new()));
    }
}
