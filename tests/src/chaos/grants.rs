//! Who is connected where: several workspaces, each person's grants with lineages of their own.

use anyhow::Context;
use futures_util::{StreamExt as _, TryStreamExt as _};
use proto::tokens::v1::GetAccessTokenRequest;
use serde_json::json;

use crate::{Cluster, Consent, Sandbox};

/// One connected account and where its tokens began.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) workspace: String,
    pub(super) account: String,
    pub(super) platform: &'static str,
    /// Fingerprint of the first access token.
    pub(super) first: String,
}

impl Grant {
    /// Refresh tokens work once.
    pub(super) fn rotates(&self) -> bool {
        matches!(self.platform, "x" | "tiktok")
    }
}

/// One turn; rotating platforms are what this is about. People with one account at the platform only.
const TURNS: [(&str, &str); 13] = [
    ("x", "ada"),
    ("tiktok", "ada"),
    ("x", "bo"),
    ("tiktok", "enid"),
    ("facebook", "enid"),
    ("x", "cleo"),
    ("tiktok", "cleo"),
    ("linkedin", "finn"),
    ("x", "dora"),
    ("tiktok", "finn"),
    ("x", "gus"),
    ("instagram", "ada"),
    (INSTAGRAM_THROUGH_FACEBOOK, "enid"),
];

/// The other way to connect Instagram.
const INSTAGRAM_THROUGH_FACEBOOK: &str = "instagram_facebook";

/// Short lives, then as many connections as are asked for, each turn in a workspace of its own.
pub(super) async fn connect(cluster: &Cluster, count: usize) -> anyhow::Result<Vec<Grant>> {
    cluster.sandbox.profile(&json!({"linkedin_partner": true})).await?;
    for (platform, seconds) in [("x", 30), ("tiktok", 30), ("linkedin", 90)] {
        let short = json!({"kind": "lifetimes", "access_seconds": seconds});
        let order = json!({"platform": platform, "effect": short});
        cluster.sandbox.switch(&order).await?;
    }
    // Its first token is renewed ahead soon; a renewal that does not move the end would be a refusal, so those have whole lives.
    let first = json!({"kind": "lifetimes", "access_seconds": 60});
    let order = json!({"platform": "facebook", "operation": "exchange", "effect": first});
    cluster.sandbox.switch(&order).await?;
    for turn in 0..count.div_ceil(TURNS.len()) {
        cluster.plan(&workspace(turn), "professional").await?;
    }
    futures_util::stream::iter(0..count)
        .map(|n| one(cluster, n))
        .buffered(4)
        .try_collect()
        .await
}

fn workspace(turn: usize) -> String {
    format!("chaos-{turn}")
}

async fn one(cluster: &Cluster, n: usize) -> anyhow::Result<Grant> {
    let (platform, person) = TURNS[n % TURNS.len()];
    let workspace = workspace(n / TURNS.len());
    let owner = cluster.owner(&workspace);
    let (name, extra) = match platform {
        INSTAGRAM_THROUGH_FACEBOOK => ("instagram", json!({"method": "facebook_login"})),
        name => (name, json!({})),
    };
    let accounts = owner
        .connect_with(&cluster.sandbox, name, &extra, &Consent::of(person))
        .await;
    let accounts = accounts.with_context(|| format!("{person} at {platform}"))?;
    let account = accounts.first().and_then(|account| account["id"].as_str());
    let account = account.context("no account")?.to_owned();
    let request = GetAccessTokenRequest {
        workspace_id: workspace.clone(),
        account_id: account.clone(),
        min_ttl: None,
    };
    let token = cluster.tokens(0)?.get_access_token(request).await?.into_inner();
    Ok(Grant {
        workspace,
        account,
        platform,
        first: Sandbox::fingerprint(&token.access_token),
    })
}
