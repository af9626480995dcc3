//! Accounts: the social accounts of workspaces, how they are connected, their health, posts, events and notifications.
//!
//! Owns the connect flow from its first click to the account's row, and turns what tokens tells of grants into health, events
//! and toasts with one pure function. Never sees a token, a code's result or a platform's wire format. Called by the gateway
//! for people, by schedulers and publishers (health, posts), and by tokens and entitlements (what changed there).

mod cache;
mod catalogue;
mod connect;
pub mod error;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod hub;
mod model;
mod service;
mod store;
#[cfg(test)]
mod tests;
mod webhooks;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kit::Common;
use kit::clock::millis;
use kit::db::Db;
use kit::shared::Shared;
use kit::tasks::Tasks;
use proto::accounts::v1::accounts_service_server::AccountsServiceServer;
use proto::entitlements::v1::entitlements_service_client::EntitlementsServiceClient;
use proto::platforms::v1::platforms_service_client::PlatformsServiceClient;
use proto::tokens::v1::tokens_service_client::TokensServiceClient;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use service::POLICY;

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();

/// How often sessions, leftovers and abandoned work are looked after.
const TIDY: Duration = Duration::from_secs(2);
/// How often what is too old is cleared.
const PRUNE: Duration = Duration::from_secs(600);
/// How long detached work may take after a request to stop.
const DRAIN: Duration = Duration::from_secs(60);

/// `[accounts]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// gRPC address.
    pub listen: SocketAddr,
    /// Where the other services find this one.
    pub url: String,
    /// How long a person has to consent at the platform, and again to choose among destinations.
    #[serde(with = "kit::wire::human")]
    pub session_ttl: Duration,
    /// How long events are kept for clients that resume.
    #[serde(with = "kit::wire::human")]
    pub events_kept: Duration,
}

/// What the service is started with.
#[derive(Clone)]
pub struct Config {
    /// What all services share.
    pub common: Common,
    /// `[accounts]`
    pub section: Section,
    /// `tokens.check_interval`: how often an open page's workspace is checked.
    pub check_interval: Duration,
    /// `tokens.refresh_attempts`: refusals that turn an account amber.
    pub refresh_attempts: u32,
}

/// Runs the service on `listener` until `shutdown`.
pub async fn serve(config: Config, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
    let common = &config.common;
    let db = Db::connect(&common.database, "accounts", &MIGRATOR).await?;
    let cache = cache::Cache::new(Shared::connect(&common.redis, "accounts").await?);
    let hub = build(&config, store::Store::new(db.clone(), cache), shutdown.clone())?;
    hub.begin_webhooks().await?;
    let tidying = tokio::spawn(tidy(hub.clone()));
    let pruning = tokio::spawn(prune(hub.clone(), config.section.events_kept));
    let sending = tokio::spawn(hub.courier().run(shutdown.clone()));
    let service = AccountsServiceServer::new(service::Service(hub.clone()))
        .max_decoding_message_size(kit::grpc::REQUEST_LIMIT)
        .max_encoding_message_size(kit::grpc::ANSWER_LIMIT);
    kit::grpc::server(common, listener, shutdown, POLICY, Some(db), service).await?;
    let _ = tokio::join!(tidying, pruning, sending);
    if !hub.tasks.drain(DRAIN).await {
        tracing::warn!(left = hub.tasks.len(), "connect sessions are left to the next start");
    }
    Ok(())
}

fn build(config: &Config, store: store::Store, shutdown: CancellationToken) -> anyhow::Result<hub::Hub> {
    let common = &config.common;
    let client = |urls: &str| kit::grpc::client(common, kit::grpc::ACCOUNTS, urls);
    let platforms = PlatformsServiceClient::new(client(&common.peers.platforms));
    Ok(hub::Hub {
        store,
        webhooks: webhooks::Webhooks::build(common)?,
        catalogue: catalogue::Catalogue::new(platforms.clone()),
        tokens: TokensServiceClient::new(client(&common.peers.tokens))
            .max_decoding_message_size(kit::grpc::ANSWER_LIMIT),
        platforms,
        entitlements: EntitlementsServiceClient::new(client(&common.peers.entitlements)),
        clock: common.clock.clone(),
        cursors: model::cursor::Cursors(common.signer.clone()),
        tasks: Tasks::new(),
        settings: Arc::new(hub::Settings {
            instance: common.instance.clone(),
            session_ttl: config.section.session_ttl,
            check_interval: config.check_interval,
            refresh_attempts: i32::try_from(config.refresh_attempts).unwrap_or(i32::MAX),
            public_url: common.public_url.clone(),
            browser_idle: common.auth.session_idle,
            browser_life: common.auth.session_life,
        }),
        shutdown,
    })
}

/// Resumes what a former life of this instance left, then looks after what time and outages leave.
async fn tidy(hub: hub::Hub) {
    let mut first = true;
    while !hub.shutdown.is_cancelled() {
        let done = if first {
            hub.resume_own().await
        } else {
            hub.tidy().await
        };
        match done {
            Ok(()) => first = false,
            Err(error) => tracing::warn!(%error, "could not look after open work"),
        }
        let _ = hub.shutdown.run_until_cancelled(tokio::time::sleep(TIDY)).await;
    }
}

async fn prune(hub: hub::Hub, events_kept: Duration) {
    while hub.shutdown.run_until_cancelled(hub.clock.sleep(PRUNE)).await.is_some() {
        let now = hub.clock.now_ms();
        let pruned = async {
            hub.store.prune(millis(events_kept), now).await?;
            hub.store.prune_deliveries(now).await
        };
        if let Err(error) = pruned.await {
            tracing::warn!(%error, "what is too old could not be cleared");
        }
    }
}
