//! `/api/v1`: handlers by noun, and the OpenAPI document that is generated from them.
//!
//! Conventions are in modules of their own: bodies ([`body`]), pages of lists ([`paging`]), entity tags, idempotency.

mod accounts;
mod activity;
mod body;
mod checks;
mod docs;
pub(crate) mod etag;
pub(crate) mod me;
mod notifications;
mod openapi;
mod paging;
pub(crate) mod path;
mod platforms;
pub(crate) mod sessions;
mod webhook_endpoints;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

pub(crate) use body::{Body, read as read_body};
pub use openapi::document;
pub(crate) use paging::{Page, Paging, Query};
pub(crate) use path::Path;

use crate::state::App;
use crate::{events, idempotency};

/// Routes of the API under `/api/v1`, with their document.
pub(crate) fn router(app: &App) -> Router<App> {
    let (routes, document) = routes(Some(app)).split_for_parts();
    let document = openapi::finished(document);
    let routes = routes.layer(from_fn(etag::tag));
    Router::new().nest("/api/v1", routes.merge(docs::router(document)))
}

/// The document alone, for its snapshot.
fn described() -> OpenApi {
    routes(None).split_for_parts().1
}

fn routes(app: Option<&App>) -> OpenApiRouter<App> {
    let post = |routes: UtoipaMethodRouter<App>| once(routes, app);
    OpenApiRouter::new()
        .routes(routes!(me::read))
        .routes(routes!(me::end_tour))
        .routes(routes!(me::set_preferences))
        .routes(routes!(platforms::list))
        .routes(routes!(platforms::entitlements))
        .routes(routes!(platforms::set_active_accounts))
        .routes(routes!(platforms::interest))
        .routes(routes!(accounts::list))
        .routes(routes!(accounts::summary))
        .routes(routes!(accounts::read, accounts::disconnect))
        .routes(post(routes!(checks::check_all)))
        .routes(post(routes!(checks::check_one)))
        .routes(post(routes!(checks::refresh)))
        .routes(routes!(checks::diagnostics))
        .routes(routes!(activity::posts))
        .routes(post(routes!(activity::publish)))
        .routes(routes!(activity::history))
        .routes(routes!(activity::impact))
        .routes(routes!(activity::support))
        .routes(post(routes!(activity::request_reconnect)))
        .routes(post(routes!(sessions::begin)))
        .routes(routes!(sessions::read, sessions::cancel))
        .routes(post(routes!(sessions::select)))
        .routes(post(routes!(sessions::complete)))
        .routes(routes!(notifications::list))
        .routes(routes!(notifications::mark_read))
        .routes(routes!(webhook_endpoints::list))
        .routes(post(routes!(webhook_endpoints::create)))
        .routes(routes!(
            webhook_endpoints::read,
            webhook_endpoints::update,
            webhook_endpoints::remove
        ))
        .routes(post(routes!(webhook_endpoints::rotate)))
        .routes(post(routes!(webhook_endpoints::ping)))
        .routes(routes!(webhook_endpoints::deliveries))
        .routes(post(routes!(webhook_endpoints::replay)))
        .routes(routes!(events::stream))
}

/// Handlers of these routes run once per `Idempotency-Key`. Other verbs of the same path are left alone.
fn once((schemas, paths, methods): UtoipaMethodRouter<App>, app: Option<&App>) -> UtoipaMethodRouter<App> {
    match app {
        Some(app) => (
            schemas,
            paths,
            methods.route_layer(from_fn_with_state(app.clone(), idempotency::once)),
        ),
        None => (schemas, paths, methods),
    }
}
