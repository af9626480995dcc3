//! An account as it is stored, and as it is shown together with its grant.

use proto::accounts::v1 as pb;
use proto::tokens::v1::{Grant, RevocationState};

use super::health::Assessment;
use super::notices;

/// A row of `accounts`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct AccountRow {
    pub(crate) id: String,
    pub(crate) workspace_id: String,
    pub(crate) platform: String,
    pub(crate) connector: String,
    pub(crate) kind: String,
    pub(crate) platform_account_id: String,
    pub(crate) display_name: String,
    pub(crate) username: String,
    pub(crate) avatar_url: String,
    pub(crate) status: String,
    pub(crate) connected_at_ms: i64,
    pub(crate) connected_by_id: String,
    pub(crate) connected_by_name: String,
    pub(crate) disconnected_at_ms: i64,
    pub(crate) grant_id: String,
    pub(crate) health_since_ms: i64,
    pub(crate) assessment: String,
    pub(crate) announced_end_ms: i64,
    pub(crate) plan_locked: i64,
    pub(crate) scheduled_count: i64,
    pub(crate) scheduled_next_at_ms: i64,
    pub(crate) revocation: i64,
    pub(crate) version: i64,
}

impl AccountRow {
    /// True while it can be used, healthy or not.
    pub(crate) fn is_connected(&self) -> bool {
        self.status == "connected"
    }

    /// Health as last computed.
    pub(crate) fn assessment(&self) -> Assessment {
        serde_json::from_str(&self.assessment).unwrap_or_default()
    }

    /// The account as others see it, without the notices that depend on the time.
    pub(crate) fn view(&self, grant: Option<&Grant>) -> pb::Account {
        let assessment = self.assessment();
        let connected = self.is_connected();
        let grant = grant.filter(|_| connected);
        let (can_publish, publish_problem) = self.publishing(&assessment);
        let date = |pick: fn(&Grant) -> i64| grant.map_or(0, pick);
        pb::Account {
            id: self.id.clone(),
            workspace_id: self.workspace_id.clone(),
            platform: self.platform.clone(),
            connector: self.connector.clone(),
            kind: self.kind.clone(),
            platform_account_id: self.platform_account_id.clone(),
            display_name: self.display_name.clone(),
            username: self.username.clone(),
            avatar_url: self.avatar_url.clone(),
            status: if connected {
                pb::AccountStatus::Connected
            } else {
                pb::AccountStatus::Disconnected
            }
            .into(),
            connected_at_ms: self.connected_at_ms,
            connected_by_id: self.connected_by_id.clone(),
            connected_by_name: self.connected_by_name.clone(),
            disconnected_at_ms: self.disconnected_at_ms,
            can_publish,
            publish_problem,
            plan_locked: connected && self.plan_locked != 0,
            grant_group: if connected {
                self.grant_id.clone()
            } else {
                String::new()
            },
            auto_refresh: grant.is_some_and(notices::renews_itself),
            last_refreshed_at_ms: date(|grant| grant.last_refreshed_at_ms),
            token_expires_at_ms: date(notices::end_ms),
            next_refresh_at_ms: date(|grant| grant.next_refresh_at_ms),
            failed_attempts: grant.map_or(0, |grant| grant.failed_attempts),
            scheduled: Some(pb::ScheduledPosts {
                count: self.scheduled_count,
                next_at_ms: self.scheduled_next_at_ms,
            }),
            version: self.version,
            limited: assessment.limited.iter().cloned().map(Into::into).collect(),
            revocation: i32::try_from(self.revocation).unwrap_or(RevocationState::Unspecified.into()),
            health: connected.then(|| self.health(assessment, grant)),
        }
    }

    fn publishing(&self, assessment: &Assessment) -> (bool, String) {
        if !self.is_connected() {
            return (false, "disconnected".into());
        }
        if self.plan_locked != 0 && assessment.publish_problem != "token" {
            return (false, "plan_locked".into());
        }
        (assessment.can_publish, assessment.publish_problem.clone())
    }

    fn health(&self, assessment: Assessment, grant: Option<&Grant>) -> pb::Health {
        let amber = assessment.is_amber();
        pb::Health {
            status: if amber {
                pb::HealthStatus::NeedsReconnect
            } else {
                pb::HealthStatus::Healthy
            }
            .into(),
            since_ms: self.health_since_ms,
            checked_at_ms: grant.map_or(0, |grant| grant.checked_at_ms),
            check_delayed: grant.is_some_and(|grant| grant.check_delayed),
            reasons: assessment.reasons.into_iter().map(Into::into).collect(),
            notices: Vec::new(),
        }
    }
}
