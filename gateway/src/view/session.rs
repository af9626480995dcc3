//! One run of a platform's OAuth flow, as its starter sees it.

use proto::accounts::v1::{Channel, ConnectSession, Intent, SessionDestination, SessionStatus};
use serde::Serialize;
use utoipa::ToSchema;

use super::{AccountView, Lens, Time, account};
use crate::problem::ProblemBody;

/// A connect session.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ConnectSession)]
pub struct SessionView {
    /// `cs_…`
    pub id: String,
    /// `pending`, `authorizing`, `choosing`, `completed`, `failed`, `cancelled` or `expired`.
    pub status: &'static str,
    /// `connect` or `reconnect`.
    pub intent: &'static str,
    /// Id of the platform.
    pub platform: String,
    /// Id of the connector.
    pub connector: String,
    /// `popup`, `redirect` or `native`.
    pub channel: &'static str,
    /// Accounts to reconnect.
    pub account_ids: Vec<String>,
    /// `connections`, `overview` or `composer`.
    pub return_to: String,
    /// Where to send the person; only in the answer that starts the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorize_url: Option<String>,
    /// When it was started.
    pub created_at: Option<Time>,
    /// When it ends by itself.
    pub expires_at: Option<Time>,
    /// What to pick from, while `choosing`.
    pub destinations: Vec<DestinationView>,
    /// What could not be offered, with reasons.
    pub skipped: Vec<String>,
    /// Set when the session is over.
    pub result: Option<SessionResult>,
}

/// A destination to pick.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Destination)]
pub struct DestinationView {
    /// To be sent back in the selection.
    pub id: String,
    /// `page`, `instagram`, `organization`, …
    pub kind: String,
    /// Name to show.
    pub display_name: String,
    /// Without `@`.
    pub username: String,
    /// A copy on our own origin.
    pub avatar_url: String,
    /// It could receive posts.
    pub can_publish: bool,
    /// The account that it already is.
    pub account_id: Option<String>,
}

/// How a session ended.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SessionResult {
    /// Connected or reconnected.
    pub accounts: Vec<AccountView>,
    /// Why it failed.
    pub problem: Option<ProblemBody>,
}

/// The session as its starter sees it.
pub fn session(session: &ConnectSession, lens: &Lens) -> SessionView {
    SessionView {
        id: session.id.clone(),
        status: status(session.status()),
        intent: match session.intent() {
            Intent::Reconnect => "reconnect",
            Intent::Connect | Intent::Unspecified => "connect",
        },
        platform: session.platform.clone(),
        connector: session.connector.clone(),
        channel: match session.channel() {
            Channel::Redirect => "redirect",
            Channel::Native => "native",
            Channel::Popup | Channel::Unspecified => "popup",
        },
        account_ids: session.account_ids.clone(),
        return_to: session.return_to.clone(),
        authorize_url: None,
        created_at: Time::of(session.created_at_ms),
        expires_at: Time::of(session.expires_at_ms),
        destinations: session
            .destinations
            .iter()
            .map(|one| destination(&session.id, one))
            .collect(),
        skipped: session.skipped.clone(),
        result: result(session, lens),
    }
}

fn status(status: SessionStatus) -> &'static str {
    match status {
        SessionStatus::Pending | SessionStatus::Unspecified => "pending",
        SessionStatus::Authorizing => "authorizing",
        SessionStatus::Choosing => "choosing",
        SessionStatus::Completed => "completed",
        SessionStatus::Failed => "failed",
        SessionStatus::Cancelled => "cancelled",
        SessionStatus::Expired => "expired",
    }
}

fn destination(session_id: &str, one: &SessionDestination) -> DestinationView {
    DestinationView {
        id: one.id.clone(),
        kind: one.kind.clone(),
        display_name: one.display_name.clone(),
        username: one.username.clone(),
        avatar_url: format!("/media/avatars/{session_id}/{}", one.id),
        can_publish: one.can_publish,
        account_id: (!one.account_id.is_empty()).then(|| one.account_id.clone()),
    }
}

fn result(session: &ConnectSession, lens: &Lens) -> Option<SessionResult> {
    let over = matches!(
        session.status(),
        SessionStatus::Completed | SessionStatus::Failed | SessionStatus::Cancelled | SessionStatus::Expired
    );
    over.then(|| SessionResult {
        accounts: session.accounts.iter().map(|one| account(one, lens)).collect(),
        problem: session
            .problem
            .as_ref()
            .map(|problem| ProblemBody::of_session(problem, lens)),
    })
}
