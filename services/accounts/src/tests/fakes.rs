//! The other services, played: they answer what a test sets and remember what they were asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use proto::entitlements::v1 as entitlements;
use proto::entitlements::v1::entitlements_service_server::EntitlementsService;
use proto::platforms::v1 as platforms;
use proto::platforms::v1::platforms_service_server::PlatformsService;
use proto::tokens::v1 as tokens;
use proto::tokens::v1::tokens_service_server::TokensService;
use tonic::{Request, Response, Status};

type Answer<T> = Result<Response<T>, Status>;

/// What the fakes know and were asked.
#[derive(Default)]
pub(super) struct State {
    /// What an exchange finds.
    pub(super) found: tokens::ExchangeResponse,
    pub(super) exchanges: Vec<String>,
    pub(super) attached: Vec<String>,
    pub(super) discarded: Vec<String>,
    pub(super) detached: Vec<String>,
    /// tokens refuses to detach.
    pub(super) down: bool,
    pub(super) grant_version: i64,
    pub(super) limit: Option<i64>,
    pub(super) held: HashMap<String, String>,
    pub(super) released: Vec<String>,
    pub(super) posts: Vec<platforms::Post>,
    pub(super) checks: usize,
}

#[derive(Clone, Default)]
pub(super) struct Fakes(Arc<Mutex<State>>);

impl Fakes {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

#[tonic::async_trait]
impl TokensService for Fakes {
    async fn exchange(&self, request: Request<tokens::ExchangeRequest>) -> Answer<tokens::ExchangeResponse> {
        // Long enough for every twin of the callback to arrive meanwhile.
        tokio::task::yield_now().await;
        let mut state = self.state();
        state.exchanges.push(request.into_inner().session_id);
        Ok(Response::new(state.found.clone()))
    }

    async fn attach(&self, request: Request<tokens::AttachRequest>) -> Answer<tokens::AttachResponse> {
        let request = request.into_inner();
        let mut state = self.state();
        state.grant_version += 1;
        let destination = |id: &str| {
            state
                .found
                .destinations
                .iter()
                .find(|found| found.platform_account_id == id)
                .cloned()
        };
        let accounts = request.attachments.iter().map(|attachment| {
            let found = destination(&attachment.platform_account_id).unwrap_or_default();
            tokens::GrantAccount {
                account_id: attachment.account_id.clone(),
                platform_account_id: attachment.platform_account_id.clone(),
                can_publish: found.can_publish,
                publish_problem: found.publish_problem,
            }
        });
        let grant = tokens::Grant {
            grant_id: format!("grp_{}_{}", request.workspace_id, state.found.platform_user_id),
            workspace_id: request.workspace_id.clone(),
            version: state.grant_version,
            generation: state.grant_version,
            state: tokens::GrantState::Active.into(),
            granted_scopes: state.found.granted_scopes.clone(),
            accounts: accounts.collect(),
            ..tokens::Grant::default()
        };
        state
            .attached
            .extend(request.attachments.into_iter().map(|attachment| attachment.account_id));
        Ok(Response::new(tokens::AttachResponse { grant: Some(grant) }))
    }

    async fn discard(&self, request: Request<tokens::DiscardRequest>) -> Answer<tokens::DiscardResponse> {
        self.state().discarded.push(request.into_inner().session_id);
        Ok(Response::new(tokens::DiscardResponse {}))
    }

    async fn detach(&self, request: Request<tokens::DetachRequest>) -> Answer<tokens::DetachResponse> {
        let mut state = self.state();
        if state.down {
            return Err(Status::unavailable("down"));
        }
        state.detached.push(request.into_inner().account_id);
        Ok(Response::new(tokens::DetachResponse {
            revocation: tokens::RevocationState::Queued.into(),
        }))
    }

    async fn check_grants(&self, _: Request<tokens::CheckGrantsRequest>) -> Answer<tokens::CheckGrantsResponse> {
        self.state().checks += 1;
        Ok(Response::new(tokens::CheckGrantsResponse { checked: 1 }))
    }

    async fn get_access_token(
        &self,
        _: Request<tokens::GetAccessTokenRequest>,
    ) -> Answer<tokens::GetAccessTokenResponse> {
        Err(Status::unimplemented("not played"))
    }

    async fn report_rejected(
        &self,
        _: Request<tokens::ReportRejectedRequest>,
    ) -> Answer<tokens::ReportRejectedResponse> {
        Err(Status::unimplemented("not played"))
    }

    async fn refresh_now(&self, _: Request<tokens::RefreshNowRequest>) -> Answer<tokens::RefreshNowResponse> {
        Err(Status::unimplemented("not played"))
    }

    async fn inspect(&self, _: Request<tokens::InspectRequest>) -> Answer<tokens::InspectResponse> {
        let scopes = self.state().found.granted_scopes.clone();
        let granted_scopes = scopes.into_iter().chain(["unasked".to_owned()]).collect();
        Ok(Response::new(tokens::InspectResponse {
            grant: Some(tokens::Grant {
                granted_scopes,
                ..Default::default()
            }),
        }))
    }

    async fn apply_platform_event(
        &self,
        _: Request<tokens::ApplyPlatformEventRequest>,
    ) -> Answer<tokens::ApplyPlatformEventResponse> {
        Err(Status::unimplemented("not played"))
    }

    async fn list_stuck_grants(
        &self,
        _: Request<tokens::ListStuckGrantsRequest>,
    ) -> Answer<tokens::ListStuckGrantsResponse> {
        Err(Status::unimplemented("not played"))
    }

    async fn rotate_keys(&self, _: Request<tokens::RotateKeysRequest>) -> Answer<tokens::RotateKeysResponse> {
        Err(Status::unimplemented("not played"))
    }
}

#[tonic::async_trait]
impl EntitlementsService for Fakes {
    async fn list_plans(&self, _: Request<entitlements::ListPlansRequest>) -> Answer<entitlements::ListPlansResponse> {
        Err(Status::unimplemented("not played"))
    }

    async fn get_workspace(
        &self,
        _: Request<entitlements::GetWorkspaceRequest>,
    ) -> Answer<entitlements::GetWorkspaceResponse> {
        Err(Status::unimplemented("not played"))
    }

    async fn get_workspace_versions(
        &self,
        _: Request<entitlements::GetWorkspaceVersionsRequest>,
    ) -> Answer<entitlements::GetWorkspaceVersionsResponse> {
        Err(Status::unimplemented("not played"))
    }

    async fn set_plan(&self, _: Request<entitlements::SetPlanRequest>) -> Answer<entitlements::SetPlanResponse> {
        Err(Status::unimplemented("not played"))
    }

    async fn set_active_accounts(
        &self,
        _: Request<entitlements::SetActiveAccountsRequest>,
    ) -> Answer<entitlements::SetActiveAccountsResponse> {
        Err(Status::unimplemented("not played"))
    }

    async fn check_platform(
        &self,
        _: Request<entitlements::CheckPlatformRequest>,
    ) -> Answer<entitlements::CheckPlatformResponse> {
        Ok(Response::new(entitlements::CheckPlatformResponse {}))
    }

    async fn reserve_slot(
        &self,
        _: Request<entitlements::ReserveSlotRequest>,
    ) -> Answer<entitlements::ReserveSlotResponse> {
        Ok(Response::new(entitlements::ReserveSlotResponse { reserved: true }))
    }

    async fn hold_slots(
        &self,
        request: Request<entitlements::HoldSlotsRequest>,
    ) -> Answer<entitlements::HoldSlotsResponse> {
        let request = request.into_inner();
        let mut state = self.state();
        let new = request
            .accounts
            .iter()
            .filter(|account| !state.held.contains_key(&account.account_id))
            .count();
        let used = i64::try_from(state.held.len()).unwrap();
        if let Some(limit) = state.limit.filter(|limit| used + i64::try_from(new).unwrap() > *limit) {
            let failure = kit::Failure::new(kit::Code::AccountLimitReached, "full")
                .param("limit", limit)
                .param("used", used);
            return Err(failure.into());
        }
        state.held.extend(
            request
                .accounts
                .into_iter()
                .map(|account| (account.account_id, account.platform)),
        );
        Ok(Response::new(entitlements::HoldSlotsResponse { workspace: None }))
    }

    async fn release_slot(
        &self,
        request: Request<entitlements::ReleaseSlotRequest>,
    ) -> Answer<entitlements::ReleaseSlotResponse> {
        let holder = request.into_inner().holder_id;
        let mut state = self.state();
        state.held.remove(&holder);
        state.released.push(holder);
        Ok(Response::new(entitlements::ReleaseSlotResponse {}))
    }
}

fn scope(name: &str, label: &str, publish: bool) -> platforms::Scope {
    platforms::Scope {
        name: name.into(),
        label: label.into(),
        required: true,
        publish,
        kinds: Vec::new(),
    }
}

fn platform(id: &str, meta: bool) -> platforms::Platform {
    let connector = platforms::Connector {
        id: id.into(),
        method: "oauth".into(),
        scopes: vec![
            scope("read", "read posts", false),
            scope("write", "publish content", true),
        ],
        announced_refresh: meta,
        shared_grant: meta,
        ..platforms::Connector::default()
    };
    let capabilities = if meta {
        vec!["publish", "post_feed", "analytics"]
    } else {
        vec!["publish", "analytics"]
    };
    platforms::Platform {
        id: id.into(),
        title: id.into(),
        connectors: vec![connector],
        capabilities: capabilities.into_iter().map(str::to_owned).collect(),
        connectable: true,
        token_diagnostics: meta,
        ..platforms::Platform::default()
    }
}

#[tonic::async_trait]
impl PlatformsService for Fakes {
    async fn list_platforms(
        &self,
        _: Request<platforms::ListPlatformsRequest>,
    ) -> Answer<platforms::ListPlatformsResponse> {
        let soon = platforms::Platform {
            connectable: false,
            ..platform("telegram", false)
        };
        let platforms = vec![platform("facebook", true), platform("x", false), soon];
        Ok(Response::new(platforms::ListPlatformsResponse { platforms }))
    }

    async fn authorization_url(
        &self,
        request: Request<platforms::AuthorizationUrlRequest>,
    ) -> Answer<platforms::AuthorizationUrlResponse> {
        // The state is all that a test needs of the address.
        let url = request.into_inner().state;
        Ok(Response::new(platforms::AuthorizationUrlResponse {
            url,
            sealed_verifier: vec![1, 2, 3],
        }))
    }

    async fn list_posts(&self, _: Request<platforms::ListPostsRequest>) -> Answer<platforms::ListPostsResponse> {
        let state = self.state();
        if state.down {
            return Err(Status::unavailable("down"));
        }
        Ok(Response::new(platforms::ListPostsResponse {
            posts: state.posts.clone(),
            next_cursor: String::new(),
        }))
    }

    async fn publish_post(
        &self,
        request: Request<platforms::PublishPostRequest>,
    ) -> Answer<platforms::PublishPostResponse> {
        let text = request.into_inner().text;
        let post = platforms::Post {
            platform_post_id: "p_new".into(),
            text,
            published_at_ms: 5,
            ..Default::default()
        };
        Ok(Response::new(platforms::PublishPostResponse { post: Some(post) }))
    }

    async fn exchange(&self, _: Request<platforms::ExchangeRequest>) -> Answer<platforms::ExchangeResponse> {
        Err(Status::permission_denied("accounts never sees a token"))
    }

    async fn refresh(&self, _: Request<platforms::RefreshRequest>) -> Answer<platforms::RefreshResponse> {
        Err(Status::permission_denied("accounts never sees a token"))
    }

    async fn interpret(&self, _: Request<platforms::InterpretRequest>) -> Answer<platforms::InterpretResponse> {
        Err(Status::permission_denied("accounts never sees a token"))
    }

    async fn acknowledge(&self, _: Request<platforms::AcknowledgeRequest>) -> Answer<platforms::AcknowledgeResponse> {
        Err(Status::permission_denied("accounts never sees a token"))
    }

    async fn discover(&self, _: Request<platforms::DiscoverRequest>) -> Answer<platforms::DiscoverResponse> {
        Err(Status::permission_denied("accounts never sees a token"))
    }

    async fn inspect(&self, _: Request<platforms::InspectRequest>) -> Answer<platforms::InspectResponse> {
        Err(Status::permission_denied("accounts never sees a token"))
    }

    async fn revoke(&self, _: Request<platforms::RevokeRequest>) -> Answer<platforms::RevokeResponse> {
        Err(Status::permission_denied("accounts never sees a token"))
    }

    async fn verify_callback(
        &self,
        _: Request<platforms::VerifyCallbackRequest>,
    ) -> Answer<platforms::VerifyCallbackResponse> {
        Err(Status::permission_denied("accounts never sees a token"))
    }
}
