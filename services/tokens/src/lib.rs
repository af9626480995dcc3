//! Grants and their sealed credentials: exchanged, refreshed, handed out, destroyed. The only service that stores tokens.
//!
//! It never talks to a platform by itself (platforms does), and never sees who a person is. accounts has it connect, check and
//! disconnect; platforms and other services ask it for access tokens; the gateway brings platforms' announcements.
//!
//! Modules are public for the tests of the whole cluster; the service itself is [`serve`].
//! Read `model` for the rules, `refresh` and `settle` for the protocol of a refresh, `store` for what is kept.

pub mod access;
pub mod announce;
pub mod audit;
pub mod check;
pub mod disconnect;
pub mod engine;
pub mod error;
pub mod exchange;
pub mod late;
pub mod model;
pub mod platforms;
pub mod recovery;
pub mod refresh;
pub mod report;
pub mod revoke;
pub mod section;
pub mod service;
pub mod settle;
pub mod store;
pub mod sweep;
pub mod vault;

use std::time::Duration;

use kit::config::Common;
use kit::db::Db;
use kit::grpc;
use kit::outbox::Relay;
use kit::shared::Shared;
use kit::tasks::Tasks;
use proto::tokens::v1::tokens_service_server::TokensServiceServer;
use sqlx::migrate::Migrator;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use audit::Mode as AuditMode;
pub use error::Error;
pub use section::{AuditSection, Section, Sweep, Takeover};
pub use service::POLICY;

use engine::{Engine, Flights, Parts};
use model::attempt::Owner;

static MIGRATOR: Migrator = sqlx::migrate!();

/// How long what is in flight may take when the process ends.
const DRAIN: Duration = Duration::from_secs(60);

/// What tokens is started with.
#[derive(Clone)]
pub struct Config {
    /// What all services share.
    pub common: Common,
    /// `[tokens]`
    pub section: Section,
    /// `[audit]`
    pub audit: AuditSection,
}

/// Serves until `shutdown`, then finishes what is in flight.
pub async fn serve(config: Config, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
    let Config {
        common,
        section,
        audit: audit_section,
    } = config;
    let policy = section.policy()?;
    let vault = vault::Vault::new(common.key_ring()?);
    let db = Db::connect(&common.database, "tokens", &MIGRATOR).await?;
    let shared = Shared::connect(&common.redis, "tokens").await?;
    let clock = common.clock.clone();
    let store = store::Store::new(db.clone(), vault);
    if let Some(missing) = store.missing_keys().await?.first() {
        return Err(kit::config::Error::new(
            "keys.ring",
            format!("lacks the key {missing:?}, which still seals records"),
            "put it back, run `socializioz admin rotate-keys`, and take it out when it is named as unused",
        )
        .into());
    }
    store.note_sealing_key().await?;
    let suspects = store.enter_epoch(&section.restore_epoch, clock.now_ms()).await?;
    if suspects > 0 {
        tracing::warn!(
            suspects,
            epoch = section.restore_epoch,
            "the database is of another epoch: grants are proven anew"
        );
    }
    let (memory, confirmer) = access::memory::memory();
    let (audit, writer) = audit::audit(audit_section.mode, clock.clone());
    let relay = Relay::new(db.clone(), clock.clone(), store::GRANT_CHANGE);
    let engine = Engine::new(Parts {
        store: store.clone(),
        platforms: platforms::Platforms::new(
            grpc::client(&common, grpc::TOKENS, &common.peers.platforms),
            grpc::Everyone::new(&common, grpc::TOKENS, &common.peers.platforms),
        ),
        shared,
        clock,
        policy,
        me: Owner {
            name: common.instance.clone(),
            incarnation: kit::id::secret(),
        },
        tasks: Tasks::new(),
        shutdown: shutdown.clone(),
        relay: relay.clone(),
        memory,
        audit,
        flights: Flights::default(),
    });
    let announcer = announce::Announcer::new(grpc::client(&common, grpc::TOKENS, &common.peers.accounts));
    let ended = CancellationToken::new();
    let writing = tokio::spawn(writer.run(store.clone(), ended.clone()));
    let delivering = tokio::spawn(relay.run(ended.clone(), move |item| {
        let announcer = announcer.clone();
        async move { announcer.deliver(item).await }
    }));
    tokio::spawn(confirmer.run(store, ended.clone()));
    begin(&engine, section.pace(audit_section.keep));

    let service = TokensServiceServer::new(service::Service::new(engine.clone()))
        .max_decoding_message_size(grpc::REQUEST_LIMIT)
        .max_encoding_message_size(grpc::ANSWER_LIMIT);
    let served = grpc::server(&common, listener, shutdown.clone(), POLICY, Some(db), service).await;
    // Also when the server could not start: the work that nobody asks for ends by this.
    shutdown.cancel();
    if !engine.tasks.drain(DRAIN).await {
        tracing::warn!(
            left = engine.tasks.len(),
            "work was still in flight at the end: the next start goes on with it"
        );
    }
    ended.cancel();
    // They end by the token; a panic in them was logged.
    let _ = tokio::join!(writing, delivering);
    served
}

/// Begins the work that nobody asks for. All of it ends by itself when the process does.
fn begin(engine: &Engine, pace: sweep::Pace) {
    let each = || engine.clone();
    let (recovering, sweeping, tidying, revoking, listening) = (each(), each(), each(), each(), each());
    engine.tasks.spawn(async move { recovering.recover_all().await });
    engine.tasks.spawn(async move { sweeping.sweep_all(pace).await });
    engine.tasks.spawn(async move { tidying.tidy_all(pace).await });
    engine.tasks.spawn(async move { revoking.revoke_all().await });
    engine.tasks.spawn(async move { listening.listen().await });
}
