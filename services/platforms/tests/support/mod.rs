//! The real service against the real sandbox, both on loopback, with a tokens service that hands out one token and notes
//! what is reported to it.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "test support; each test file uses its part"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kit::Clock;
use kit::config::{Common, Layers, Peers, Sections};
use proto::platforms::v1::interpret_response::Outcome;
use proto::platforms::v1::platforms_service_client::PlatformsServiceClient;
use proto::platforms::v1::*;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Channel;

mod tokens;

pub(crate) use tokens::Tokens;

const SETTINGS: &str = include_str!("settings.toml");
const REDIRECT: &str = "http://127.0.0.1:8080/oauth/callback";

pub(crate) struct World {
    pub(crate) platforms: PlatformsServiceClient<Channel>,
    pub(crate) tokens: Tokens,
    pub(crate) clock: Clock,
    http: reqwest::Client,
    sandbox: String,
    _stop: DropGuard,
}

/// What an exchange led to.
pub(crate) struct Connected {
    pub(crate) credential: Credential,
    pub(crate) found: DiscoverResponse,
}

async fn bind() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

fn config(sandbox: &str, tokens: &str, settings: &[(&str, &str)], clock: Clock) -> platforms::Config {
    let variables = settings
        .iter()
        .map(|(key, value)| (format!("SOCIALIZIOZ__{key}"), (*value).to_owned()));
    let mut layers = Layers::read(SETTINGS, None, variables).unwrap();
    for connector in platforms::connectors() {
        for base in ["dialog_base", "token_base", "api_base"] {
            layers.derive(&format!("platforms.{connector}.{base}"), sandbox);
        }
    }
    let sections = Sections {
        instance: "test".into(),
        database: layers.peek("database").unwrap(),
        redis: layers.peek("redis").unwrap(),
        auth: layers.peek("auth").unwrap(),
        keys: layers.peek("keys").unwrap(),
        tls: layers.peek("tls").unwrap(),
    };
    let peer = || tokens.to_owned();
    let peers = Peers {
        accounts: peer(),
        tokens: peer(),
        platforms: peer(),
        entitlements: peer(),
    };
    let common = Common::build(sections, peers, "http://127.0.0.1:8080", clock).unwrap();
    platforms::Config {
        common,
        section: layers.peek("platforms").unwrap(),
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// Starts with some settings changed.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let stop = CancellationToken::new();
        let (sandbox_listener, sandbox) = bind().await;
        tokio::spawn(sandbox::serve(
            sandbox::Config::default(),
            sandbox_listener,
            stop.clone(),
        ));
        let (tokens, tokens_url) = Tokens::start().await;
        let (listener, url) = bind().await;
        let clock = Clock::system();
        let config = config(&sandbox, &tokens_url, settings, clock.clone());
        tokio::spawn(platforms::serve(config, listener, stop.clone()));
        let http = kit::http::client(kit::http::Timeouts {
            connect: Duration::from_secs(5),
            total: Duration::from_secs(20),
        })
        .unwrap();
        let platforms = PlatformsServiceClient::new(Channel::from_shared(url).unwrap().connect_lazy())
            .max_decoding_message_size(8 << 20);
        Self {
            platforms,
            tokens,
            clock,
            http,
            sandbox,
            _stop: stop.drop_guard(),
        }
    }

    /// The sandbox's control API.
    pub(crate) async fn control(&self, path: &str, body: Value) -> Value {
        let answer = self
            .http
            .post(format!("{}/_sandbox/{path}", self.sandbox))
            .json(&body)
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Another choice where platforms differ or documents disagree.
    pub(crate) async fn profile(&self, choice: Value) {
        let answer = self
            .http
            .patch(format!("{}/_sandbox/profile", self.sandbox))
            .json(&choice)
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{choice}");
    }

    /// Everything that the sandbox was asked for and answered, as `operation outcome`.
    pub(crate) async fn asked(&self, operation: &str) -> Vec<String> {
        let log: Value = self
            .http
            .get(format!("{}/_sandbox/log?limit=10000", self.sandbox))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let requests = log["entries"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|entry| entry["kind"] == "request" && entry["operation"] == operation);
        requests
            .map(|entry| entry["outcome"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// Tells a platform to misbehave the next time.
    pub(crate) async fn lie(&self, platform: &str, operation: &str, effect: Value) {
        self.control(
            "switches",
            json!({ "platform": platform, "operation": operation, "next": 1, "effect": effect }),
        )
        .await;
    }

    /// Sends a person through the consent page; gives the code and the sealed proof key.
    pub(crate) async fn consent(&self, connector: &str, session: &str, choice: Value) -> ExchangeRequest {
        let ask = AuthorizationUrlRequest {
            connector: connector.into(),
            session_id: session.into(),
            state: "state-1".into(),
            redirect_uri: REDIRECT.into(),
            rerequest: false,
        };
        let address = self
            .platforms
            .clone()
            .authorization_url(ask)
            .await
            .unwrap()
            .into_inner();
        let mut request = json!({ "authorize_url": address.url });
        request
            .as_object_mut()
            .unwrap()
            .extend(choice.as_object().unwrap().clone());
        let back = self.control("consent", request).await;
        let back = url::Url::parse(back["redirect_to"].as_str().unwrap()).unwrap();
        let parameter = |name: &str| {
            back.query_pairs()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
        };
        assert_eq!(parameter("state").as_deref(), Some("state-1"));
        ExchangeRequest {
            session_id: session.into(),
            connector: connector.into(),
            code: parameter("code").unwrap(),
            redirect_uri: REDIRECT.into(),
            sealed_verifier: address.sealed_verifier,
        }
    }

    pub(crate) async fn interpret(
        &self,
        connector: &str,
        answers: Answers,
        previous: Option<Credential>,
    ) -> InterpretResponse {
        let request = InterpretRequest {
            connector: connector.into(),
            answers: Some(answers),
            previous,
        };
        self.platforms.clone().interpret(request).await.unwrap().into_inner()
    }

    pub(crate) async fn exchange(&self, request: ExchangeRequest) -> Answers {
        self.platforms
            .clone()
            .exchange(request)
            .await
            .unwrap()
            .into_inner()
            .answers
            .unwrap()
    }

    pub(crate) async fn refresh(&self, connector: &str, attempt: &str, credential: &Credential) -> Answers {
        let request = RefreshRequest {
            attempt_id: attempt.into(),
            connector: connector.into(),
            credential: Some(credential.clone()),
            send_before_ms: 0,
            needs_marker: false,
        };
        self.platforms
            .clone()
            .refresh(request)
            .await
            .unwrap()
            .into_inner()
            .answers
            .unwrap()
    }

    pub(crate) async fn discover(&self, connector: &str, credential: &Credential) -> DiscoverResponse {
        let request = DiscoverRequest {
            connector: connector.into(),
            credential: Some(credential.clone()),
        };
        self.platforms.clone().discover(request).await.unwrap().into_inner()
    }

    pub(crate) async fn inspect(
        &self,
        connector: &str,
        credential: &Credential,
        known: &[Destination],
    ) -> DiscoverResponse {
        let request = InspectRequest {
            connector: connector.into(),
            credential: Some(credential.clone()),
            destinations: known.to_vec(),
        };
        self.platforms
            .clone()
            .inspect(request)
            .await
            .unwrap()
            .into_inner()
            .found
            .unwrap()
    }

    pub(crate) async fn revoke(&self, connector: &str, connected: &Connected) -> RevokeResponse {
        let request = RevokeRequest {
            connector: connector.into(),
            credential: Some(connected.credential.clone()),
            platform_user_id: connected.found.platform_user_id.clone(),
        };
        self.platforms.clone().revoke(request).await.unwrap().into_inner()
    }

    /// A whole connection.
    pub(crate) async fn connect(&self, connector: &str, choice: Value) -> Connected {
        let session = format!("ses_{connector}_{choice}");
        let request = self.consent(connector, &session, choice).await;
        let answers = self.exchange(request).await;
        let credential = renewed(self.interpret(connector, answers, None).await);
        let found = self.discover(connector, &credential).await;
        assert!(found.error.is_none(), "{:?}", found.error);
        Connected { credential, found }
    }
}

/// The credential of an outcome that must have one.
pub(crate) fn renewed(response: InterpretResponse) -> Credential {
    match response.outcome.unwrap() {
        Outcome::Renewed(credential) => credential,
        Outcome::Refused(error) => panic!("refused: {error:?}"),
    }
}

/// The refusal of an outcome that must be one.
pub(crate) fn refused(response: InterpretResponse) -> proto::common::v1::PlatformError {
    match response.outcome.unwrap() {
        Outcome::Renewed(_) => panic!("renewed"),
        Outcome::Refused(error) => error,
    }
}
