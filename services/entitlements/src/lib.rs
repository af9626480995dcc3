//! Entitlements: the catalogue of plans, each workspace's plan, and the slots that its accounts hold.
//!
//! Owns the one answer to "may this workspace have one more account?", exact under any concurrency (see `store`), and tells
//! accounts of every change of plan or locks through an outbox. Never knows tokens or platforms' wire formats: platforms are
//! names in the configuration. Called by accounts (slots), the gateway (plans, usage) and billing (`SetPlan`).

pub mod error;
pub mod model;
pub mod service;
pub mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kit::Common;
use kit::db::Db;
use kit::grpc::Context;
use kit::outbox::{Delivery, Relay, Retry};
use prost::Message;
use proto::accounts::v1 as accounts;
use proto::accounts::v1::accounts_service_client::AccountsServiceClient;
use proto::entitlements::v1 as pb;
use proto::entitlements::v1::entitlements_service_server::EntitlementsServiceServer;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use model::{Catalogue, PlanSection};
pub use service::POLICY;

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();

/// `[entitlements]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// gRPC address.
    pub listen: SocketAddr,
    /// Where the other services find this one.
    pub url: String,
    /// How often lapsed reservations are cleared in workspaces where nobody does anything.
    #[serde(with = "kit::wire::human")]
    pub sweep_interval: Duration,
}

/// `[plans]`: `default` and one table per plan.
#[derive(Clone, Debug, Deserialize)]
pub struct Plans {
    /// Plan of a workspace that nobody gave one.
    pub default: String,
    /// The plans by name.
    #[serde(flatten)]
    pub plans: BTreeMap<String, PlanSection>,
}

/// What the service is started with.
#[derive(Clone)]
pub struct Config {
    /// What all services share.
    pub common: Common,
    /// `[entitlements]`
    pub section: Section,
    /// `[plans]`
    pub plans: Plans,
}

/// Runs the service on `listener` until `shutdown`.
pub async fn serve(config: Config, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
    let Config { common, section, plans } = config;
    let catalogue = Catalogue::new(&plans.default, plans.plans).map_err(|problem| wrong(&problem))?;
    let db = Db::connect(&common.database, "entitlements", &MIGRATOR).await?;
    let relay = Relay::new(db.clone(), common.clock.clone(), store::PLAN_CHANGE);
    let store = store::Store::new(db.clone(), Arc::new(catalogue));
    let accounts = AccountsServiceClient::new(kit::grpc::client(
        &common,
        kit::grpc::ENTITLEMENTS,
        &common.peers.accounts,
    ));
    let relaying = tokio::spawn(
        relay
            .clone()
            .run(shutdown.clone(), move |delivery| announce(accounts.clone(), delivery)),
    );
    let sweeping = tokio::spawn(sweep(
        store.clone(),
        common.clock.clone(),
        section.sweep_interval,
        shutdown.clone(),
    ));
    let service = service::Service {
        store,
        clock: common.clock.clone(),
        relay,
    };
    let service = EntitlementsServiceServer::new(service)
        .max_decoding_message_size(kit::grpc::REQUEST_LIMIT)
        .max_encoding_message_size(kit::grpc::ANSWER_LIMIT);
    kit::grpc::server(&common, listener, shutdown.clone(), service::POLICY, Some(db), service).await?;
    let _ = tokio::join!(relaying, sweeping);
    Ok(())
}

/// A problem of the catalogue, which begins with its key.
fn wrong(problem: &str) -> kit::config::Error {
    let (key, what) = problem.split_once(' ').unwrap_or(("plans", problem));
    kit::config::Error::new(key, what.trim_start_matches("= "), "see deploy/default.toml")
}

/// Tells accounts of a change of plan or locks.
async fn announce(mut accounts: AccountsServiceClient<kit::grpc::Client>, delivery: Delivery) -> Result<(), Retry> {
    let Ok(workspace) = pb::Workspace::decode(delivery.payload.as_slice()) else {
        tracing::error!(
            key = delivery.key,
            "a change of plan in the outbox cannot be read and is dropped"
        );
        return Ok(());
    };
    let request = accounts::ApplyPlanChangeRequest {
        workspace: Some(workspace),
    };
    accounts
        .apply_plan_change(Context::background().request(request))
        .await
        .map(drop)
        .map_err(|status| {
            tracing::warn!(code = ?status.code(), "accounts did not take a change of plan; trying again");
            Retry::default()
        })
}

async fn sweep(store: store::Store, clock: kit::Clock, every: Duration, shutdown: CancellationToken) {
    while shutdown.run_until_cancelled(clock.sleep(every)).await.is_some() {
        if let Err(error) = store.sweep(clock.now_ms()).await {
            tracing::warn!(%error, "lapsed reservations could not be cleared");
        }
    }
}
