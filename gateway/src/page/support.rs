//! `/support`: “Fix with AI Support” without a support service of its own: the error pre-filled, and answers in place.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::card::Card;
use super::filters;
use super::reader::Reader;
use super::shell::{Facts, Shell};
use super::{html, panel};
use crate::problem::Problem;
use crate::state::App;
use crate::view;

/// What the address may say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Ask {
    account: String,
    problem: String,
}

#[derive(Template)]
#[template(path = "page/support.html")]
pub(crate) struct Page {
    pub(crate) shell: Shell,
    pub(crate) card: Option<Card>,
    pub(crate) message: String,
}

impl Page {
    /// The page about an account, or about nothing in particular.
    pub(crate) fn of(card: Option<Card>, problem: &str, facts: &Facts, reader: &Reader) -> Self {
        Self {
            shell: Shell::new(reader, facts, "support", reader.t.shell.support),
            message: card
                .as_ref()
                .map(|card| message(card, problem, reader))
                .unwrap_or_default(),
            card,
        }
    }
}

fn message(card: &Card, problem: &str, reader: &Reader) -> String {
    let mut lines = vec![(reader.t.help.message_start)(&card.about)];
    if let Some(why) = &card.why {
        lines.push(why.sentence.clone());
        if !why.blocks.is_empty() {
            lines.push(format!("{}: {}", reader.t.health.blocks, why.blocks));
        }
    }
    lines.extend(card.risk.clone());
    lines.push(format!("{}, {}", card.id, reader.workspace()));
    if !problem.is_empty() {
        lines.push(problem.to_owned());
    }
    lines.join("\n")
}

/// `GET /support`
pub(crate) async fn show(State(app): State<App>, reader: Reader, Query(ask): Query<Ask>) -> Result<Response, Problem> {
    let account = async {
        if ask.account.is_empty() {
            None
        } else {
            panel::account(&app, &reader, &ask.account).await.ok()
        }
    };
    let (account, facts) = tokio::join!(account, Facts::load(&app, &reader));
    let card = account.map(|account| Card::of(&view::account(&account, &reader.lens), &reader));
    html(&Page::of(card, &ask.problem, &facts, &reader))
}
