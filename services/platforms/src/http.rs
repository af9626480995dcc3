//! One HTTP call to a platform and what became of it. The three outcomes are kept apart with care, because a refresh
//! must not be repeated blindly: `Unsent` (nothing can have reached the platform), `Answered`, and `Unknown`. Bodies are
//! capped and never decompressed, redirects are not followed (the client comes from kit), and no URL, query or body
//! ever becomes part of an error text.

use std::collections::HashMap;
use std::time::Duration;

use kit::Clock;
use kit::fault::{self, Point};
use proto::platforms::v1::RawAnswer;
use reqwest::Method;
use reqwest::header::HeaderMap;
use zeroize::Zeroizing;

/// Longest body of a token answer that is kept.
pub(crate) const TOKEN_BODY: usize = 64 * 1024;
/// Longest body of an API answer that is read.
pub(crate) const API_BODY: usize = 4 * 1024 * 1024;

/// Headers that are kept: content type, pace, and where a new post's id is.
const KEPT: &[&str] = &[
    "content-type",
    "retry-after",
    "www-authenticate",
    "x-app-usage",
    "x-business-use-case-usage",
    "x-rate-limit-limit",
    "x-rate-limit-remaining",
    "x-rate-limit-reset",
    "x-ratelimit-reset",
    "x-restli-id",
];

/// What is sent after the headers.
pub(crate) enum Body {
    Empty,
    Form(Vec<(&'static str, String)>),
    Json(serde_json::Value),
}

/// A request before it is sent. No `Debug`: URL, headers and body hold secrets.
pub(crate) struct Outgoing {
    pub(crate) step: &'static str,
    pub(crate) method: Method,
    /// Without query.
    pub(crate) url: String,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Body,
}

impl Outgoing {
    /// A GET with its query.
    pub(crate) fn get(step: &'static str, url: String, query: Vec<(&'static str, String)>) -> Self {
        Self {
            step,
            method: Method::GET,
            url,
            query,
            headers: Vec::new(),
            body: Body::Empty,
        }
    }

    /// A POST of a form.
    pub(crate) fn form(step: &'static str, url: String, form: Vec<(&'static str, String)>) -> Self {
        Self {
            step,
            method: Method::POST,
            url,
            query: Vec::new(),
            headers: Vec::new(),
            body: Body::Form(form),
        }
    }

    /// A POST of JSON.
    pub(crate) fn json(url: String, json: serde_json::Value) -> Self {
        Self {
            step: "api",
            method: Method::POST,
            url,
            query: Vec::new(),
            headers: Vec::new(),
            body: Body::Json(json),
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    fn build(self, client: &reqwest::Client) -> Result<reqwest::Request, &'static str> {
        let mut url = Zeroizing::new(self.url);
        if !self.query.is_empty() {
            let mut encoded = url::form_urlencoded::Serializer::new(String::new());
            url.push('?');
            url.push_str(&encoded.extend_pairs(&self.query).finish());
        }
        let mut request = client.request(self.method, url.as_str());
        for (name, value) in self.headers {
            // A token with a line break or the like must not become another header.
            let mut value = reqwest::header::HeaderValue::from_str(&value).map_err(|_| "a value cannot be a header")?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        let request = match self.body {
            Body::Empty => request,
            Body::Form(form) => request.form(&form),
            Body::Json(json) => request.json(&json),
        };
        request.build().map_err(|_| "the request cannot be built")
    }
}

/// What became of a call.
pub(crate) enum Sent {
    /// Headers came, and a body that may have been cut.
    Answered(RawAnswer),
    /// Nothing left this host, or nothing beyond a failed handshake.
    Unsent(&'static str),
    /// The platform may have acted. Holds what came before the end, when headers did.
    Unknown(&'static str, Option<RawAnswer>),
}

/// Sends and reads one answer of at most `cap` bytes within `limit`.
pub(crate) async fn send(
    client: &reqwest::Client,
    clock: &Clock,
    outgoing: Outgoing,
    cap: usize,
    limit: Duration,
) -> Sent {
    let step = outgoing.step;
    let request = match outgoing.build(client) {
        Ok(request) => request,
        Err(reason) => return Sent::Unsent(reason),
    };
    let end = tokio::time::Instant::now() + limit;
    let sent_at_ms = clock.now_ms();
    // Side by side: what happens at the point happens while the request is under way.
    let (response, ()) = tokio::join!(
        tokio::time::timeout_at(end, client.execute(request)),
        point(step, Point::AfterSend)
    );
    let response = match response {
        Ok(Ok(response)) => response,
        Ok(Err(error)) if error.is_connect() || error.is_builder() => {
            return Sent::Unsent("the platform could not be reached");
        }
        Ok(Err(error)) if error.is_timeout() => return Sent::Unknown("no answer in time", None),
        Ok(Err(_)) => return Sent::Unknown("the connection ended without an answer", None),
        Err(_) => return Sent::Unknown("no answer in time", None),
    };
    point(step, Point::AfterHeaders).await;
    let mut answer = RawAnswer {
        step: step.to_owned(),
        status: response.status().as_u16().into(),
        headers: kept(response.headers()),
        sent_at_ms,
        ..RawAnswer::default()
    };
    let ended_early = read(response, &mut answer, cap, end).await;
    answer.received_at_ms = clock.now_ms();
    point(step, Point::AfterBody).await;
    match ended_early {
        Some(reason) => Sent::Unknown(reason, Some(answer)),
        None => Sent::Answered(answer),
    }
}

/// Fault points are on the way of a refresh only.
async fn point(step: &str, point: Point) {
    if step == "refresh" {
        fault::hit(point).await;
    }
}

/// Fills the body. Says why it ended before its end, `None` when it did not or when it reached the cap.
async fn read(
    mut response: reqwest::Response,
    answer: &mut RawAnswer,
    cap: usize,
    end: tokio::time::Instant,
) -> Option<&'static str> {
    loop {
        let problem = match tokio::time::timeout_at(end, response.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                let room = cap - answer.body.len();
                answer.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if chunk.len() <= room {
                    continue;
                }
                None
            }
            Ok(Ok(None)) => return None,
            Ok(Err(_)) => Some("the answer was cut short"),
            Err(_) => Some("the answer did not end in time"),
        };
        answer.truncated = true;
        return problem;
    }
}

fn kept(headers: &HeaderMap) -> HashMap<String, String> {
    let value = |name: &&'static str| {
        let value = headers.get(*name)?.to_str().ok()?;
        Some(((*name).to_owned(), value.chars().take(2000).collect()))
    };
    KEPT.iter().filter_map(value).collect()
}

#[cfg(test)]
mod tests;
