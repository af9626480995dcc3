//! One run of an OAuth flow, as a browser does it: begin, consent at the imitated platform, callback, choose.

use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{Answer, Api, Sandbox, eventually};

/// Who consents, and to what. Everything that is not said is granted.
#[derive(Clone, Debug, Default)]
pub struct Consent<'a> {
    /// Id of the sandbox's person.
    pub person: &'a str,
    /// Permissions that stay ticked.
    pub permissions: Option<Vec<&'a str>>,
    /// Pages that stay ticked.
    pub destinations: Option<Vec<&'a str>>,
}

impl<'a> Consent<'a> {
    /// To everything.
    pub fn of(person: &'a str) -> Self {
        Self {
            person,
            ..Self::default()
        }
    }
}

/// A connect session and the browser that started it.
#[derive(Clone)]
pub struct Flow {
    api: Api,
    /// `cs_…`
    pub id: String,
    /// Where the browser is sent.
    pub authorize_url: String,
    cookie: String,
}

impl Flow {
    /// The browser comes back to the callback. The same person's bearer token stands for their session.
    pub async fn callback(&self, location: &str) -> anyhow::Result<Answer> {
        self.api
            .send(self.api.request(Method::GET, location).header("Cookie", &self.cookie))
            .await
    }

    /// Consents and comes back.
    pub async fn consent(&self, sandbox: &Sandbox, consent: &Consent<'_>) -> anyhow::Result<Answer> {
        let location = self.decide(sandbox, consent).await?;
        self.callback(&location).await
    }

    /// Consents; where the browser goes then.
    pub async fn decide(&self, sandbox: &Sandbox, consent: &Consent<'_>) -> anyhow::Result<String> {
        let mut body = json!({"authorize_url": self.authorize_url, "person": consent.person});
        if let Some(permissions) = &consent.permissions {
            body["permissions"] = json!(permissions);
        }
        if let Some(destinations) = &consent.destinations {
            body["destinations"] = json!(destinations);
        }
        sandbox.consent(&body).await
    }

    /// The session as the API shows it.
    pub async fn session(&self) -> anyhow::Result<Value> {
        self.api.get(&format!("connect-sessions/{}", self.id)).await?.ok()
    }

    /// Waits until the session needs a choice or is over.
    pub async fn settled(&self) -> anyhow::Result<Value> {
        eventually("the connect session settles", async || {
            let session = self.session().await?;
            let moving = ["pending", "authorizing"]
                .iter()
                .any(|state| session["status"] == *state);
            Ok((!moving).then_some(session))
        })
        .await
    }

    /// Picks destinations by their ids.
    pub async fn choose(&self, ids: &[&str]) -> anyhow::Result<Answer> {
        self.api
            .post(
                &format!("connect-sessions/{}/selection", self.id),
                json!({"destination_ids": ids}),
            )
            .await
    }
}

impl Api {
    /// Starts a flow; `extra` adds to the request (`intent`, `account_ids`, `method` …).
    pub async fn begin(&self, platform: &str, extra: &Value) -> anyhow::Result<Flow> {
        let answer = self.try_begin(platform, extra).await?;
        let cookies: Vec<&str> = answer
            .headers
            .get_all("set-cookie")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        let cookie = cookies
            .iter()
            .filter_map(|line| line.split(';').next())
            .collect::<Vec<_>>()
            .join("; ");
        let body = answer.ok()?;
        let text = |key: &str| {
            body[key]
                .as_str()
                .map(str::to_owned)
                .with_context(|| format!("no {key} in {body}"))
        };
        Ok(Flow {
            api: self.clone(),
            id: text("id")?,
            authorize_url: text("authorize_url")?,
            cookie,
        })
    }

    /// As [`Api::begin`], with the answer as it came.
    pub async fn try_begin(&self, platform: &str, extra: &Value) -> anyhow::Result<Answer> {
        let mut body =
            json!({"intent": "connect", "platform": platform, "channel": "redirect", "return_to": "connections"});
        for (key, value) in extra.as_object().into_iter().flatten() {
            body[key] = value.clone();
        }
        self.post("connect-sessions", body).await
    }

    /// Connects everything that `person` has at the platform; the accounts.
    pub async fn connect(&self, sandbox: &Sandbox, platform: &str, person: &str) -> anyhow::Result<Vec<Value>> {
        self.connect_with(sandbox, platform, &json!({}), &Consent::of(person))
            .await
    }

    /// As [`Api::connect`], with more in the request and less granted.
    pub async fn connect_with(
        &self,
        sandbox: &Sandbox,
        platform: &str,
        extra: &Value,
        consent: &Consent<'_>,
    ) -> anyhow::Result<Vec<Value>> {
        let flow = self.begin(platform, extra).await?;
        flow.consent(sandbox, consent).await?;
        let mut session = flow.settled().await?;
        if session["status"] == "choosing" {
            let all = session["destinations"].as_array().context("no destinations")?;
            let ids: Vec<&str> = all.iter().filter_map(|one| one["id"].as_str()).collect();
            session = flow.choose(&ids).await?.ok()?;
        }
        ensure!(session["status"] == "completed", "the session ended so: {session}");
        Ok(session["result"]["accounts"].as_array().context("no accounts")?.clone())
    }

    /// Connects the one account that `person` has at the platform; its id.
    pub async fn connect_one(&self, sandbox: &Sandbox, platform: &str, person: &str) -> anyhow::Result<String> {
        let accounts = self.connect(sandbox, platform, person).await?;
        ensure!(accounts.len() == 1, "not one account: {accounts:?}");
        Ok(accounts[0]["id"].as_str().context("no id")?.to_owned())
    }
}
