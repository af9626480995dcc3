//! How much one person and one workspace may change: budgets over all gateways, `429` with `Retry-After` beyond.
//! Reads cost little, come from caches and are bounded by connections and time; they have no budget.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kit::{Code, Failure};

use crate::problem::Problem;
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
    match person.max(workspace) {
        Some(wait) => too_many(wait).into_response(),
        None => next.run(request).await,
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

fn too_many(wait: Duration) -> Problem {
    Problem(Failure::new(Code::RateLimited, "too many requests; wait a moment").retry_after(wait))
}
