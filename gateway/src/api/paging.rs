//! Lists come in pages: `?limit=&cursor=` in, `{data, next_cursor}` and `Link: …; rel="next"` out. Queries are read strictly.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, Uri, header};
use kit::{Code, Failure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::form_urlencoded;
use utoipa::{IntoParams, ToSchema};

use crate::problem::Problem;
use crate::state::App;

const LARGEST_PAGE: i64 = 100;
const LONGEST_CURSOR: usize = 1024;

/// A query string of this shape; what is not is 422 with the parameter named.
pub(crate) struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|error| {
                // "…: <parameter>: <why>", or the parameter in backticks where it is unknown or stands twice.
                let text = error.body_text();
                let why = text.split_once(": ").map_or("", |(_, why)| why);
                let name = match why.split_once(": ") {
                    Some((name, _)) if !name.contains(['`', ' ', '?', '.']) => name,
                    _ => text.split('`').nth(1).unwrap_or_default(),
                };
                let known = name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                let pointer = if known { name } else { "" };
                Problem(
                    Failure::new(Code::ValidationFailed, "the query is not what this call takes")
                        .field(pointer, "is not usable"),
                )
            })
    }
}

/// Which page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// How many, 1 to 100; more is taken as 100, less as 1.
    #[param(required = false)]
    pub(crate) limit: Option<i64>,
    /// `next_cursor` of the page before.
    #[param(required = false)]
    pub(crate) cursor: Option<String>,
}

impl Paging {
    /// The limit for the services; 0 = their default.
    pub(crate) fn limit(&self) -> i32 {
        self.limit
            .map_or(0, |limit| i32::try_from(limit.clamp(1, LARGEST_PAGE)).unwrap_or(0))
    }

    /// The cursor for the services.
    pub(crate) fn cursor(&self) -> Result<String, Problem> {
        let cursor = self.cursor.clone().unwrap_or_default();
        if cursor.len() > LONGEST_CURSOR {
            return Err(Problem::new(Code::BadRequest, "the cursor is not one of ours"));
        }
        Ok(cursor)
    }
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// The items.
    pub(crate) data: Vec<T>,
    /// For the next page; null on the last.
    pub(crate) next_cursor: Option<String>,
}

impl<T: Serialize> Page<T> {
    /// A page, and where the next one is: the same address with the cursor replaced.
    pub(crate) fn answer(data: Vec<T>, next_cursor: String, uri: &Uri) -> Response {
        let next_cursor = Some(next_cursor).filter(|cursor| !cursor.is_empty());
        let link = next_cursor.as_deref().map(|cursor| next_link(uri, cursor));
        let mut response = Json(Self { data, next_cursor }).into_response();
        if let Some(value) = link.and_then(|link| HeaderValue::try_from(link).ok()) {
            response.headers_mut().insert(header::LINK, value);
        }
        response
    }
}

fn next_link(uri: &Uri, cursor: &str) -> String {
    let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).filter(|(name, _)| name != "cursor");
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .append_pair("cursor", cursor)
        .finish();
    format!("<{}?{query}>; rel=\"next\"", uri.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d18_page_sizes_are_clamped() {
        let of = |limit| Paging { limit, cursor: None }.limit();
        assert_eq!(
            (of(None), of(Some(0)), of(Some(-5)), of(Some(1_000_000_000))),
            (0, 1, 1, 100)
        );
    }

    #[test]
    fn the_next_page_keeps_the_filters() {
        let uri = "/api/v1/workspaces/w/accounts?platform=x&cursor=old".parse().unwrap();
        assert_eq!(
            next_link(&uri, "new"),
            "</api/v1/workspaces/w/accounts?platform=x&cursor=new>; rel=\"next\""
        );
    }
}
