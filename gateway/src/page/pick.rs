//! `/connections/sessions/{id}`: picking destinations after a sign-in that reaches several; also where a session waits and ends.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::Form;
use proto::accounts::v1::{CancelConnectRequest, Channel, ConnectSession, SelectDestinationsRequest, SessionStatus};
use serde::Deserialize;

use super::face::initials;
use super::filters;
use super::note::Note;
use super::outcome;
use super::reader::Reader;
use super::shell::{Facts, Shell};
use super::{html, returned};
use crate::problem::Problem;
use crate::state::App;
use crate::view;

/// What was picked.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Picked {
    #[serde(default)]
    destination: Vec<String>,
}

/// Something that can be connected.
pub(crate) struct Destination {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) initials: String,
    pub(crate) url: String,
    pub(crate) already: bool,
    pub(crate) can_publish: bool,
    pub(crate) checked: bool,
}

#[derive(Template)]
#[template(path = "page/pick.html")]
pub(crate) struct Page {
    pub(crate) shell: Shell,
    pub(crate) title: String,
    pub(crate) session: String,
    pub(crate) notes: Vec<Note>,
    pub(crate) destinations: Vec<Destination>,
    pub(crate) skipped: Vec<String>,
}

impl Page {
    /// The page of a session that is choosing.
    pub(crate) fn of(session: &ConnectSession, notes: Vec<Note>, facts: &Facts, reader: &Reader) -> Self {
        let title = (reader.t.connect.choose)(reader.lens.catalogue.short_title(&session.platform));
        let seen = view::session(session, &reader.lens);
        let only = seen.destinations.len() == 1;
        Self {
            shell: Shell {
                bare: session.channel() == Channel::Popup,
                ..Shell::new(reader, facts, "connections", &title)
            },
            title,
            session: session.id.clone(),
            notes,
            destinations: seen
                .destinations
                .into_iter()
                .map(|one| destination(one, only))
                .collect(),
            skipped: seen.skipped,
        }
    }
}

fn destination(one: view::DestinationView, only: bool) -> Destination {
    Destination {
        about: if one.username.is_empty() {
            String::new()
        } else {
            format!("@{}", one.username)
        },
        initials: initials(&one.display_name),
        already: one.account_id.is_some(),
        checked: only || one.account_id.is_some(),
        id: one.id,
        name: one.display_name,
        url: one.avatar_url,
        can_publish: one.can_publish,
    }
}

/// `GET /connections/sessions/{id}`
pub(crate) async fn show(State(app): State<App>, reader: Reader, Path(id): Path<String>) -> Result<Response, Problem> {
    let session = outcome::session(&app, &reader, &id).await?;
    answer(&app, &reader, &session, Vec::new()).await
}

/// `POST /connections/sessions/{id}`
pub(crate) async fn select(
    State(app): State<App>,
    reader: Reader,
    Path(id): Path<String>,
    Form(picked): Form<Picked>,
) -> Result<Response, Problem> {
    if picked.destination.is_empty() {
        let session = outcome::session(&app, &reader, &id).await?;
        return answer(&app, &reader, &session, vec![Note::bad(reader.t.connect.choose_hint)]).await;
    }
    let request = SelectDestinationsRequest {
        workspace_id: reader.workspace(),
        session_id: id.clone(),
        destination_ids: picked.destination,
    };
    let selected = app
        .accounts()
        .select_destinations(reader.context.request(request))
        .await;
    let session = match selected {
        Ok(answer) => answer.into_inner().session.unwrap_or_default(),
        // A refusal that ended the session is told by the session; one that did not goes on as the problem it is.
        Err(status) => match outcome::session(&app, &reader, &id).await {
            Ok(session) if session.status() == SessionStatus::Failed => session,
            _ => return Err(status.into()),
        },
    };
    Ok(done(&session))
}

/// `POST /connections/sessions/{id}/cancel`
pub(crate) async fn cancel(
    State(app): State<App>,
    reader: Reader,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let request = CancelConnectRequest {
        workspace_id: reader.workspace(),
        session_id: id.clone(),
    };
    app.accounts().cancel_connect(reader.context.request(request)).await?;
    Ok(done(&outcome::session(&app, &reader, &id).await?))
}

async fn answer(app: &App, reader: &Reader, session: &ConnectSession, notes: Vec<Note>) -> Result<Response, Problem> {
    match session.status() {
        SessionStatus::Choosing => html(&Page::of(session, notes, &Facts::load(app, reader).await, reader)),
        SessionStatus::Pending | SessionStatus::Authorizing => {
            Ok(returned::page(Some(&view::session(session, &reader.lens)), reader.t))
        }
        _ => Ok(done(session)),
    }
}

/// A window tells the page that opened it and closes; a tab goes on.
fn done(session: &ConnectSession) -> Response {
    let to = match session.channel() {
        Channel::Popup => format!("/oauth/return/{}", session.id),
        _ => format!("/connections?session={}", session.id),
    };
    Redirect::to(&to).into_response()
}
