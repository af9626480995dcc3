//! A database, a platform, and any number of tokens processes over them. Each process is a runtime of its own, so that it can
//! be killed between any two steps.

use std::future::Future;
use std::time::{Duration, Instant};

use kit::config::{Auth, AuthMode, Common, Database, Keys, Peers, Redis, Sections, Tls, TlsMode};
use kit::db::{Db, Location};
use kit::outbox::Relay;
use kit::shared::Shared;
use kit::tasks::Tasks;
use kit::{Clock, Failure, Secret, grpc, id};
use prost::Message;
use proto::tokens::v1::tokens_service_client::TokensServiceClient;
use proto::tokens::v1::*;
use sqlx::Row;
use tempfile::TempDir;
use tokens::engine::{Engine, Flights, Parts};
use tokens::model::attempt::Owner;
use tokens::platforms::Platforms;
use tokens::store::Store;
use tokens::vault::Vault;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::fake::Fake;

pub(crate) const NOW: i64 = 1_790_000_000_000;
pub(crate) const DAY: Duration = Duration::from_secs(86_400);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

/// Where a test's data is; gone with it.
pub(crate) struct Place {
    pub(crate) url: String,
    folder: TempDir,
}

/// SQLite always, PostgreSQL where there is one: an empty database each.
#[allow(
    clippy::disallowed_methods,
    reason = "tests learn from the environment where PostgreSQL is"
)]
pub(crate) async fn places() -> Vec<Place> {
    let folder = TempDir::new().unwrap();
    let mut places = vec![Place {
        url: format!("sqlite:{}", folder.path().display()),
        folder,
    }];
    if let Ok(url) = std::env::var("TEST_POSTGRES_URL") {
        sqlx::any::install_default_drivers();
        let name = id::new("t", &Clock::system()).to_lowercase();
        let pool = sqlx::any::AnyPoolOptions::new()
            .max_connections(1)
            .connect(&url)
            .await
            .unwrap();
        sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&pool)
            .await
            .unwrap();
        let (server, _) = url.rsplit_once('/').unwrap();
        places.push(Place {
            url: format!("{server}/{name}"),
            folder: TempDir::new().unwrap(),
        });
    }
    places
}

impl Place {
    pub(crate) async fn db(&self) -> Db {
        static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();
        let location = match self.url.strip_prefix("sqlite:") {
            Some(folder) => Location::Folder(folder.into()),
            None => Location::Postgres(self.url.clone()),
        };
        Db::connect(&location, "tokens", &MIGRATOR).await.unwrap()
    }
}

/// Runs a test on each engine.
pub(crate) async fn each<F: Future<Output = ()>>(test: impl Fn(Hub) -> F) {
    for place in places().await {
        test(Hub::start(place).await).await;
    }
}

/// The world of one test.
pub(crate) struct Hub {
    pub(crate) fake: Fake,
    pub(crate) clock: Clock,
    pub(crate) db: Db,
    pub(crate) tokens: Process,
    platforms: String,
    place: Place,
}

/// One tokens process.
pub(crate) struct Process {
    pub(crate) client: TokensServiceClient<Channel>,
    runtime: Option<Runtime>,
    shutdown: CancellationToken,
}

impl Hub {
    async fn start(place: Place) -> Self {
        let clock = Clock::manual(NOW);
        let (fake, platforms) = Fake::start(clock.clone()).await;
        let db = place.db().await;
        let tokens = process(&place, &platforms, &Setup::of("tokens-0", &clock));
        Self {
            fake,
            clock,
            db,
            tokens,
            platforms,
            place,
        }
    }

    /// Another process over the same database.
    pub(crate) fn replica(&self, instance: &'static str) -> Process {
        process(&self.place, &self.platforms, &Setup::of(instance, &self.clock))
    }

    /// Another process that audits strictly.
    pub(crate) fn strict_replica(&self) -> Process {
        let strict = Setup {
            mode: tokens::AuditMode::Strict,
            ..Setup::of("tokens-s", &self.clock)
        };
        process(&self.place, &self.platforms, &strict)
    }

    /// Another process, whose clock says something else.
    pub(crate) fn replica_at(&self, instance: &'static str, clock: &Clock) -> Process {
        process(&self.place, &self.platforms, &Setup::of(instance, clock))
    }

    /// Ends the process and starts it anew with another epoch, as one does over a restored database.
    pub(crate) fn restore(&mut self, epoch: &'static str) {
        self.tokens.kill();
        let setup = Setup {
            epoch,
            ..Setup::of("tokens-0", &self.clock)
        };
        self.tokens = process(&self.place, &self.platforms, &setup);
    }

    /// The engine alone, in this test's own runtime and without its loops.
    pub(crate) async fn engine(&self) -> Engine {
        let setup = Setup::of("tokens-e", &self.clock);
        let common = common(&self.place, &self.platforms, &setup);
        let store = Store::new(self.db.clone(), Vault::new(common.key_ring().unwrap()));
        let (audit, writer) = tokens::audit::audit(setup.mode, self.clock.clone());
        tokio::spawn(writer.run(store.clone(), CancellationToken::new()));
        Engine::new(Parts {
            store,
            platforms: Platforms::new(
                grpc::client(&common, grpc::TOKENS, &self.platforms),
                grpc::Everyone::new(&common, grpc::TOKENS, &self.platforms),
            ),
            shared: Shared::connect(&common.redis, "tokens").await.unwrap(),
            clock: self.clock.clone(),
            policy: section(&setup).policy().unwrap(),
            me: Owner {
                name: setup.instance.into(),
                incarnation: id::secret(),
            },
            tasks: Tasks::new(),
            shutdown: CancellationToken::new(),
            relay: Relay::new(self.db.clone(), self.clock.clone(), tokens::store::GRANT_CHANGE),
            memory: tokens::access::memory::memory().0,
            audit,
            flights: Flights::default(),
        })
    }

    /// Kills the process as -9 does and starts it anew.
    pub(crate) fn crash(&mut self) {
        self.tokens.kill();
        self.tokens = self.replica("tokens-0");
    }

    /// Connects a user; the accounts are named after it.
    pub(crate) async fn connect(&self, workspace: &str, connector: &str, user: &str) -> Vec<String> {
        let session = format!("cs_{workspace}_{user}_{}", id::secret());
        let found = self.exchange(workspace, connector, user, &session).await;
        let attachments: Vec<_> = found
            .destinations
            .iter()
            .map(|destination| Attachment {
                account_id: format!("acc_{workspace}_{}", destination.platform_account_id),
                platform_account_id: destination.platform_account_id.clone(),
            })
            .collect();
        let accounts = attachments
            .iter()
            .map(|attachment| attachment.account_id.clone())
            .collect();
        let request = AttachRequest {
            workspace_id: workspace.into(),
            session_id: session,
            attachments,
        };
        self.client().attach(request).await.unwrap();
        accounts
    }

    pub(crate) async fn exchange(
        &self,
        workspace: &str,
        connector: &str,
        user: &str,
        session: &str,
    ) -> ExchangeResponse {
        let request = ExchangeRequest {
            workspace_id: workspace.into(),
            session_id: session.into(),
            connector: connector.into(),
            code: user.into(),
            ..ExchangeRequest::default()
        };
        self.client().exchange(request).await.unwrap().into_inner()
    }

    pub(crate) fn client(&self) -> TokensServiceClient<Channel> {
        self.tokens.client.clone()
    }

    pub(crate) async fn token(&self, account: &str) -> Result<GetAccessTokenResponse, Failure> {
        self.tokens.token(account).await
    }

    pub(crate) async fn grant(&self, account: &str) -> Grant {
        let request = InspectRequest {
            workspace_id: workspace_of(account),
            account_id: account.into(),
        };
        self.client()
            .inspect(request)
            .await
            .unwrap()
            .into_inner()
            .grant
            .unwrap()
    }

    /// Moves the clock.
    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// Waits until a grant looks as wanted.
    pub(crate) async fn until(&self, account: &str, wanted: impl Fn(&Grant) -> bool) -> Grant {
        let give_up = Instant::now() + Duration::from_secs(20);
        loop {
            let grant = self.grant(account).await;
            if wanted(&grant) {
                return grant;
            }
            assert!(Instant::now() < give_up, "the grant stayed {grant:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Lets the sweep look once more every few moments until a grant looks as wanted.
    pub(crate) async fn swept(&self, account: &str, wanted: impl Fn(&Grant) -> bool) -> Grant {
        let give_up = Instant::now() + Duration::from_secs(20);
        loop {
            let grant = self.grant(account).await;
            if wanted(&grant) {
                return grant;
            }
            assert!(Instant::now() < give_up, "the grant stayed {grant:?}");
            self.pass(Duration::from_secs(2));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Changes of a grant that wait for accounts, in order.
    pub(crate) async fn changes(&self, grant_id: &str) -> Vec<GrantChange> {
        let sql = "SELECT payload FROM outbox WHERE topic = 'grant_change' AND key = $1 ORDER BY seq";
        let rows = sqlx::query(sql).bind(grant_id).fetch_all(self.db.pool()).await.unwrap();
        rows.iter()
            .map(|row| GrantChange::decode(row.get::<Vec<u8>, _>(0).as_slice()).unwrap())
            .collect()
    }

    /// How many rows a question counts.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(self.db.pool()).await.unwrap()
    }
}

/// Accounts are named after their workspace.
fn workspace_of(account: &str) -> String {
    account.split('_').nth(1).unwrap().to_owned()
}

impl Process {
    pub(crate) async fn token(&self, account: &str) -> Result<GetAccessTokenResponse, Failure> {
        self.token_for(account, 60).await
    }

    pub(crate) async fn token_for(&self, account: &str, seconds: i64) -> Result<GetAccessTokenResponse, Failure> {
        let request = GetAccessTokenRequest {
            workspace_id: workspace_of(account),
            account_id: account.into(),
            min_ttl: Some(prost_types::Duration { seconds, nanos: 0 }),
        };
        let answer = self.client.clone().get_access_token(request).await;
        answer
            .map(tonic::Response::into_inner)
            .map_err(|status| Failure::from_status(&status))
    }

    /// Nothing that runs in it gets any further.
    pub(crate) fn kill(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        self.shutdown.cancel();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What a process is started with.
struct Setup {
    instance: &'static str,
    clock: Clock,
    mode: tokens::AuditMode,
    epoch: &'static str,
}

impl Setup {
    fn of(instance: &'static str, clock: &Clock) -> Self {
        Self {
            instance,
            clock: clock.clone(),
            mode: tokens::AuditMode::Buffered,
            epoch: "",
        }
    }
}

fn common(place: &Place, platforms: &str, setup: &Setup) -> Common {
    let auth = Auth {
        mode: AuthMode::Dev,
        issuer: String::new(),
        audience: String::new(),
        workspaces_claim: String::new(),
        client_id: String::new(),
        client_secret: Secret::default(),
        scopes: Vec::new(),
        session_idle: Duration::from_secs(3600),
        session_life: Duration::from_secs(86_400),
        identity_key: Secret::default(),
        services: Vec::new(),
    };
    let keys = place.folder.path().join("keys");
    kit::seal::KeyRing::read_or_create(&keys).unwrap();
    let file = |text: &str| text.to_owned();
    let sections = Sections {
        instance: setup.instance.to_owned(),
        database: Database { url: place.url.clone() },
        redis: Redis { url: String::new() },
        auth,
        keys: Keys {
            ring: Secret::default(),
            file: keys.display().to_string(),
        },
        tls: Tls {
            mode: TlsMode::Off,
            ca: file(""),
            cert: file(""),
            key: file(""),
            connection_lifetime: Duration::from_secs(3600),
            trust_network: false,
        },
    };
    // Nobody is there: what accounts would be told stays in the outbox, where tests read it.
    let nobody = "http://127.0.0.1:9".to_owned();
    let peers = Peers {
        accounts: nobody.clone(),
        tokens: nobody.clone(),
        platforms: platforms.into(),
        entitlements: nobody,
    };
    Common::build(sections, peers, "http://127.0.0.1:1", setup.clock.clone()).unwrap()
}

fn section(setup: &Setup) -> tokens::Section {
    tokens::Section {
        listen: "127.0.0.1:0".parse().unwrap(),
        url: String::new(),
        check_interval: HOUR,
        refresh_window: 7 * DAY,
        refresh_attempts: 3,
        attempt_spacing: DAY,
        refresh_deadline: Duration::from_secs(60),
        takeover_after: tokens::Takeover {
            repeatable: Duration::from_secs(120),
            single_use: Duration::from_secs(900),
        },
        sweep: tokens::Sweep {
            interval: Duration::from_secs(1),
            batch: 100,
            concurrency: 8,
        },
        restore_epoch: setup.epoch.to_owned(),
    }
}

fn process(place: &Place, platforms: &str, setup: &Setup) -> Process {
    let section = section(setup);
    let audit = tokens::AuditSection {
        mode: setup.mode,
        keep: 90 * DAY,
    };
    let common = common(place, platforms, setup);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let shutdown = CancellationToken::new();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let config = tokens::Config { common, section, audit };
    let ending = shutdown.clone();
    runtime.spawn(async move {
        let listener = TcpListener::from_std(listener).unwrap();
        tokens::serve(config, listener, ending).await.unwrap();
    });
    let client = TokensServiceClient::new(Channel::from_shared(url).unwrap().connect_lazy());
    Process {
        client,
        runtime: Some(runtime),
        shutdown,
    }
}
