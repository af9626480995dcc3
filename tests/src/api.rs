//! The HTTP API as one person in one workspace.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, ensure};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

static KEYS: AtomicU64 = AtomicU64::new(0);

/// Signed in by the developer's bearer token; clones share nothing but connections.
#[derive(Clone)]
pub struct Api {
    url: String,
    workspace: String,
    token: String,
    http: reqwest::Client,
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status code.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body as text.
    pub text: String,
    /// Body as JSON; null when it is none.
    pub body: Value,
}

impl Answer {
    /// Reads an answer to its end.
    pub async fn read(answer: reqwest::Response) -> anyhow::Result<Self> {
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Self {
            status,
            headers,
            text,
            body,
        })
    }

    /// The body of a success.
    pub fn ok(self) -> anyhow::Result<Value> {
        ensure!(self.status.is_success(), "{}: {}", self.status, self.text);
        Ok(self.body)
    }

    /// The problem of a refusal with this status and code.
    pub fn problem(self, status: u16, code: &str) -> anyhow::Result<Value> {
        ensure!(
            self.status.as_u16() == status && self.body["code"] == code,
            "not {status} {code} but {}: {}",
            self.status,
            self.text
        );
        Ok(self.body)
    }

    /// A header as text, or an empty one.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

impl Api {
    pub(crate) fn new(url: String, user: &str, workspace: &str, role: &str) -> Self {
        let token = format!("dev.{user}.{workspace}.{role}");
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap_or_default();
        Self {
            url,
            workspace: workspace.to_owned(),
            token,
            http,
        }
    }

    /// The workspace that paths are relative to.
    pub fn workspace(&self) -> &str {
        &self.workspace
    }

    /// Base of the gateway.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A request to any path, signed in; `accounts/…` is relative to the workspace, `/…` to the gateway.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else if path.starts_with('/') {
            format!("{}{path}", self.url)
        } else {
            format!("{}/api/v1/workspaces/{}/{path}", self.url, self.workspace)
        };
        self.http.request(method, url).bearer_auth(&self.token)
    }

    /// Sends and reads to the end.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Answer> {
        Answer::read(request.send().await?).await
    }

    /// GET
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(self.request(Method::GET, path)).await
    }

    /// POST with a key of its own.
    pub async fn post(&self, path: &str, body: Value) -> anyhow::Result<Answer> {
        let key = format!("test-{}-{}", std::process::id(), KEYS.fetch_add(1, Ordering::Relaxed));
        self.send(
            self.request(Method::POST, path)
                .header("Idempotency-Key", key)
                .json(&body),
        )
        .await
    }

    /// PUT
    pub async fn put(&self, path: &str, body: Value) -> anyhow::Result<Answer> {
        self.send(self.request(Method::PUT, path).json(&body)).await
    }

    /// DELETE
    pub async fn delete(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// Connected accounts, as the first page of the list has them.
    pub async fn accounts(&self) -> anyhow::Result<Vec<Value>> {
        let list = self.get("accounts?limit=100").await?.ok()?;
        Ok(list["data"].as_array().context("no data")?.clone())
    }

    /// One account.
    pub async fn account(&self, id: &str) -> anyhow::Result<Value> {
        self.get(&format!("accounts/{id}")).await?.ok()
    }

    /// `healthy`, or the codes of the reasons why not.
    pub async fn health(&self, id: &str) -> anyhow::Result<String> {
        let account = self.account(id).await?;
        if account["health"]["status"] == "healthy" {
            return Ok("healthy".to_owned());
        }
        let mut codes = String::new();
        for reason in account["health"]["reasons"].as_array().context("no reasons")? {
            let separator = if codes.is_empty() { "" } else { "," };
            write!(codes, "{separator}{}", reason["code"].as_str().unwrap_or("?"))?;
        }
        Ok(codes)
    }

    /// Asks for a check of one account at its platform.
    pub async fn check(&self, id: &str) -> anyhow::Result<Answer> {
        self.post(&format!("accounts/{id}/checks"), json!({})).await
    }
}
