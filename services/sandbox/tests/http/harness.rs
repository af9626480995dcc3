//! A running sandbox and the few calls that all tests make.

use std::collections::HashMap;

use reqwest::{RequestBuilder, Response, StatusCode};
use sandbox::{Config, serve};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

/// Where the imagined hub waits for callbacks.
pub(crate) const REDIRECT: &str = "http://127.0.0.1:8080/oauth/callback";

/// A sandbox on its own port; it ends with the value.
pub(crate) struct Sandbox {
    pub(crate) base: String,
    pub(crate) http: reqwest::Client,
    _stop: DropGuard,
}

/// What a platform answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
    /// Null when the text is no JSON.
    pub(crate) json: Value,
}

impl Answer {
    /// Text member of the JSON.
    pub(crate) fn at(&self, pointer: &str) -> String {
        match self.json.pointer(pointer) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => panic!("no {pointer} in {} {}", self.status, self.text),
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

impl Sandbox {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        tokio::spawn(serve(Config::default(), listener, shutdown.clone()));
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            base,
            http,
            _stop: shutdown.drop_guard(),
        }
    }

    pub(crate) fn url(&self, path: &str, query: &[(&str, &str)]) -> String {
        let mut url = Url::parse(&format!("{}{path}", self.base)).unwrap();
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url.into()
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        Self::read(request.send().await.unwrap()).await
    }

    pub(crate) async fn read(response: Response) -> Answer {
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        let json = serde_json::from_str(&text).unwrap_or_default();
        Answer {
            status,
            headers,
            text,
            json,
        }
    }

    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Answer {
        self.send(self.http.get(self.url(path, query))).await
    }

    pub(crate) async fn bearer(&self, path: &str, query: &[(&str, &str)], token: &str) -> Answer {
        self.send(self.http.get(self.url(path, query)).bearer_auth(token)).await
    }

    pub(crate) async fn form(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(self.http.post(self.url(path, &[])).form(form)).await
    }

    /// `POST /_sandbox/{path}`; must succeed.
    pub(crate) async fn control(&self, path: &str, body: Value) -> Value {
        let answer = self
            .send(self.http.post(self.url(&format!("/_sandbox/{path}"), &[])).json(&body))
            .await;
        assert!(answer.status.is_success(), "{path}: {} {}", answer.status, answer.text);
        answer.json
    }

    pub(crate) async fn switch(&self, order: Value) {
        self.control("switches", order).await;
    }

    pub(crate) async fn act(&self, platform: &str, person: &str, action: Value) {
        self.control(
            "actions",
            json!({"platform": platform, "person": person, "action": action}),
        )
        .await;
    }

    pub(crate) async fn advance(&self, seconds: i64) {
        self.control("clock", json!({"advance_seconds": seconds})).await;
    }

    pub(crate) async fn profile(&self, changes: Value) {
        let answer = self
            .send(self.http.patch(self.url("/_sandbox/profile", &[])).json(&changes))
            .await;
        assert!(answer.status.is_success(), "{}", answer.text);
    }

    /// Consents and returns the parameters of the callback.
    pub(crate) async fn consent(&self, authorize_url: &str, person: &str) -> HashMap<String, String> {
        self.consent_as(json!({"authorize_url": authorize_url, "person": person}))
            .await
    }

    pub(crate) async fn consent_as(&self, body: Value) -> HashMap<String, String> {
        let answer = self.control("consent", body).await;
        let to = Url::parse(answer["redirect_to"].as_str().unwrap()).unwrap();
        assert!(to.as_str().starts_with(REDIRECT), "{to}");
        to.query_pairs().into_owned().collect()
    }

    /// Log entries of one kind.
    pub(crate) async fn log(&self, kind: &str) -> Vec<Value> {
        let answer = self.get("/_sandbox/log", &[]).await;
        let entries = answer.json["entries"].as_array().unwrap();
        entries.iter().filter(|entry| entry["kind"] == kind).cloned().collect()
    }

    /// Working tokens of a person, by kind.
    pub(crate) async fn truth(&self, platform: &str, person: &str) -> Vec<String> {
        let answer = self.get("/_sandbox/truth", &[]).await;
        let grants = answer.json["grants"].as_array().unwrap().iter();
        let own = grants.filter(|grant| grant["platform"] == platform && grant["person"] == person);
        own.flat_map(|grant| grant["tokens"].as_array().unwrap())
            .map(|token| token["kind"].as_str().unwrap().to_owned())
            .collect()
    }
}
