//! The consent pages of all platforms: shown, answered by form or by the control API, turned into a grant and a code.
//! What an authorization request must look like is each imitation's business (`Imitation::dialog`). Plain HTML forms
//! that work without JavaScript: `POST` the page's own address with `person`, `permission` (repeated), `destination` or
//! `page` (repeated) and `action=allow|cancel`.

use std::collections::BTreeSet;

use askama::Template;
use serde::Serialize;
use url::{Host, Url};

use crate::call::{Call, Reply};
use crate::platform::{Imitation, Platform};
use crate::switches::{Effect, Effects};
use crate::world::World;
use crate::world::people::Person;
use crate::world::tokens::{Code, Death, Grant, random};

/// An authorization request that passed its platform's checks.
#[derive(Clone)]
pub(crate) struct Dialog {
    pub(crate) platform: Platform,
    pub(crate) redirect_uri: String,
    pub(crate) state: Option<String>,
    pub(crate) scopes: Vec<String>,
    /// Method and challenge.
    pub(crate) challenge: Option<(String, String)>,
    /// Scopes that cannot be left out.
    pub(crate) fixed: &'static [&'static str],
    /// Single permissions cannot be left out.
    pub(crate) all_or_nothing: bool,
    /// Facebook: ask again for what was declined before.
    pub(crate) rerequest: bool,
    /// What a code starts and ends with.
    pub(crate) code_form: (&'static str, &'static str),
}

impl Dialog {
    /// No PKCE, single permissions may be left out; a platform changes what is different there.
    pub(crate) fn new(platform: Platform, redirect_uri: &str, state: Option<&str>, scopes: Vec<String>) -> Self {
        Self {
            platform,
            redirect_uri: redirect_uri.to_owned(),
            state: state.map(str::to_owned),
            scopes,
            challenge: None,
            fixed: &[],
            all_or_nothing: false,
            rerequest: false,
            code_form: ("SBX", ""),
        }
    }
}

/// The scopes of a request, by the separators that the platform takes.
pub(crate) fn split_scopes(text: Option<&str>, separators: &[char]) -> Vec<String> {
    let parts = text.unwrap_or_default().split(separators);
    parts.filter(|scope| !scope.is_empty()).map(str::to_owned).collect()
}

/// How it ended.
pub(crate) enum Verdict {
    Allowed { code: String, scopes: Vec<String> },
    Cancelled,
}

/// What the person chose.
pub(crate) struct Choice {
    pub(crate) person: String,
    /// None: everything that is offered.
    pub(crate) permissions: Option<Vec<String>>,
    /// None: everything there is.
    pub(crate) destinations: Option<Vec<String>>,
    pub(crate) allow: bool,
}

/// Loopback over http for development, https for everything else, never a fragment.
pub(crate) fn redirect_is_acceptable(uri: &str) -> bool {
    let Ok(url) = Url::parse(uri) else { return false };
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.fragment().is_none() && (url.scheme() == "https" || (url.scheme() == "http" && loopback))
}

/// `uri` with more query parameters and a fragment.
pub(crate) fn callback_url(uri: &str, parameters: &[(&str, &str)], fragment: Option<&str>) -> String {
    let Ok(mut url) = Url::parse(uri) else {
        return uri.to_owned();
    };
    url.query_pairs_mut().extend_pairs(parameters);
    url.set_fragment(fragment);
    url.into()
}

/// A platform's own error page: bad requests of this kind never come back to the app.
pub(crate) fn refusal_page(platform: Platform, title: &str, detail: &str, outcome: &str) -> Reply {
    let page = RefusedPage {
        platform: platform.title(),
        title,
        detail,
    };
    Reply::html(400, page.render().unwrap_or_default()).because(outcome)
}

/// Shows the page.
pub(crate) fn show(world: &World, imitation: &dyn Imitation, call: &Call) -> Reply {
    match imitation.dialog(world, call) {
        Ok(dialog) => page(world, call, &dialog),
        Err(refusal) => refusal,
    }
}

/// Takes the answered form.
pub(crate) fn submit(world: &mut World, imitation: &dyn Imitation, call: &Call, effects: &Effects) -> Reply {
    let dialog = match imitation.dialog(world, call) {
        Ok(dialog) => dialog,
        Err(refusal) => return refusal,
    };
    let list = |names: [&str; 2]| {
        names
            .iter()
            .flat_map(|name| call.form.all(name).map(str::to_owned).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    };
    let choice = Choice {
        person: call.form.first("person").unwrap_or_default().to_owned(),
        permissions: (!dialog.all_or_nothing).then(|| list(["permission", "permissions"])),
        destinations: Some(list(["destination", "page"])),
        allow: call.form.first("action") == Some("allow"),
    };
    match decide(world, &dialog, &choice, effects) {
        Ok(verdict) => {
            let outcome = if matches!(verdict, Verdict::Allowed { .. }) {
                "ok"
            } else {
                "cancelled"
            };
            Reply::redirect(&imitation.callback(&dialog, &verdict)).because(outcome)
        }
        Err(problem) => refusal_page(
            dialog.platform,
            "This cannot be consented to",
            &problem,
            "consent refused",
        ),
    }
}

/// Applies a person's choice.
pub(crate) fn decide(
    world: &mut World,
    dialog: &Dialog,
    choice: &Choice,
    effects: &Effects,
) -> Result<Verdict, String> {
    let platform = dialog.platform;
    let person = world.person(&choice.person).filter(|person| person.is_on(platform));
    let person = person
        .ok_or_else(|| format!("no person \"{}\" on {}", choice.person, platform.name()))?
        .clone();
    if !choice.allow || effects.any(|effect| matches!(effect, Effect::Deny)) {
        return Ok(Verdict::Cancelled);
    }
    let scopes = chosen_scopes(world, dialog, choice, &person, effects)?;
    let destinations = chosen_destinations(world, &person, choice.destinations.as_deref());
    let grant = store(world, dialog, &person, &scopes, destinations);
    if let Some(person) = world.people.iter_mut().find(|one| one.id == person.id) {
        person.checkpoint = false;
    }
    let code = format!("{}{}{}", dialog.code_form.0, random(32), dialog.code_form.1);
    let stored = Code {
        platform,
        grant,
        person: person.id.to_owned(),
        redirect_uri: dialog.redirect_uri.clone(),
        challenge: dialog.challenge.clone(),
        issued_at_ms: world.now_ms(),
        used: false,
    };
    world.store_code(&code, stored);
    Ok(Verdict::Allowed { code, scopes })
}

/// What the page offers: Facebook leaves out what was declined before, unless asked with `auth_type=rerequest`.
fn offered(world: &World, dialog: &Dialog, person: &Person) -> Vec<String> {
    let before = world.grant_of(dialog.platform, person.id).filter(|grant| !grant.ended);
    let hidden = |scope: &String| {
        dialog.platform == Platform::Facebook
            && !dialog.rerequest
            && before.is_some_and(|grant| grant.declined.contains(scope))
    };
    dialog.scopes.iter().filter(|scope| !hidden(scope)).cloned().collect()
}

fn chosen_scopes(
    world: &World,
    dialog: &Dialog,
    choice: &Choice,
    person: &Person,
    effects: &Effects,
) -> Result<Vec<String>, String> {
    let mut scopes = offered(world, dialog, person);
    if let Some(permissions) = &choice.permissions {
        if dialog.all_or_nothing && scopes.iter().any(|scope| !permissions.contains(scope)) {
            return Err(format!("the consent of {} is all or nothing", dialog.platform.name()));
        }
        scopes.retain(|scope| permissions.contains(scope) || dialog.fixed.contains(&scope.as_str()));
    }
    for effect in [0, 1] {
        scopes = effects
            .find(|one| match (effect, one) {
                (0, Effect::FewerScopes { remove }) => {
                    Some(scopes.iter().filter(|scope| !remove.contains(scope)).cloned().collect())
                }
                (1, Effect::OldScopes) => Some(scopes.iter().map(|scope| scope.replace("instagram_", "")).collect()),
                _ => None,
            })
            .unwrap_or(scopes);
    }
    Ok(scopes)
}

fn chosen_destinations(world: &World, person: &Person, chosen: Option<&[String]>) -> BTreeSet<String> {
    let own = world.pages.iter().filter(|page| !page.tasks(person.id).is_empty());
    own.filter(|page| chosen.is_none_or(|ids| ids.contains(&page.id)))
        .map(|page| page.id.clone())
        .collect()
}

/// Meta and LinkedIn keep one grant for a person and an app; TikTok and X make one for each consent.
fn store(
    world: &mut World,
    dialog: &Dialog,
    person: &Person,
    scopes: &[String],
    destinations: BTreeSet<String>,
) -> u64 {
    let one_per_person = !matches!(dialog.platform, Platform::TikTok | Platform::X);
    let before = world
        .grant_of(dialog.platform, person.id)
        .filter(|_| one_per_person)
        .cloned();
    let live = before.as_ref().filter(|grant| !grant.ended);
    let chosen: BTreeSet<String> = scopes.iter().cloned().collect();
    let mut grant = Grant {
        id: 0,
        platform: dialog.platform,
        person: person.id.to_owned(),
        declined: dialog
            .scopes
            .iter()
            .filter(|scope| !chosen.contains(*scope))
            .cloned()
            .collect(),
        scopes: chosen,
        destinations,
        granted_at_ms: world.now_ms(),
        ended: false,
    };
    match (dialog.platform, live) {
        (Platform::Facebook, Some(live)) => {
            let asked: BTreeSet<String> = dialog.scopes.iter().cloned().collect();
            grant.scopes.extend(live.scopes.difference(&asked).cloned());
            grant.declined.extend(live.declined.difference(&grant.scopes).cloned());
        }
        (Platform::LinkedIn, Some(live)) if live.scopes != grant.scopes => {
            world.end_tokens(live.id, Death::ScopesChanged, |_| true);
        }
        _ => {}
    }
    world.store_grant(grant, before.map(|grant| grant.id))
}

/// A Page on the page.
#[derive(Serialize)]
struct Destination {
    id: String,
    name: String,
    note: String,
}

struct Who {
    id: &'static str,
    name: String,
    username: String,
    situation: &'static str,
    destinations: Vec<Destination>,
}

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage<'a> {
    platform: &'static str,
    client_id: &'a str,
    action: String,
    people: Vec<Who>,
    permissions: &'a [String],
    fixed: &'static [&'static str],
    all_or_nothing: bool,
}

#[derive(Template)]
#[template(path = "refused.html")]
struct RefusedPage<'a> {
    platform: &'static str,
    title: &'a str,
    detail: &'a str,
}

fn page(world: &World, call: &Call, dialog: &Dialog) -> Reply {
    let with_pages = dialog.platform == Platform::Facebook;
    let people = world.people.iter().filter(|person| person.is_on(dialog.platform));
    let page = ConsentPage {
        platform: dialog.platform.title(),
        client_id: &world.apps.of(dialog.platform).client_id,
        action: format!("{}?{}", call.path, call.raw_query),
        people: people
            .map(|person| Who {
                id: person.id,
                name: person.name.clone(),
                username: person.username.clone(),
                situation: person.situation,
                destinations: if with_pages {
                    pages_of(world, person)
                } else {
                    Vec::new()
                },
            })
            .collect(),
        permissions: &dialog.scopes,
        fixed: dialog.fixed,
        all_or_nothing: dialog.all_or_nothing,
    };
    match page.render() {
        Ok(html) => Reply::html(200, html),
        Err(error) => Reply::empty(500).because(error.to_string()),
    }
}

fn pages_of(world: &World, person: &Person) -> Vec<Destination> {
    let own = world.pages.iter().filter(|page| !page.tasks(person.id).is_empty());
    own.map(|page| Destination {
        id: page.id.clone(),
        name: page.name.clone(),
        note: match &page.instagram {
            Some(id) => format!("{}, Instagram {id}", page.tasks(person.id).join(" ")),
            None => page.tasks(person.id).join(" "),
        },
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_go_to_https_or_to_this_machine() {
        for good in [
            "https://hub.example/cb",
            "http://127.0.0.1:8080/cb",
            "http://localhost:1/x",
            "http://[::1]:9/x",
        ] {
            assert!(redirect_is_acceptable(good), "{good}");
        }
        for bad in [
            "http://hub.example/cb",
            "https://hub.example/cb#x",
            "javascript:alert(1)",
            "/cb",
            "",
        ] {
            assert!(!redirect_is_acceptable(bad), "{bad}");
        }
    }

    #[test]
    fn the_callback_keeps_its_own_query_and_encodes_the_code() {
        let url = callback_url("https://hub.example/cb?x=1", &[("code", "SBX*1!5 &")], Some("_=_"));
        assert_eq!(url, "https://hub.example/cb?x=1&code=SBX*1%215+%26#_=_");
    }
}
