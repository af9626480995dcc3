//! Accounts against played neighbours, on SQLite and, when `TEST_POSTGRES_URL` names one, on PostgreSQL.

mod browsers;
mod connect;
mod events;
mod fakes;
mod life;
mod posts;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

use kit::config::{Peers, Sections};
use kit::db::{Db, Location};
use kit::grpc::Context;
use kit::shared::Shared;
use kit::{Clock, Common, Person, Role, id};
use proto::accounts::v1 as pb;
use proto::entitlements::v1::entitlements_service_server::EntitlementsServiceServer;
use proto::platforms::v1 as platforms;
use proto::platforms::v1::platforms_service_server::PlatformsServiceServer;
use proto::tokens::v1 as tokens;
use proto::tokens::v1::tokens_service_server::TokensServiceServer;
use serde_json::json;
use tempfile::TempDir;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;

use crate::cache::Cache;
use crate::error::Error;
use crate::hub::Hub;
use crate::store::Store;
use fakes::Fakes;

const NOW: i64 = 1_790_000_000_000;

/// One hub with its neighbours, in a workspace of its own.
struct World {
    hub: Hub,
    fakes: Fakes,
    common: Common,
    clock: Clock,
    workspace: String,
    _folder: TempDir,
}

/// A world on every engine there is.
async fn worlds() -> Vec<World> {
    let mut worlds = vec![World::new(None).await];
    #[allow(
        clippy::disallowed_methods,
        reason = "tests are told by the environment where PostgreSQL is"
    )]
    if let Ok(url) = std::env::var("TEST_POSTGRES_URL") {
        worlds.push(World::new(Some(url)).await);
    }
    worlds
}

impl World {
    async fn new(postgres: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(NOW);
        let fakes = Fakes::default();
        let url = play(fakes.clone()).await;
        let common = common(folder.path().to_str().unwrap(), &url, clock.clone());
        let location = postgres.map_or_else(|| common.database.clone(), Location::Postgres);
        let db = Db::connect(&location, "accounts", &crate::MIGRATOR).await.unwrap();
        let store = Store::new(db, Cache::new(Shared::connect("", "accounts").await.unwrap()));
        let section = crate::Section {
            listen: "127.0.0.1:0".parse().unwrap(),
            url,
            session_ttl: Duration::from_secs(600),
            events_kept: Duration::from_secs(172_800),
        };
        let check_interval = Duration::from_secs(3600);
        let config = crate::Config {
            common: common.clone(),
            section,
            check_interval,
            refresh_attempts: 3,
        };
        let hub = crate::build(&config, store, CancellationToken::new()).unwrap();
        let workspace = id::new("ws", &Clock::system());
        let world = Self {
            hub,
            fakes,
            common,
            clock,
            workspace,
            _folder: folder,
        };
        world.reach(&["acme"]);
        world
    }

    /// What the next sign-in reaches, with all permissions.
    fn reach(&self, names: &[&str]) {
        let destination = |name: &&str| platforms::Destination {
            platform_account_id: format!("paid_{name}"),
            kind: "page".into(),
            display_name: (*name).into(),
            username: (*name).into(),
            can_publish: true,
            ..Default::default()
        };
        self.fakes.state().found = tokens::ExchangeResponse {
            platform_user_id: "pu_1".into(),
            user_name: "Dana".into(),
            granted_scopes: vec!["read".into(), "write".into()],
            destinations: names.iter().map(destination).collect(),
            ..Default::default()
        };
    }

    fn person(&self, user_id: &str, role: Role) -> Person {
        Person {
            user_id: user_id.into(),
            name: user_id.into(),
            workspace_id: self.workspace.clone(),
            role,
        }
    }

    fn owner(&self) -> Person {
        self.person("usr_owner", Role::Owner)
    }

    fn context(&self, person: &Person) -> Context {
        Context::for_person(person.clone(), &self.common.signer, None)
    }

    fn wish(&self, platform: &str) -> pb::BeginConnectRequest {
        pb::BeginConnectRequest {
            workspace_id: self.workspace.clone(),
            intent: pb::Intent::Connect.into(),
            platform: platform.into(),
            channel: pb::Channel::Popup.into(),
            browser_hash: vec![7; 32],
            redirect_uri: format!("http://127.0.0.1:8080/oauth/{platform}/callback"),
            ..Default::default()
        }
    }

    /// Starts a session; its id and its state.
    async fn begin(&self, wish: pb::BeginConnectRequest) -> Result<(String, String), Error> {
        let owner = self.owner();
        let (session, state) = self.hub.begin_connect(&self.context(&owner), &owner, wish).await?;
        Ok((session.id, state))
    }

    #[allow(clippy::unused_self, reason = "reads like the rest of a world's verbs")]
    fn callback(&self, platform: &str, state: &str) -> pb::CompleteConnectRequest {
        pb::CompleteConnectRequest {
            platform: platform.into(),
            state: state.into(),
            code: "code".into(),
            error: String::new(),
            browser_hash: vec![7; 32],
            has_browser: true,
        }
    }

    /// Comes back from the platform as the owner.
    async fn come_back(&self, request: pb::CompleteConnectRequest) -> Result<pb::ConnectSession, Error> {
        Ok(self
            .hub
            .complete_connect(&self.context(&self.owner()), request)
            .await?
            .0)
    }

    /// A whole session.
    async fn sign_in(&self, wish: pb::BeginConnectRequest) -> pb::ConnectSession {
        let platform = wish.platform.clone();
        let (_, state) = self.begin(wish).await.unwrap();
        self.come_back(self.callback(&platform, &state)).await.unwrap()
    }

    /// Connects the account that the next sign-in reaches.
    async fn connect(&self, platform: &str) -> pb::Account {
        let session = self.sign_in(self.wish(platform)).await;
        assert_eq!(session.status(), pb::SessionStatus::Completed, "{:?}", session.problem);
        session.accounts[0].clone()
    }

    async fn reconnect(&self, account: &pb::Account) -> pb::ConnectSession {
        let wish = self.wish(&account.platform);
        let wish = pb::BeginConnectRequest {
            intent: pb::Intent::Reconnect.into(),
            account_ids: vec![account.id.clone()],
            ..wish
        };
        self.sign_in(wish).await
    }

    async fn accounts(&self) -> Vec<pb::Account> {
        let request = pb::ListAccountsRequest {
            workspace_id: self.workspace.clone(),
            ..Default::default()
        };
        self.hub.list_accounts(&request).await.unwrap().accounts
    }

    /// Types of all events so far, or of those with a toast.
    async fn events(&self) -> Vec<pb::Event> {
        self.hub.store.events_after(&self.workspace, 0, 1000).await.unwrap()
    }

    async fn toasts(&self) -> Vec<String> {
        self.events()
            .await
            .into_iter()
            .map(|event| event.toast)
            .filter(|toast| !toast.is_empty())
            .collect()
    }

    /// The grant of an account, changed as tokens would tell it.
    async fn change(
        &self,
        account: &pb::Account,
        cause: tokens::GrantChangeCause,
        edit: impl FnOnce(&mut tokens::Grant),
    ) {
        let change = self.grant_change(account, cause, edit).await;
        self.hub.apply_grant_change(&change).await.unwrap();
    }

    async fn grant_change(
        &self,
        account: &pb::Account,
        cause: tokens::GrantChangeCause,
        edit: impl FnOnce(&mut tokens::Grant),
    ) -> tokens::GrantChange {
        let snapshot = self.hub.store.load(&self.workspace, 0).await.unwrap();
        let mut grant = snapshot
            .grants
            .into_iter()
            .find(|grant| grant.grant_id == account.grant_group)
            .unwrap();
        grant.version += 1;
        self.fakes.state().grant_version = grant.version;
        edit(&mut grant);
        tokens::GrantChange {
            change_id: format!("{}:{}", grant.grant_id, grant.version),
            grant: Some(grant),
            cause: cause.into(),
            occurred_at_ms: self.clock.now_ms(),
            announce: true,
            trace: String::new(),
        }
    }

    /// Waits for work that goes on without its caller.
    async fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let limit = tokio::time::Instant::now() + Duration::from_secs(10);
        while !done(self) {
            assert!(tokio::time::Instant::now() < limit, "{what} did not happen");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Serves the fakes on one port.
async fn play(fakes: Fakes) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tonic::transport::Server::builder()
        .add_service(TokensServiceServer::new(fakes.clone()))
        .add_service(PlatformsServiceServer::new(fakes.clone()))
        .add_service(EntitlementsServiceServer::new(fakes))
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);
    url
}

fn common(folder: &str, url: &str, clock: Clock) -> Common {
    let auth = json!({
        "mode": "dev", "issuer": "", "audience": "", "workspaces_claim": "", "client_id": "", "client_secret": "",
        "scopes": [], "session_idle": "1h", "session_life": "24h", "identity_key": "a key for tests", "services": [],
    });
    let sections = Sections {
        instance: "test".into(),
        database: serde_json::from_value(json!({ "url": format!("sqlite:{folder}") })).unwrap(),
        redis: serde_json::from_value(json!({ "url": "" })).unwrap(),
        auth: serde_json::from_value(auth).unwrap(),
        keys: serde_json::from_value(json!({ "ring": "", "file": "" })).unwrap(),
        tls: serde_json::from_value(json!({ "mode": "off", "ca": "", "cert": "", "key": "", "connection_lifetime": "1h", "trust_network": false }))
            .unwrap(),
    };
    let peers = Peers {
        accounts: url.into(),
        tokens: url.into(),
        platforms: url.into(),
        entitlements: url.into(),
    };
    Common::build(sections, peers, "http://127.0.0.1:8080", clock).unwrap()
}

fn code<T>(result: Result<T, Error>) -> kit::Code {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(error) => kit::Failure::from(error).code,
    }
}

/// Runs a test in every world.
async fn everywhere<F: Future<Output = ()>>(test: impl Fn(Arc<World>) -> F) {
    for world in worlds().await {
        test(Arc::new(world)).await;
    }
}
