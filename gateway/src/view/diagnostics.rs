//! The token panel of owners and admins: scopes and dates of a grant, never its token.

use proto::accounts::v1::GetDiagnosticsResponse;
use proto::platforms::v1::Scope;
use proto::tokens::v1::{Grant, GrantState};
use serde::Serialize;
use utoipa::ToSchema;

use super::Time;

/// What an account's grant allows, and its dates.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Diagnostics)]
pub struct DiagnosticsView {
    /// What was granted and what is missing.
    pub scopes: ScopeSets,
    /// Facts of the grant; null when there is none.
    pub token: Option<GrantView>,
}

/// Scopes in three sets.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ScopeSets {
    /// Granted, of those that we ask for.
    pub granted: Vec<ScopeView>,
    /// Not granted, of those that we ask for.
    pub missing: Vec<ScopeView>,
    /// Granted without our asking.
    pub other: Vec<String>,
}

/// One scope.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Scope)]
pub struct ScopeView {
    /// The platform's name of it.
    pub scope: String,
    /// Plain words.
    pub label: String,
    /// Missing it turns the account amber.
    pub required: bool,
}

/// Facts of a grant.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Grant)]
pub struct GrantView {
    /// `active`, `suspect`, `dead`, `revoked`.
    pub state: &'static str,
    /// Who granted, at the platform.
    pub granted_by: String,
    /// Raised by every refresh or reconnect.
    pub generation: i64,
    /// End of the access token; null = none known.
    pub expires_at: Option<Time>,
    /// End of the refresh token; null = none known.
    pub refresh_expires_at: Option<Time>,
    /// End of the access to data, where the platform has one.
    pub data_access_expires_at: Option<Time>,
    /// Last refresh that succeeded.
    pub last_refreshed_at: Option<Time>,
    /// When the next one is due.
    pub next_refresh_at: Option<Time>,
    /// Attempts of this round that the platform refused.
    pub failed_attempts: i32,
    /// The platform's own code of the last refusal, e.g. `190/463`.
    pub last_error: Option<String>,
    /// When it was last checked at the platform.
    pub checked_at: Option<Time>,
}

/// The diagnostics of an account.
pub fn diagnostics(answer: &GetDiagnosticsResponse) -> DiagnosticsView {
    DiagnosticsView {
        scopes: ScopeSets {
            granted: answer.granted.iter().map(scope).collect(),
            missing: answer.missing.iter().map(scope).collect(),
            other: answer.other_granted.clone(),
        },
        token: answer.grant.as_ref().map(grant),
    }
}

pub(super) fn scope(scope: &Scope) -> ScopeView {
    ScopeView {
        scope: scope.name.clone(),
        label: scope.label.clone(),
        required: scope.required,
    }
}

fn grant(grant: &Grant) -> GrantView {
    GrantView {
        state: match grant.state() {
            GrantState::Suspect => "suspect",
            GrantState::Dead => "dead",
            GrantState::Revoked => "revoked",
            GrantState::Active | GrantState::Unspecified => "active",
        },
        granted_by: grant.user_name.clone(),
        generation: grant.generation,
        expires_at: Time::of(grant.access_expires_at_ms),
        refresh_expires_at: Time::of(grant.refresh_expires_at_ms),
        data_access_expires_at: Time::of(grant.data_access_expires_at_ms),
        last_refreshed_at: Time::of(grant.last_refreshed_at_ms),
        next_refresh_at: Time::of(grant.next_refresh_at_ms),
        failed_attempts: grant.failed_attempts,
        last_error: grant.last_error.as_ref().map(|error| error.code.clone()),
        checked_at: Time::of(grant.checked_at_ms),
    }
}
