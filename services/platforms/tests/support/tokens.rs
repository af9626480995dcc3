//! A tokens service that hands out one token and notes which tokens were reported as refused.

use super::*;
use proto::tokens::v1 as pb;
use proto::tokens::v1::tokens_service_server::{TokensService, TokensServiceServer};
use tonic::{Request, Response, Status};

/// Shared with the running server.
#[derive(Clone, Default)]
pub(crate) struct Tokens(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    token: pb::GetAccessTokenResponse,
    reported: Vec<(i64, String)>,
}

impl Tokens {
    pub(super) async fn start() -> (Self, String) {
        let (listener, url) = bind().await;
        let tokens = Self::default();
        let server = tonic::transport::Server::builder().add_service(TokensServiceServer::new(tokens.clone()));
        tokio::spawn(server.serve_with_incoming(tonic::transport::server::TcpIncoming::from(listener)));
        (tokens, url)
    }

    /// The next token to hand out.
    pub(crate) fn hand_out(&self, connector: &str, token: &str, platform_account_id: &str) {
        self.0.lock().unwrap().token = pb::GetAccessTokenResponse {
            access_token: token.into(),
            generation: 7,
            connector: connector.into(),
            platform_account_id: platform_account_id.into(),
            ..pb::GetAccessTokenResponse::default()
        };
    }

    /// Generation and error of every reported token.
    pub(crate) fn reported(&self) -> Vec<(i64, String)> {
        self.0.lock().unwrap().reported.clone()
    }
}

macro_rules! unused {
    ($($name:ident $request:ident $response:ident),*) => {
        #[tonic::async_trait]
        impl TokensService for Tokens {
            async fn get_access_token(&self, _: Request<pb::GetAccessTokenRequest>) -> Result<Response<pb::GetAccessTokenResponse>, Status> {
                Ok(Response::new(self.0.lock().unwrap().token.clone()))
            }
            async fn report_rejected(&self, request: Request<pb::ReportRejectedRequest>) -> Result<Response<pb::ReportRejectedResponse>, Status> {
                let request = request.into_inner();
                self.0.lock().unwrap().reported.push((request.generation, request.error));
                Ok(Response::new(pb::ReportRejectedResponse::default()))
            }
            $(async fn $name(&self, _: Request<pb::$request>) -> Result<Response<pb::$response>, Status> {
                Err(Status::unimplemented("not needed"))
            })*
        }
    };
}

unused! {
    exchange ExchangeRequest ExchangeResponse, attach AttachRequest AttachResponse, discard DiscardRequest DiscardResponse,
    detach DetachRequest DetachResponse, refresh_now RefreshNowRequest RefreshNowResponse, inspect InspectRequest InspectResponse,
    check_grants CheckGrantsRequest CheckGrantsResponse,
    apply_platform_event ApplyPlatformEventRequest ApplyPlatformEventResponse,
    list_stuck_grants ListStuckGrantsRequest ListStuckGrantsResponse, rotate_keys RotateKeysRequest RotateKeysResponse
}
