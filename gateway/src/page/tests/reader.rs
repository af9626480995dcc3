//! Readers, a catalogue and whole pages for tests.

use std::sync::Arc;

use askama::Template;
use jiff::tz::TimeZone;
use kit::grpc::Context;
use kit::{Person, Role};
use proto::accounts::v1::Account;
use proto::entitlements::v1::Plan;
use proto::platforms::v1::{Connector, Platform, Renewal, Scope};

use crate::config::Links;
use crate::page::dates::Calendar;
use crate::page::list::{Ask, Page, Parts};
use crate::page::panel::Panel;
use crate::page::reader::Reader;
use crate::page::samples;
use crate::page::shell::Facts;
use crate::page::texts::texts;
use crate::view::{
    self, AccountUsage, Catalogue, EntitlementsView, Impact, Lens, Locale, PlatformAvailabilityView, SummaryView, Time,
};

/// 22 November 2026, 14:05 in UTC.
pub(crate) const NOW: i64 = 1_795_356_300_000;

fn platform(id: &str, title: &str, short: &str, capabilities: &[&str], scopes: &[(&str, &str)]) -> Platform {
    let is_meta = matches!(id, "facebook" | "instagram");
    let connector = |id: &str, method: &str| Connector {
        id: id.into(),
        method: method.into(),
        scopes: scopes
            .iter()
            .map(|(name, label)| Scope {
                name: (*name).into(),
                label: (*label).into(),
                required: true,
                ..Scope::default()
            })
            .collect(),
        announced_refresh: is_meta,
        shared_grant: id != "instagram",
        publish_needs_image: is_meta && id != "facebook",
        renewal: if id == "linkedin" {
            Renewal::ReconnectOnly.into()
        } else {
            Renewal::Exchange.into()
        },
        ..Connector::default()
    };
    Platform {
        id: id.into(),
        title: title.into(),
        short_title: short.into(),
        connectors: match id {
            "telegram" | "whatsapp" => Vec::new(),
            "instagram" => {
                vec![
                    connector("instagram", "instagram_login"),
                    connector("instagram_facebook", "facebook_login"),
                ]
            }
            _ => vec![connector(id, "oauth")],
        },
        capabilities: capabilities.iter().map(|&one| one.to_owned()).collect(),
        connectable: !matches!(id, "telegram" | "whatsapp"),
        token_diagnostics: is_meta,
        settings_hint: if id == "facebook" {
            "Settings > Business Integrations".into()
        } else {
            String::new()
        },
    }
}

fn catalogue() -> Catalogue {
    let meta: &[(&str, &str)] = &[
        ("instagram_basic", "see the profile"),
        ("instagram_content_publish", "publish content"),
    ];
    let plan = |name: &str, title: &str, max: Option<i64>, platforms: &[&str], soon: &[&str]| Plan {
        name: name.into(),
        title: title.into(),
        max_accounts: max,
        platforms: platforms.iter().map(|&one| one.to_owned()).collect(),
        coming_soon: soon.iter().map(|&one| one.to_owned()).collect(),
    };
    let all = &["facebook", "instagram", "tiktok", "x", "linkedin"];
    Catalogue {
        platforms: vec![
            platform("facebook", "Facebook", "Facebook", &["post_feed", "publish"], meta),
            platform("instagram", "Instagram", "Instagram", &["post_feed", "publish"], meta),
            platform(
                "tiktok",
                "TikTok",
                "TikTok",
                &["publish"],
                &[("video.publish", "publish videos")],
            ),
            platform("x", "X (Twitter)", "X", &["publish"], &[("tweet.write", "post as you")]),
            platform(
                "linkedin",
                "LinkedIn",
                "LinkedIn",
                &["publish"],
                &[("w_member_social", "post as you")],
            ),
            platform("telegram", "Telegram", "Telegram", &[], &[]),
            platform("whatsapp", "WhatsApp", "WhatsApp", &[], &[]),
        ],
        plans: vec![
            plan("free", "Free", Some(1), &["facebook", "instagram"], &[]),
            plan("starter", "Starter", Some(5), &["facebook", "instagram"], &[]),
            plan("professional", "Professional", None, all, &["telegram"]),
            plan("enterprise", "Enterprise", None, all, &["telegram", "whatsapp"]),
        ],
    }
}

/// Somebody who looks.
pub(crate) fn reader(role: Role, locale: Locale) -> Reader {
    let t = texts(locale);
    Reader {
        person: Person {
            user_id: "usr_dana".into(),
            name: "Dana".into(),
            workspace_id: "demo".into(),
            role,
        },
        lens: Lens {
            catalogue: Arc::new(catalogue()),
            role,
            links: Arc::new(Links::own_pages()),
            locale,
        },
        t,
        calendar: Calendar {
            zone: TimeZone::UTC,
            now_ms: NOW,
            words: &t.time,
        },
        timezone: "UTC".into(),
        path: "/connections".into(),
        workspaces: vec!["acme".into()],
        signed_in: false,
        dev: true,
        toured: true,
        waits_for: Vec::new(),
        context: Context::background(),
    }
}

/// The frame's facts for a plan and these accounts.
pub(crate) fn facts(plan: &str, accounts: &[Account], reader: &Reader) -> Facts {
    let total = i64::try_from(accounts.len()).unwrap();
    let seen: Vec<_> = accounts.iter().map(|one| view::account(one, &reader.lens)).collect();
    let amber = seen.iter().filter(|one| one.health.status == "needs_reconnect").count();
    let amber = i64::try_from(amber).unwrap();
    let at_risk = seen.iter().map(|one| one.impact.scheduled_posts_at_risk).sum();
    let found = reader
        .lens
        .catalogue
        .plans
        .iter()
        .find(|one| one.name == plan)
        .unwrap()
        .clone();
    let availability = |id: &str| match () {
        () if found.platforms.iter().any(|one| one == id) => "available",
        () if found.coming_soon.iter().any(|one| one == id) => "coming_soon",
        () => "plan_locked",
    };
    let platforms = reader
        .lens
        .catalogue
        .platforms
        .iter()
        .map(|platform| PlatformAvailabilityView {
            platform: platform.id.clone(),
            availability: availability(&platform.id),
            required_plan: reader
                .lens
                .catalogue
                .min_plan(&platform.id)
                .map(|plan| plan.name.clone()),
        });
    Facts {
        summary: Some(SummaryView {
            total,
            healthy: total - amber,
            needs_reconnect: amber,
            checked_at: Time::of(NOW - 180_000),
            posts_at_risk: Impact {
                scheduled_posts_at_risk: at_risk,
                next_at: Time::of(NOW + 86_400_000),
            },
            unread_notifications: 3,
        }),
        version: Some(7),
        entitlements: Some(EntitlementsView {
            workspace_id: "demo".into(),
            plan: found.name.clone(),
            plan_title: found.title.clone(),
            accounts: AccountUsage {
                used: total,
                reserved: 0,
                max: found.max_accounts,
            },
            platforms: platforms.collect(),
            locked_account_ids: Vec::new(),
        }),
    }
}

/// The Connections page.
pub(crate) fn connections(plan: &str, accounts: &[Account], open: Option<usize>, reader: &Reader) -> String {
    let facts = facts(plan, accounts, reader);
    let seen: Vec<_> = accounts.iter().map(|one| view::account(one, &reader.lens)).collect();
    let panel = open.map(|index| panel(&accounts[index], reader));
    let parts = Parts {
        ask: Ask::default(),
        facts,
        accounts: seen,
        next_cursor: String::new(),
        panel,
        notes: Vec::new(),
    };
    Page::of(parts, reader).render().unwrap()
}

/// The panel of an account, with history and posts.
pub(crate) fn panel(account: &Account, reader: &Reader) -> Panel {
    let history: Vec<_> = samples::history(NOW)
        .iter()
        .map(|event| view::event(event, &reader.lens))
        .collect();
    let diagnostics = view::diagnostics(&proto::accounts::v1::GetDiagnosticsResponse {
        missing: vec![Scope {
            name: "instagram_content_publish".into(),
            label: "publish content".into(),
            ..Scope::default()
        }],
        granted: vec![Scope {
            name: "instagram_basic".into(),
            label: "see the profile".into(),
            ..Scope::default()
        }],
        ..proto::accounts::v1::GetDiagnosticsResponse::default()
    });
    Panel::of(
        &view::account(account, &reader.lens),
        &history,
        Some(&diagnostics),
        None,
        reader,
    )
}

/// The text between tags, with blanks folded: what a person reads.
pub(crate) fn text(html: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for letter in html.chars() {
        match letter {
            '<' => inside = true,
            '>' => {
                inside = false;
                out.push(' ');
            }
            letter if !inside => out.push(letter),
            _ => {}
        }
    }
    out.replace("&#38;", "&")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}
