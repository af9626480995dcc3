//! Keeps other sites out: a browser sends our cookie with their requests too, so what changes something must come from our page.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::uri::Authority;
use http::{HeaderMap, Method, header};
use kit::Code;

use crate::problem::Problem;
use crate::session::{How, Identity};
use crate::state::App;

pub(super) async fn check(State(app): State<App>, request: Request, next: Next) -> Response {
    if app.auth.is_dev() && !is_known_host(request.headers(), app.config.public_url.host_str()) {
        // In `dev` mode a look signs in, so a foreign name that was pointed at loopback must not reach anything.
        return Problem::new(Code::CrossSite, "this address is not one of the hub's").into_response();
    }
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let is_platform = request.uri().path().starts_with("/webhooks/");
    let is_bearer = request
        .extensions()
        .get::<Identity>()
        .is_some_and(|identity| identity.how == How::Bearer);
    if is_safe || is_platform || is_bearer || is_same_origin(request.headers(), &app.config.origin()) {
        return next.run(request).await;
    }
    Problem::new(Code::CrossSite, "the request comes from another site").into_response()
}

/// `Sec-Fetch-Site` when the browser sends it, else `Origin`. With neither it is no browser of ours.
fn is_same_origin(headers: &HeaderMap, own: &str) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin";
    }
    let Some(origin) = text("origin") else { return false };
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    origin == own
        || host.is_some_and(|host| {
            own.split_once("://")
                .is_some_and(|(scheme, _)| origin == format!("{scheme}://{host}"))
        })
}

fn is_known_host(headers: &HeaderMap, public: Option<&str>) -> bool {
    let Some(authority) = headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok()?.parse::<Authority>().ok())
    else {
        return true;
    };
    let host = authority.host();
    // A name can be pointed anywhere; an address cannot.
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    Some(host) == public || host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn b12_only_our_own_origin_may_change_something() {
        let own = "https://hub.example";
        for (pairs, allowed) in [
            (&[("sec-fetch-site", "same-origin")][..], true),
            (
                &[("sec-fetch-site", "cross-site"), ("origin", "https://hub.example")],
                false,
            ),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("origin", "https://hub.example")], true),
            (&[("origin", "https://evil-hub.example")], false),
            (&[("origin", "null")], false),
            (&[], false),
        ] {
            assert_eq!(is_same_origin(&headers(pairs), own), allowed, "{pairs:?}");
        }
    }

    #[test]
    fn a_foreign_name_for_loopback_is_refused() {
        assert!(is_known_host(
            &headers(&[("host", "127.0.0.1:8080")]),
            Some("127.0.0.1")
        ));
        assert!(is_known_host(
            &headers(&[("host", "127.5.0.1:8080")]),
            Some("127.0.0.1")
        ));
        assert!(!is_known_host(
            &headers(&[("host", "evil.example:8080")]),
            Some("127.0.0.1")
        ));
    }
}
