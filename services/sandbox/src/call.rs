//! A request and an answer, taken out of HTTP so that an imitation is a plain function from one to the other.
//! `Reply::outcome` is what the log says about the answer: the HTTP status alone does not, because TikTok and Facebook
//! refuse with 200 as well.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::Value;
use url::form_urlencoded;

/// Largest request body that is read.
pub(crate) const BODY_LIMIT: usize = 1 << 20;

/// Decoded `name=value` pairs in the order they were sent; names may repeat.
#[derive(Clone, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    pub(crate) fn parse(encoded: &[u8]) -> Self {
        Self(form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// The first value of `name`; an empty value counts as missing, as it does at every platform.
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

/// One request to an imitated platform.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) raw_query: String,
    pub(crate) query: Params,
    /// The body when it came as `application/x-www-form-urlencoded`, else empty.
    pub(crate) form: Params,
    /// The body when it came as JSON and is JSON.
    pub(crate) json: Option<Value>,
    pub(crate) headers: HeaderMap,
    /// `http://host:port` as the caller named it; absolute URLs in answers start with it.
    pub(crate) base: String,
}

impl Call {
    pub(crate) fn new(method: Method, path: &str, raw_query: &str, headers: HeaderMap, body: &[u8]) -> Self {
        let kind = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let form = kind.starts_with("application/x-www-form-urlencoded");
        let json = kind
            .starts_with("application/json")
            .then(|| serde_json::from_slice(body).ok())
            .flatten();
        let host = headers
            .get(header::HOST)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("127.0.0.1:8090");
        Self {
            base: format!("http://{host}"),
            path: path.to_owned(),
            query: Params::parse(raw_query.as_bytes()),
            raw_query: raw_query.to_owned(),
            form: if form { Params::parse(body) } else { Params::default() },
            method,
            json,
            headers,
        }
    }

    pub(crate) fn is_get(&self) -> bool {
        self.method == Method::GET
    }

    pub(crate) fn is_post(&self) -> bool {
        self.method == Method::POST
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The token of `Authorization: Bearer …`.
    pub(crate) fn bearer(&self) -> Option<&str> {
        let value = self.header("authorization")?;
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token)
    }

    /// A parameter as Graph reads it: query, form or a member of a JSON body.
    pub(crate) fn graph_param(&self, name: &str) -> Option<String> {
        let plain = self
            .query
            .first(name)
            .or_else(|| self.form.first(name))
            .map(str::to_owned);
        plain.or_else(|| match self.json.as_ref()?.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other => Some(other.to_string()),
        })
    }

    /// Path segments without empty ones.
    pub(crate) fn segments(&self) -> Vec<&str> {
        self.path.split('/').filter(|segment| !segment.is_empty()).collect()
    }

    /// Every string in the request that may be a token or a code, so that switches can be matched to its person.
    pub(crate) fn credentials(&self) -> Vec<&str> {
        const NAMES: [&str; 7] = [
            "access_token",
            "refresh_token",
            "fb_exchange_token",
            "input_token",
            "token",
            "code",
            "id_token",
        ];
        let named = NAMES
            .iter()
            .flat_map(|name| self.query.all(name).chain(self.form.all(name)));
        named.chain(self.bearer()).collect()
    }
}

/// One answer of an imitated platform.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Each name once.
    headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// `ok`, or a short reason for the log.
    pub(crate) outcome: String,
}

impl Reply {
    fn new(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        let headers = vec![
            ("content-type", content_type.to_owned()),
            ("cache-control", "no-store".to_owned()),
        ];
        let outcome = if status < 400 {
            "ok".to_owned()
        } else {
            format!("status {status}")
        };
        Self {
            status,
            headers,
            body,
            outcome,
        }
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json; charset=utf-8", body.to_string().into_bytes())
    }

    pub(crate) fn problem(status: u16, body: &Value) -> Self {
        Self::new(status, "application/problem+json", body.to_string().into_bytes())
    }

    pub(crate) fn html(status: u16, body: String) -> Self {
        Self::new(status, "text/html; charset=utf-8", body.into_bytes())
    }

    /// An answer given word for word.
    pub(crate) fn raw(status: u16, content_type: &str, body: String) -> Self {
        Self::new(status, content_type, body.into_bytes())
    }

    pub(crate) fn redirect(to: &str) -> Self {
        Self::empty(303).with("location", to)
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self::new(status, "text/plain; charset=utf-8", Vec::new())
    }

    /// Sets a header.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| *other == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn because(mut self, outcome: impl Into<String>) -> Self {
        self.outcome = outcome.into();
        self
    }

    /// Status and headers for the wire; a value that HTTP forbids is left out.
    pub(crate) fn head(&self) -> (StatusCode, HeaderMap) {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let valid = self
            .headers
            .iter()
            .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_str(value).ok()?)));
        (status, valid.collect())
    }
}
