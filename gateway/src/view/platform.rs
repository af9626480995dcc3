//! Platforms of the catalogue, and what a workspace's plan makes of them.

use proto::entitlements::v1::{Availability, Workspace};
use proto::platforms::v1::{Connector, Platform};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Catalogue, ScopeView, diagnostics::scope};

/// A platform of the catalogue.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Platform)]
pub struct PlatformView {
    /// `facebook`, `instagram`, `tiktok`, `x`, `linkedin`, `telegram`, `whatsapp`.
    pub id: String,
    /// "X (Twitter)".
    pub title: String,
    /// "X".
    pub short_title: String,
    /// `available` or `coming_soon`, whatever the plan.
    pub availability: &'static str,
    /// The cheapest plan that has it, or will have it.
    pub min_plan: Option<String>,
    /// Of `publish`, `post_feed`, `comment_previews`, `engagement_stats`, `content_sync`, `comment_management`,
    /// `direct_messages`, `analytics`.
    pub capabilities: Vec<String>,
    /// Ways to connect it.
    pub connectors: Vec<ConnectorView>,
    /// Granted and missing scopes can be inspected.
    pub token_diagnostics: bool,
    /// Where the platform's own settings list our app.
    pub settings_hint: String,
}

/// One way to connect a platform.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Connector)]
pub struct ConnectorView {
    /// Stable id.
    pub id: String,
    /// `oauth`, `instagram_login` or `facebook_login`.
    pub method: String,
    /// What a person is asked for.
    pub scopes: Vec<ScopeView>,
    /// A post needs an image.
    pub publish_needs_image: bool,
}

/// What a workspace's plan allows.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Entitlements)]
pub struct EntitlementsView {
    /// Whose.
    pub workspace_id: String,
    /// Name of the plan.
    pub plan: String,
    /// Title of the plan.
    pub plan_title: String,
    /// Accounts held and allowed.
    pub accounts: AccountUsage,
    /// Every platform of the catalogue.
    pub platforms: Vec<PlatformAvailabilityView>,
    /// Accounts that the plan no longer covers.
    pub locked_account_ids: Vec<String>,
}

/// Accounts held and allowed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AccountUsage {
    /// Held by accounts that are not locked.
    pub used: i64,
    /// Reserved by sign-ins that are not finished.
    pub reserved: i64,
    /// null = unlimited.
    pub max: Option<i64>,
}

/// One platform under a workspace's plan.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = PlatformAvailability)]
pub struct PlatformAvailabilityView {
    /// Id of the platform.
    pub platform: String,
    /// `available`, `plan_locked` or `coming_soon`.
    pub availability: &'static str,
    /// The cheapest plan that has it.
    pub required_plan: Option<String>,
}

/// All platforms, in the order that people see them.
pub fn platforms(catalogue: &Catalogue) -> Vec<PlatformView> {
    catalogue.platforms.iter().map(|one| platform(one, catalogue)).collect()
}

/// One platform.
pub fn platform(platform: &Platform, catalogue: &Catalogue) -> PlatformView {
    PlatformView {
        id: platform.id.clone(),
        title: platform.title.clone(),
        short_title: platform.short_title.clone(),
        availability: if platform.connectable {
            "available"
        } else {
            "coming_soon"
        },
        min_plan: catalogue.min_plan(&platform.id).map(|plan| plan.name.clone()),
        capabilities: platform.capabilities.clone(),
        connectors: platform.connectors.iter().map(connector).collect(),
        token_diagnostics: platform.token_diagnostics,
        settings_hint: platform.settings_hint.clone(),
    }
}

fn connector(connector: &Connector) -> ConnectorView {
    ConnectorView {
        id: connector.id.clone(),
        method: connector.method.clone(),
        scopes: connector.scopes.iter().map(scope).collect(),
        publish_needs_image: connector.publish_needs_image,
    }
}

/// What the plan of a workspace allows.
pub fn entitlements(workspace: &Workspace) -> EntitlementsView {
    let plan = workspace.plan.clone().unwrap_or_default();
    EntitlementsView {
        workspace_id: workspace.workspace_id.clone(),
        plan: plan.name,
        plan_title: plan.title,
        accounts: AccountUsage {
            used: workspace.used,
            reserved: workspace.reserved,
            max: plan.max_accounts,
        },
        platforms: workspace
            .platforms
            .iter()
            .map(|platform| PlatformAvailabilityView {
                platform: platform.platform.clone(),
                availability: match platform.availability() {
                    Availability::PlanLocked => "plan_locked",
                    Availability::ComingSoon => "coming_soon",
                    Availability::Available | Availability::Unspecified => "available",
                },
                required_plan: (!platform.required_plan.is_empty()).then(|| platform.required_plan.clone()),
            })
            .collect(),
        locked_account_ids: workspace.locked_account_ids.clone(),
    }
}
