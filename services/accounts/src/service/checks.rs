//! Asking for checks and refreshes at the platform, and what admins see of a grant.

use std::time::Duration;

use kit::clock::millis;
use kit::grpc::Context;
use kit::{Code, Failure, id};
use proto::accounts::v1 as pb;
use proto::common::v1::ErrorClass;
use proto::platforms::v1::Scope;
use proto::tokens::v1 as tokens;
use serde_json::json;

use crate::error::Error;
use crate::hub::Hub;
use crate::model::account::AccountRow;
use crate::store::again;

/// A person's checks of the same thing are at least this far apart.
const APART: Duration = Duration::from_secs(10);
/// Longest that a check of a whole workspace may take.
const CHECK: Duration = Duration::from_secs(300);
/// How long a refresh's result is waited for after tokens has it.
const ARRIVAL: Duration = Duration::from_secs(3);

impl Hub {
    /// Begins a check unless one was asked for recently; its results arrive as events.
    pub(crate) async fn check_health(
        &self,
        context: &Context,
        request: &pb::CheckHealthRequest,
    ) -> Result<pb::CheckHealthResponse, Error> {
        let (workspace_id, account_id) = (&request.workspace_id, &request.account_id);
        let now_ms = self.clock.now_ms();
        if !account_id.is_empty() {
            self.connected_account(workspace_id, account_id).await?;
        }
        let free = match (request.trigger(), account_id.is_empty()) {
            (pb::CheckTrigger::Open, _) => {
                let every_ms = millis(self.settings.check_interval);
                if !self.store.mark_open_check(workspace_id, every_ms, now_ms).await? {
                    return Ok(pb::CheckHealthResponse::default());
                }
                true
            }
            (_, true) => {
                context.person_in(workspace_id)?;
                self.store.mark_asked_check(workspace_id, millis(APART), now_ms).await?
            }
            (_, false) => {
                context.person_in(workspace_id)?;
                self.store
                    .mark_account_check(workspace_id, account_id, millis(APART), now_ms)
                    .await?
            }
        };
        if !free {
            let failure = Failure::new(Code::RateLimited, "The status was checked a moment ago.");
            return Err(failure.retry_after(APART).into());
        }
        let check_id = id::new("chk", &self.clock);
        self.check_event("check.started", request, &check_id).await?;
        let (hub, request, id) = (self.clone(), request.clone(), check_id.clone());
        self.tasks.spawn(async move { hub.check(&request, &id).await });
        Ok(pb::CheckHealthResponse {
            started: true,
            check_id,
        })
    }

    async fn check(&self, request: &pb::CheckHealthRequest, check_id: &str) {
        let account_ids = if request.account_id.is_empty() {
            Vec::new()
        } else {
            vec![request.account_id.clone()]
        };
        let ask = tokens::CheckGrantsRequest {
            workspace_id: request.workspace_id.clone(),
            account_ids,
            wait: true,
        };
        let asked = self
            .tokens
            .clone()
            .check_grants(Context::background().within(CHECK).request(ask))
            .await;
        if let Err(status) = asked {
            tracing::warn!(workspace = request.workspace_id, code = ?status.code(), "a check could not be made");
        }
        if let Err(error) = self.check_event("check.completed", request, check_id).await {
            tracing::warn!(workspace = request.workspace_id, %error, "the end of a check could not be told");
        }
    }

    async fn check_event(
        &self,
        event: &'static str,
        request: &pb::CheckHealthRequest,
        check_id: &str,
    ) -> Result<(), Error> {
        again(|| async {
            let mut tx = self.store.change(&request.workspace_id, self.clock.now_ms()).await?;
            tx.note(
                event,
                json!({ "check_id": check_id, "account_id": request.account_id }),
                "",
            )
            .await?;
            tx.commit().await.map(drop)
        })
        .await
    }

    /// An account that is connected; one that was disconnected looks as if it were not there.
    pub(super) async fn connected_account(&self, workspace_id: &str, id: &str) -> Result<AccountRow, Error> {
        let row = self.store.account(workspace_id, id).await?;
        if row.is_connected() {
            Ok(row)
        } else {
            Err(Error::AccountNotFound)
        }
    }

    /// Refreshes an account's token now, where its platform can.
    pub(crate) async fn refresh_token(
        &self,
        context: &Context,
        request: &pb::RefreshTokenRequest,
    ) -> Result<pb::Account, Error> {
        let row = self
            .connected_account(&request.workspace_id, &request.account_id)
            .await?;
        let platforms = self.catalogue.platforms().await?;
        if !platforms.connector(&row.connector)?.1.announced_refresh {
            let why = "Tokens of this platform are renewed silently when they are needed.";
            return Err(Failure::new(Code::PlatformNotRefreshable, why).into());
        }
        let ask = tokens::RefreshNowRequest {
            workspace_id: row.workspace_id.clone(),
            account_id: row.id.clone(),
        };
        let answer = self
            .tokens
            .clone()
            .refresh_now(context.request(ask))
            .await?
            .into_inner();
        if let Some(error) = &answer.error {
            match error.class() {
                ErrorClass::RateLimited => {
                    return Err(
                        Failure::new(Code::PlatformRateLimited, "The platform is busy; try again later.").into(),
                    );
                }
                ErrorClass::Transient | ErrorClass::AppMisconfigured => {
                    return Err(Failure::new(
                        Code::PlatformUnavailable,
                        "The platform does not answer; nothing changed.",
                    )
                    .into());
                }
                // The refusal shows in the account's health.
                _ => {}
            }
        }
        if let Some(grant) = &answer.grant {
            self.arrived(&row.workspace_id, &grant.grant_id, grant.version).await?;
        }
        self.account(&row.workspace_id, &row.id).await
    }

    /// Waits until the outbox of tokens has brought a grant's version here, for a while.
    async fn arrived(&self, workspace_id: &str, grant_id: &str, version: i64) -> Result<(), Error> {
        let until = tokio::time::Instant::now() + ARRIVAL;
        while self.store.grant_version(workspace_id, grant_id).await? < version && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        Ok(())
    }

    /// Granted and missing scopes of a Meta account.
    pub(crate) async fn diagnostics(
        &self,
        context: &Context,
        request: &pb::GetDiagnosticsRequest,
    ) -> Result<pb::GetDiagnosticsResponse, Error> {
        let row = self
            .connected_account(&request.workspace_id, &request.account_id)
            .await?;
        let platforms = self.catalogue.platforms().await?;
        let (platform, connector) = platforms.connector(&row.connector)?;
        if !platform.token_diagnostics {
            return Err(Failure::new(Code::CapabilityNotSupported, "The platform tells no scopes.").into());
        }
        let ask = tokens::InspectRequest {
            workspace_id: row.workspace_id.clone(),
            account_id: row.id.clone(),
        };
        let answer = self.tokens.clone().inspect(context.request(ask)).await?.into_inner();
        let grant = answer.grant.unwrap_or_default();
        let concerns = |scope: &&Scope| scope.kinds.is_empty() || scope.kinds.contains(&row.kind);
        let scopes = connector.scopes.iter().filter(concerns).cloned();
        let (granted, missing) = scopes.partition(|scope: &Scope| grant.granted_scopes.contains(&scope.name));
        let ours = |name: &&String| connector.scopes.iter().any(|scope| scope.name == **name);
        let other_granted = grant
            .granted_scopes
            .iter()
            .filter(|name| !ours(name))
            .cloned()
            .collect();
        Ok(pb::GetDiagnosticsResponse {
            granted,
            missing,
            other_granted,
            grant: Some(grant),
        })
    }
}
