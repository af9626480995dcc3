//! What happens to every request around its handler, from the outside in: request id, observation, headers, problems written
//! out, panics caught, time-outs, who is it, is it our own page that asks, is it too much.

mod authenticate;
mod headers;
mod observe;
mod origin;
mod render;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use kit::Code;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::CompressionLevel;

pub(crate) use headers::content_security_policy;
pub(crate) use observe::RequestId;
pub(crate) use render::write;

use crate::problem::Problem;
use crate::state::App;
use crate::{events, limits};

/// Puts all layers around the routes.
pub(crate) fn around(routes: Router<App>, app: &App) -> Router<App> {
    routes
        .layer(from_fn_with_state(app.clone(), limits::budget))
        .layer(from_fn_with_state(app.clone(), origin::check))
        .layer(from_fn_with_state(app.clone(), authenticate::recognise))
        .layer(from_fn_with_state(app.clone(), limits::address))
        .layer(from_fn_with_state(app.clone(), time_limit))
        .layer(CatchPanicLayer::custom(|_| panicked()))
        .layer(from_fn_with_state(app.clone(), render::problems))
        .layer(from_fn_with_state(app.clone(), headers::secure))
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
        .layer(from_fn(observe::request))
        .layer(from_fn_with_state(app.clone(), observe::identify))
}

/// Gives up on a request that takes too long. A live stream answers at once and then has its own end.
async fn time_limit(State(app): State<App>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(app.config.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(Code::DeadlineExceeded, "it took too long; try again").into_response(),
    }
}

/// The panic's own words stay in the log, where the panic hook wrote them.
fn panicked() -> Response {
    Problem::new(Code::Internal, "something went wrong on our side").into_response()
}

/// Answers under these paths are for programs: errors are JSON, nobody is signed in by looking.
pub(crate) fn is_for_programs(path: &str) -> bool {
    const PREFIXES: &[&str] = &[
        "/api/",
        "/webhooks/",
        "/media/",
        "/assets/",
        "/.well-known/",
        "/healthz",
        "/readyz",
    ];
    path == "/api" || PREFIXES.iter().any(|prefix| path.starts_with(prefix)) || events::is_stream(path)
}
