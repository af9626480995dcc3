//! One account as the page shows it: on a card, in the panel, in rows. Made of [`AccountView`], which the API sends too.

use super::dates::When;
use super::face::Face;
use super::reader::Reader;
use super::reasons;
use crate::view::AccountView;

/// A link with its text.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) label: String,
    pub(crate) href: String,
    /// Leads to a platform: opens beside the page.
    pub(crate) external: bool,
}

impl Link {
    /// A link within the product.
    pub(crate) fn new(label: impl Into<String>, href: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            href: href.into(),
            external: false,
        }
    }
}

/// Why an account is amber, what that blocks and what goes on working.
#[derive(Clone, Debug)]
pub(crate) struct Why {
    pub(crate) sentence: String,
    pub(crate) blocks: String,
    pub(crate) works: String,
}

/// An account on the page.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one for each thing that a template shows or leaves out"
)]
pub(crate) struct Card {
    pub(crate) id: String,
    pub(crate) name: String,
    /// "Acme Bakery on Instagram", read out with every button.
    pub(crate) about: String,
    pub(crate) platform: String,
    pub(crate) platform_name: String,
    /// "X (Twitter)"
    pub(crate) platform_title: String,
    /// "@acmebakery", or empty.
    pub(crate) handle: String,
    pub(crate) face: Face,
    pub(crate) amber: bool,
    pub(crate) plan_locked: bool,
    pub(crate) why: Option<Why>,
    /// Neutral remarks.
    pub(crate) notes: Vec<String>,
    pub(crate) risk: Option<String>,
    pub(crate) checked: Option<When>,
    /// The step that helps, where it is not a reconnect.
    pub(crate) fix: Option<Link>,
    pub(crate) can_reconnect: bool,
    pub(crate) reconnect_label: String,
    pub(crate) reconnect_class: &'static str,
    pub(crate) can_ask: bool,
    pub(crate) can_create: bool,
    pub(crate) composer: String,
    /// Why it cannot receive posts, in words.
    pub(crate) cannot: Option<String>,
    pub(crate) can_disconnect: bool,
    pub(crate) support: Option<String>,
}

impl Card {
    /// The account as this reader sees it.
    pub(crate) fn of(account: &AccountView, reader: &Reader) -> Self {
        let t = reader.t;
        let may = |action: &str| account.permitted_actions.contains(&action);
        let platform = reader.lens.catalogue.platform(&account.platform);
        let platform_name = reader.lens.catalogue.short_title(&account.platform).to_owned();
        let reason = account.health.reasons.first();
        let fix = reason.and_then(|reason| reasons::fix(reason, account, reader));
        let is_old_method = reason.is_some_and(|reason| reason.fix.kind == "reconnect_meta");
        Self {
            id: account.id.clone(),
            name: account.display_name.clone(),
            about: (t.act.account_on)(&account.display_name, &platform_name),
            platform: account.platform.clone(),
            platform_title: platform.map_or(platform_name.clone(), |platform| platform.title.clone()),
            handle: if account.username.is_empty() {
                String::new()
            } else {
                format!("@{}", account.username)
            },
            face: Face::of(account),
            amber: account.health.status == "needs_reconnect",
            plan_locked: account.plan_locked,
            why: reason.map(|reason| reasons::why(reason, account, reader)),
            notes: account
                .health
                .notices
                .iter()
                .map(|n| reasons::notice(n, &platform_name, account, reader))
                .collect(),
            risk: risk(account, reader),
            checked: reader.checked(account.health.checked_at),
            reconnect_class: if fix.is_none() && account.health.status == "needs_reconnect" {
                "primary"
            } else {
                ""
            },
            fix: fix.filter(|_| may("reconnect")),
            can_reconnect: may("reconnect"),
            reconnect_label: if is_old_method {
                t.act.reconnect_meta
            } else {
                t.act.reconnect
            }
            .to_owned(),
            can_ask: may("request_reconnect"),
            can_create: may("create_post"),
            composer: account.links.composer.clone(),
            cannot: reasons::cannot_publish(account, reader),
            can_disconnect: may("disconnect"),
            support: account.links.support.clone().filter(|_| account.status == "connected"),
            platform_name,
        }
    }
}

fn risk(account: &AccountView, reader: &Reader) -> Option<String> {
    let count = account.impact.scheduled_posts_at_risk;
    let next = reader.moment(account.impact.next_at).map(|when| when.text);
    (count > 0).then(|| (reader.t.list.at_risk)(count, next.as_deref()))
}
