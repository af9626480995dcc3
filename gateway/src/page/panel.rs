//! Details of one account: the panel beside the list, and its fragments for the page's script.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use proto::accounts::v1::{
    Account, GetAccountRequest, GetDiagnosticsRequest, ListHistoryRequest, ListRecentPostsRequest,
    ListRecentPostsResponse,
};
use proto::platforms::v1::Renewal;

use super::card::Card;
use super::dates::When;
use super::filters;
use super::html;
use super::reader::Reader;
use super::reasons;
use super::texts::Texts;
use crate::problem::Problem;
use crate::state::App;
use crate::view::{self, AccountView, DiagnosticsView, EventView};

const HISTORY: i32 = 20;
const POSTS: i32 = 10;

/// The panel.
pub(crate) struct Panel {
    /// Of all ids in it.
    pub(crate) prefix: &'static str,
    pub(crate) card: Card,
    pub(crate) connected: Option<String>,
    pub(crate) last_refresh: Option<When>,
    pub(crate) timeline: Vec<Point>,
    pub(crate) outlook: Option<String>,
    pub(crate) publish: String,
    pub(crate) limited: Option<String>,
    /// What a reconnect will ask for.
    pub(crate) asks: Option<String>,
    pub(crate) has_posts: bool,
    /// Absent: fetched when looked at.
    pub(crate) posts: Option<Posts>,
    /// For owners and admins, where the platform tells.
    pub(crate) scopes: Option<Vec<Scope>>,
    pub(crate) history: Vec<Past>,
    pub(crate) hint: Option<String>,
}

/// A point of the time line.
pub(crate) struct Point {
    pub(crate) label: &'static str,
    pub(crate) at: When,
    pub(crate) past: bool,
}

/// A scope, granted or missing.
pub(crate) struct Scope {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) granted: bool,
}

/// Something that happened.
pub(crate) struct Past {
    pub(crate) at: When,
    pub(crate) text: String,
}

/// Recent posts.
#[derive(Default)]
pub(crate) struct Posts {
    pub(crate) rows: Vec<Post>,
    pub(crate) remembered: bool,
    pub(crate) failed: bool,
}

/// A post with its numbers in words.
pub(crate) struct Post {
    pub(crate) text: String,
    pub(crate) at: Option<When>,
    pub(crate) reactions: Option<String>,
    pub(crate) comments: Option<String>,
    pub(crate) shares: Option<String>,
    pub(crate) permalink: String,
    pub(crate) quotes: Vec<view::CommentPreview>,
}

#[derive(Template)]
#[template(path = "parts/panel.html")]
pub(crate) struct PanelHtml<'a> {
    pub(crate) t: &'static Texts,
    pub(crate) panel: &'a Panel,
}

#[derive(Template)]
#[template(path = "parts/card.html")]
pub(crate) struct CardHtml<'a> {
    pub(crate) t: &'static Texts,
    pub(crate) card: &'a Card,
}

#[derive(Template)]
#[template(path = "parts/posts.html")]
struct PostsHtml<'a> {
    t: &'static Texts,
    posts: &'a Posts,
}

/// `GET /ui/accounts/{id}/card`
pub(crate) async fn card(State(app): State<App>, reader: Reader, Path(id): Path<String>) -> Result<Response, Problem> {
    let account = view::account(&account(&app, &reader, &id).await?, &reader.lens);
    if account.status != "connected" {
        return Err(Problem::not_found());
    }
    html(&CardHtml {
        t: reader.t,
        card: &Card::of(&account, &reader),
    })
}

/// `GET /ui/accounts/{id}/panel`
pub(crate) async fn show(State(app): State<App>, reader: Reader, Path(id): Path<String>) -> Result<Response, Problem> {
    let panel = load(&app, &reader, &id, false).await?;
    html(&PanelHtml {
        t: reader.t,
        panel: &panel,
    })
}

/// `GET /ui/accounts/{id}/posts`
pub(crate) async fn posts(State(app): State<App>, reader: Reader, Path(id): Path<String>) -> Result<Response, Problem> {
    let posts = recent(&app, &reader, &id).await;
    html(&PostsHtml {
        t: reader.t,
        posts: &posts,
    })
}

/// Reads an account.
pub(crate) async fn account(app: &App, reader: &Reader, id: &str) -> Result<Account, Problem> {
    let request = GetAccountRequest {
        workspace_id: reader.workspace(),
        account_id: id.to_owned(),
    };
    let answer = app
        .accounts()
        .get_account(reader.context.request(request))
        .await?
        .into_inner();
    answer.account.ok_or_else(Problem::not_found)
}

/// Everything that the panel shows. History and scopes may be missing; the account itself may not.
pub(crate) async fn load(app: &App, reader: &Reader, id: &str, with_posts: bool) -> Result<Panel, Problem> {
    let workspace_id = reader.workspace();
    let history = ListHistoryRequest {
        workspace_id: workspace_id.clone(),
        account_id: id.to_owned(),
        limit: HISTORY,
        cursor: String::new(),
    };
    let scopes = GetDiagnosticsRequest {
        workspace_id,
        account_id: id.to_owned(),
    };
    let (mut events, mut diagnostics) = (app.accounts(), app.accounts());
    let scopes = async {
        if !reader.manages() {
            return None;
        }
        diagnostics.get_diagnostics(reader.context.request(scopes)).await.ok()
    };
    let posts = async {
        if with_posts {
            Some(recent(app, reader, id).await)
        } else {
            None
        }
    };
    let (account, history, scopes, posts) = tokio::join!(
        account(app, reader, id),
        events.list_history(reader.context.request(history)),
        scopes,
        posts
    );
    let account = view::account(&account?, &reader.lens);
    let history = history.map(|answer| answer.into_inner().events).unwrap_or_default();
    let history: Vec<_> = history.iter().map(|event| view::event(event, &reader.lens)).collect();
    let scopes = scopes.map(|answer| view::diagnostics(answer.get_ref()));
    Ok(Panel::of(&account, &history, scopes.as_ref(), posts, reader))
}

impl Panel {
    /// The panel of an account; pure.
    pub(crate) fn of(
        account: &AccountView,
        history: &[EventView],
        diagnostics: Option<&DiagnosticsView>,
        posts: Option<Posts>,
        reader: &Reader,
    ) -> Self {
        let t = reader.t;
        let catalogue = &reader.lens.catalogue;
        let platform = catalogue.platform(&account.platform);
        let shows_scopes = account.permitted_actions.contains(&"view_diagnostics");
        Self {
            prefix: "p",
            card: Card::of(account, reader),
            connected: connected(account, reader),
            last_refresh: reader.moment(account.token.last_refreshed_at),
            timeline: timeline(account, reader),
            outlook: outlook(account, reader),
            publish: reasons::cannot_publish(account, reader).unwrap_or_else(|| t.panel.can_publish.to_owned()),
            limited: (!account.limited.is_empty())
                .then(|| (t.panel.limited)(&reasons::labels(&account.limited, reader))),
            asks: asks(account, reader),
            has_posts: account.capabilities.iter().any(|capability| capability == "post_feed"),
            posts,
            scopes: diagnostics.filter(|_| shows_scopes).map(|found| scopes(found, reader)),
            history: history.iter().filter_map(|event| past(event, reader)).collect(),
            hint: platform
                .filter(|platform| !platform.settings_hint.is_empty())
                .map(|platform| {
                    let (name, place) = (&platform.short_title, &platform.settings_hint);
                    if place.starts_with(name) {
                        (t.panel.hint)(place)
                    } else {
                        (t.panel.hint)(&format!("{name} > {place}"))
                    }
                }),
        }
    }
}

fn connected(account: &AccountView, reader: &Reader) -> Option<String> {
    let day = reader.calendar.full_day(account.connected_at?.ms());
    let by = account
        .connected_by
        .as_ref()
        .map(|person| person.name.as_str())
        .filter(|name| !name.is_empty());
    Some(by.map_or(day.clone(), |name| (reader.t.panel.by)(&day, name)))
}

/// Dates of a token matter to a person where its refresh is announced or its end needs them; silent renewal has none.
fn has_visible_dates(account: &AccountView, reader: &Reader) -> bool {
    reader
        .lens
        .catalogue
        .connector(&account.connector)
        .is_some_and(|connector| connector.announced_refresh || connector.renewal() == Renewal::ReconnectOnly)
}

fn timeline(account: &AccountView, reader: &Reader) -> Vec<Point> {
    let words = &reader.t.panel;
    let end = account.token.expires_at.filter(|_| has_visible_dates(account, reader));
    let next = account
        .token
        .next_refresh_at
        .filter(|_| account.token.auto_refresh && has_visible_dates(account, reader));
    let mut points = [
        (words.connected, account.connected_at),
        (words.refreshed, account.token.last_refreshed_at),
        (words.next_refresh, next.filter(|at| at.ms() > reader.calendar.now_ms)),
        (words.expires, end),
    ]
    .into_iter()
    .filter_map(|(label, at)| at.map(|at| (label, at.ms())))
    .collect::<Vec<_>>();
    points.sort_by_key(|(_, at)| *at);
    let point = |(label, at)| Point {
        label,
        at: reader.calendar.day(at),
        past: at <= reader.calendar.now_ms,
    };
    points.into_iter().map(point).collect()
}

fn outlook(account: &AccountView, reader: &Reader) -> Option<String> {
    if account.health.status != "healthy" || !has_visible_dates(account, reader) {
        return None;
    }
    let future = |at: &view::Time| at.ms() > reader.calendar.now_ms;
    if account.token.auto_refresh {
        let next = account.token.next_refresh_at.filter(future)?;
        return Some((reader.t.panel.refreshes_itself)(&reader.calendar.day(next.ms()).text));
    }
    let end = account
        .token
        .expires_at
        .filter(future)
        .filter(|_| has_visible_dates(account, reader))?;
    Some((reader.t.panel.expires_then)(&reader.calendar.in_days(end.ms())))
}

fn asks(account: &AccountView, reader: &Reader) -> Option<String> {
    let connector = reader.lens.catalogue.connector(&account.connector)?;
    let count = connector.scopes.len().try_into().unwrap_or(0);
    if count == 0 || !account.permitted_actions.contains(&"reconnect") {
        return None;
    }
    let asks = (reader.t.connect.asks_for)(reader.lens.catalogue.short_title(&account.platform), count);
    let missing = account
        .health
        .reasons
        .iter()
        .find(|reason| !reason.permissions.is_empty());
    Some(missing.map_or(asks.clone(), |reason| {
        format!(
            "{asks} {}",
            (reader.t.connect.keep)(&reasons::labels(&reason.permissions, reader))
        )
    }))
}

fn scopes(found: &DiagnosticsView, reader: &Reader) -> Vec<Scope> {
    let scope = |one: &view::ScopeView, granted| Scope {
        name: one.scope.clone(),
        label: (reader.t.health.permission)(&one.label).to_owned(),
        granted,
    };
    let missing = found.scopes.missing.iter().map(|one| scope(one, false));
    missing
        .chain(found.scopes.granted.iter().map(|one| scope(one, true)))
        .collect()
}

fn past(event: &EventView, reader: &Reader) -> Option<Past> {
    let number = |name: &str| event.data.get(name).and_then(serde_json::Value::as_i64);
    let attempt = number("attempt").zip(number("of"));
    let kind = if event.data["reconnected"] == true {
        "account.reconnected"
    } else {
        &event.kind
    };
    Some(Past {
        at: reader.moment(event.occurred_at)?,
        text: (reader.t.panel.event)(kind, event.actor_name.as_deref().unwrap_or_default(), attempt),
    })
}

async fn recent(app: &App, reader: &Reader, id: &str) -> Posts {
    let request = ListRecentPostsRequest {
        workspace_id: reader.workspace(),
        account_id: id.to_owned(),
        limit: POSTS,
        cursor: String::new(),
    };
    match app.accounts().list_recent_posts(reader.context.request(request)).await {
        Ok(answer) => Posts::of(answer.get_ref(), reader),
        Err(_) => Posts {
            failed: true,
            ..Posts::default()
        },
    }
}

impl Posts {
    /// Posts as the platform, or our memory, tells them.
    pub(crate) fn of(answer: &ListRecentPostsResponse, reader: &Reader) -> Self {
        let words = &reader.t.panel;
        let row = |post: view::PostView| Post {
            text: post.text,
            at: reader.moment(post.published_at),
            reactions: post.reactions.map(words.reactions),
            comments: post.comments.map(words.comments),
            shares: post.shares.map(words.shares),
            permalink: if post.permalink.starts_with("https://") {
                post.permalink
            } else {
                String::new()
            },
            quotes: post.comment_previews,
        };
        Self {
            rows: answer.posts.iter().map(|post| row(view::post(post))).collect(),
            remembered: answer.remembered,
            failed: false,
        }
    }
}
