//! What stands above the list when accounts are amber: how many, what it costs, and one sign-in for several of them.

use std::collections::BTreeMap;

use super::reader::Reader;
use crate::view::{AccountView, SummaryView};

/// The banner.
pub(crate) struct Banner {
    pub(crate) text: String,
    pub(crate) risk: Option<String>,
    pub(crate) bulk: Vec<Bulk>,
}

/// Several accounts that one sign-in fixes.
pub(crate) struct Bulk {
    pub(crate) label: String,
    pub(crate) platform: String,
    pub(crate) provider: String,
    /// Comma separated.
    pub(crate) ids: String,
}

impl Banner {
    /// The banner of these accounts; none while all are green.
    pub(crate) fn of(accounts: &[AccountView], summary: Option<&SummaryView>, reader: &Reader) -> Option<Self> {
        let amber: Vec<_> = accounts
            .iter()
            .filter(|one| one.health.status == "needs_reconnect")
            .collect();
        let count = summary.map_or(amber.len().try_into().unwrap_or(0), |summary| summary.needs_reconnect);
        let impact = summary.map(|summary| &summary.posts_at_risk);
        let risk = impact
            .filter(|impact| impact.scheduled_posts_at_risk > 0)
            .map(|impact| {
                let first = reader.moment(impact.next_at).map(|when| when.text);
                (reader.t.list.banner_risk)(impact.scheduled_posts_at_risk, first.as_deref())
            });
        let bulk = bulk(&amber, reader);
        // One amber card explains itself; the banner adds something from two on, or when posts are at risk.
        (count > 1 || risk.is_some()).then(|| Self {
            text: (reader.t.list.banner)(count),
            risk,
            bulk,
        })
    }
}

fn bulk(amber: &[&AccountView], reader: &Reader) -> Vec<Bulk> {
    let mut groups: BTreeMap<&str, Vec<&AccountView>> = BTreeMap::new();
    let can =
        |account: &&&AccountView| account.permitted_actions.contains(&"reconnect") && !account.grant_group.is_empty();
    for account in amber.iter().filter(can) {
        groups.entry(&account.grant_group).or_default().push(account);
    }
    let several = groups.into_values().filter(|group| group.len() > 1);
    several
        .map(|group| {
            let provider = provider(group[0], reader);
            Bulk {
                label: (reader.t.list.bulk)(group.len().try_into().unwrap_or(0), &provider),
                platform: group[0].platform.clone(),
                ids: group.iter().map(|one| one.id.as_str()).collect::<Vec<_>>().join(","),
                provider,
            }
        })
        .collect()
}

/// Who one signs in with: Meta for everything that hangs on a Meta person, else the platform itself.
fn provider(account: &AccountView, reader: &Reader) -> String {
    let catalogue = &reader.lens.catalogue;
    let is_meta = catalogue
        .platform(&account.platform)
        .is_some_and(|platform| platform.token_diagnostics)
        && catalogue
            .connector(&account.connector)
            .is_some_and(|connector| connector.shared_grant);
    if is_meta {
        "Meta".to_owned()
    } else {
        catalogue.short_title(&account.platform).to_owned()
    }
}
