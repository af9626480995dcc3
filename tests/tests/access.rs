//! Asking for access tokens as another service does, and letting them grow old; shared by several modules.

use anyhow::Context;
use harness::{Cluster, eventually};
use proto::tokens::v1::tokens_service_client::TokensServiceClient;
use proto::tokens::v1::{GetAccessTokenRequest, GetAccessTokenResponse, InspectRequest};
use serde_json::json;
use tonic::transport::Channel;

/// First access tokens of `platform` live for a minute.
pub(crate) async fn short_lives(hub: &Cluster, platform: &str) -> anyhow::Result<u64> {
    let short = json!({"kind": "lifetimes", "access_seconds": 60});
    hub.sandbox
        .switch(&json!({"platform": platform, "operation": "exchange", "effect": short}))
        .await
}

/// A token that lives for 58 seconds more.
pub(crate) async fn token(hub: &Cluster, replica: usize, account: &str) -> anyhow::Result<GetAccessTokenResponse> {
    ask(hub.tokens(replica)?, account).await
}

/// As [`token`], over a connection that there is.
pub(crate) async fn ask(
    mut tokens: TokensServiceClient<Channel>,
    account: &str,
) -> anyhow::Result<GetAccessTokenResponse> {
    let request = GetAccessTokenRequest {
        workspace_id: "bakery".to_owned(),
        account_id: account.to_owned(),
        min_ttl: Some(prost_types::Duration { seconds: 58, nanos: 0 }),
    };
    Ok(tokens.get_access_token(request).await?.into_inner())
}

/// Waits until the stored token of a minute has less than 58 seconds left; changes nothing.
pub(crate) async fn grows_old(hub: &Cluster, account: &str) -> anyhow::Result<()> {
    let request = InspectRequest {
        workspace_id: "bakery".to_owned(),
        account_id: account.to_owned(),
    };
    eventually("the token grows old", async || {
        let grant = hub
            .tokens(0)?
            .inspect(request.clone())
            .await?
            .into_inner()
            .grant
            .context("no grant")?;
        Ok((grant.access_expires_at_ms < jiff::Timestamp::now().as_millisecond() + 57_500).then_some(()))
    })
    .await
}
