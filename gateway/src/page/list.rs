//! `GET /connections`: every account of the workspace, those that need attention first; filters, search, platforms to add.

mod ask;
mod tour;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use kit::Code;
use proto::accounts::v1::{
    AccountSort, CheckHealthRequest, CheckTrigger, GetAccountRequest, ListAccountsRequest, SessionStatus,
};

pub(crate) use self::ask::Ask;
use self::ask::{Filter, address};
use self::tour::Step;
use super::card::Card;
use super::dates::When;
use super::filters;
use super::html;
use super::note::Note;
use super::panel::{self, Panel};
use super::reader::Reader;
use super::shell::{Facts, Shell};
use super::texts::Texts;
use super::tiles::{self, Tile};
use super::{banner, outcome};
use crate::answers::Encoding;
use crate::problem::Problem;
use crate::state::App;
use crate::view::{self, AccountView, SummaryView};

/// Cards on one page.
const PAGE: i32 = 60;
/// From here on the list can be searched.
const SEARCH_FROM: i64 = 10;

/// Cards under one heading.
pub(crate) struct Group {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) count: usize,
    pub(crate) cards: Vec<Card>,
}

/// The page.
#[derive(Template)]
#[template(path = "page/connections.html")]
pub(crate) struct Page {
    pub(crate) shell: Shell,
    pub(crate) summary_text: String,
    pub(crate) checked: Option<When>,
    pub(crate) notes: Vec<Note>,
    pub(crate) banner: Option<banner::Banner>,
    pub(crate) filters: Vec<Filter>,
    /// The words searched for; absent when there is too little to search in.
    pub(crate) search: Option<String>,
    pub(crate) filtered: bool,
    pub(crate) groups: Vec<Group>,
    pub(crate) next: Option<String>,
    pub(crate) used: Option<String>,
    pub(crate) limit: Option<tiles::Limit>,
    pub(crate) tiles: Vec<Tile>,
    pub(crate) panel: Option<Panel>,
    /// Steps of the tour, on a first visit.
    pub(crate) tour: Vec<Step>,
}

/// What a page is made of, besides its reader.
pub(crate) struct Parts {
    pub(crate) ask: Ask,
    pub(crate) facts: Facts,
    pub(crate) accounts: Vec<AccountView>,
    pub(crate) next_cursor: String,
    pub(crate) panel: Option<Panel>,
    pub(crate) notes: Vec<Note>,
}

impl Page {
    /// The page of these parts; pure.
    pub(crate) fn of(parts: Parts, reader: &Reader) -> Self {
        let t = reader.t;
        let Parts {
            ask,
            facts,
            accounts,
            next_cursor,
            panel,
            notes,
        } = parts;
        let filtered = !(ask.q.is_empty() && ask.status.is_empty() && ask.platform.is_empty());
        let total = facts
            .summary
            .as_ref()
            .map_or(accounts.len().try_into().unwrap_or(0), |summary| summary.total);
        Self {
            summary_text: summary_text(facts.summary.as_ref(), t),
            checked: facts
                .summary
                .as_ref()
                .filter(|summary| summary.total > 0)
                .and_then(|s| reader.checked(s.checked_at)),
            banner: if filtered {
                None
            } else {
                banner::Banner::of(&accounts, facts.summary.as_ref(), reader)
            },
            filters: if total > 1 {
                ask::links(&ask, facts.summary.as_ref(), reader)
            } else {
                Vec::new()
            },
            search: (total >= SEARCH_FROM).then(|| ask.q.clone()),
            filtered,
            groups: groups(&accounts, reader),
            next: (!next_cursor.is_empty()).then(|| {
                address(&Ask {
                    cursor: next_cursor,
                    ..ask.clone()
                })
            }),
            used: tiles::used(&facts, reader),
            limit: tiles::limit(&facts, reader),
            tiles: tiles::tiles(&facts, reader),
            tour: if reader.toured || panel.is_some() || total == 0 {
                Vec::new()
            } else {
                tour::steps(t)
            },
            shell: Shell::new(reader, &facts, "connections", t.shell.connections),
            panel,
            notes,
        }
    }
}

/// `GET /connections`
pub(crate) async fn show(
    State(app): State<App>,
    reader: Reader,
    encoding: Encoding,
    Query(ask): Query<Ask>,
) -> Result<Response, Problem> {
    if let Some(picker) = picker(&app, &reader, &ask).await {
        return Ok(Redirect::to(&picker).into_response());
    }
    // What just happened, and details with posts, are of more than versions tell.
    let is_plain = [&ask.account, &ask.session, &ask.disconnected, &ask.did]
        .iter()
        .all(|one| one.is_empty());
    if !is_plain {
        return page(&app, &reader, ask).await;
    }
    let versions = app.answers.of_reader(&reader.person).await;
    let make = page(&app, &reader, ask);
    Box::pin(app.answers.serve(reader.key(), encoding, versions, make)).await
}

async fn page(app: &App, reader: &Reader, ask: Ask) -> Result<Response, Problem> {
    let (listed, facts, notes) = tokio::join!(
        accounts(app, reader, &ask),
        Facts::load(app, reader),
        notes(app, reader, &ask),
    );
    // After the list, which says from which event on the page has to be told.
    let panel = opened(app, reader, &ask).await;
    let (accounts, next_cursor, version) = listed?;
    let facts = facts.beside(version);
    let mut notes = notes;
    let panel = match panel {
        Ok(panel) => panel,
        Err(problem) if matches!(problem.0.code, Code::AccountNotFound | Code::NotFound) => {
            notes.push(Note::bad(reader.t.list.unknown_account));
            None
        }
        Err(problem) => return Err(problem),
    };
    html(&Page::of(
        Parts {
            ask,
            facts,
            accounts,
            next_cursor,
            panel,
            notes,
        },
        reader,
    ))
}

/// `POST /connections/refresh`: asks for a check of all accounts; a second one within seconds changes nothing.
pub(crate) async fn refresh(State(app): State<App>, reader: Reader) -> Result<Response, Problem> {
    let request = CheckHealthRequest {
        workspace_id: reader.workspace(),
        account_id: String::new(),
        trigger: CheckTrigger::Person.into(),
    };
    let did = match app.accounts().check_health(reader.context.request(request)).await {
        Ok(_) => "checking",
        Err(status) => match Problem::from(status) {
            problem if problem.0.code == Code::RateLimited => "checked",
            problem => return Err(problem),
        },
    };
    Ok(Redirect::to(&format!("/connections?did={did}")).into_response())
}

async fn accounts(app: &App, reader: &Reader, ask: &Ask) -> Result<(Vec<AccountView>, String, i64), Problem> {
    let request = ListAccountsRequest {
        workspace_id: reader.workspace(),
        status: ask.status.clone(),
        platform: ask.platform.clone(),
        query: ask.q.clone(),
        sort: AccountSort::Attention.into(),
        limit: PAGE,
        cursor: ask.cursor.clone(),
    };
    let answer = app
        .accounts()
        .list_accounts(reader.context.request(request))
        .await?
        .into_inner();
    Ok((
        answer
            .accounts
            .iter()
            .map(|one| view::account(one, &reader.lens))
            .collect(),
        answer.next_cursor,
        answer.version,
    ))
}

async fn opened(app: &App, reader: &Reader, ask: &Ask) -> Result<Option<Panel>, Problem> {
    if ask.account.is_empty() {
        return Ok(None);
    }
    panel::load(app, reader, &ask.account, ask.posts == "1").await.map(Some)
}

/// Where a sign-in that reaches several destinations goes on.
async fn picker(app: &App, reader: &Reader, ask: &Ask) -> Option<String> {
    if ask.session.is_empty() {
        return None;
    }
    let session = outcome::session(app, reader, &ask.session).await.ok()?;
    (session.status() == SessionStatus::Choosing).then(|| format!("/connections/sessions/{}", session.id))
}

async fn notes(app: &App, reader: &Reader, ask: &Ask) -> Vec<Note> {
    let mut notes = Vec::new();
    match ask.did.as_str() {
        "asked" => notes.push(Note::green(reader.t.act.asked)),
        "checking" => notes.push(Note::plain(reader.t.list.check_started)),
        "checked" => notes.push(Note::plain(reader.t.list.check_recent)),
        _ => {}
    }
    if !ask.session.is_empty() {
        notes.extend(outcome::load(app, reader, &ask.session).await);
    }
    if !ask.disconnected.is_empty() {
        let request = GetAccountRequest {
            workspace_id: reader.workspace(),
            account_id: ask.disconnected.clone(),
        };
        if let Ok(answer) = app.accounts().get_account(reader.context.request(request)).await
            && let Some(account) = answer.into_inner().account
        {
            notes.push(outcome::disconnected(&view::account(&account, &reader.lens), reader));
        }
    }
    notes
}

fn groups(accounts: &[AccountView], reader: &Reader) -> Vec<Group> {
    let (amber, green): (Vec<_>, Vec<_>) = accounts
        .iter()
        .map(|one| Card::of(one, reader))
        .partition(|card| card.amber);
    let group = |id, title, cards: Vec<Card>| Group {
        id,
        title,
        count: cards.len(),
        cards,
    };
    let both = [
        group("amber", reader.t.list.needs_attention, amber),
        group("green", reader.t.list.healthy, green),
    ];
    both.into_iter().filter(|group| group.count > 0).collect()
}

/// "7 accounts · 2 need attention"
pub(crate) fn summary_text(summary: Option<&SummaryView>, t: &Texts) -> String {
    let Some(summary) = summary else { return String::new() };
    let accounts = (t.list.accounts)(summary.total);
    if summary.needs_reconnect == 0 {
        return accounts;
    }
    format!("{accounts} · {}", (t.list.attention)(summary.needs_reconnect))
}
