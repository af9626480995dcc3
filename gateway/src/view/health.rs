//! Health as people and programs see it: a colour, its reasons, and remarks that change no colour.

use proto::accounts::v1::{Health, HealthStatus, MissingPermission, Notice, Reason};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Time, text};

/// Health of an account.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Health)]
pub struct HealthView {
    /// `healthy` or `needs_reconnect`.
    pub status: &'static str,
    /// Since when.
    pub since: Option<Time>,
    /// When the platform was last asked.
    pub checked_at: Option<Time>,
    /// `ok`, or `delayed` when the platform could not be reached at the last check.
    pub check_state: &'static str,
    /// Why it is amber; empty when healthy.
    pub reasons: Vec<ReasonView>,
    /// Neutral remarks under a green dot.
    pub notices: Vec<NoticeView>,
}

/// Why an account is amber.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Reason)]
pub struct ReasonView {
    /// `token_expired`, `refresh_failed`, `permission_missing`, `access_revoked`, `publish_capability_missing`,
    /// `platform_role_lost`, `platform_checkpoint`; clients tolerate others.
    pub code: String,
    /// `password_changed`, `checkpoint`, … where known.
    pub detail: Option<String>,
    /// One sentence in the reader's language.
    pub text: String,
    /// Permissions that are missing.
    pub permissions: Vec<Permission>,
    /// Of `publish`, `schedule`, `comments`, `analytics`, `posts`.
    pub blocks: Vec<String>,
    /// What goes on working.
    pub still_works: Vec<String>,
    /// The one step that helps.
    pub fix: Fix,
}

/// The one step that helps.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Fix {
    /// `reconnect`, `reconnect_meta`, `fix_role`, `open_platform`.
    pub kind: String,
}

/// A permission in the platform's word and in plain words.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Permission {
    /// The platform's name of it.
    pub scope: String,
    /// Plain words.
    pub label: String,
}

/// A neutral remark under a green dot.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Notice)]
pub struct NoticeView {
    /// `expiring_soon`, `check_delayed`, `refresh_pending`.
    pub code: String,
    /// Attempts so far, for `refresh_pending`.
    pub attempt: Option<i32>,
    /// The end, or the next try.
    pub at: Option<Time>,
}

/// The health of an account of this platform.
pub(super) fn health(health: Option<&Health>, platform: &str) -> HealthView {
    let health = health.cloned().unwrap_or_default();
    HealthView {
        status: match health.status() {
            HealthStatus::NeedsReconnect => "needs_reconnect",
            HealthStatus::Healthy | HealthStatus::Unspecified => "healthy",
        },
        since: Time::of(health.since_ms),
        checked_at: Time::of(health.checked_at_ms),
        check_state: if health.check_delayed { "delayed" } else { "ok" },
        reasons: health
            .reasons
            .iter()
            .map(|reason| reason_view(reason, platform))
            .collect(),
        notices: health.notices.iter().map(notice).collect(),
    }
}

fn reason_view(reason: &Reason, platform: &str) -> ReasonView {
    ReasonView {
        code: reason.code.clone(),
        detail: (!reason.detail.is_empty()).then(|| reason.detail.clone()),
        text: text::reason(reason, platform),
        permissions: permissions(&reason.permissions),
        blocks: reason.blocks.clone(),
        still_works: reason.still_works.clone(),
        fix: Fix {
            kind: reason.fix.clone(),
        },
    }
}

pub(super) fn permissions(missing: &[MissingPermission]) -> Vec<Permission> {
    missing
        .iter()
        .map(|p| Permission {
            scope: p.scope.clone(),
            label: p.label.clone(),
        })
        .collect()
}

fn notice(notice: &Notice) -> NoticeView {
    NoticeView {
        code: notice.code.clone(),
        attempt: (notice.attempt > 0).then_some(notice.attempt),
        at: Time::of(notice.at_ms),
    }
}
