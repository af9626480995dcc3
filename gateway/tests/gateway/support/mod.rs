//! A gateway in this process over imitated services, and a way to talk to it without a socket.
#![allow(dead_code, reason = "every test file uses a part")]

pub(crate) mod browsers;
pub(crate) mod fake;
pub(crate) mod issuer;
pub(crate) mod samples;

use axum::Router;
use axum::body::{Body, to_bytes};
use gateway::serve::build;
use gateway::state::App;
use gateway::{Links, Section};
use http::{HeaderMap, Method, Request, StatusCode};
use kit::config::{Layers, Peers, Sections};
use kit::{Clock, Common};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use browsers::Browsers;
use fake::{Answers, Fake};

/// The moment at which these tests happen.
pub(crate) const NOW: i64 = 1_790_000_000_000;
pub(crate) const OWNER: &str = "Bearer dev.usr_1.acme.owner";
pub(crate) const MEMBER: &str = "Bearer dev.usr_2.acme.member";

const SETTINGS: &str = r#"
    [database]
    url = "sqlite:data"
    [redis]
    url = ""
    [auth]
    mode = "dev"
    issuer = "http://127.0.0.1:1"
    audience = "socializioz"
    workspaces_claim = "workspaces"
    client_id = ""
    client_secret = ""
    scopes = ["openid", "profile"]
    session_idle = "1h"
    session_life = "24h"
    identity_key = "a key for these tests alone"
    services = []
    [keys]
    ring = []
    file = ""
    [tls]
    mode = "off"
    ca = ""
    cert = ""
    key = ""
    connection_lifetime = "1h"
    trust_network = false
    [gateway]
    listen = "127.0.0.1:0"
    public_url = "http://127.0.0.1:8080"
    native_link = "https://app.example"
    apple_app_ids = ["TEAM.example"]
    android_apps = ["example=AA:BB"]
    header_timeout = "300ms"
    body_timeout = "400ms"
    write_timeout = "300ms"
    request_timeout = "5s"
    max_body_bytes = 16384
    max_connections = 64
    max_connections_per_address = 8
    proxies = 0
    requests_per_minute_address = 0
    streams_per_person = 2
    stream_lifetime = "1h"
    stream_heartbeat = "15s"
    changes_per_minute_person = 500
    changes_per_minute_workspace = 500
    dialog_origins = ["https://dialog.example"]
    webhook_verify_token = "verify-me"
    avatar_hosts = []
    avatar_max_bytes = 1000
    [links]
    composer = "/composer?social_account_id={account_id}"
    support = "/support?account={account_id}&problem={code}"
    billing = "/billing"
"#;

/// A gateway and what it stands on.
pub(crate) struct Gateway {
    pub(crate) answers: Answers,
    pub(crate) app: App,
    pub(crate) clock: Clock,
    pub(crate) browsers: Browsers,
    routes: Router,
}

impl Gateway {
    /// In `dev` mode on loopback.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With other settings, as environment variables without their prefix.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let answers = Answers::default().with_basics();
        samples::catalogue(&answers);
        let browsers = Browsers::default();
        browsers.answer(&answers);
        let clock = Clock::manual(NOW);
        let peer = services(&answers).await;
        let config = config(&peer, settings, clock.clone());
        let app = build(config, "127.0.0.1:0".parse().unwrap(), &CancellationToken::new())
            .await
            .unwrap();
        Self {
            routes: gateway::serve::router(&app),
            answers,
            app,
            clock,
            browsers,
        }
    }

    /// A request to be sent.
    pub(crate) fn request(&self, method: Method, path: &str) -> Call<'_> {
        Call {
            gateway: self,
            method,
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: Vec::new(),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Call<'_> {
        self.request(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> Call<'_> {
        self.request(Method::POST, path)
    }
}

/// Starts the imitated services; one address serves all four.
pub(crate) async fn services(answers: &Answers) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = format!("http://{}", listener.local_addr().unwrap());
    let (_, health) = tonic_health::server::health_reporter();
    let server = tonic::transport::Server::builder()
        .add_service(health)
        .add_service(Fake::<0>(answers.clone()))
        .add_service(Fake::<1>(answers.clone()))
        .add_service(Fake::<2>(answers.clone()))
        .add_service(Fake::<3>(answers.clone()));
    tokio::spawn(server.serve_with_incoming(tonic::transport::server::TcpIncoming::from(listener)));
    peer
}

/// The configuration as the binary would read it.
pub(crate) fn config(peer: &str, settings: &[(&str, &str)], clock: Clock) -> gateway::Config {
    let variables = settings
        .iter()
        .map(|(key, value)| (format!("SOCIALIZIOZ__{key}"), (*value).to_owned()));
    let layers = Layers::read(SETTINGS, None, variables).unwrap();
    let sections = Sections {
        instance: "test".into(),
        database: layers.peek("database").unwrap(),
        redis: layers.peek("redis").unwrap(),
        auth: layers.peek("auth").unwrap(),
        keys: layers.peek("keys").unwrap(),
        tls: layers.peek("tls").unwrap(),
    };
    let peers = Peers {
        accounts: peer.into(),
        tokens: peer.into(),
        platforms: peer.into(),
        entitlements: peer.into(),
    };
    let section: Section = layers.peek("gateway").unwrap();
    let links: Links = layers.peek("links").unwrap();
    gateway::Config {
        common: Common::build(sections, peers, "http://127.0.0.1:8080", clock).unwrap(),
        section,
        links,
    }
}

/// A request in the making.
pub(crate) struct Call<'a> {
    gateway: &'a Gateway,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Call<'_> {
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, value.parse().unwrap());
        self
    }

    pub(crate) fn by(self, token: &str) -> Self {
        self.header("authorization", token)
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub(crate) fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string().into_bytes();
        self.header("content-type", "application/json")
    }

    pub(crate) fn text(mut self, media_type: &str, body: &str) -> Self {
        self.body = body.as_bytes().to_vec();
        self.header("content-type", media_type)
    }

    /// The answer with its body unread, for streams.
    pub(crate) async fn open(self) -> axum::response::Response {
        let mut request = Request::builder()
            .method(self.method)
            .uri(&self.path)
            .body(Body::from(self.body))
            .unwrap();
        *request.headers_mut() = self.headers;
        self.gateway.routes.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn send(self) -> Answer {
        let (head, body) = self.open().await.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }
}

/// An answer, read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// `code` of a problem; the answer must be one.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        self.json()["code"].as_str().unwrap().to_owned()
    }
}
