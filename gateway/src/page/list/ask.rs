//! What the list's address says, and the links that say it: search words, filters, the next page.

use serde::Deserialize;

use crate::page::reader::Reader;
use crate::view::SummaryView;

/// What the address of the list may say.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Ask {
    /// Details of this account are open.
    pub(crate) account: String,
    /// `1`: with its recent posts.
    pub(crate) posts: String,
    pub(crate) q: String,
    pub(crate) status: String,
    pub(crate) platform: String,
    pub(crate) cursor: String,
    /// The connect session that just ended.
    pub(crate) session: String,
    /// The account that was just disconnected.
    pub(crate) disconnected: String,
    /// What was just done: `asked`, `checking`, `checked`.
    pub(crate) did: String,
}

/// A filter of the list.
pub(crate) struct Filter {
    pub(crate) label: String,
    pub(crate) href: String,
    pub(crate) current: bool,
    pub(crate) count: Option<i64>,
}

/// Links of the filters that make sense here: all, those that need attention, each platform.
pub(super) fn links(ask: &Ask, summary: Option<&SummaryView>, reader: &Reader) -> Vec<Filter> {
    let fresh = Ask {
        q: ask.q.clone(),
        ..Ask::default()
    };
    let all = Filter {
        label: reader.t.list.all.to_owned(),
        href: address(&fresh),
        current: ask.status.is_empty() && ask.platform.is_empty(),
        count: summary.map(|summary| summary.total),
    };
    let amber = Filter {
        label: reader.t.list.needs_attention.to_owned(),
        href: address(&Ask {
            status: "needs_reconnect".into(),
            ..fresh.clone()
        }),
        current: ask.status == "needs_reconnect",
        count: summary.map(|summary| summary.needs_reconnect),
    };
    let platforms = reader
        .lens
        .catalogue
        .platforms
        .iter()
        .filter(|platform| platform.connectable);
    let platforms = platforms.map(|platform| Filter {
        label: platform.short_title.clone(),
        href: address(&Ask {
            platform: platform.id.clone(),
            ..fresh.clone()
        }),
        current: ask.platform == platform.id,
        count: None,
    });
    let amber = Some(amber).filter(|amber| amber.current || amber.count != Some(0));
    std::iter::once(all).chain(amber).chain(platforms).collect()
}

/// The list's address with these words and filters.
pub(super) fn address(ask: &Ask) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in [
        ("q", &ask.q),
        ("status", &ask.status),
        ("platform", &ask.platform),
        ("cursor", &ask.cursor),
    ] {
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    let query = query.finish();
    if query.is_empty() {
        "/connections".to_owned()
    } else {
        format!("/connections?{query}")
    }
}
