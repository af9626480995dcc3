//! What people and platforms do behind the hub's back, at once: tokens end, apps are removed, passwords change, roles are
//! lost. The control API calls `perform`; nothing here waits for a request.

use serde::Deserialize;

use crate::platform::Platform;
use crate::world::World;
use crate::world::people::Role;
use crate::world::tokens::{Death, Kind, Token};

/// Which tokens of a grant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Which {
    Access,
    Refresh,
    #[default]
    Both,
}

impl Which {
    fn includes(self, token: &Token) -> bool {
        match self {
            Self::Both => true,
            Self::Refresh => token.kind == Kind::Refresh,
            Self::Access => token.kind != Kind::Refresh,
        }
    }
}

/// One deed.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Action {
    /// Tokens end now, or in some seconds.
    Expire {
        #[serde(default)]
        which: Which,
        #[serde(default)]
        in_seconds: i64,
    },
    /// The person removes the app (`both`), or the platform ends one sort of token.
    Revoke {
        #[serde(default)]
        which: Which,
    },
    /// Meta: all tokens end, the grant stays.
    PasswordChanged,
    /// Meta: all tokens end, the grant stays.
    LoggedOut,
    /// Meta: tokens rest until the person signed in again (a consent does that) or this is taken back.
    Checkpoint { on: bool },
    /// Page tasks or the LinkedIn role become these; none: the role is lost, and with it the Page's tokens.
    Role { destination: String, tasks: Vec<String> },
    /// The person unticks one permission in the platform's settings.
    RemovePermission { permission: String },
    /// Instagram becomes `BUSINESS`, `MEDIA_CREATOR` or `PERSONAL`.
    AccountType { account_type: String },
    /// The Page and its Instagram account part.
    UnlinkInstagram { destination: String },
    /// The person, on every platform, is called something else.
    Rename { name: String },
}

/// Body of `POST /_sandbox/actions`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    platform: Platform,
    person: String,
    action: Action,
}

/// Does it; the error says what the request got wrong.
pub(crate) fn perform(world: &mut World, request: &Request) -> Result<(), String> {
    let Request {
        platform,
        person,
        action,
    } = request;
    if world.person(person).is_none() {
        return Err(format!("no person \"{person}\""));
    }
    let own = world
        .grants()
        .filter(|grant| grant.platform == *platform && grant.person == *person && !grant.ended);
    let grants: Vec<u64> = own.map(|grant| grant.id).collect();
    match action {
        Action::Role { destination, tasks } => return set_role(world, &grants, person, destination, tasks),
        Action::UnlinkInstagram { destination } => {
            let page = world.pages.iter_mut().find(|page| page.id == *destination);
            page.ok_or_else(|| format!("no Page \"{destination}\""))?.instagram = None;
        }
        Action::AccountType { account_type } => {
            let account = world.instagram.iter_mut().find(|account| account.person == person);
            account
                .ok_or("no Instagram account")?
                .account_type
                .clone_from(account_type);
        }
        Action::Checkpoint { on } => {
            for one in world.people.iter_mut().filter(|one| one.id == person) {
                one.checkpoint = *on;
            }
        }
        Action::Rename { name } => {
            for one in world.people.iter_mut().filter(|one| one.id == person) {
                one.name.clone_from(name);
            }
        }
        _ => {
            for grant in grants {
                change_grant(world, grant, action);
            }
        }
    }
    Ok(())
}

fn change_grant(world: &mut World, grant: u64, action: &Action) {
    match action {
        Action::Expire { which, in_seconds } => {
            world.expire_tokens(grant, *in_seconds, |token| which.includes(token));
        }
        Action::Revoke { which: Which::Both } => world.end_grant(grant, Death::Revoked),
        Action::Revoke { which } => world.end_tokens(grant, Death::Revoked, |token| which.includes(token)),
        Action::PasswordChanged => world.end_tokens(grant, Death::PasswordChanged, |_| true),
        Action::LoggedOut => world.end_tokens(grant, Death::LoggedOut, |_| true),
        Action::RemovePermission { permission } => world.shrink_scopes(grant, std::slice::from_ref(permission)),
        _ => {}
    }
}

fn set_role(
    world: &mut World,
    grants: &[u64],
    person: &str,
    destination: &str,
    tasks: &[String],
) -> Result<(), String> {
    let lost = tasks.is_empty();
    let page = world
        .pages
        .iter_mut()
        .find(|page| page.id == destination)
        .map(|page| &mut page.roles);
    let organization = world
        .organizations
        .iter_mut()
        .find(|one| one.id == destination)
        .map(|one| &mut one.roles);
    let roles = page
        .or(organization)
        .ok_or_else(|| format!("no Page or organisation \"{destination}\""))?;
    roles.retain(|role| role.person != person);
    if !lost {
        roles.push(Role {
            person: person.to_owned(),
            tasks: tasks.to_vec(),
        });
        return Ok(());
    }
    for &grant in grants {
        world.end_tokens(grant, Death::RoleLost, |token| {
            token.destination.as_deref() == Some(destination)
        });
    }
    Ok(())
}
