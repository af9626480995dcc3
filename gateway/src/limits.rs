//! How much one person and one workspace may change: budgets over all gateways, `429` with `Retry-After` beyond.
//! Reads cost little, come from caches and are bounded by connections and time; only an address as a whole has a budget of
//! them, in each gateway, so that nobody is kept from their own by strangers.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use kit::{Code, Failure};

use crate::problem::{Problem, rate_limit};
use crate::session::{Identity, workspace_of};
use crate::state::App;

const MINUTE: Duration = Duration::from_secs(60);
/// Of a large budget this part is taken at once and spent here: Redis is then asked once for many requests.
const LEASE: u32 = 100;
const MOST_LEASES: u64 = 100_000;

/// What this process has taken of the budgets and not spent.
pub(crate) struct Leases(moka::sync::Cache<String, Arc<AtomicU32>>);

impl Leases {
    pub(crate) fn new() -> Self {
        Self(
            moka::sync::Cache::builder()
                .max_capacity(MOST_LEASES)
                .time_to_idle(MINUTE)
                .build(),
        )
    }
}

/// Who is at the other end of the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Requests of each address in the minute that runs, in this process.
pub(crate) struct Addresses(moka::sync::Cache<IpAddr, Arc<AtomicU32>>);

impl Addresses {
    pub(crate) fn new() -> Self {
        Self(
            moka::sync::Cache::builder()
                .max_capacity(MOST_LEASES)
                .time_to_live(MINUTE)
                .build(),
        )
    }
}

/// Refuses a request beyond the budget of its address, before anything is done for it.
pub(crate) async fn address(State(app): State<App>, request: Request, next: Next) -> Response {
    let most = app.config.requests_per_minute_address;
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    if let (Some(peer), true) = (peer, most > 0) {
        let address = whose(peer, request.headers(), app.config.proxies);
        let spent = app.addresses.0.get_with(address, Arc::default);
        if spent.fetch_add(1, Ordering::Relaxed) >= most {
            return too_many("address", most, MINUTE);
        }
    }
    next.run(request).await
}

/// The address that the outermost of our proxies saw. What stands further left in the header, its sender wrote.
fn whose(peer: IpAddr, headers: &HeaderMap, proxies: usize) -> IpAddr {
    let values = headers.get_all("x-forwarded-for").iter();
    let listed: Vec<IpAddr> = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map_while(|one| one.trim().parse().ok())
        .collect();
    let at = proxies
        .checked_sub(1)
        .and_then(|further| listed.len().checked_sub(further + 1));
    at.and_then(|at| listed.get(at).copied()).unwrap_or(peer)
}

/// Refuses a request beyond the budgets of its person and its workspace.
pub(crate) async fn budget(State(app): State<App>, request: Request, next: Next) -> Response {
    let identity = request
        .extensions()
        .get::<Identity>()
        .filter(|_| !request.method().is_safe());
    let Some(identity) = identity else {
        return next.run(request).await;
    };
    let first = identity.memberships.first().map(|(workspace, _)| workspace.as_str());
    let workspace = workspace_of(request.uri().path()).or(first).unwrap_or_default();
    // A budget belongs to who spends it: strangers who name a workspace must not use up its members'.
    let is_member = identity.person_in(workspace).is_some();
    let (person, workspace) = tokio::join!(
        take(
            &app,
            format!("person:{}", identity.user_id),
            app.config.changes_per_minute_person
        ),
        take(
            &app,
            format!("workspace:{workspace}"),
            if is_member {
                app.config.changes_per_minute_workspace
            } else {
                0
            }
        ),
    );
    match (person, workspace) {
        (None, None) => next.run(request).await,
        (Some(wait), other) if Some(wait) >= other => too_many("person", app.config.changes_per_minute_person, wait),
        (_, wait) => too_many(
            "workspace",
            app.config.changes_per_minute_workspace,
            wait.unwrap_or_default(),
        ),
    }
}

/// How long to wait, if at all. Without Redis everybody may go on.
async fn take(app: &App, bucket: String, capacity: u32) -> Option<Duration> {
    if capacity == 0 {
        return None;
    }
    let left = app.leases.0.get_with_by_ref(&bucket, Arc::default);
    let spend = |left: u32| left.checked_sub(1);
    if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_ok() {
        return None;
    }
    let lease = (capacity / LEASE).max(1);
    let taken = app
        .shared
        .take(&bucket, capacity / lease, MINUTE, app.clock().now_ms())
        .await;
    let wait = taken.unwrap_or_default();
    if wait.is_none() {
        left.fetch_add(lease - 1, Ordering::Relaxed);
    }
    wait
}

/// Says which budget is spent, how much of it there is in what time, and when there is more.
fn too_many(budget: &str, capacity: u32, wait: Duration) -> Response {
    let failure = Failure::new(Code::RateLimited, "too many requests; wait a moment").retry_after(wait);
    let mut response = Problem(failure).into_response();
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    rate_limit(response.headers_mut(), budget, capacity, MINUTE.as_secs(), seconds);
    response
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn b19_an_address_is_what_our_own_proxies_saw_and_nothing_that_a_client_wrote() {
        let peer: IpAddr = "10.0.0.9".parse().unwrap();
        let of = |header: &str, proxies| {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", HeaderValue::from_str(header).unwrap());
            whose(peer, &headers, proxies).to_string()
        };
        assert_eq!(of("1.1.1.1", 0), "10.0.0.9");
        assert_eq!(of("6.6.6.6, 1.1.1.1", 1), "1.1.1.1");
        assert_eq!(of("6.6.6.6, 1.1.1.1, 10.0.0.1", 2), "1.1.1.1");
        assert_eq!(of("1.1.1.1", 2), "10.0.0.9");
        assert_eq!(of("nonsense", 1), "10.0.0.9");
    }
}
