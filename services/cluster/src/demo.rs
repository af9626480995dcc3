//! The demo workspace's first connections, made once through the public API and the sandbox's consent pages, so that a
//! first look shows something: healthy accounts, and an amber one with its reason.

use std::time::Duration;

use anyhow::{Context as _, bail};
use kit::config::Common;
use kit::grpc::{Context, DEV, client};
use kit::http::{Timeouts, client as http_client};
use kit::id;
use proto::entitlements::v1::SetPlanRequest;
use proto::entitlements::v1::entitlements_service_client::EntitlementsServiceClient;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{Config, readiness};

const WORKSPACE: &str = "demo";
const PATIENCE: Duration = Duration::from_secs(20);

/// Who consents to what at the first start.
struct Scene {
    platform: &'static str,
    person: &'static str,
    /// Left unticked on the consent page.
    declined: &'static [&'static str],
}

const SCENES: &[Scene] = &[
    Scene {
        platform: "facebook",
        person: "ada",
        declined: &[],
    },
    Scene {
        platform: "instagram",
        person: "ada",
        declined: &["instagram_business_content_publish"],
    },
    Scene {
        platform: "x",
        person: "ada",
        declined: &[],
    },
    Scene {
        platform: "linkedin",
        person: "ada",
        declined: &[],
    },
];

/// Connects the demo workspace's accounts if it never had any.
pub(crate) async fn seed(config: Config, common: Common, shutdown: CancellationToken) -> anyhow::Result<()> {
    let seeder = Seeder::new(&config, &common)?;
    let seeded = tokio::select! {
        seeded = seeder.run(&common) => seeded,
        () = shutdown.cancelled() => return Ok(()),
    };
    if let Err(error) = seeded {
        // The hub is whole without its demo accounts.
        tracing::warn!(error = format!("{error:#}"), "the demo accounts could not be connected");
    }
    Ok(())
}

struct Seeder {
    http: reqwest::Client,
    api: String,
    sandbox: String,
}

impl Seeder {
    fn new(config: &Config, common: &Common) -> anyhow::Result<Self> {
        let timeouts = Timeouts {
            connect: Duration::from_secs(2),
            total: PATIENCE,
        };
        Ok(Self {
            http: http_client(timeouts)?,
            api: common.public_url.clone(),
            sandbox: format!("http://{}", config.sandbox.listen),
        })
    }

    async fn run(&self, common: &Common) -> anyhow::Result<()> {
        tokio::time::timeout(PATIENCE, readiness::wait(self.api.clone())).await??;
        let accounts = self.get("accounts").await?;
        let left = self.get("accounts?status=disconnected").await?;
        if !empty(&accounts) || !empty(&left) {
            return Ok(());
        }
        let mut entitlements = EntitlementsServiceClient::new(client(common, DEV, &common.peers.entitlements));
        let plan = SetPlanRequest {
            workspace_id: WORKSPACE.into(),
            plan: "professional".into(),
        };
        entitlements.set_plan(Context::background().request(plan)).await?;
        for scene in SCENES {
            self.play(scene)
                .await
                .with_context(|| format!("connecting {}", scene.platform))?;
        }
        Ok(())
    }

    async fn play(&self, scene: &Scene) -> anyhow::Result<()> {
        let body = json!({
            "intent": "connect", "platform": scene.platform, "channel": "redirect", "return_to": "connections",
        });
        let started = self.post("connect-sessions", &body).await?;
        let cookies = cookies(&started);
        let session: Value = started
            .error_for_status()
            .map_err(reqwest::Error::without_url)?
            .json()
            .await?;
        let authorize_url = session["authorize_url"].as_str().context("no authorize_url")?;
        let back = self.consent(authorize_url, scene).await?;
        let returned = self
            .http
            .get(back)
            .header("cookie", cookies)
            .header("authorization", BEARER)
            .send()
            .await;
        returned.map_err(reqwest::Error::without_url)?;
        self.finish(session["id"].as_str().context("no session id")?).await
    }

    async fn consent(&self, authorize_url: &str, scene: &Scene) -> anyhow::Result<String> {
        let asked = url_scopes(authorize_url);
        let granted: Vec<_> = asked
            .iter()
            .filter(|scope| !scene.declined.contains(&scope.as_str()))
            .collect();
        let choice = json!({"authorize_url": authorize_url, "person": scene.person, "permissions": granted});
        let answer = self
            .http
            .post(format!("{}/_sandbox/consent", self.sandbox))
            .json(&choice)
            .send()
            .await;
        let answer: Value = answer.map_err(reqwest::Error::without_url)?.json().await?;
        Ok(answer["redirect_to"]
            .as_str()
            .context("the imitated platform refused")?
            .to_owned())
    }

    /// Waits for the exchange; where there are several destinations, takes the first.
    async fn finish(&self, session: &str) -> anyhow::Result<()> {
        for _ in 0..100 {
            let now = self.get(&format!("connect-sessions/{session}")).await?;
            match now["status"].as_str() {
                Some("completed") => return Ok(()),
                Some("choosing") => {
                    let first = now["destinations"][0]["id"].clone();
                    let body = json!({"destination_ids": [first]});
                    self.post(&format!("connect-sessions/{session}/selection"), &body)
                        .await?;
                }
                Some("failed" | "cancelled" | "expired") => {
                    bail!("the session ended: {}", now["result"]["problem"]["code"])
                }
                _ => {}
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("the session did not complete")
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let url = format!("{}/api/v1/workspaces/{WORKSPACE}/{path}", self.api);
        let answer = self
            .http
            .get(url)
            .header("authorization", BEARER)
            .send()
            .await
            .map_err(reqwest::Error::without_url)?;
        Ok(answer
            .error_for_status()
            .map_err(reqwest::Error::without_url)?
            .json()
            .await?)
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<reqwest::Response> {
        let url = format!("{}/api/v1/workspaces/{WORKSPACE}/{path}", self.api);
        let request = self
            .http
            .post(url)
            .header("authorization", BEARER)
            .header("idempotency-key", id::secret());
        Ok(request.json(body).send().await.map_err(reqwest::Error::without_url)?)
    }
}

/// The demo owner, as dev mode takes it.
const BEARER: &str = "Bearer dev.usr_dana.demo.owner";

fn empty(list: &Value) -> bool {
    list["data"].as_array().is_none_or(Vec::is_empty)
}

fn cookies(answer: &reqwest::Response) -> String {
    let set = answer
        .headers()
        .get_all("set-cookie")
        .iter()
        .filter_map(|value| value.to_str().ok());
    set.filter_map(|cookie| cookie.split(';').next())
        .collect::<Vec<_>>()
        .join("; ")
}

fn url_scopes(url: &str) -> Vec<String> {
    let Ok(url) = reqwest::Url::parse(url) else {
        return Vec::new();
    };
    let scope = url
        .query_pairs()
        .find(|(name, _)| name == "scope")
        .map(|(_, value)| value.into_owned());
    scope.unwrap_or_default().split([',', ' ']).map(str::to_owned).collect()
}
