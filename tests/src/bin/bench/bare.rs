//! The servers to compare with: as little as the protocol allows, answering the bytes that the hub answers.
//!
//! They read what to answer from standard input, once, at their start.

use std::convert::Infallible;
use std::future::Ready;
use std::io::Read;
use std::net::SocketAddr;
use std::task::Poll;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::routing::get;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use prost::Message as _;
use proto::tokens::v1::tokens_service_client::TokensServiceClient;
use proto::tokens::v1::{GetAccessTokenRequest, GetAccessTokenResponse};
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};

/// Connections between bare HTTP server and bare gRPC server.
const CONNECTIONS: usize = 4;

fn answer_from_stdin() -> anyhow::Result<Vec<u8>> {
    let mut answer = Vec::new();
    std::io::stdin().read_to_end(&mut answer)?;
    Ok(answer)
}

/// An empty unary handler that answers one fixed message.
#[derive(Clone)]
struct Fixed(GetAccessTokenResponse);

impl UnaryService<GetAccessTokenRequest> for Fixed {
    type Response = GetAccessTokenResponse;
    type Future = Ready<Result<Response<Self::Response>, Status>>;

    fn call(&mut self, _request: Request<GetAccessTokenRequest>) -> Self::Future {
        std::future::ready(Ok(Response::new(self.0.clone())))
    }
}

impl NamedService for Fixed {
    const NAME: &'static str = "socializioz.tokens.v1.TokensService";
}

impl tonic::codegen::Service<http::Request<Body>> for Fixed {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let handler = self.clone();
        Box::pin(async move {
            let codec = tonic_prost::ProstCodec::<GetAccessTokenResponse, GetAccessTokenRequest>::default();
            Ok(Grpc::new(codec).unary(handler, request).await)
        })
    }
}

/// tonic with one empty unary handler.
pub(crate) async fn serve_grpc(listen: SocketAddr) -> anyhow::Result<()> {
    let answer = GetAccessTokenResponse::decode(answer_from_stdin()?.as_slice())?;
    Ok(Server::builder()
        .tcp_nodelay(true)
        .add_service(Fixed(answer))
        .serve(listen)
        .await?)
}

/// axum with one handler that makes one gRPC call and returns fixed bytes.
pub(crate) async fn serve_http(listen: SocketAddr, grpc: &str) -> anyhow::Result<()> {
    let body = Bytes::from(answer_from_stdin()?);
    let endpoint = Endpoint::from_shared(grpc.to_owned())?.tcp_nodelay(true);
    let client = TokensServiceClient::new(Channel::balance_list(std::iter::repeat_n(endpoint, CONNECTIONS)));
    let handler = async move || {
        let mut client = client.clone();
        match client.get_access_token(GetAccessTokenRequest::default()).await {
            Ok(_) => ([(header::CONTENT_TYPE, "application/json")], body.clone()).into_response(),
            Err(status) => (http::StatusCode::BAD_GATEWAY, status.message().to_owned()).into_response(),
        }
    };
    let routes = Router::new().route("/", get(handler));
    let listener = TcpListener::bind(listen).await?;
    Ok(axum::serve(
        axum::serve::ListenerExt::tap_io(listener, |stream| drop(stream.set_nodelay(true))),
        routes,
    )
    .await?)
}
