//! Health of an account: one pure function from what its grant says to a status, its reasons and its publish capability.
//!
//! The reasons are a closed list. Nothing but the grant's death, a missing required permission, a lost role or a missing
//! publish capability turns an account amber: never an outage, a rate limit or a token that will end soon. Those are `notices`.

use proto::accounts::v1 as pb;
use proto::common::v1::{ErrorClass, PlatformError};
use proto::platforms::v1::{Connector, Scope};
use proto::tokens::v1::{Grant, GrantAccount, GrantState};
use serde::{Deserialize, Serialize};

/// What the health of one account is computed from.
pub(crate) struct Facts<'a> {
    pub(crate) grant: &'a Grant,
    pub(crate) connector: &'a Connector,
    /// The platform's capabilities, as in the catalogue.
    pub(crate) capabilities: &'a [String],
    /// Kind of destination.
    pub(crate) kind: &'a str,
    pub(crate) account_id: &'a str,
}

/// A permission by name and in plain words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Permission {
    pub(crate) scope: String,
    pub(crate) label: String,
}

/// Why an account is amber, what it blocks, and the one step that fixes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reason {
    pub(crate) code: String,
    pub(crate) detail: String,
    pub(crate) permissions: Vec<Permission>,
    pub(crate) blocks: Vec<String>,
    pub(crate) still_works: Vec<String>,
    pub(crate) fix: String,
}

/// The result, as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Assessment {
    /// Empty = healthy.
    pub(crate) reasons: Vec<Reason>,
    /// Missing permissions that are not required.
    pub(crate) limited: Vec<Permission>,
    pub(crate) can_publish: bool,
    /// Why not; empty when it can.
    pub(crate) publish_problem: String,
}

impl Assessment {
    /// True when the person has to come back.
    pub(crate) fn is_amber(&self) -> bool {
        !self.reasons.is_empty()
    }
}

/// Health of one account under its grant.
pub(crate) fn assess(facts: &Facts<'_>) -> Assessment {
    let destination = facts
        .grant
        .accounts
        .iter()
        .find(|account| account.account_id == facts.account_id);
    let limited = missing(facts, false);
    if let Some((code, detail, fix)) = death(facts.grant) {
        let reason = Reason {
            code: code.into(),
            detail: detail.into(),
            permissions: Vec::new(),
            blocks: features(facts.capabilities),
            still_works: Vec::new(),
            fix: fix.into(),
        };
        return Assessment {
            reasons: vec![reason],
            limited,
            can_publish: false,
            publish_problem: "token".into(),
        };
    }
    let mut reasons = Vec::new();
    let denied = missing(facts, true);
    let problem = destination.map_or("", |destination| destination.publish_problem.as_str());
    // An older method lacks today's scopes by its nature: that it is old is the reason, not what it lacks.
    if problem == "publish_capability_missing" {
        reasons.push(reason(problem, Vec::new(), publishing(), facts, "reconnect_meta"));
    } else if !denied.is_empty() || problem == "permission_missing" {
        let blocks = blocked_by(facts, &denied);
        reasons.push(reason("permission_missing", denied, blocks, facts, "reconnect"));
    }
    if problem == "platform_role_lost" {
        reasons.push(reason(
            problem,
            Vec::new(),
            features(facts.capabilities),
            facts,
            "fix_role",
        ));
    }
    let publish_problem = publish_problem(&reasons, destination, problem);
    Assessment {
        can_publish: publish_problem.is_empty(),
        publish_problem,
        reasons,
        limited,
    }
}

fn publish_problem(reasons: &[Reason], destination: Option<&GrantAccount>, problem: &str) -> String {
    let blocking = reasons
        .iter()
        .rev()
        .find(|reason| reason.blocks.iter().any(|blocked| blocked == "publish"));
    match blocking {
        Some(reason) => reason.code.clone(),
        None if destination.is_some_and(|destination| !destination.can_publish) => {
            if problem.is_empty() {
                "publish_capability_missing".into()
            } else {
                problem.into()
            }
        }
        None => String::new(),
    }
}

fn reason(code: &str, permissions: Vec<Permission>, blocks: Vec<String>, facts: &Facts<'_>, fix: &str) -> Reason {
    let still_works = features(facts.capabilities)
        .into_iter()
        .filter(|feature| !blocks.contains(feature))
        .collect();
    Reason {
        code: code.into(),
        detail: String::new(),
        permissions,
        blocks,
        still_works,
        fix: fix.into(),
    }
}

/// True when the grant does not work any more.
pub(crate) fn is_dead(grant: &Grant) -> bool {
    death(grant).is_some()
}

/// Why the grant no longer works: reason, detail, fix. `None` while it does.
fn death(grant: &Grant) -> Option<(&'static str, &'static str, &'static str)> {
    let class = grant
        .dead
        .as_ref()
        .map_or(ErrorClass::Unspecified, PlatformError::class);
    match (grant.state(), class) {
        (GrantState::Dead, ErrorClass::Expired) => Some(("token_expired", "", "reconnect")),
        (GrantState::Revoked, _) | (GrantState::Dead, ErrorClass::Revoked | ErrorClass::NotFound) => {
            Some(("access_revoked", "", "reconnect"))
        }
        (GrantState::Dead, ErrorClass::PasswordChanged) => Some(("access_revoked", "password_changed", "reconnect")),
        (GrantState::Dead, ErrorClass::Checkpoint) => Some(("platform_checkpoint", "checkpoint", "open_platform")),
        (GrantState::Dead, ErrorClass::AccountRestricted) => {
            Some(("platform_checkpoint", "account_restricted", "open_platform"))
        }
        (GrantState::Dead, ErrorClass::PermissionMissing) => Some(("permission_missing", "", "reconnect")),
        (GrantState::Dead, ErrorClass::RoleLost) => Some(("platform_role_lost", "", "fix_role")),
        (GrantState::Dead, _) => Some(("refresh_failed", "", "reconnect")),
        _ => None,
    }
}

/// Scopes that this kind of destination needs and that were not granted.
fn missing(facts: &Facts<'_>, required: bool) -> Vec<Permission> {
    let concerns = |scope: &&Scope| scope.kinds.is_empty() || scope.kinds.iter().any(|kind| kind == facts.kind);
    let granted = |scope: &Scope| facts.grant.granted_scopes.contains(&scope.name);
    let scopes = facts.connector.scopes.iter().filter(concerns);
    scopes
        .filter(|scope| scope.required == required && !granted(scope))
        .map(|scope| Permission {
            scope: scope.name.clone(),
            label: scope.label.clone(),
        })
        .collect()
}

/// What the missing permissions stop. A destination that says "permission missing" without a missing scope cannot publish.
fn blocked_by(facts: &Facts<'_>, denied: &[Permission]) -> Vec<String> {
    if denied.is_empty() {
        return publishing();
    }
    let all = features(facts.capabilities);
    let scopes = facts
        .connector
        .scopes
        .iter()
        .filter(|scope| denied.iter().any(|denied| denied.scope == scope.name));
    let mut blocked: Vec<&str> = Vec::new();
    for scope in scopes {
        let words = scope.label.to_lowercase();
        if scope.publish {
            blocked.extend(["publish", "schedule"]);
        }
        blocked.extend(
            ["comments", "analytics", "posts"]
                .into_iter()
                .filter(|feature| words.contains(feature)),
        );
    }
    // A required permission that stops nothing by name is one that everything stands on.
    if blocked.is_empty() {
        return all;
    }
    all.into_iter()
        .filter(|feature| blocked.contains(&feature.as_str()))
        .collect()
}

fn publishing() -> Vec<String> {
    vec!["publish".into(), "schedule".into()]
}

/// What an account of the platform is used for.
fn features(capabilities: &[String]) -> Vec<String> {
    let can = |capability: &str| capabilities.iter().any(|known| known == capability);
    let mut features = publishing();
    let more = [
        ("comment_management", "comments"),
        ("analytics", "analytics"),
        ("post_feed", "posts"),
    ];
    features.extend(
        more.into_iter()
            .filter(|(capability, _)| can(capability))
            .map(|(_, feature)| feature.to_owned()),
    );
    features
}

impl From<Permission> for pb::MissingPermission {
    fn from(permission: Permission) -> Self {
        Self {
            scope: permission.scope,
            label: permission.label,
        }
    }
}

impl From<Reason> for pb::Reason {
    fn from(reason: Reason) -> Self {
        Self {
            code: reason.code,
            detail: reason.detail,
            permissions: reason.permissions.into_iter().map(Into::into).collect(),
            blocks: reason.blocks,
            still_works: reason.still_works,
            fix: reason.fix,
        }
    }
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
