//! The RPCs: decode, call, encode. Who may call is [`POLICY`]; what a call may see is fenced by its workspace.

use kit::grpc::{ACCOUNTS, ADMIN, Context, GATEWAY, Need, PLATFORMS, Rule, SERVICES};
use kit::wire;
use kit::{Code, Failure};
use proto::platforms::v1 as platforms;
use proto::tokens::v1 as pb;
use proto::tokens::v1::tokens_service_server::TokensService;
use tonic::{Request, Response, Status};

use crate::Error;
use crate::access::Wish;
use crate::engine::Engine;
use crate::model::schedule::may_refresh;
use crate::model::{Grant, State};
use crate::refresh::Why;

/// Who may call what. Default deny.
pub const POLICY: &[Rule] = &[
    rule("Exchange", &[ACCOUNTS]),
    rule("Attach", &[ACCOUNTS]),
    rule("Discard", &[ACCOUNTS]),
    rule("Detach", &[ACCOUNTS]),
    rule("CheckGrants", &[ACCOUNTS]),
    rule("RefreshNow", &[ACCOUNTS]),
    rule("ApplyPlatformEvent", &[GATEWAY]),
    rule("GetAccessToken", &[PLATFORMS, SERVICES]),
    rule("ReportRejected", &[PLATFORMS, SERVICES]),
    rule("Inspect", &[ACCOUNTS, ADMIN]),
    rule("ListStuckGrants", &[ADMIN]),
    rule("RotateKeys", &[ADMIN]),
];

/// Services call tokens; whom they call for is fenced by the workspace.
const fn rule(rpc: &'static str, callers: &'static [&'static str]) -> Rule {
    Rule {
        rpc,
        callers,
        person: Need::Nobody,
    }
}

/// A token that is asked for without a wish lives at least a minute.
const MIN_TTL_MS: i64 = 60_000;
/// Ids longer than this are nobody's.
const LONGEST_ID: usize = 200;

/// The RPCs over an [`Engine`].
pub struct Service {
    engine: Engine,
}

impl Service {
    /// The RPCs.
    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }

    async fn grant_of(&self, workspace_id: &str, account_id: &str) -> Result<Grant, Error> {
        Ok(self
            .engine
            .store
            .account(workspace_id, account_id)
            .await?
            .ok_or(Error::NoSuchAccount)?
            .0
            .grant)
    }

    async fn answer(&self, grant: &Grant) -> Result<pb::Grant, Error> {
        self.engine.store.message(&grant.workspace_id, grant).await
    }
}

fn checked(field: &str, id: &str) -> Result<(), Failure> {
    if (1..=LONGEST_ID).contains(&id.len()) {
        Ok(())
    } else {
        Err(Failure::invalid(format!("/{field}"), "is missing or too long"))
    }
}

/// Fences a call by its workspace and checks its other id.
fn fenced<T>(request: &Request<T>, workspace_id: &str, field: &str, id: &str) -> Result<Context, Failure> {
    let context = Context::of(request)?;
    context.workspace(workspace_id)?;
    checked(field, id)?;
    Ok(context)
}

#[tonic::async_trait]
impl TokensService for Service {
    async fn exchange(&self, request: Request<pb::ExchangeRequest>) -> Result<Response<pb::ExchangeResponse>, Status> {
        let message = request.get_ref();
        fenced(&request, &message.workspace_id, "session_id", &message.session_id)?;
        let pb::ExchangeRequest {
            workspace_id,
            session_id,
            connector,
            code,
            redirect_uri,
            sealed_verifier,
        } = request.into_inner();
        let trade = platforms::ExchangeRequest {
            session_id,
            connector,
            code,
            redirect_uri,
            sealed_verifier,
        };
        Ok(Response::new(self.engine.exchange(&workspace_id, trade).await?))
    }

    async fn attach(&self, request: Request<pb::AttachRequest>) -> Result<Response<pb::AttachResponse>, Status> {
        let message = request.get_ref();
        fenced(&request, &message.workspace_id, "session_id", &message.session_id)?;
        if message.attachments.is_empty() {
            return Err(Failure::invalid("/attachments", "is empty").into());
        }
        for attachment in &message.attachments {
            checked("attachments", &attachment.account_id)?;
        }
        let grant = self
            .engine
            .attach(&message.workspace_id, &message.session_id, &message.attachments)
            .await?;
        Ok(Response::new(pb::AttachResponse { grant: Some(grant) }))
    }

    async fn discard(&self, request: Request<pb::DiscardRequest>) -> Result<Response<pb::DiscardResponse>, Status> {
        let message = request.get_ref();
        fenced(&request, &message.workspace_id, "session_id", &message.session_id)?;
        self.engine.discard(&message.workspace_id, &message.session_id).await?;
        Ok(Response::new(pb::DiscardResponse {}))
    }

    async fn detach(&self, request: Request<pb::DetachRequest>) -> Result<Response<pb::DetachResponse>, Status> {
        let message = request.get_ref();
        fenced(&request, &message.workspace_id, "account_id", &message.account_id)?;
        let revocation = self.engine.detach(&message.workspace_id, &message.account_id).await?;
        Ok(Response::new(pb::DetachResponse {
            revocation: revocation.into(),
        }))
    }

    async fn get_access_token(
        &self,
        request: Request<pb::GetAccessTokenRequest>,
    ) -> Result<Response<pb::GetAccessTokenResponse>, Status> {
        let message = request.get_ref();
        let context = fenced(&request, &message.workspace_id, "account_id", &message.account_id)?;
        let min_ttl = message.min_ttl.as_ref().map(wire::duration);
        let wish = Wish {
            caller: &context.caller,
            workspace_id: &message.workspace_id,
            account_id: &message.account_id,
            min_ttl_ms: min_ttl.map_or(MIN_TTL_MS, kit::clock::millis),
            deadline: context.deadline,
        };
        let entry = self.engine.access(&wish).await?;
        Ok(Response::new(pb::GetAccessTokenResponse {
            access_token: entry.token.expose().to_owned(),
            token_type: entry.token_type.clone(),
            expires_at: wire::timestamp(entry.expires_at_ms),
            generation: entry.generation,
            scopes: entry.scopes.clone(),
            connector: entry.connector.clone(),
            platform_account_id: entry.platform_account_id.clone(),
        }))
    }

    async fn report_rejected(
        &self,
        request: Request<pb::ReportRejectedRequest>,
    ) -> Result<Response<pb::ReportRejectedResponse>, Status> {
        let context = Context::of(&request)?;
        let message = request.into_inner();
        checked("account_id", &message.account_id)?;
        let workspace_id = if message.workspace_id.is_empty() {
            self.engine
                .store
                .workspace_of(&message.account_id)
                .await
                .map_err(Status::from)?
                .ok_or(Error::NoSuchAccount)?
        } else {
            message.workspace_id
        };
        context.workspace(&workspace_id)?;
        let grant = self
            .engine
            .rejected(&workspace_id, &message.account_id, message.generation, &message.error)
            .await?;
        Ok(Response::new(pb::ReportRejectedResponse {
            grant: Some(self.answer(&grant).await?),
        }))
    }

    async fn refresh_now(
        &self,
        request: Request<pb::RefreshNowRequest>,
    ) -> Result<Response<pb::RefreshNowResponse>, Status> {
        let message = request.get_ref();
        fenced(&request, &message.workspace_id, "account_id", &message.account_id)?;
        let before = self.grant_of(&message.workspace_id, &message.account_id).await?;
        let traits = self.engine.platforms.traits(&before.connector).await?;
        if before.state == State::Dead {
            return Err(Error::NotRefreshable("the account has to be reconnected").into());
        }
        if !may_refresh(&before, &traits, self.engine.now()) {
            return Err(Error::NotRefreshable("there is nothing to refresh now").into());
        }
        self.engine.refresh(&before, Why::Person).await?;
        let after = self.engine.latest(&before).await?;
        let renewed = after.generation > before.generation;
        let error = if renewed {
            None
        } else {
            after.dead.clone().or_else(|| after.last_error.clone()).map(Into::into)
        };
        Ok(Response::new(pb::RefreshNowResponse {
            grant: Some(self.answer(&after).await?),
            error,
        }))
    }

    async fn inspect(&self, request: Request<pb::InspectRequest>) -> Result<Response<pb::InspectResponse>, Status> {
        let message = request.get_ref();
        fenced(&request, &message.workspace_id, "account_id", &message.account_id)?;
        let grant = self.grant_of(&message.workspace_id, &message.account_id).await?;
        Ok(Response::new(pb::InspectResponse {
            grant: Some(self.answer(&grant).await?),
        }))
    }

    async fn check_grants(
        &self,
        request: Request<pb::CheckGrantsRequest>,
    ) -> Result<Response<pb::CheckGrantsResponse>, Status> {
        Context::of(&request)?.workspace(&request.get_ref().workspace_id)?;
        let message = request.into_inner();
        if message.account_ids.len() > 500 {
            return Err(Failure::invalid("/account_ids", "at most 500").into());
        }
        let checked = self
            .engine
            .check_workspace(&message.workspace_id, &message.account_ids, message.wait)
            .await?;
        Ok(Response::new(pb::CheckGrantsResponse { checked }))
    }

    async fn apply_platform_event(
        &self,
        request: Request<pb::ApplyPlatformEventRequest>,
    ) -> Result<Response<pb::ApplyPlatformEventResponse>, Status> {
        let event = request
            .into_inner()
            .event
            .ok_or_else(|| Failure::invalid("/event", "is missing"))?;
        Ok(Response::new(pb::ApplyPlatformEventResponse {
            grants: self.engine.announced(&event).await?,
        }))
    }

    async fn list_stuck_grants(
        &self,
        request: Request<pb::ListStuckGrantsRequest>,
    ) -> Result<Response<pb::ListStuckGrantsResponse>, Status> {
        let limit = match request.into_inner().limit {
            0 => 100,
            limit @ 1..=1000 => limit,
            _ => {
                return Err(Failure::new(Code::ValidationFailed, "limit is 1 to 1000")
                    .field("/limit", "is 1 to 1000")
                    .into());
            }
        };
        // Five minutes are more than any attempt takes that goes well.
        let before = self.engine.now() - 300_000;
        let grants = self.engine.store.stuck(before, i64::from(limit)).await?;
        Ok(Response::new(pb::ListStuckGrantsResponse { grants }))
    }

    async fn rotate_keys(&self, _: Request<pb::RotateKeysRequest>) -> Result<Response<pb::RotateKeysResponse>, Status> {
        let (resealed, used) = self.engine.store.reseal().await?;
        let ring = self.engine.store.vault().ring();
        let unused_key_ids = ring
            .ids()
            .filter(|id| *id != ring.primary_id() && !used.contains(*id))
            .map(str::to_owned)
            .collect();
        tracing::info!(resealed, "sealed records are under the first key");
        Ok(Response::new(pb::RotateKeysResponse {
            resealed,
            unused_key_ids,
        }))
    }
}
