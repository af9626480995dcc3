//! One account as people and programs see it: the card, the panel and the API's account are this one type.

use kit::identity::Role;
use proto::accounts::v1::{Account, AccountStatus, HealthStatus};
use proto::tokens::v1::RevocationState;
use serde::Serialize;
use utoipa::ToSchema;

use super::health::{health, permissions};
use super::{HealthView, Lens, Permission, Time};

/// An account of a workspace.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Account)]
pub struct AccountView {
    /// `acc_…`, the same for ever, through disconnect and reconnect.
    pub id: String,
    /// Raised with every change; the ETag.
    pub version: i64,
    /// `facebook`, `instagram`, `tiktok`, `x`, `linkedin`.
    pub platform: String,
    /// How it is connected: `facebook`, `instagram`, `instagram_facebook`, …
    pub connector: String,
    /// `page`, `instagram`, `tiktok`, `x_user`, `member`, `organization`.
    pub kind: String,
    /// Name to show.
    pub display_name: String,
    /// Without `@`; empty where the platform has none.
    pub username: String,
    /// A copy on our own origin.
    pub avatar_url: String,
    /// `connected` or `disconnected`.
    pub status: &'static str,
    /// When it was connected (last).
    pub connected_at: Option<Time>,
    /// Who connected it.
    pub connected_by: Option<PersonRef>,
    /// When it was disconnected.
    pub disconnected_at: Option<Time>,
    /// Whether it can be used, and why not.
    pub health: HealthView,
    /// Dates of its token, never the token.
    pub token: TokenView,
    /// Whether it can receive published posts.
    pub publish_capability: PublishCapability,
    /// The plan no longer covers it.
    pub plan_locked: bool,
    /// What can be done with accounts of this platform.
    pub capabilities: Vec<String>,
    /// Optional permissions that were not granted.
    pub limited: Vec<Permission>,
    /// Scheduled posts that would fail now.
    pub impact: Impact,
    /// Equal for accounts that one sign-in fixes together.
    pub grant_group: String,
    /// After a disconnect: `shared`, `queued`, `unsupported` or `done`.
    pub revocation: Option<&'static str>,
    /// Of `create_post`, `reconnect`, `disconnect`, `request_reconnect`, `refresh_token`, `view_diagnostics`.
    pub permitted_actions: Vec<&'static str>,
    /// Where to go from here.
    pub links: AccountLinks,
}

/// A person by id and name.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = PersonRef)]
pub struct PersonRef {
    /// Opaque.
    pub id: String,
    /// Name to show.
    pub name: String,
}

/// Dates of a token.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub struct TokenView {
    /// Refreshed ahead of its end, by itself.
    pub auto_refresh: bool,
    /// Last refresh that succeeded.
    pub last_refreshed_at: Option<Time>,
    /// Its end; null = none known.
    pub expires_at: Option<Time>,
    /// When the next refresh is due.
    pub next_refresh_at: Option<Time>,
    /// Attempts of this round that the platform refused.
    pub failed_attempts: i32,
}

/// Whether an account can receive published posts.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PublishCapability {
    /// It can.
    pub can_publish: bool,
    /// `permission_missing`, `publish_capability_missing`, `platform_role_lost`, `plan_locked`, `disconnected`, `token`.
    pub reason: Option<String>,
}

/// Scheduled posts that would fail now.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Impact {
    /// How many.
    pub scheduled_posts_at_risk: i64,
    /// When the next of them is due.
    pub next_at: Option<Time>,
}

/// Where to go from an account.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AccountLinks {
    /// This document.
    #[serde(rename = "self")]
    pub this: String,
    /// A post through it.
    pub composer: String,
    /// Its details on the page.
    pub page: String,
    /// Help with its error.
    pub support: Option<String>,
}

/// The account as this reader sees it.
pub fn account(account: &Account, lens: &Lens) -> AccountView {
    let platform = lens.catalogue.platform(&account.platform);
    let amber = is_amber(account);
    AccountView {
        id: account.id.clone(),
        version: account.version,
        platform: account.platform.clone(),
        connector: account.connector.clone(),
        kind: account.kind.clone(),
        display_name: account.display_name.clone(),
        username: account.username.clone(),
        avatar_url: avatar_url(account),
        status: if is_connected(account) {
            "connected"
        } else {
            "disconnected"
        },
        connected_at: Time::of(account.connected_at_ms),
        connected_by: person_ref(account),
        disconnected_at: Time::of(account.disconnected_at_ms),
        health: health(account.health.as_ref(), lens.catalogue.short_title(&account.platform)),
        token: token(account),
        publish_capability: PublishCapability {
            can_publish: account.can_publish,
            reason: (!account.publish_problem.is_empty()).then(|| account.publish_problem.clone()),
        },
        plan_locked: account.plan_locked,
        capabilities: platform
            .map(|platform| platform.capabilities.clone())
            .unwrap_or_default(),
        limited: permissions(&account.limited),
        impact: impact(account),
        grant_group: account.grant_group.clone(),
        revocation: revocation(account.revocation()),
        permitted_actions: permitted_actions(account, lens),
        links: AccountLinks {
            this: format!("/api/v1/workspaces/{}/accounts/{}", account.workspace_id, account.id),
            composer: lens.links.composer(&account.id),
            page: format!("/connections?account={}", account.id),
            support: amber.then(|| lens.links.support(&account.id, first_reason(account))),
        },
    }
}

fn is_connected(account: &Account) -> bool {
    account.status() == AccountStatus::Connected
}

fn is_amber(account: &Account) -> bool {
    account
        .health
        .as_ref()
        .is_some_and(|health| health.status() == HealthStatus::NeedsReconnect)
}

fn first_reason(account: &Account) -> &str {
    let reasons = account.health.as_ref().map_or(&[][..], |health| &health.reasons);
    reasons.first().map_or("", |reason| &reason.code)
}

/// Our own copy; the suffix changes with the picture, so that browsers may keep it.
fn avatar_url(account: &Account) -> String {
    let fingerprint = kit::id::sha256_hex(account.avatar_url.as_bytes());
    format!("/media/avatars/{}?v={}", account.id, &fingerprint[..8])
}

fn person_ref(account: &Account) -> Option<PersonRef> {
    let (id, name) = (&account.connected_by_id, &account.connected_by_name);
    (!id.is_empty()).then(|| PersonRef {
        id: id.clone(),
        name: name.clone(),
    })
}

fn token(account: &Account) -> TokenView {
    TokenView {
        auto_refresh: account.auto_refresh,
        last_refreshed_at: Time::of(account.last_refreshed_at_ms),
        expires_at: Time::of(account.token_expires_at_ms),
        next_refresh_at: Time::of(account.next_refresh_at_ms),
        failed_attempts: account.failed_attempts,
    }
}

/// Posts wait for every account; they are at risk when it cannot publish.
pub fn impact(account: &Account) -> Impact {
    let scheduled = account.scheduled.unwrap_or_default();
    if account.can_publish && !is_amber(account) {
        return Impact {
            scheduled_posts_at_risk: 0,
            next_at: None,
        };
    }
    Impact {
        scheduled_posts_at_risk: scheduled.count,
        next_at: Time::of(scheduled.next_at_ms),
    }
}

fn revocation(state: RevocationState) -> Option<&'static str> {
    match state {
        RevocationState::Unspecified => None,
        RevocationState::Shared => Some("shared"),
        RevocationState::Queued => Some("queued"),
        RevocationState::Unsupported => Some("unsupported"),
        RevocationState::Done => Some("done"),
    }
}

/// What is worth offering to this reader. The services decide again when it is asked for.
fn permitted_actions(account: &Account, lens: &Lens) -> Vec<&'static str> {
    let manages = lens.role >= Role::Admin;
    let connected = is_connected(account);
    let refreshable = lens
        .catalogue
        .connector(&account.connector)
        .is_some_and(|c| c.announced_refresh);
    let diagnosable = lens
        .catalogue
        .platform(&account.platform)
        .is_some_and(|p| p.token_diagnostics);
    let offers = [
        ("create_post", connected && !account.plan_locked),
        ("reconnect", manages && !account.plan_locked),
        ("disconnect", manages && connected),
        ("request_reconnect", !manages && connected && is_amber(account)),
        ("refresh_token", manages && connected && refreshable),
        ("view_diagnostics", manages && connected && diagnosable),
    ];
    offers
        .into_iter()
        .filter_map(|(name, offered)| offered.then_some(name))
        .collect()
}
