//! A real server and real clients: who is let in, what travels along, what happens when a replica dies.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod abuse;

use std::time::Duration;

use kit::config::{Common, Layers, Peers, Sections};
use kit::grpc::{ACCOUNTS, Client, Context, GATEWAY, Need, Rule, client, server};
use kit::{Clock, Code, Failure, Person, Role};
use proto::tokens::v1 as pb;
use proto::tokens::v1::tokens_service_client::TokensServiceClient;
use proto::tokens::v1::tokens_service_server::{TokensService, TokensServiceServer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

/// Answers with who called, for whom.
struct Echo(&'static str);

/// The whole impl, since `async_trait` does not look into a macro's methods.
macro_rules! echo {
    ($($name:ident $request:ident $response:ident)*) => {
        #[tonic::async_trait]
        impl TokensService for Echo {
            $(async fn $name(&self, _: Request<pb::$request>) -> Result<Response<pb::$response>, Status> {
                Ok(Response::new(pb::$response::default()))
            })*

            async fn inspect(&self, request: Request<pb::InspectRequest>) -> Result<Response<pb::InspectResponse>, Status> {
                self.seen(&request).map(|grant| Response::new(pb::InspectResponse { grant: Some(grant) })).map_err(Status::from)
            }
        }
    };
}

echo! {
    exchange ExchangeRequest ExchangeResponse
    attach AttachRequest AttachResponse
    discard DiscardRequest DiscardResponse
    detach DetachRequest DetachResponse
    get_access_token GetAccessTokenRequest GetAccessTokenResponse
    report_rejected ReportRejectedRequest ReportRejectedResponse
    refresh_now RefreshNowRequest RefreshNowResponse
    check_grants CheckGrantsRequest CheckGrantsResponse
    apply_platform_event ApplyPlatformEventRequest ApplyPlatformEventResponse
    list_stuck_grants ListStuckGrantsRequest ListStuckGrantsResponse
    rotate_keys RotateKeysRequest RotateKeysResponse
}

impl Echo {
    fn seen(&self, request: &Request<pb::InspectRequest>) -> Result<pb::Grant, Failure> {
        let context = Context::of(request)?;
        let person = context.person_in(&request.get_ref().workspace_id)?;
        Ok(pb::Grant {
            grant_id: self.0.to_owned(),
            workspace_id: person.workspace_id.clone(),
            user_name: person.user_id.clone(),
            connector: context.caller.to_string(),
            ..pb::Grant::default()
        })
    }
}

const RULES: &[Rule] = &[
    Rule {
        rpc: "Inspect",
        callers: &[GATEWAY],
        person: Need::Role(Role::Admin),
    },
    Rule {
        rpc: "CheckGrants",
        callers: &[GATEWAY],
        person: Need::Nobody,
    },
];

const SETTINGS: &str = r#"
    instance = "test"
    [database]
    url = "sqlite:unused"
    [redis]
    url = ""
    [auth]
    mode = "dev"
    issuer = "http://127.0.0.1:1"
    audience = "hub"
    workspaces_claim = ""
    client_id = ""
    client_secret = ""
    scopes = []
    session_idle = "1h"
    session_life = "24h"
    identity_key = "a key for this test alone"
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
"#;

fn common(mode: &str) -> Common {
    let variables = [("SOCIALIZIOZ__AUTH__MODE".to_owned(), mode.to_owned())];
    let layers = Layers::read(SETTINGS, None, variables).unwrap();
    let sections = Sections {
        instance: "test".into(),
        database: layers.peek("database").unwrap(),
        redis: layers.peek("redis").unwrap(),
        auth: layers.peek("auth").unwrap(),
        keys: layers.peek("keys").unwrap(),
        tls: layers.peek("tls").unwrap(),
    };
    let peer = "http://127.0.0.1:1".to_owned();
    let peers = Peers {
        accounts: peer.clone(),
        tokens: peer.clone(),
        platforms: peer.clone(),
        entitlements: peer,
    };
    Common::build(sections, peers, "http://127.0.0.1:8080", Clock::system()).unwrap()
}

struct Running {
    url: String,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<anyhow::Result<()>>,
}

async fn serve(common: &Common, name: &'static str) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (stop, common) = (CancellationToken::new(), common.clone());
    let stopped = stop.clone();
    let service = TokensServiceServer::new(Echo(name));
    let served = tokio::spawn(async move { server(&common, listener, stopped, RULES, None, service).await });
    Running { url, stop, served }
}

fn tokens(common: &Common, caller: &'static str, urls: &str) -> TokensServiceClient<Client> {
    TokensServiceClient::new(client(common, caller, urls))
}

fn person(role: Role) -> Person {
    Person {
        user_id: "usr_ada".into(),
        name: "Ada".into(),
        workspace_id: "demo".into(),
        role,
    }
}

fn in_demo() -> pb::InspectRequest {
    pb::InspectRequest {
        workspace_id: "demo".into(),
        account_id: String::new(),
    }
}

fn code(status: &Status) -> Code {
    Failure::from_status(status).code
}

#[tokio::test]
async fn t2_the_person_travels_signed_and_the_service_decides_by_it() {
    let common = common("oidc");
    let hub = serve(&common, "one").await;
    let mut gateway = tokens(&common, GATEWAY, &hub.url);
    let admin = Context::for_person(person(Role::Admin), &common.signer, None);
    let grant = gateway
        .inspect(admin.request(in_demo()))
        .await
        .unwrap()
        .into_inner()
        .grant
        .unwrap();
    assert_eq!(
        (grant.user_name.as_str(), grant.connector.as_str()),
        ("usr_ada", "gateway")
    );

    let member = Context::for_person(person(Role::Member), &common.signer, None);
    assert_eq!(
        code(&gateway.inspect(member.request(in_demo())).await.unwrap_err()),
        Code::ForbiddenRole
    );
    let nobody = gateway
        .inspect(Context::background().request(in_demo()))
        .await
        .unwrap_err();
    assert_eq!(code(&nobody), Code::Unauthenticated);
    let mut forged = Request::new(in_demo());
    forged
        .metadata_mut()
        .insert("x-socializioz-identity", "e30.e30.e30".parse().unwrap());
    assert_eq!(code(&gateway.inspect(forged).await.unwrap_err()), Code::Unauthenticated);
    let elsewhere = pb::InspectRequest {
        workspace_id: "other".into(),
        ..in_demo()
    };
    assert_eq!(
        code(&gateway.inspect(admin.request(elsewhere)).await.unwrap_err()),
        Code::NotFound
    );
}

#[tokio::test]
async fn what_has_no_rule_is_refused_and_so_is_who_is_not_named() {
    let common = common("oidc");
    let hub = serve(&common, "one").await;
    let admin = Context::for_person(person(Role::Admin), &common.signer, None);
    let unruled = tokens(&common, GATEWAY, &hub.url)
        .rotate_keys(admin.request(pb::RotateKeysRequest {}))
        .await;
    assert_eq!(code(&unruled.unwrap_err()), Code::CallerNotAllowed);
    let other = tokens(&common, ACCOUNTS, &hub.url)
        .inspect(admin.request(in_demo()))
        .await;
    assert_eq!(code(&other.unwrap_err()), Code::CallerNotAllowed);
    // `dev` is a name like any other outside dev mode.
    let dev = tokens(&common, "dev", &hub.url).inspect(admin.request(in_demo())).await;
    assert_eq!(code(&dev.unwrap_err()), Code::CallerNotAllowed);
}

#[tokio::test]
async fn in_dev_mode_a_caller_without_a_name_is_the_owner() {
    let common = common("dev");
    let hub = serve(&common, "one").await;
    let channel = tonic::transport::Channel::from_shared(hub.url.clone())
        .unwrap()
        .connect()
        .await
        .unwrap();
    let answer = TokensServiceClient::new(channel)
        .inspect(in_demo())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.grant.unwrap().connector, "dev");
}

#[tokio::test]
async fn l6_calls_move_to_the_living_replica() {
    let common = common("dev");
    let (one, two) = (serve(&common, "one").await, serve(&common, "two").await);
    let mut both = tokens(&common, GATEWAY, &format!("{},{}", one.url, two.url));
    let admin = Context::for_person(person(Role::Admin), &common.signer, None);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..64 {
        seen.insert(
            both.inspect(admin.request(in_demo()))
                .await
                .unwrap()
                .into_inner()
                .grant
                .unwrap()
                .grant_id,
        );
    }
    assert_eq!(seen.len(), 2, "both take part");
    one.stop.cancel();
    one.served.await.unwrap().unwrap();
    let moved = tokio::time::timeout(Duration::from_secs(10), async {
        let mut in_a_row = 0;
        while in_a_row < 32 {
            let admin = admin.clone().within(Duration::from_secs(5));
            in_a_row = if both.inspect(admin.request(in_demo())).await.is_ok() {
                in_a_row + 1
            } else {
                0
            };
        }
    });
    moved.await.expect("calls move to the replica that lives");
    two.stop.cancel();
}
