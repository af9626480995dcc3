//! What people and programs see of the hub's data: one set of types, serialised for `/api/v1` and rendered by the
//! templates of the page, so that the two cannot disagree.
//!
//! Everything here is pure: protobuf in, view out. What depends on who looks (role, links, the time) is in [`Lens`].

mod account;
mod catalogue;
mod diagnostics;
mod event;
mod health;
mod notification;
mod platform;
mod post;
mod session;
mod summary;
mod text;
mod time;
mod webhook;

use std::sync::Arc;

use kit::identity::Role;

use crate::config::Links;

pub use account::{AccountLinks, AccountView, Impact, PersonRef, PublishCapability, TokenView, account, impact};
pub use catalogue::Catalogue;
pub use diagnostics::{DiagnosticsView, GrantView, ScopeSets, ScopeView, diagnostics};
pub use event::{EventView, Toast, ToastParams, event, toast};
pub use health::{Fix, HealthView, NoticeView, Permission, ReasonView};
pub use notification::{NotificationView, notification};
pub use platform::{
    AccountUsage, ConnectorView, EntitlementsView, PlatformAvailabilityView, PlatformView, entitlements, platform,
    platforms,
};
pub use post::{CommentPreview, MediaView, PostView, post};
pub use session::{DestinationView, SessionResult, SessionView, session};
pub use summary::{SummaryView, summary};
pub use text::Locale;
pub use time::Time;
pub use webhook::{WebhookDeliveryView, WebhookEndpointView, WebhookSecretView, webhook_delivery, webhook_endpoint};

/// Whose eyes a view is made for.
#[derive(Clone)]
pub struct Lens {
    /// What platforms and plans there are.
    pub catalogue: Arc<Catalogue>,
    /// Decides what is offered; the services decide again when it is asked for.
    pub role: Role,
    /// Where the composer, the plans and the support are.
    pub links: Arc<Links>,
    /// Language of sentences.
    pub locale: Locale,
}
