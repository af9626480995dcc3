//! `dev` mode: whoever reaches loopback chooses who to be. `dev.<user>.<workspace>.<role>`, as a bearer token or in the
//! session cookie; a browser without either is the demo workspace's owner.

use kit::Role;

use crate::session::{How, Identity};

/// The workspace that a browser starts in.
pub const WORKSPACE: &str = "demo";
const LONGEST_ID: usize = 64;

/// A person of the demo workspace.
#[derive(Clone, Copy, Debug)]
pub struct DemoPerson {
    /// Opaque id.
    pub user_id: &'static str,
    /// Name to show.
    pub name: &'static str,
    /// Role to begin with; it can be switched.
    pub role: Role,
}

/// The persons that the page offers to be; the first is the one a browser starts as.
pub const PERSONS: &[DemoPerson] = &[
    DemoPerson {
        user_id: "usr_dana",
        name: "Dana",
        role: Role::Owner,
    },
    DemoPerson {
        user_id: "usr_amir",
        name: "Amir",
        role: Role::Admin,
    },
    DemoPerson {
        user_id: "usr_mia",
        name: "Mia",
        role: Role::Member,
    },
];

pub(super) fn bearer(token: &str) -> Option<Identity> {
    parse(token, How::Bearer)
}

pub(super) fn cookie(value: &str) -> Option<Identity> {
    parse(value, How::Cookie)
}

pub(super) fn owner() -> (Identity, String) {
    let value = session(PERSONS[0].user_id, WORKSPACE, PERSONS[0].role);
    (
        identity(PERSONS[0].user_id, WORKSPACE, PERSONS[0].role, How::Cookie),
        value,
    )
}

/// The value of the session cookie.
pub(crate) fn session(user_id: &str, workspace_id: &str, role: Role) -> String {
    format!("dev.{user_id}.{workspace_id}.{}", role.as_str())
}

fn parse(text: &str, how: How) -> Option<Identity> {
    let mut parts = text.strip_prefix("dev.")?.split('.');
    let (user, workspace, role) = (parts.next()?, parts.next()?, parts.next()?);
    let role = Role::parse(role)?;
    (parts.next().is_none() && is_id(user) && is_id(workspace)).then(|| identity(user, workspace, role, how))
}

fn identity(user: &str, workspace: &str, role: Role, how: How) -> Identity {
    let name = PERSONS
        .iter()
        .find(|person| person.user_id == user)
        .map_or(user, |person| person.name);
    Identity {
        user_id: user.to_owned(),
        name: name.to_owned(),
        memberships: vec![(workspace.to_owned(), role)],
        how,
        expires_at_ms: None,
        browser: None,
    }
}

/// `[A-Za-z0-9_-]{1,64}`
pub(crate) fn is_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_user_workspace_and_role_and_nothing_else() {
        let identity = bearer("dev.usr_1.acme.admin").unwrap();
        assert_eq!(identity.memberships, [("acme".to_owned(), Role::Admin)]);
        for wrong in [
            "dev.a.b",
            "dev.a.b.root",
            "dev.a.b.owner.x",
            "dev.a b.c.owner",
            "dev..c.owner",
            "x.a.b.owner",
        ] {
            assert!(bearer(wrong).is_none(), "{wrong}");
        }
    }
}
