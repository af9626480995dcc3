//! `GET /overview`: the workspace's overview, with its connected accounts and the same statuses as the Connections page.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use proto::accounts::v1::{AccountSort, ListAccountsRequest};

use super::card::Card;
use super::dates::When;
use super::filters;
use super::html;
use super::list::{Ask, summary_text};
use super::note::Note;
use super::outcome;
use super::reader::Reader;
use super::shell::{Facts, Shell};
use crate::problem::Problem;
use crate::state::App;
use crate::view;

/// Rows on the overview; the Connections page has the rest.
const ROWS: i32 = 20;

#[derive(Template)]
#[template(path = "page/overview.html")]
pub(crate) struct Page {
    pub(crate) shell: Shell,
    pub(crate) notes: Vec<Note>,
    pub(crate) summary_text: String,
    pub(crate) checked: Option<When>,
    pub(crate) total: i64,
    pub(crate) healthy: i64,
    pub(crate) amber: i64,
    pub(crate) at_risk: String,
    pub(crate) cards: Vec<Card>,
    pub(crate) more: bool,
}

impl Page {
    /// The page of these accounts.
    pub(crate) fn of(
        accounts: &[view::AccountView],
        more: bool,
        notes: Vec<Note>,
        facts: &Facts,
        reader: &Reader,
    ) -> Self {
        let summary = facts.summary.as_ref();
        let risk = summary.map_or(0, |summary| summary.posts_at_risk.scheduled_posts_at_risk);
        Self {
            shell: Shell::new(reader, facts, "overview", reader.t.shell.overview),
            notes,
            summary_text: summary_text(summary, reader.t),
            checked: summary
                .filter(|summary| summary.total > 0)
                .and_then(|summary| reader.checked(summary.checked_at)),
            total: summary.map_or(0, |summary| summary.total),
            healthy: summary.map_or(0, |summary| summary.healthy),
            amber: summary.map_or(0, |summary| summary.needs_reconnect),
            at_risk: if risk == 0 {
                reader.t.pages.no_risk.to_owned()
            } else {
                risk.to_string()
            },
            cards: accounts.iter().map(|account| Card::of(account, reader)).collect(),
            more,
        }
    }
}

/// `GET /overview`
pub(crate) async fn show(State(app): State<App>, reader: Reader, Query(ask): Query<Ask>) -> Result<Response, Problem> {
    let request = ListAccountsRequest {
        workspace_id: reader.workspace(),
        sort: AccountSort::Attention.into(),
        limit: ROWS,
        ..ListAccountsRequest::default()
    };
    let mut accounts = app.accounts();
    let note = async {
        if ask.session.is_empty() {
            None
        } else {
            outcome::load(&app, &reader, &ask.session).await
        }
    };
    let (listed, facts, note) = tokio::join!(
        accounts.list_accounts(reader.context.request(request)),
        Facts::load(&app, &reader),
        note
    );
    let listed = listed?.into_inner();
    let facts = facts.beside(listed.version);
    let seen: Vec<_> = listed
        .accounts
        .iter()
        .map(|one| view::account(one, &reader.lens))
        .collect();
    html(&Page::of(
        &seen,
        !listed.next_cursor.is_empty(),
        note.into_iter().collect(),
        &facts,
        &reader,
    ))
}
