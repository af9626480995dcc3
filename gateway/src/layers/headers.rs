//! Headers that every answer carries. A handler that set one itself keeps its own.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{self, Entry, HeaderName};
use http::{HeaderMap, HeaderValue};

use crate::config::Section;
use crate::state::App;

const NOTHING: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// What pages may load and where their forms may lead: our own origin, and the consent pages that a form ends at.
pub(crate) fn content_security_policy(config: &Section, dev: bool) -> String {
    // The imitated platforms of `dev` mode live on loopback, on whatever port is free.
    let local = if dev {
        " http://127.0.0.1:* http://localhost:*"
    } else {
        ""
    };
    let dialogs = config.dialog_origins.join(" ");
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
         connect-src 'self'; manifest-src 'self'; form-action 'self' {dialogs}{local}; base-uri 'none'; \
         object-src 'none'; frame-ancestors 'none'"
    )
}

pub(super) async fn secure(State(app): State<App>, request: Request, next: Next) -> Response {
    let is_api = super::is_for_programs(request.uri().path());
    let mut response = next.run(request).await;
    let is_html = starts_with(response.headers(), &header::CONTENT_TYPE, "text/html");
    let headers = response.headers_mut();
    set_default(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set_default(headers, header::REFERRER_POLICY, "no-referrer");
    set_default(headers, header::X_FRAME_OPTIONS, "DENY");
    set_default(
        headers,
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    set_default(
        headers,
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=()",
    );
    // Our pages open consent pages in pop-ups, so their own group must not be cut from them.
    let opener = if is_html {
        "same-origin-allow-popups"
    } else {
        "same-origin"
    };
    set_default(headers, HeaderName::from_static("cross-origin-opener-policy"), opener);
    // A page may go to the back/forward cache; what the API says is not kept anywhere.
    set_default(
        headers,
        header::CACHE_CONTROL,
        if is_api { "no-store" } else { "private, no-cache" },
    );
    if app.config.is_https() {
        set_default(
            headers,
            header::STRICT_TRANSPORT_SECURITY,
            "max-age=31536000; includeSubDomains",
        );
    }
    if let Entry::Vacant(entry) = headers.entry(header::CONTENT_SECURITY_POLICY) {
        entry.insert(if is_html {
            app.csp.clone()
        } else {
            HeaderValue::from_static(NOTHING)
        });
    }
    response
}

fn set_default(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    if let Entry::Vacant(entry) = headers.entry(name) {
        entry.insert(HeaderValue::from_static(value));
    }
}

fn starts_with(headers: &HeaderMap, name: &HeaderName, start: &str) -> bool {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with(start))
}
