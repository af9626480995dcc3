//! Entity tags: every successful GET has one, `If-None-Match` is answered with 304, `If-Match` guards what destroys.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use kit::Code;
use serde::Serialize;

use crate::problem::Problem;
use crate::session::Viewer;

/// Answers larger than this are not ours.
const LARGEST: usize = 4 * 1024 * 1024;

/// Tags successful GETs by their bytes, unless the handler knew a tag, and answers 304 to those who have them.
pub(crate) async fn tag(request: Request, next: Next) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let response = next.run(request).await;
    let streams = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind == "text/event-stream");
    if !is_read || streams || response.status() != StatusCode::OK {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, LARGEST).await else {
        return Problem::new(Code::Internal, "the answer is too large").into_response();
    };
    if !head.headers.contains_key(header::ETAG)
        && let Ok(tag) = HeaderValue::try_from(of_bytes(&bytes))
    {
        head.headers.insert(header::ETAG, tag);
    }
    let tag = head
        .headers
        .get(header::ETAG)
        .and_then(|tag| tag.to_str().ok())
        .unwrap_or_default();
    if known.is_some_and(|known| known.to_str().is_ok_and(|known| lists(known, tag))) {
        head.status = StatusCode::NOT_MODIFIED;
        head.headers.remove(header::CONTENT_TYPE);
        head.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(head, Body::empty());
    }
    Response::from_parts(head, Body::from(bytes))
}

/// The tag of an account: its version, and what else its representation depends on.
pub(crate) fn of_account(version: i64, viewer: &Viewer) -> String {
    format!("\"v{version}-{}-{}\"", viewer.person.role.as_str(), viewer.locale.tag())
}

/// The tag of a representation without a version.
pub(crate) fn of<T: Serialize>(view: &T) -> String {
    of_bytes(&serde_json::to_vec(view).unwrap_or_default())
}

/// The tag of a representation by its bytes.
pub(crate) fn of_bytes(bytes: &[u8]) -> String {
    format!("\"{}\"", &kit::id::sha256_hex(bytes)[..32])
}

/// The version that `If-Match` asks for; `None` without the header or with `*`.
pub(crate) fn version_wanted(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(wanted) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let wanted = wanted.to_str().unwrap_or_default().trim();
    if wanted == "*" {
        return Ok(None);
    }
    let version = wanted
        .strip_prefix("\"v")
        .and_then(|rest| rest.split(['-', '"']).next()?.parse().ok());
    version.map(Some).ok_or_else(changed)
}

/// Refuses when `If-Match` names none of the representation's tags.
pub(crate) fn check<T: Serialize>(headers: &HeaderMap, view: &T) -> Result<(), Problem> {
    let Some(wanted) = headers.get(header::IF_MATCH) else {
        return Ok(());
    };
    let wanted = wanted.to_str().unwrap_or_default();
    let tag = of(view);
    let named = wanted.trim() == "*" || wanted.split(',').any(|one| one.trim() == tag);
    if named { Ok(()) } else { Err(changed()) }
}

fn changed() -> Problem {
    Problem::new(Code::PreconditionFailed, "it was changed meanwhile; read it again")
}

/// Weak comparison, as RFC 9110 has it for `If-None-Match`.
fn lists(known: &str, tag: &str) -> bool {
    known.trim() == "*" || known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_if_match(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::IF_MATCH, HeaderValue::from_static(value))])
    }

    #[test]
    fn if_match_asks_for_a_version_or_for_anything() {
        assert_eq!(version_wanted(&HeaderMap::new()).unwrap(), None);
        assert_eq!(version_wanted(&with_if_match("*")).unwrap(), None);
        assert_eq!(version_wanted(&with_if_match("\"v7-owner-en\"")).unwrap(), Some(7));
        for other in ["\"abc\"", "W/\"v7\"", "v7", ""] {
            assert_eq!(
                version_wanted(&with_if_match(other)).unwrap_err().0.code,
                Code::PreconditionFailed
            );
        }
    }

    #[test]
    fn if_none_match_compares_weakly_and_over_lists() {
        assert!(lists("\"a\", W/\"b\"", "\"b\"") && lists("*", "\"b\"") && !lists("\"a\"", "\"b\""));
    }
}
