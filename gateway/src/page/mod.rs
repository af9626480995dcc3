//! The pages that people see: server-rendered HTML that works without JavaScript, made livelier by small modules.
//!
//! Every page is one file here and one template; a page's handler reads from the services, a pure `Page::of` turns views
//! into what the template shows, and the templates hold no rule. Sentences are in [`texts`], colours in `assets/css`.

mod act;
mod assets;
mod banner;
mod billing;
mod card;
mod composer;
mod connect;
#[cfg(test)]
mod contrast;
mod dates;
mod disconnect;
mod face;
mod filters;
mod gallery;
mod list;
mod note;
mod notifications;
mod outcome;
mod overview;
mod panel;
mod pick;
mod question;
mod reader;
mod reasons;
mod returned;
mod samples;
mod shell;
mod support;
#[cfg(test)]
mod tests;
mod texts;
mod tiles;

pub(crate) use assets::brotli;

use askama::Template;
use axum::Router;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use http::request::Parts;
use kit::Code;

use crate::problem::{Problem, ProblemBody};
use crate::state::App;
use crate::view::{Locale, SessionView};

/// Routes of all pages and of what they load.
pub fn router() -> Router<App> {
    Router::new()
        .route("/assets/{version}/{name}", get(assets::serve))
        .route("/connections", get(list::show))
        .route("/connections/refresh", post(list::refresh))
        .route("/connections/notify", post(connect::notify))
        .route("/connections/reconnect", post(connect::reconnect_several))
        .route(
            "/connections/connect/{platform}",
            get(connect::ask).post(connect::connect),
        )
        .route("/connections/sessions/{id}", get(pick::show).post(pick::select))
        .route("/connections/sessions/{id}/cancel", post(pick::cancel))
        .route("/connections/{id}/reconnect", post(connect::reconnect))
        .route("/connections/{id}/ask", post(connect::ask_admin))
        .route(
            "/connections/{id}/disconnect",
            get(disconnect::ask).post(disconnect::confirm),
        )
        .route("/ui/accounts/{id}/card", get(panel::card))
        .route("/ui/accounts/{id}/panel", get(panel::show))
        .route("/ui/accounts/{id}/posts", get(panel::posts))
        .route("/ui/sessions/{id}", get(outcome::show))
        .route("/overview", get(overview::show))
        .route("/notifications", get(notifications::show))
        .route("/notifications/{id}/read", post(notifications::mark_read))
        .route("/composer", get(composer::show).post(composer::publish))
        .route("/support", get(support::show))
        .route("/billing", get(billing::show))
        .route("/billing/plan", post(billing::set_plan))
        .route("/billing/accounts", post(billing::set_active))
        .route("/preferences/locale", post(act::set_locale))
        .route("/workspace", post(act::set_workspace))
        .route("/gallery", get(gallery::show))
}

/// A failure as a page: what happened, how to go on, and the id to name when asking for help.
pub fn error_page(problem: &ProblemBody, request: &Parts) -> Response {
    returned::error(problem, request)
}

/// Back from a platform: tells the page that opened this window, or leads on by hand.
pub fn oauth_return(session: Option<&SessionView>, locale: Locale) -> Response {
    returned::page(session, texts::texts(locale))
}

/// After signing out: that it was done, and the way back in. `accepts` is the browser's `Accept-Language`.
pub(crate) fn signed_out(accepts: &str) -> Response {
    returned::signed_out(texts::texts(Locale::parse(accepts)))
}

/// The address of a file that pages load.
pub(crate) fn asset(name: &str) -> String {
    assets::url(name)
}

/// A rendered template.
fn html(template: &impl Template) -> Result<Response, Problem> {
    let text = template.render().map_err(|error| {
        tracing::error!(%error, "a template failed");
        Problem::new(Code::Internal, "something went wrong on our side")
    })?;
    fragment(text)
}

/// HTML that is ready to be sent.
#[expect(clippy::unnecessary_wraps, reason = "stands where handlers return a result")]
fn fragment(text: String) -> Result<Response, Problem> {
    Ok(Html(text).into_response())
}
