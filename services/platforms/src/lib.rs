//! Platforms: one adapter per social platform. Speaks the platforms' own HTTP, owns the credentials of our apps, the
//! budgets of calls to each platform, and the answers of calls that must not be repeated, until they are acknowledged.
//!
//! Has no database and stores no token. Called by tokens (everything that carries tokens), accounts and the gateway (the
//! list of platforms, posts, callbacks). Read `spec` and one file of `platforms/` first; `flow` and `receipts` are what
//! stands behind `Exchange` and `Refresh`. A new platform is one file in `platforms/` and two lines in its `mod.rs`.

mod adapter;
mod app;
mod callback;
mod classify;
mod ctx;
mod discovery;
pub mod error;
mod flow;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod graph;
mod graph_errors;
mod http;
mod interpret;
mod json;
mod limits;
mod oauth;
mod pace;
mod platforms;
mod posts;
mod receipts;
mod reply;
pub mod service;
mod signature;
mod spec;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kit::Common;
use kit::shared::Shared;
use kit::tasks::Tasks;
use proto::platforms::v1::platforms_service_server::PlatformsServiceServer;
use proto::tokens::v1::tokens_service_client::TokensServiceClient;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use app::{AppSection, ProofKey, Section};
pub use service::POLICY;

/// Longest time that calls in flight get at the end.
const DRAIN: Duration = Duration::from_secs(60);

/// What the service is started with.
#[derive(Clone)]
pub struct Config {
    /// What all services share.
    pub common: Common,
    /// `[platforms]`
    pub section: Section,
}

/// Ids of all connectors, in the order people see them.
pub fn connectors() -> impl Iterator<Item = &'static str> {
    platforms::adapters().map(|adapter| adapter.spec().id)
}

/// Runs the service on `listener` until `shutdown`; calls in flight are finished first.
pub async fn serve(config: Config, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
    let Config { common, section } = config;
    let (clock, ring) = (common.clock.clone(), common.key_ring()?);
    let shared = Shared::connect(&common.redis, "platforms").await?;
    let timeouts = kit::http::Timeouts {
        connect: Duration::from_secs(10),
        total: flow::CALL + Duration::from_secs(5),
    };
    let client = kit::http::client(timeouts)?;
    let connector = |(adapter, app): (&'static dyn adapter::Adapter, app::App)| {
        let pace = Arc::new(pace::Pace::new(&app, shared.clone(), clock.clone()));
        let spec = adapter.spec();
        if !app.is_set_up {
            tracing::warn!(
                "platforms.{}.client_id is the sandbox's: accounts cannot be connected by it",
                spec.id
            );
        }
        (
            spec.id,
            Arc::new(ctx::Ctx {
                app,
                spec,
                clock: clock.clone(),
                pace,
                http: client.clone(),
            }),
        )
    };
    let connectors: BTreeMap<_, _> = platforms::adapters().zip(section.apps()?).map(connector).collect();
    let tasks = Tasks::new();
    let tokens = TokensServiceClient::new(kit::grpc::client(&common, kit::grpc::PLATFORMS, &common.peers.tokens));
    let receipts = receipts::Receipts::new(shared, ring.clone(), clock.clone(), tasks.clone(), receipts::PATIENCE);
    let service = service::Service {
        connectors,
        receipts: receipts.clone(),
        ring,
        clock,
        tasks: tasks.clone(),
        tokens,
    };
    let service = PlatformsServiceServer::new(service)
        .max_decoding_message_size(kit::grpc::REQUEST_LIMIT)
        .max_encoding_message_size(kit::grpc::ANSWER_LIMIT);
    kit::grpc::server(&common, listener, shutdown, service::POLICY, None, service).await?;
    if !tasks.drain(DRAIN).await {
        tracing::warn!("calls to platforms were still open at the end");
    }
    receipts.hand_over().await;
    Ok(())
}
