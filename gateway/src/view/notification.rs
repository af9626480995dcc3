//! What a toast said, kept.

use proto::accounts::v1::Notification;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Locale, Time, text};

/// A notification.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Notification)]
pub struct NotificationView {
    /// `ntf_…`
    pub id: String,
    /// As `message_id` of a toast.
    pub kind: String,
    /// The sentence, in the reader's language.
    pub text: String,
    /// Which account.
    pub account_id: Option<String>,
    /// Its name then.
    pub account_name: String,
    /// Who asked, for `reconnect_requested`.
    pub actor_name: Option<String>,
    /// When.
    pub occurred_at: Option<Time>,
    /// Somebody marked it.
    pub read: bool,
    /// Where to act on it.
    pub href: String,
}

/// The notification as this reader sees it.
pub fn notification(one: &Notification, locale: Locale) -> NotificationView {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    NotificationView {
        id: one.id.clone(),
        kind: one.kind.clone(),
        text: text::message(&one.kind, &one.account_name, &one.actor_name, locale)
            .unwrap_or_else(|| one.account_name.clone()),
        account_id: some(&one.account_id),
        account_name: one.account_name.clone(),
        actor_name: some(&one.actor_name),
        occurred_at: Time::of(one.occurred_at_ms),
        read: one.read,
        href: match one.account_id.as_str() {
            "" => "/connections".to_owned(),
            id => format!("/connections?account={id}"),
        },
    }
}
