//! Filtering, ordering and paging of a workspace's accounts, in memory: a workspace has hundreds at most.

use kit::Failure;
use proto::accounts::v1 as pb;

use super::cursor::{self, Cursors};

/// Place of an account in an order: group, text, time, id. Compared as a whole.
type Place = (i64, String, i64, String);

fn place(account: &pb::Account, sort: pb::AccountSort) -> Place {
    let name = account.display_name.to_lowercase();
    let id = account.id.clone();
    match sort {
        pb::AccountSort::Name => (0, name, account.connected_at_ms, id),
        pb::AccountSort::Newest => (-account.connected_at_ms, name, 0, id),
        _ => (i64::from(!is_amber(account)), name, account.connected_at_ms, id),
    }
}

/// True when the account needs its person.
pub(crate) fn is_amber(account: &pb::Account) -> bool {
    account
        .health
        .as_ref()
        .is_some_and(|health| health.status() == pb::HealthStatus::NeedsReconnect)
}

/// True for accounts that are connected now.
pub(crate) fn is_connected(account: &pb::Account) -> bool {
    account.status() == pb::AccountStatus::Connected
}

/// The part of `accounts` that the request asks for, and the cursor of the next part.
pub(crate) fn page(
    cursors: &Cursors,
    accounts: &[pb::Account],
    request: &pb::ListAccountsRequest,
) -> Result<(Vec<pb::Account>, String), Failure> {
    let limit = cursor::limit(request.limit, 25, 100)?;
    let list = format!(
        "accounts {} {} {} {}",
        request.status, request.platform, request.sort, request.query
    );
    let after = cursors.decode(&request.workspace_id, &list, &request.cursor)?;
    let after = after
        .map(|json| serde_json::from_str::<Place>(&json).map_err(|_| cursor::refused()))
        .transpose()?;
    let query = request.query.to_lowercase();
    let wanted = |account: &&pb::Account| match request.status.as_str() {
        "disconnected" => account.status() == pb::AccountStatus::Disconnected,
        "healthy" => is_connected(account) && !is_amber(account),
        "needs_reconnect" => is_connected(account) && is_amber(account),
        _ => is_connected(account),
    };
    if !matches!(
        request.status.as_str(),
        "" | "disconnected" | "healthy" | "needs_reconnect"
    ) {
        return Err(Failure::invalid(
            "/status",
            "The status is healthy, needs_reconnect or disconnected.",
        ));
    }
    let sort = request.sort();
    let mut found = accounts
        .iter()
        .filter(wanted)
        .filter(|account| request.platform.is_empty() || account.platform == request.platform)
        .filter(|account| query.is_empty() || matches(account, &query))
        .map(|account| (place(account, sort), account))
        .filter(|(place, _)| after.as_ref().is_none_or(|after| place > after))
        .collect::<Vec<_>>();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let more = found.len() > limit;
    found.truncate(limit);
    let next = match found.last().filter(|_| more) {
        Some((place, _)) => cursors.encode(
            &request.workspace_id,
            &list,
            &serde_json::to_string(place).unwrap_or_default(),
        ),
        None => String::new(),
    };
    Ok((found.into_iter().map(|(_, account)| account.clone()).collect(), next))
}

fn matches(account: &pb::Account, query: &str) -> bool {
    account.display_name.to_lowercase().contains(query) || account.username.to_lowercase().contains(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursors() -> Cursors {
        Cursors(kit::identity::Signer::new(
            kit::Secret::new("key"),
            kit::Clock::manual(0),
        ))
    }

    fn account(id: &str, name: &str, amber: bool) -> pb::Account {
        let status = if amber {
            pb::HealthStatus::NeedsReconnect
        } else {
            pb::HealthStatus::Healthy
        };
        pb::Account {
            id: id.into(),
            display_name: name.into(),
            status: pb::AccountStatus::Connected.into(),
            health: Some(pb::Health {
                status: status.into(),
                ..pb::Health::default()
            }),
            ..pb::Account::default()
        }
    }

    fn ids(page: &[pb::Account]) -> Vec<&str> {
        page.iter().map(|account| account.id.as_str()).collect()
    }

    fn sample() -> Vec<pb::Account> {
        vec![
            account("1", "beta", false),
            account("2", "Alpha", false),
            account("3", "zeta", true),
            account("4", "alpha", false),
        ]
    }

    #[test]
    fn accounts_that_need_attention_come_first_then_names() {
        let (page, next) = page(&cursors(), &sample(), &pb::ListAccountsRequest::default()).unwrap();
        assert_eq!((ids(&page), next.as_str()), (vec!["3", "2", "4", "1"], ""));
    }

    #[test]
    fn pages_join_without_gap_or_overlap() {
        let mut request = pb::ListAccountsRequest {
            limit: 1,
            ..Default::default()
        };
        let mut seen = Vec::new();
        loop {
            let (part, next) = page(&cursors(), &sample(), &request).unwrap();
            seen.extend(part.into_iter().map(|account| account.id));
            if next.is_empty() {
                break;
            }
            request.cursor = next;
        }
        assert_eq!(seen, ["3", "2", "4", "1"]);
    }

    #[test]
    fn filters_narrow_and_unknown_ones_are_refused() {
        let only = |status: &str, query: &str| {
            let request = pb::ListAccountsRequest {
                status: status.into(),
                query: query.into(),
                ..Default::default()
            };
            page(&cursors(), &sample(), &request).map(|(page, _)| page.len())
        };
        assert_eq!(only("needs_reconnect", "").unwrap(), 1);
        assert_eq!(only("", "ALPH").unwrap(), 2);
        assert_eq!(only("disconnected", "").unwrap(), 0);
        assert!(only("purple", "").is_err());
    }
}
