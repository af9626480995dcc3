//! `GET /gallery`, in `dev` mode: every state of the page in one place, made of sample data by the same templates.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use kit::Role;
use proto::accounts::v1::ListRecentPostsResponse;
use proto::platforms::v1::Scope;
use serde::Deserialize;

use super::banner::Banner;
use super::card::Card;
use super::disconnect;
use super::filters;
use super::note::Note;
use super::panel::{CardHtml, Panel, PanelHtml, Posts};
use super::question::Question;
use super::reader::Reader;
use super::shell::{Facts, Shell};
use super::texts::Texts;
use super::tiles::{self, Limit, Tile};
use super::{connect, html, samples};
use crate::problem::Problem;
use crate::state::App;
use crate::view::{self, AccountView, Impact, SummaryView, Time};

/// A part of the gallery.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) html: String,
}

#[derive(Template)]
#[template(path = "page/gallery.html")]
pub(crate) struct Page {
    pub(crate) shell: Shell,
    pub(crate) sections: Vec<Section>,
}

#[derive(Template)]
#[template(path = "parts/states.html")]
struct States {
    t: &'static Texts,
}

#[derive(Template)]
#[template(path = "parts/tiles.html")]
struct Tiles {
    t: &'static Texts,
    tiles: Vec<Tile>,
}

#[derive(Template)]
#[template(
    source = "{% include \"parts/limit.html\" %}{% include \"parts/tiles.html\" %}",
    ext = "html"
)]
struct Full {
    t: &'static Texts,
    limit: Limit,
    tiles: Vec<Tile>,
}

#[derive(Template)]
#[template(path = "parts/banner.html")]
struct BannerHtml {
    banner: Banner,
}

#[derive(Template)]
#[template(path = "parts/note.html")]
struct NoteHtml {
    note: Note,
}

#[derive(Template)]
#[template(path = "parts/question.html")]
struct QuestionHtml {
    ask: Question,
}

/// What the address may say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Ask {
    /// `ar` shows the gallery in Arabic, whatever the reader chose.
    locale: String,
}

/// `GET /gallery`
pub(crate) async fn show(State(app): State<App>, reader: Reader, Query(ask): Query<Ask>) -> Result<Response, Problem> {
    if !reader.dev {
        return Err(Problem::not_found());
    }
    let reader = if ask.locale.is_empty() {
        reader
    } else {
        reader.reading(view::Locale::parse(&ask.locale))
    };
    let facts = Facts::load(&app, &reader).await;
    html(&Page::of(&facts, &reader)?)
}

impl Page {
    /// The gallery.
    pub(crate) fn of(facts: &Facts, reader: &Reader) -> Result<Self, Problem> {
        let accounts = accounts_of(reader);
        let member = reader.clone().acting(Role::Member);
        let tiles = |reader: &Reader| Tiles {
            t: reader.t,
            tiles: tiles::tiles(facts, reader),
        };
        let sections = [
            ("Banner", banner(&accounts, reader)),
            ("Cards", cards(&accounts, reader)),
            ("Being checked, and just fixed", moving(&accounts, reader)),
            ("Waiting, offline, toasts, empty", States { t: reader.t }.render()),
            ("Details, amber", panel(&accounts, 0, "a", reader)),
            ("Details, healthy", panel(&accounts, 7, "b", reader)),
            ("Platforms", tiles(reader).render()),
            ("Platforms, the plan is full", full(facts, reader)),
            ("For members", cards(&again(&accounts_of(&member)[6..8], "m"), &member)),
            ("Platforms for members", tiles(&member).render()),
            ("Questions", questions(facts, reader)),
            ("Messages", notes(reader)),
        ];
        let sections = sections
            .into_iter()
            .map(|(title, part)| part.map(|html| Section { title, html }));
        let sections = sections.collect::<Result<Vec<_>, _>>();
        let sections = sections.map_err(|_| Problem::new(kit::Code::Internal, "a template failed"))?;
        Ok(Self {
            shell: Shell::new(reader, facts, "", "Gallery"),
            sections,
        })
    }
}

fn banner(accounts: &[AccountView], reader: &Reader) -> askama::Result<String> {
    let summary = SummaryView {
        total: 17,
        healthy: 10,
        needs_reconnect: 7,
        checked_at: None,
        posts_at_risk: Impact {
            scheduled_posts_at_risk: 6,
            next_at: Time::of(reader.calendar.now_ms + 86_400_000),
        },
        unread_notifications: 0,
    };
    Banner::of(accounts, Some(&summary), reader).map_or(Ok(String::new()), |banner| BannerHtml { banner }.render())
}

fn accounts_of(reader: &Reader) -> Vec<AccountView> {
    samples::accounts(reader.calendar.now_ms)
        .iter()
        .map(|one| view::account(one, &reader.lens))
        .collect()
}

/// The same once more on this page, so under other ids.
fn again(accounts: &[AccountView], suffix: &str) -> Vec<AccountView> {
    let mut accounts = accounts.to_vec();
    for account in &mut accounts {
        account.id += suffix;
    }
    accounts
}

/// An amber and a healthy card while they are checked, and one that was mended a moment ago.
fn moving(accounts: &[AccountView], reader: &Reader) -> askama::Result<String> {
    let checked = cards(&again(&accounts[6..8], "c"), reader)?.replace("<article ", "<article data-checking ");
    let fixed = cards(&again(&accounts[8..9], "f"), reader)?.replace("class=\"card\"", "class=\"card fixed\"");
    Ok(checked.replace("</ul>", "") + fixed.trim_start_matches("<ul class=\"cards\">"))
}

fn full(facts: &Facts, reader: &Reader) -> askama::Result<String> {
    let mut tiles = tiles::tiles(facts, reader);
    for tile in tiles.iter_mut().filter(|tile| tile.state == "available") {
        tile.state = "full";
    }
    let limit = Limit::of(1, 1, "Free", reader);
    Full {
        t: reader.t,
        limit,
        tiles,
    }
    .render()
}

fn cards(accounts: &[AccountView], reader: &Reader) -> askama::Result<String> {
    let all = accounts.iter().map(|account| {
        let mut card = Card::of(account, reader);
        // Samples have no picture.
        card.face.url.clear();
        CardHtml {
            t: reader.t,
            card: &card,
        }
        .render()
    });
    let all = all.collect::<askama::Result<String>>()?;
    // Cards stand under a group's heading elsewhere; here the section's is it.
    Ok(format!("<ul class=\"cards\">{all}</ul>"))
}

fn panel(accounts: &[AccountView], index: usize, prefix: &'static str, reader: &Reader) -> askama::Result<String> {
    let now = reader.calendar.now_ms;
    let Some(account) = accounts.get(index) else {
        return Ok(String::new());
    };
    let history: Vec<_> = samples::history(now)
        .iter()
        .map(|event| view::event(event, &reader.lens))
        .collect();
    let found = ListRecentPostsResponse {
        posts: samples::posts(now),
        ..ListRecentPostsResponse::default()
    };
    let scope = |name: &str, label: &str| Scope {
        name: name.into(),
        label: label.into(),
        ..Scope::default()
    };
    let diagnostics = view::diagnostics(&proto::accounts::v1::GetDiagnosticsResponse {
        granted: vec![
            scope("instagram_basic", "see the profile"),
            scope("instagram_manage_comments", "reply to comments"),
        ],
        missing: vec![scope("instagram_content_publish", "publish content")],
        ..proto::accounts::v1::GetDiagnosticsResponse::default()
    });
    let posts = Some(Posts::of(&found, reader));
    let mut panel = Panel::of(account, &history, Some(&diagnostics), posts, reader);
    panel.prefix = prefix;
    panel.card.face.url.clear();
    let inner = PanelHtml {
        t: reader.t,
        panel: &panel,
    }
    .render()?;
    Ok(format!("<div class=\"panel\" data-open>{inner}</div>"))
}

fn questions(facts: &Facts, reader: &Reader) -> askama::Result<String> {
    let tile = |state, soon, methods, platform: &str| Tile {
        platform: platform.into(),
        title: reader
            .lens
            .catalogue
            .platform(platform)
            .map_or(platform.into(), |found| found.title.clone()),
        short_title: reader.lens.catalogue.short_title(platform).to_owned(),
        glyph: super::face::glyph(platform),
        state,
        soon,
        awaited: false,
        plan: "Professional".into(),
        methods,
    };
    let asked = [
        disconnect::question("acc_01", "Acme Bakery", "Instagram", reader),
        connect::prompt(&tile("plan_locked", false, 1, "tiktok"), facts, reader),
        connect::prompt(&tile("available", false, 2, "instagram"), facts, reader),
        connect::prompt(&tile("coming_soon", true, 0, "telegram"), facts, reader),
    ];
    let asked = asked.into_iter().enumerate().map(|(index, ask)| {
        let part = QuestionHtml { ask }
            .render()?
            .replace("ask-title", &format!("ask-{index}"));
        Ok(format!(
            "<div class=\"ask\" data-open>{}</div>",
            part.replace("<h1", "<h3").replace("</h1", "</h3")
        ))
    });
    let asked = asked.collect::<askama::Result<String>>()?;
    Ok(format!("<div class=\"two-up\">{asked}</div>"))
}

fn notes(reader: &Reader) -> askama::Result<String> {
    let words = &reader.t.connect;
    let all = [
        Note::green((words.reconnected)("Acme Bakery")).line((words.safe_again)(4)),
        Note::amber((words.still_amber)(
            "Acme Bakery",
            &(reader.t.health.permission_missing)("publish content"),
        )),
        Note::bad((words.wrong_account)("@dana", "@acmebakery")),
        Note::bad(reader.t.list.unknown_account),
        Note::plain(words.cancelled),
        Note::plain(reader.t.list.check_started),
    ];
    let all = all
        .into_iter()
        .map(|note| NoteHtml { note }.render())
        .collect::<askama::Result<String>>()?;
    Ok(format!("<div class=\"stack tight\">{all}</div>"))
}
