//! Says once per request who sends it. Refuses nothing by itself but a bearer token that is not valid: handlers that need a
//! person take [`crate::session::Viewer`] and answer 401 without one. A page leads to signing in instead.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::Method;

use super::render;
use crate::auth::browser::Look;
use crate::auth::sign_in;
use crate::cookies::{self, Cookie};
use crate::session::Identity;
use crate::state::App;

/// Paths that nobody signs in for: a stray header there must not turn an answer into 401.
const OPEN: &[&str] = &["/assets/", "/webhooks/", "/.well-known/", "/healthz", "/readyz"];

pub(super) async fn recognise(State(app): State<App>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if OPEN.iter().any(|prefix| path.starts_with(prefix)) {
        return next.run(request).await;
    }
    let https = app.config.is_https();
    let look = Look::of(request.method(), path);
    match app.auth.identify(&app, look, request.headers()).await {
        Err(problem) => return problem.into_response(),
        Ok(Some(identity)) => {
            return run_as(identity, request, next).await;
        }
        Ok(None) => {}
    }
    let is_page = matches!(*request.method(), Method::GET | Method::HEAD)
        && !super::is_for_programs(path)
        && !path.starts_with("/oauth/");
    let Some((identity, value)) = app.auth.demo().filter(|_| is_page) else {
        let way_in = request.uri().path_and_query().filter(|_| is_page);
        return match way_in.and_then(|path| sign_in::way_in(&app, path)) {
            Some(response) => response,
            None => next.run(request).await,
        };
    };
    let mut response = run_as(identity, request, next).await;
    let cookie = Cookie {
        plain_name: cookies::SESSION,
        value: &value,
        https,
        max_age_seconds: None,
    };
    cookie.set(response.headers_mut());
    response
}

async fn run_as(identity: Identity, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(identity.clone());
    let mut response = next.run(request).await;
    render::read_by(identity, &mut response);
    response
}
