//! The gRPC face of platforms: finds the connector, and leaves the work to `flow`, the adapters, `posts` and `callback`.
//! Clear tokens pass through here: only tokens may call the RPCs that carry them.

use std::collections::BTreeMap;
use std::sync::Arc;

use kit::grpc::{ACCOUNTS, Client, Context, GATEWAY, Need, Rule, TOKENS};
use kit::seal::{Aad, KeyRing};
use kit::tasks::Tasks;
use kit::{Clock, Code, Failure};
use proto::platforms::v1 as pb;
use proto::platforms::v1::platforms_service_server::PlatformsService;
use proto::tokens::v1::tokens_service_client::TokensServiceClient;
use tonic::{Request, Response, Status};

use crate::adapter::{Adapter, Draft};
use crate::callback;
use crate::ctx::Ctx;
use crate::error::Error;
use crate::flow;
use crate::oauth::{self, Ask};
use crate::platforms;
use crate::posts;
use crate::receipts::{Receipts, Work};

const fn rule(rpc: &'static str, callers: &'static [&'static str]) -> Rule {
    Rule {
        rpc,
        callers,
        person: Need::Nobody,
    }
}

/// Who may call what. Nothing else is allowed.
pub const POLICY: &[Rule] = &[
    rule("ListPlatforms", &[GATEWAY, ACCOUNTS, TOKENS]),
    rule("AuthorizationUrl", &[ACCOUNTS]),
    rule("Exchange", &[TOKENS]),
    rule("Refresh", &[TOKENS]),
    rule("Interpret", &[TOKENS]),
    rule("Acknowledge", &[TOKENS]),
    rule("Discover", &[TOKENS]),
    rule("Inspect", &[TOKENS]),
    rule("Revoke", &[TOKENS]),
    rule("ListPosts", &[GATEWAY, ACCOUNTS]),
    rule("PublishPost", &[GATEWAY, ACCOUNTS]),
    rule("VerifyCallback", &[GATEWAY, ACCOUNTS]),
];

/// The service.
pub(crate) struct Service {
    pub(crate) connectors: BTreeMap<&'static str, Arc<Ctx>>,
    pub(crate) receipts: Receipts,
    pub(crate) ring: KeyRing,
    pub(crate) clock: Clock,
    pub(crate) tasks: Tasks,
    pub(crate) tokens: TokensServiceClient<Client>,
}

type Found = (&'static dyn Adapter, Arc<Ctx>);

fn find(connectors: &BTreeMap<&'static str, Arc<Ctx>>, id: &str) -> Result<Found, Failure> {
    let found = platforms::adapter(id).and_then(|adapter| Some((adapter, Arc::clone(connectors.get(id)?))));
    found.ok_or_else(|| Failure::invalid("/connector", "there is no such connector"))
}

fn verifier_of(session_id: &str) -> Aad<'_> {
    Aad {
        workspace: "",
        record: session_id,
        field: "verifier",
        generation: 0,
    }
}

/// An id that answers are kept under.
fn required(id: &str, pointer: &str) -> Result<String, Failure> {
    if id.is_empty() || id.len() > 200 {
        return Err(Failure::invalid(pointer, "must have 1 to 200 characters"));
    }
    Ok(id.to_owned())
}

impl Service {
    fn find(&self, connector: &str) -> Result<Found, Failure> {
        find(&self.connectors, connector)
    }

    fn address(&self, request: &pb::AuthorizationUrlRequest) -> Result<pb::AuthorizationUrlResponse, Error> {
        let (adapter, ctx) = self.find(&request.connector)?;
        if !ctx.app.is_set_up {
            let detail = format!("platforms.{}.client_id is not set", request.connector);
            return Err(Failure::new(kit::Code::PlatformComingSoon, detail).into());
        }
        let verifier = if oauth::uses_verifier(adapter.spec(), &ctx.app) {
            kit::id::secret()
        } else {
            String::new()
        };
        let ask = Ask {
            state: &request.state,
            redirect_uri: &request.redirect_uri,
            verifier: &verifier,
            rerequest: request.rerequest,
        };
        let url = oauth::authorize(adapter.spec(), &ctx.app, &ask, &adapter.dialog_extras(&ask));
        let sealed_verifier = match verifier.as_str() {
            "" => Vec::new(),
            verifier => self.ring.seal(&verifier_of(&request.session_id), verifier.as_bytes())?,
        };
        Ok(pb::AuthorizationUrlResponse { url, sealed_verifier })
    }

    async fn trade(&self, request: pb::ExchangeRequest) -> Result<pb::Answers, Error> {
        let (adapter, ctx) = self.find(&request.connector)?;
        let id = required(&request.session_id, "/session_id")?;
        let verifier = match request.sealed_verifier.as_slice() {
            [] => String::new(),
            sealed => String::from_utf8_lossy(&self.ring.open(&verifier_of(&id), sealed)?).into_owned(),
        };
        let trade = flow::Trade {
            code: request.code,
            redirect_uri: request.redirect_uri,
            verifier,
        };
        let work: Work = Box::new(move |flight, early| Box::pin(flow::exchange(ctx, adapter, trade, flight, early)));
        Ok(self.receipts.once(&id, work).await)
    }

    async fn renew(&self, request: pb::RefreshRequest) -> Result<pb::Answers, Error> {
        let (adapter, ctx) = self.find(&request.connector)?;
        let id = required(&request.attempt_id, "/attempt_id")?;
        let credential = request
            .credential
            .ok_or_else(|| Failure::invalid("/credential", "is missing"))?;
        let (before, needs_marker) = (request.send_before_ms, request.needs_marker);
        let work: Work = Box::new(move |mut flight, _| {
            flight.needs_marker = needs_marker;
            Box::pin(flow::refresh(ctx, adapter, credential, before, flight))
        });
        Ok(self.receipts.once(&id, work).await)
    }

    async fn place(&self, context: Context, workspace_id: &str, account_id: &str) -> Result<posts::Place, Error> {
        context.workspace(workspace_id)?;
        posts::place(
            self.tokens.clone(),
            context,
            |connector| self.find(connector),
            workspace_id,
            account_id,
        )
        .await
    }
}

#[tonic::async_trait]
impl PlatformsService for Service {
    async fn list_platforms(
        &self,
        _: Request<pb::ListPlatformsRequest>,
    ) -> Result<Response<pb::ListPlatformsResponse>, Status> {
        let app = |connector: &str| self.connectors.get(connector).map(|ctx| &ctx.app);
        let platforms = platforms::PLATFORMS
            .iter()
            .map(|platform| platform.describe(app))
            .collect();
        Ok(Response::new(pb::ListPlatformsResponse { platforms }))
    }

    async fn authorization_url(
        &self,
        request: Request<pb::AuthorizationUrlRequest>,
    ) -> Result<Response<pb::AuthorizationUrlResponse>, Status> {
        Ok(Response::new(self.address(request.get_ref())?))
    }

    async fn exchange(&self, request: Request<pb::ExchangeRequest>) -> Result<Response<pb::ExchangeResponse>, Status> {
        let answers = self.trade(request.into_inner()).await?;
        Ok(Response::new(pb::ExchangeResponse { answers: Some(answers) }))
    }

    async fn refresh(&self, request: Request<pb::RefreshRequest>) -> Result<Response<pb::RefreshResponse>, Status> {
        let answers = self.renew(request.into_inner()).await?;
        Ok(Response::new(pb::RefreshResponse { answers: Some(answers) }))
    }

    async fn interpret(
        &self,
        request: Request<pb::InterpretRequest>,
    ) -> Result<Response<pb::InterpretResponse>, Status> {
        use pb::interpret_response::Outcome;
        let request = request.into_inner();
        let (adapter, _) = self.find(&request.connector)?;
        let outcome = adapter.interpret(&request.answers.unwrap_or_default(), request.previous.as_ref());
        Ok(Response::new(pb::InterpretResponse {
            outcome: Some(match outcome.result {
                Ok(credential) => Outcome::Renewed(credential),
                Err(error) => Outcome::Refused(error),
            }),
            salvaged_refresh_token: outcome.salvaged.unwrap_or_default(),
        }))
    }

    async fn acknowledge(
        &self,
        request: Request<pb::AcknowledgeRequest>,
    ) -> Result<Response<pb::AcknowledgeResponse>, Status> {
        let id = required(&request.into_inner().id, "/id")?;
        if !self.receipts.acknowledge(&id).await {
            return Err(Failure::new(Code::Unavailable, "another replica may have it and cannot be told").into());
        }
        Ok(Response::new(pb::AcknowledgeResponse {}))
    }

    async fn discover(&self, request: Request<pb::DiscoverRequest>) -> Result<Response<pb::DiscoverResponse>, Status> {
        let request = request.into_inner();
        let (adapter, ctx) = self.find(&request.connector)?;
        let found = adapter.discover(&ctx, &request.credential.unwrap_or_default()).await;
        Ok(Response::new(found.unwrap_or_else(failed)))
    }

    async fn inspect(&self, request: Request<pb::InspectRequest>) -> Result<Response<pb::InspectResponse>, Status> {
        let request = request.into_inner();
        let (adapter, ctx) = self.find(&request.connector)?;
        let found = adapter
            .inspect(&ctx, &request.credential.unwrap_or_default(), &request.destinations)
            .await;
        Ok(Response::new(pb::InspectResponse {
            found: Some(found.unwrap_or_else(failed)),
        }))
    }

    async fn revoke(&self, request: Request<pb::RevokeRequest>) -> Result<Response<pb::RevokeResponse>, Status> {
        let request = request.into_inner();
        let (adapter, ctx) = self.find(&request.connector)?;
        let supported = adapter.spec().revocable;
        let credential = request.credential.unwrap_or_default();
        let error = if supported {
            adapter.revoke(&ctx, &credential, &request.platform_user_id).await.err()
        } else {
            None
        };
        Ok(Response::new(pb::RevokeResponse { supported, error }))
    }

    async fn list_posts(
        &self,
        request: Request<pb::ListPostsRequest>,
    ) -> Result<Response<pb::ListPostsResponse>, Status> {
        let context = Context::of(&request)?;
        let request = request.into_inner();
        let place = self.place(context, &request.workspace_id, &request.account_id).await?;
        Ok(Response::new(place.list(request.limit, &request.cursor).await?))
    }

    async fn publish_post(
        &self,
        request: Request<pb::PublishPostRequest>,
    ) -> Result<Response<pb::PublishPostResponse>, Status> {
        let context = Context::of(&request)?;
        let request = request.into_inner();
        let place = self.place(context, &request.workspace_id, &request.account_id).await?;
        let draft = Draft {
            text: request.text,
            image_url: request.image_url,
        };
        let published = self.tasks.spawn(place.publish(draft)).await;
        let post = published.map_err(|_| Failure::new(Code::Internal, "publishing ended unexpectedly"))??;
        Ok(Response::new(pb::PublishPostResponse { post: Some(post) }))
    }

    async fn verify_callback(
        &self,
        request: Request<pb::VerifyCallbackRequest>,
    ) -> Result<Response<pb::VerifyCallbackResponse>, Status> {
        let app = |connector: &str| self.connectors.get(connector).map(|ctx| &ctx.app);
        let events = callback::verify(request.get_ref(), app, &self.clock)?;
        Ok(Response::new(pb::VerifyCallbackResponse { events }))
    }
}

fn failed(error: proto::common::v1::PlatformError) -> pb::DiscoverResponse {
    pb::DiscoverResponse {
        error: Some(error),
        ..pb::DiscoverResponse::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t3_every_rpc_has_exactly_one_rule() {
        let descriptors: prost_types::FileDescriptorSet = prost::Message::decode(proto::DESCRIPTORS).unwrap();
        let service = descriptors
            .file
            .iter()
            .flat_map(|file| &file.service)
            .find(|service| service.name() == "PlatformsService")
            .unwrap();
        let mut rpcs: Vec<&str> = service
            .method
            .iter()
            .map(prost_types::MethodDescriptorProto::name)
            .collect();
        let mut rules: Vec<&str> = POLICY.iter().map(|rule| rule.rpc).collect();
        rpcs.sort_unstable();
        rules.sort_unstable();
        assert_eq!(rpcs, rules);
    }
}
