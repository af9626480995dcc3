//! One change of a workspace, as the live stream and the history tell it.

use proto::accounts::v1::Event;
use serde::Serialize;
use utoipa::ToSchema;

use super::{AccountView, Lens, Locale, Time, account, text};

/// A change that somebody may want to know of.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventView {
    /// Per workspace, growing by one.
    pub id: i64,
    /// `account.connected`, `account.health_changed`, …; clients tolerate others.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it became true.
    pub occurred_at: Option<Time>,
    /// Where.
    pub workspace_id: String,
    /// Of which account; null for events of the workspace.
    pub account_id: Option<String>,
    /// Name of the account when it happened.
    pub account_name: Option<String>,
    /// Who did it; null for the hub itself.
    pub actor_name: Option<String>,
    /// Facts of the event.
    #[schema(value_type = Object)]
    pub data: serde_json::Value,
    /// The account after the change, where the event carries it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountView>,
    /// What to show, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toast: Option<Toast>,
}

/// A short message to show at once.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Toast {
    /// `token_refreshed`, `reconnect_required`, `token_expired`, …
    pub message_id: String,
    /// For those who have words of their own.
    pub params: ToastParams,
    /// In the reader's language.
    pub text: String,
    /// `polite`: leaves by itself; `assertive`: stays until dismissed.
    pub urgency: &'static str,
}

/// What a toast speaks of.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ToastParams {
    /// Display name of the account.
    pub account: String,
}

/// The event as this reader sees it.
pub fn event(event: &Event, lens: &Lens) -> EventView {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    EventView {
        id: event.id,
        kind: event.r#type.clone(),
        occurred_at: Time::of(event.occurred_at_ms),
        workspace_id: event.workspace_id.clone(),
        account_id: some(&event.account_id),
        account_name: some(&event.account_name),
        actor_name: some(&event.actor_name),
        data: serde_json::from_str(&event.data).unwrap_or_else(|_| serde_json::json!({})),
        account: event.account.as_ref().map(|one| account(one, lens)),
        toast: toast(event, lens.locale),
    }
}

/// The toast of an event, if it has one.
pub fn toast(event: &Event, locale: Locale) -> Option<Toast> {
    let text = text::message(&event.toast, &event.account_name, &event.actor_name, locale)?;
    Some(Toast {
        message_id: event.toast.clone(),
        params: ToastParams {
            account: event.account_name.clone(),
        },
        text,
        urgency: if event.toast == "token_refreshed" {
            "polite"
        } else {
            "assertive"
        },
    })
}
