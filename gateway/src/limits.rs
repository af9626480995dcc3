//! How much one person and one workspace may ask for: budgets over all gateways, `429` with `Retry-After` beyond.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kit::{Code, Failure};

use crate::problem::Problem;
use crate::session::{Identity, workspace_of};
use crate::state::App;

const MINUTE: Duration = Duration::from_secs(60);

/// Refuses a request beyond the budgets of its person and its workspace. Without Redis everybody may go on.
pub(crate) async fn budget(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(identity) = request.extensions().get::<Identity>() else {
        return next.run(request).await;
    };
    let workspace = workspace_of(request.uri().path()).or(identity.memberships.first().map(|(id, _)| id.as_str()));
    let now = app.clock().now_ms();
    let (person_bucket, workspace_bucket) = (
        format!("person:{}", identity.user_id),
        format!("workspace:{}", workspace.unwrap_or_default()),
    );
    let (person, workspace) = tokio::join!(
        app.shared
            .take(&person_bucket, app.config.requests_per_minute_person, MINUTE, now),
        app.shared
            .take(&workspace_bucket, app.config.requests_per_minute_workspace, MINUTE, now),
    );
    let waits = [person, workspace].into_iter().filter_map(Result::unwrap_or_default);
    match waits.max() {
        Some(wait) => too_many(wait).into_response(),
        None => next.run(request).await,
    }
}

/// The problem of somebody who asks too often.
pub(crate) fn too_many(wait: Duration) -> Problem {
    Problem(Failure::new(Code::RateLimited, "too many requests; wait a moment").retry_after(wait))
}
