//! The gRPC face of entitlements: checks who asks and what, then leaves it to the store.

use futures_util::future::try_join_all;
use kit::grpc::{ACCOUNTS, Context, GATEWAY, Need, Rule, SERVICES};
use kit::outbox::Relay;
use kit::{Clock, Failure, Role};
use proto::entitlements::v1 as pb;
use proto::entitlements::v1::entitlements_service_server::EntitlementsService;
use tonic::{Request, Response, Status};

use crate::error::Error;
use crate::model::is_workspace_id;
use crate::store::{Hold, Reservation, Store};

/// Who may call what. Nothing else is allowed.
pub const POLICY: &[Rule] = &[
    Rule {
        rpc: "ListPlans",
        callers: &[GATEWAY, ACCOUNTS, SERVICES],
        person: Need::Nobody,
    },
    Rule {
        rpc: "GetWorkspace",
        callers: &[GATEWAY, ACCOUNTS, SERVICES],
        person: Need::Nobody,
    },
    // Numbers only; whom the gateway shows what they are the numbers of was decided when that was read.
    Rule {
        rpc: "GetWorkspaceVersions",
        callers: &[GATEWAY],
        person: Need::Nobody,
    },
    Rule {
        rpc: "SetPlan",
        callers: &[GATEWAY],
        person: Need::Role(Role::Owner),
    },
    Rule {
        rpc: "SetActiveAccounts",
        callers: &[GATEWAY],
        person: Need::Role(Role::Owner),
    },
    Rule {
        rpc: "CheckPlatform",
        callers: &[GATEWAY, ACCOUNTS],
        person: Need::Nobody,
    },
    Rule {
        rpc: "ReserveSlot",
        callers: &[ACCOUNTS],
        person: Need::Nobody,
    },
    Rule {
        rpc: "HoldSlots",
        callers: &[ACCOUNTS],
        person: Need::Nobody,
    },
    Rule {
        rpc: "ReleaseSlot",
        callers: &[ACCOUNTS],
        person: Need::Nobody,
    },
];

/// Most workspaces that one call asks the versions of.
const MOST_WORKSPACES: usize = 1000;

/// The service over its store.
pub struct Service {
    /// Plans and slots.
    pub store: Store,
    /// Where the time comes from.
    pub clock: Clock,
    /// Carries changes of plan to accounts.
    pub relay: Relay,
}

impl Service {
    /// Refuses ids that no part of the hub accepts, and other workspaces than the person's.
    fn admit<T>(request: &Request<T>, workspace_id: &str) -> Result<Context, Status> {
        if !is_workspace_id(workspace_id) {
            return Err(
                Failure::invalid("/workspace_id", "Workspace ids have 1 to 64 letters, digits, _ or -.").into(),
            );
        }
        let context = Context::of(request)?;
        context.workspace(workspace_id)?;
        Ok(context)
    }
}

#[tonic::async_trait]
impl EntitlementsService for Service {
    async fn list_plans(&self, _: Request<pb::ListPlansRequest>) -> Result<Response<pb::ListPlansResponse>, Status> {
        let plans = self
            .store
            .catalogue()
            .plans()
            .iter()
            .map(crate::model::Plan::to_proto)
            .collect();
        Ok(Response::new(pb::ListPlansResponse { plans }))
    }

    async fn get_workspace(
        &self,
        request: Request<pb::GetWorkspaceRequest>,
    ) -> Result<Response<pb::GetWorkspaceResponse>, Status> {
        Self::admit(&request, &request.get_ref().workspace_id)?;
        let workspace = self
            .store
            .workspace(&request.get_ref().workspace_id, self.clock.now_ms())
            .await?;
        Ok(Response::new(pb::GetWorkspaceResponse {
            workspace: Some(workspace),
        }))
    }

    async fn get_workspace_versions(
        &self,
        request: Request<pb::GetWorkspaceVersionsRequest>,
    ) -> Result<Response<pb::GetWorkspaceVersionsResponse>, Status> {
        let workspace_ids = &request.get_ref().workspace_ids;
        // An id that is none is as unknown as any: one of many must not fail the others.
        if workspace_ids.len() > MOST_WORKSPACES {
            let failure = Failure::invalid(
                "/workspace_ids",
                format!("Ask for at most {MOST_WORKSPACES} workspaces."),
            );
            return Err(failure.into());
        }
        let now_ms = self.clock.now_ms();
        let versions = workspace_ids.iter().map(|id| self.store.version(id, now_ms));
        let versions = try_join_all(versions).await?;
        Ok(Response::new(pb::GetWorkspaceVersionsResponse { versions }))
    }

    async fn set_plan(&self, request: Request<pb::SetPlanRequest>) -> Result<Response<pb::SetPlanResponse>, Status> {
        Self::admit(&request, &request.get_ref().workspace_id)?;
        let pb::SetPlanRequest { workspace_id, plan } = request.into_inner();
        let workspace = self.store.set_plan(&workspace_id, &plan, self.clock.now_ms()).await?;
        self.relay.wake();
        Ok(Response::new(pb::SetPlanResponse {
            workspace: Some(workspace),
        }))
    }

    async fn set_active_accounts(
        &self,
        request: Request<pb::SetActiveAccountsRequest>,
    ) -> Result<Response<pb::SetActiveAccountsResponse>, Status> {
        Self::admit(&request, &request.get_ref().workspace_id)?;
        let pb::SetActiveAccountsRequest {
            workspace_id,
            mut account_ids,
        } = request.into_inner();
        account_ids.sort();
        account_ids.dedup();
        let workspace = self
            .store
            .set_active(&workspace_id, &account_ids, self.clock.now_ms())
            .await?;
        self.relay.wake();
        Ok(Response::new(pb::SetActiveAccountsResponse {
            workspace: Some(workspace),
        }))
    }

    async fn check_platform(
        &self,
        request: Request<pb::CheckPlatformRequest>,
    ) -> Result<Response<pb::CheckPlatformResponse>, Status> {
        Self::admit(&request, &request.get_ref().workspace_id)?;
        let pb::CheckPlatformRequest { workspace_id, platform } = request.into_inner();
        self.store.check(&workspace_id, &platform).await?;
        Ok(Response::new(pb::CheckPlatformResponse {}))
    }

    async fn reserve_slot(
        &self,
        request: Request<pb::ReserveSlotRequest>,
    ) -> Result<Response<pb::ReserveSlotResponse>, Status> {
        Self::admit(&request, &request.get_ref().workspace_id)?;
        let wanted = request.into_inner();
        if wanted.session_id.is_empty() || wanted.user_id.is_empty() {
            return Err(Failure::invalid("/session_id", "A reservation names its session and its person.").into());
        }
        let wanted = Reservation {
            workspace_id: &wanted.workspace_id,
            session_id: &wanted.session_id,
            user_id: &wanted.user_id,
            expires_at_ms: wanted.expires_at_ms,
        };
        let reserved = self.store.reserve(&wanted, self.clock.now_ms()).await?;
        Ok(Response::new(pb::ReserveSlotResponse { reserved }))
    }

    async fn hold_slots(
        &self,
        request: Request<pb::HoldSlotsRequest>,
    ) -> Result<Response<pb::HoldSlotsResponse>, Status> {
        Self::admit(&request, &request.get_ref().workspace_id)?;
        let pb::HoldSlotsRequest {
            workspace_id,
            session_id,
            accounts,
        } = request.into_inner();
        if accounts.is_empty() || accounts.iter().any(|account| account.account_id.is_empty()) {
            return Err(Error::from(Failure::invalid(
                "/accounts",
                "Which accounts hold the slots must be said.",
            ))
            .into());
        }
        let accounts = accounts
            .into_iter()
            .map(|account| (account.account_id, account.platform))
            .collect::<Vec<_>>();
        let hold = Hold {
            workspace_id: &workspace_id,
            session_id: &session_id,
            accounts: &accounts,
        };
        let workspace = self.store.hold(&hold, self.clock.now_ms()).await?;
        Ok(Response::new(pb::HoldSlotsResponse {
            workspace: Some(workspace),
        }))
    }

    async fn release_slot(
        &self,
        request: Request<pb::ReleaseSlotRequest>,
    ) -> Result<Response<pb::ReleaseSlotResponse>, Status> {
        Self::admit(&request, &request.get_ref().workspace_id)?;
        let pb::ReleaseSlotRequest {
            workspace_id,
            holder_id,
        } = request.into_inner();
        self.store
            .release(&workspace_id, &holder_id, self.clock.now_ms())
            .await?;
        self.relay.wake();
        Ok(Response::new(pb::ReleaseSlotResponse {}))
    }
}
