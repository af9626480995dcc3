//! What every part of accounts works with, and how grant and plan changes become health, events and notifications.

use std::sync::Arc;
use std::time::Duration;

use kit::Clock;
use kit::fault::{self, Point};
use kit::grpc::Client;
use kit::tasks::Tasks;
use proto::entitlements::v1::Workspace;
use proto::entitlements::v1::entitlements_service_client::EntitlementsServiceClient;
use proto::platforms::v1::platforms_service_client::PlatformsServiceClient;
use proto::tokens::v1::tokens_service_client::TokensServiceClient;
use proto::tokens::v1::{Grant, GrantChange, GrantChangeCause, RevocationState};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::catalogue::{Catalogue, Platforms};
use crate::error::Error;
use crate::model::account::AccountRow;
use crate::model::cursor::Cursors;
use crate::model::health::{self, Facts};
use crate::model::incident::{Announcement, Step, announcements};
use crate::model::notices;
use crate::store::{Change, Store, again};
use crate::webhooks::Webhooks;

/// Times and names that the configuration gives.
#[derive(Clone)]
pub(crate) struct Settings {
    /// Name of this process as worker of connect sessions.
    pub(crate) instance: String,
    /// How long a person has at the platform, and again to choose.
    pub(crate) session_ttl: Duration,
    /// How often an open page's workspace is checked.
    pub(crate) check_interval: Duration,
    /// Refusals that turn an account amber.
    pub(crate) refresh_attempts: i32,
    /// Base of redirect URIs, without a slash at the end.
    pub(crate) public_url: String,
    /// A browser's session ends after this long without a request, and after `browser_life` whatever happens.
    pub(crate) browser_idle: Duration,
    pub(crate) browser_life: Duration,
}

/// The parts. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Hub {
    pub(crate) store: Store,
    pub(crate) catalogue: Catalogue,
    pub(crate) webhooks: Webhooks,
    pub(crate) tokens: TokensServiceClient<Client>,
    pub(crate) platforms: PlatformsServiceClient<Client>,
    pub(crate) entitlements: EntitlementsServiceClient<Client>,
    pub(crate) clock: Clock,
    pub(crate) cursors: Cursors,
    pub(crate) tasks: Tasks,
    pub(crate) settings: Arc<Settings>,
    pub(crate) shutdown: CancellationToken,
}

/// What changed a grant, for the accounts under it.
pub(crate) struct Turn<'a> {
    /// The grant before; `None` when it was not known.
    pub(crate) before: Option<&'a Grant>,
    pub(crate) grant: &'a Grant,
    pub(crate) cause: GrantChangeCause,
    /// It is a refresh that is announced.
    pub(crate) announce: bool,
    /// The account was connected before this.
    pub(crate) was_connected: bool,
    /// Who did it; empty for the hub itself.
    pub(crate) actor: &'a str,
}

impl Hub {
    /// Mirrors a grant and recomputes its accounts. What is known already changes nothing.
    pub(crate) async fn apply_grant_change(&self, change: &GrantChange) -> Result<(), Error> {
        let grant = change.grant.as_ref().ok_or(Error::Corrupt("grant change"))?;
        let platforms = self.catalogue.platforms().await?;
        // Whoever connected tells of it, with the person's name; here only what it did to health counts.
        let cause = match change.cause() {
            GrantChangeCause::Connected => GrantChangeCause::Checked,
            cause => cause,
        };
        let at_ms = if change.occurred_at_ms > 0 {
            change.occurred_at_ms
        } else {
            self.clock.now_ms()
        };
        again(|| async {
            let mut tx = self.store.change(&grant.workspace_id, at_ms).await?;
            let before = tx.grant(&grant.grant_id).await?;
            if !tx.mirror(grant).await? {
                return Ok(());
            }
            let turn = Turn {
                before: before.as_ref(),
                grant,
                cause,
                announce: change.announce,
                was_connected: true,
                actor: "",
            };
            for row in tx.accounts_of(&grant.grant_id).await? {
                if row.is_connected() {
                    self.reassess(&mut tx, &platforms, &row, &turn).await?;
                } else if cause == GrantChangeCause::RevocationDone {
                    revocation_done(&mut tx, &row, grant).await?;
                }
            }
            fault::hit(Point::InsideChange).await;
            tx.commit().await?;
            fault::hit(Point::AfterChange).await;
            Ok(())
        })
        .await
    }

    /// Recomputes one account, writes it, and tells of it.
    pub(crate) async fn reassess(
        &self,
        tx: &mut Change,
        platforms: &Platforms,
        row: &AccountRow,
        turn: &Turn<'_>,
    ) -> Result<(), Error> {
        let (platform, connector) = platforms.connector(&row.connector)?;
        let capabilities = &platform.capabilities;
        let facts = Facts {
            grant: turn.grant,
            connector,
            capabilities,
            kind: &row.kind,
            account_id: &row.id,
        };
        let after = health::assess(&facts);
        let before = row.assessment();
        let expiring = notices::expiring_soon(turn.grant, tx.now_ms).filter(|end| *end != row.announced_end_ms);
        let step = Step {
            before: turn.was_connected.then_some(&before),
            after: &after,
            cause: turn.cause,
            announce: turn.announce,
            attempts_before: turn.before.map_or(0, |grant| grant.failed_attempts),
            attempts: turn.grant.failed_attempts,
            attempts_most: self.settings.refresh_attempts,
            expiring,
        };
        let told = announcements(&step);
        for reason in after
            .reasons
            .iter()
            .filter(|_| told.iter().any(|told| !told.toast.is_empty()))
        {
            tx.count(metrics::counter!("accounts_amber_total", "platform" => row.platform.clone(), "reason" => reason.code.clone()));
        }
        tx.set_health(row, &after, expiring).await?;
        tx.tell(row, told, turn.actor).await
    }

    /// Applies locks of a changed plan. Idempotent by the workspace's version.
    pub(crate) async fn apply_plan_change(&self, workspace: &Workspace) -> Result<(), Error> {
        again(|| async {
            let mut tx = self.store.change(&workspace.workspace_id, self.clock.now_ms()).await?;
            if !tx.raise_plan_version(workspace.version).await? {
                return Ok(());
            }
            for row in tx.set_locks(&workspace.locked_account_ids).await? {
                if row.is_connected() {
                    let data = json!({ "changed": ["plan_locked"], "plan_locked": row.plan_locked != 0 });
                    tx.tell(
                        &row,
                        vec![Announcement {
                            event: "account.updated",
                            toast: "",
                            data,
                        }],
                        "",
                    )
                    .await?;
                }
            }
            let plan = workspace.plan.as_ref().map(|plan| plan.name.as_str());
            tx.note(
                "entitlements.changed",
                json!({ "plan": plan, "version": workspace.version }),
                "",
            )
            .await?;
            tx.commit().await.map(drop)
        })
        .await
    }
}

/// The platform did, or finally would not, revoke what a disconnect left behind.
async fn revocation_done(tx: &mut Change, row: &AccountRow, grant: &Grant) -> Result<(), Error> {
    if row.revocation != i64::from(i32::from(RevocationState::Queued)) {
        return Ok(());
    }
    let state = if grant.last_error.is_some() {
        RevocationState::Unsupported
    } else {
        RevocationState::Done
    };
    tx.detached(&row.id, state.into()).await?;
    let data = json!({ "changed": ["revocation"] });
    tx.tell(
        row,
        vec![Announcement {
            event: "account.updated",
            toast: "",
            data,
        }],
        "",
    )
    .await
}
