//! The imitated platforms' control API: consent without a browser, misbehaviour, and the log of what they were asked.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

/// A client of `/_sandbox`.
#[derive(Clone)]
pub struct Sandbox {
    url: String,
    http: reqwest::Client,
}

impl Sandbox {
    pub(crate) fn at(url: &str) -> anyhow::Result<Self> {
        Ok(Self {
            url: format!("{url}/_sandbox"),
            http: reqwest::Client::builder().build()?,
        })
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        let answer = request.send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "the sandbox answered {status}: {text}");
        if text.is_empty() {
            Ok(Value::Null)
        } else {
            Ok(serde_json::from_str(&text)?)
        }
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(self.http.post(format!("{}/{path}", self.url)).json(body))
            .await
    }

    /// Decides on a consent page; where the person's browser is sent then.
    pub async fn consent(&self, body: &Value) -> anyhow::Result<String> {
        let answer = self.post("consent", body).await?;
        Ok(answer["redirect_to"].as_str().context("no redirect_to")?.to_owned())
    }

    /// Switches a misbehaviour on: `{"platform": …, "effect": {"kind": …}, "operation"?, "person"?, "next"?}`.
    pub async fn switch(&self, order: &Value) -> anyhow::Result<u64> {
        self.post("switches", order).await?["id"].as_u64().context("no id")
    }

    /// Everything behaves again.
    pub async fn behave(&self) -> anyhow::Result<()> {
        self.send(self.http.delete(format!("{}/switches", self.url)))
            .await
            .map(drop)
    }

    /// Everything behaves again, except that switches of one kind stay on.
    pub async fn calm(&self, except: &str) -> anyhow::Result<()> {
        let on = self.send(self.http.get(format!("{}/switches", self.url))).await?;
        for switch in on["switches"].as_array().context("no switches")? {
            if switch["effect"]["kind"] != except {
                let one = self.http.delete(format!("{}/switches/{}", self.url, switch["id"]));
                // Used up since: as good as taken away.
                let _ = one.send().await?;
            }
        }
        Ok(())
    }

    /// Everything that works now, by grant.
    pub async fn truth(&self) -> anyhow::Result<Vec<Value>> {
        let truth = self.send(self.http.get(format!("{}/truth", self.url))).await?;
        Ok(truth["grants"].as_array().cloned().unwrap_or_default())
    }

    /// What a person or a platform does behind the hub's back: `{"kind": "revoke"}`, `{"kind": "password_changed"}` …
    pub async fn act(&self, platform: &str, person: &str, action: Value) -> anyhow::Result<()> {
        self.post(
            "actions",
            &json!({"platform": platform, "person": person, "action": action}),
        )
        .await
        .map(drop)
    }

    /// Moves the platforms' time forward.
    pub async fn advance(&self, by: Duration) -> anyhow::Result<()> {
        self.post("clock", &json!({"advance_seconds": by.as_secs()}))
            .await
            .map(drop)
    }

    /// Changes choices that are not faults, e.g. `{"linkedin_partner": true}`.
    pub async fn profile(&self, changes: &Value) -> anyhow::Result<()> {
        self.send(self.http.patch(format!("{}/profile", self.url)).json(changes))
            .await
            .map(drop)
    }

    /// Sends a platform's own callback or webhook.
    pub async fn callback(&self, request: &Value) -> anyhow::Result<Value> {
        self.post("callbacks", request).await
    }

    /// The whole log.
    pub async fn log(&self) -> anyhow::Result<Vec<Value>> {
        let mut entries: Vec<Value> = Vec::new();
        loop {
            let after = entries
                .last()
                .map_or(0, |entry| entry["seq"].as_u64().unwrap_or_default());
            let page = self
                .send(self.http.get(format!("{}/log?after={after}", self.url)))
                .await?;
            let more = page["entries"].as_array().cloned().unwrap_or_default();
            if more.is_empty() {
                return Ok(entries);
            }
            entries.extend(more);
        }
    }

    /// Finished requests of one operation (`exchange`, `refresh`, `revoke`, …) at one platform.
    pub async fn requests(&self, platform: &str, operation: &str) -> anyhow::Result<Vec<Value>> {
        let is_it = |entry: &Value| {
            entry["kind"] == "request" && entry["platform"] == platform && entry["operation"] == operation
        };
        Ok(self.log().await?.into_iter().filter(is_it).collect())
    }

    /// Tokens of a person at a platform that work now.
    pub async fn live_tokens(&self, platform: &str, person: &str) -> anyhow::Result<Vec<Value>> {
        let truth = self.send(self.http.get(format!("{}/truth", self.url))).await?;
        let grants = truth["grants"].as_array().cloned().unwrap_or_default();
        let theirs = grants
            .iter()
            .filter(|grant| grant["platform"] == platform && grant["person"] == person);
        Ok(theirs
            .flat_map(|grant| grant["tokens"].as_array().cloned().unwrap_or_default())
            .collect())
    }

    /// How the log names a token.
    pub fn fingerprint(token: &str) -> String {
        kit::id::sha256_hex(token.as_bytes())[..12].to_owned()
    }
}
