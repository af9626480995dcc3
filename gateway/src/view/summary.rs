//! Counts of a workspace's accounts, for the overview and the badge.

use proto::accounts::v1::SummarizeAccountsResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Impact, Time};

/// How a workspace's accounts are.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Summary)]
pub struct SummaryView {
    /// Connected accounts.
    pub total: i64,
    /// Of them green.
    pub healthy: i64,
    /// Of them amber.
    pub needs_reconnect: i64,
    /// The oldest check of a connected account.
    pub checked_at: Option<Time>,
    /// Scheduled posts of amber accounts.
    pub posts_at_risk: Impact,
    /// Notifications that nobody read.
    pub unread_notifications: i64,
}

/// The summary of a workspace.
pub fn summary(answer: &SummarizeAccountsResponse) -> SummaryView {
    let at_risk = answer.at_risk.unwrap_or_default();
    SummaryView {
        total: answer.total,
        healthy: answer.healthy,
        needs_reconnect: answer.needs_reconnect,
        checked_at: Time::of(answer.checked_at_ms),
        posts_at_risk: Impact {
            scheduled_posts_at_risk: at_risk.count,
            next_at: Time::of(at_risk.next_at_ms),
        },
        unread_notifications: answer.unread_notifications,
    }
}
