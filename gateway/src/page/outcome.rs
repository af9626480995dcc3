//! How a connect session or a disconnect ended, in words: the note above the list and beside the button that started it.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use proto::accounts::v1::{
    ConnectSession, GetConnectSessionRequest, HealthStatus, Intent, Problem as Failed, SessionStatus,
};

use super::card::Link;
use super::filters;
use super::html;
use super::note::Note;
use super::reader::Reader;
use super::reasons;
use crate::problem::Problem;
use crate::state::App;
use crate::view::{self, AccountView};

#[derive(Template)]
#[template(path = "parts/note.html")]
struct NoteHtml<'a> {
    note: &'a Note,
}

/// `GET /ui/sessions/{id}`: the note alone; empty while the session is under way.
pub(crate) async fn show(State(app): State<App>, reader: Reader, Path(id): Path<String>) -> Result<Response, Problem> {
    let session = session(&app, &reader, &id).await?;
    match note(&session, &reader) {
        Some(note) => html(&NoteHtml { note: &note }),
        None => super::fragment(String::new()),
    }
}

/// Reads a session of the reader's.
pub(crate) async fn session(app: &App, reader: &Reader, id: &str) -> Result<ConnectSession, Problem> {
    let request = GetConnectSessionRequest {
        workspace_id: reader.workspace(),
        session_id: id.to_owned(),
    };
    let answer = app
        .accounts()
        .get_connect_session(reader.context.request(request))
        .await?;
    answer.into_inner().session.ok_or_else(Problem::not_found)
}

/// The note of a session, if it is there and over.
pub(crate) async fn load(app: &App, reader: &Reader, id: &str) -> Option<Note> {
    note(&session(app, reader, id).await.ok()?, reader)
}

/// The note of a session that is over.
pub(crate) fn note(session: &ConnectSession, reader: &Reader) -> Option<Note> {
    let words = &reader.t.connect;
    match session.status() {
        SessionStatus::Completed => Some(completed(session, reader)),
        SessionStatus::Failed => {
            let failed = session.problem.clone().unwrap_or_default();
            Some(again(failure(&failed, &session.platform, reader), session, reader))
        }
        SessionStatus::Cancelled => Some(again(Note::plain(words.cancelled), session, reader)),
        SessionStatus::Expired => Some(again(Note::plain(words.expired), session, reader)),
        _ => None,
    }
}

fn completed(session: &ConnectSession, reader: &Reader) -> Note {
    let words = &reader.t.connect;
    let is_amber = |status: HealthStatus| status == HealthStatus::NeedsReconnect;
    let amber = session
        .accounts
        .iter()
        .find(|one| one.health.as_ref().is_some_and(|health| is_amber(health.status())));
    if let Some(account) = amber {
        let seen = view::account(account, &reader.lens);
        let why = seen
            .health
            .reasons
            .first()
            .map(|reason| reasons::why(reason, &seen, reader).sentence);
        let link = Link::new(reader.t.act.details, format!("/connections?account={}", seen.id));
        return Note::amber((words.still_amber)(&seen.display_name, &why.unwrap_or_default())).link(link);
    }
    let is_reconnect = session.intent() == Intent::Reconnect;
    let note = match session.accounts.as_slice() {
        [one] if is_reconnect => Note::green((words.reconnected)(&one.display_name)),
        [one] => Note::green((words.connected)(&one.display_name)),
        many => Note::green((words.connected_many)(many.len().try_into().unwrap_or(0))),
    };
    let safe: i64 = session
        .accounts
        .iter()
        .filter_map(|one| one.scheduled)
        .map(|scheduled| scheduled.count)
        .sum();
    if is_reconnect && safe > 0 {
        note.line((words.safe_again)(safe))
    } else {
        note
    }
}

/// With a button that starts over, at the card or at the platform's tile.
fn again(note: Note, session: &ConnectSession, reader: &Reader) -> Note {
    if note.link.is_some() {
        return note;
    }
    let href = match session.account_ids.first() {
        Some(account) => format!("/connections?account={account}"),
        None => "/connections#add".to_owned(),
    };
    note.link(Link::new(reader.t.act.try_again, href))
}

fn failure(failed: &Failed, platform: &str, reader: &Reader) -> Note {
    let words = &reader.t.connect;
    let fact = |name: &str| failed.params.get(name).map(String::as_str).unwrap_or_default();
    let name = reader.lens.catalogue.short_title(platform);
    match failed.code.as_str() {
        "wrong-platform-account" => Note::bad((words.wrong_account)(fact("actual"), fact("expected"))),
        "permissions-denied" if fact("missing").is_empty() => Note::bad((words.denied_all)(name)),
        "permissions-denied" => Note::bad((words.denied)(&missing(fact("missing"), reader))),
        "oauth-denied" => Note::plain(words.cancelled),
        "account-limit-reached" => limit(fact("limit"), reader),
        "connect-session-expired" | "oauth-state-mismatch" => Note::plain(words.expired),
        "no-destinations" => Note::bad((words.no_destinations)(name)),
        "platform-unavailable" | "platform-rate-limited" | "unavailable" => Note::bad((words.unavailable)(name)),
        _ => Note::bad(words.failed),
    }
}

/// Scopes in plain words, where the catalogue knows them.
fn missing(scopes: &str, reader: &Reader) -> String {
    let known = |name: &str| {
        let connectors = reader
            .lens
            .catalogue
            .platforms
            .iter()
            .flat_map(|platform| &platform.connectors);
        let mut scopes = connectors.flat_map(|connector| &connector.scopes);
        scopes
            .find(|scope| scope.name == name)
            .map_or(name.to_owned(), |scope| scope.label.clone())
    };
    let names = scopes
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(known)
        .collect::<Vec<_>>();
    let words: Vec<_> = names.iter().map(|label| (reader.t.health.permission)(label)).collect();
    words.join(reader.t.health.and)
}

fn limit(max: &str, reader: &Reader) -> Note {
    let note = Note::bad((reader.t.connect.limit)(max.parse().unwrap_or(1)));
    if reader.owns() {
        return note.link(Link::new(reader.t.act.see_plans, reader.lens.links.billing()));
    }
    note.line(reader.t.act.ask_owner)
}

/// The note after a disconnect, with what became of the access at the platform.
pub(crate) fn disconnected(account: &AccountView, reader: &Reader) -> Note {
    let words = &reader.t.list;
    let platform = reader.lens.catalogue.platform(&account.platform);
    let name = reader.lens.catalogue.short_title(&account.platform);
    let note = Note::green((words.disconnected)(&account.display_name));
    match (account.revocation, platform) {
        (Some("done"), _) => note.line((words.revoked)(name)),
        (Some("queued"), _) => note.line((words.revoking)(name)),
        (Some("shared"), _) => note.line((words.shared)(name)),
        (Some("unsupported"), Some(platform)) if !platform.settings_hint.is_empty() => {
            note.line((words.not_revoked)(name, &platform.settings_hint))
        }
        _ => note,
    }
}
