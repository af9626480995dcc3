//! Who is looking: [`Viewer`], the axum extractor of every handler that acts for a person.
//!
//! [`crate::auth`] recognises the caller once per request; the workspace of the path decides which of their memberships
//! counts. A workspace that is not theirs is answered like one that never existed.

use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts, OriginalUri};
use http::Uri;
use http::request::Parts;
use kit::grpc::Context;
use kit::{Code, Person, Role};

use crate::problem::Problem;
use crate::state::App;
use crate::view::Locale;

/// How a caller proved who they are. Cookies are sent by browsers unasked, so their unsafe requests are checked for origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// A browser's session.
    Cookie,
    /// `Authorization: Bearer …`
    Bearer,
}

/// A caller, recognised, with all their memberships.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Opaque id from the identity provider.
    pub user_id: String,
    /// Name to show; may be empty.
    pub name: String,
    /// Workspaces and roles; the first is where a page without a workspace in its path plays.
    pub memberships: Vec<(String, Role)>,
    /// How they proved it.
    pub how: How,
    /// When their credentials end; live streams end with them.
    pub expires_at_ms: Option<i64>,
    /// Of a browser that signed in: the hash of its cookie. Live streams look again whether it still is.
    pub browser: Option<[u8; 32]>,
}

impl Identity {
    /// The same caller, at home in the workspace that they chose last, if it is one of theirs.
    pub(crate) fn preferring(mut self, workspace_id: &str) -> Self {
        if let Some(at) = self.memberships.iter().position(|(id, _)| id == workspace_id) {
            self.memberships[..=at].rotate_right(1);
        }
        self
    }

    /// The person in a workspace that they are a member of.
    pub fn person_in(&self, workspace_id: &str) -> Option<Person> {
        let (workspace, role) = self.memberships.iter().find(|(id, _)| id == workspace_id)?;
        Some(Person {
            user_id: self.user_id.clone(),
            name: self.name.clone(),
            workspace_id: workspace.clone(),
            role: *role,
        })
    }
}

/// The person that a request is made by, in the workspace that it is made in.
#[derive(Clone)]
pub struct Viewer {
    /// Who, where, in which role.
    pub person: Person,
    /// Language of sentences.
    pub locale: Locale,
    /// IANA name of the time zone that dates are shown in.
    pub timezone: String,
    /// For calls to the services on their behalf.
    pub context: Context,
    /// How they proved who they are.
    pub how: How,
    /// All their memberships.
    pub identity: Identity,
    /// What the hub remembers of them.
    pub preferences: Arc<proto::accounts::v1::Preferences>,
}

impl FromRequestParts<App> for Viewer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if let Some(known) = parts.extensions.get::<Self>() {
            return Ok(known.clone());
        }
        let identity = parts.extensions.get::<Identity>().cloned();
        let identity = identity.ok_or_else(|| Problem::new(Code::Unauthenticated, "sign in to go on"))?;
        let workspace =
            workspace_of(full_uri(parts).path()).or(identity.memberships.first().map(|(id, _)| id.as_str()));
        let Some(workspace) = workspace else {
            return Err(Problem::new(
                Code::ForbiddenRole,
                "you are not a member of any workspace; ask for an invitation",
            ));
        };
        let person = identity.person_in(workspace).ok_or_else(Problem::not_found)?;
        let context = context(app, person.clone());
        let preferences = app.preferences(&person.user_id, &context).await;
        let viewer = Self {
            locale: locale(&preferences.locale, parts),
            timezone: timezone(&preferences.timezone, parts),
            how: identity.how,
            person,
            context,
            identity,
            preferences,
        };
        parts.extensions.insert(viewer.clone());
        Ok(viewer)
    }
}

impl OptionalFromRequestParts<App> for Viewer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Option<Self>, Problem> {
        if parts.extensions.get::<Identity>().is_none() {
            return Ok(None);
        }
        <Self as FromRequestParts<App>>::from_request_parts(parts, app)
            .await
            .map(Some)
    }
}

/// A call context for a person, signed, with the deadline that every request of the gateway has.
pub(crate) fn context(app: &App, person: Person) -> Context {
    Context::for_person(person, &app.common.signer, None).within(app.config.request_timeout)
}

/// The address as it was asked for: nested routers see only the rest of it.
pub(crate) fn full_uri(parts: &Parts) -> &Uri {
    parts
        .extensions
        .get::<OriginalUri>()
        .map_or(&parts.uri, |OriginalUri(uri)| uri)
}

/// The workspace in the path of an API request.
pub(crate) fn workspace_of(path: &str) -> Option<&str> {
    path.strip_prefix("/api/v1/workspaces/")?
        .split('/')
        .next()
        .filter(|id| !id.is_empty())
}

fn locale(preferred: &str, parts: &Parts) -> Locale {
    match preferred {
        "" => Locale::parse(header(parts, "accept-language")),
        preferred => Locale::parse(preferred),
    }
}

/// The person's choice, else what their browser told (a header that our script sets, or the cookie of the page), else UTC.
fn timezone(preferred: &str, parts: &Parts) -> String {
    let candidates = [preferred, header(parts, "x-timezone"), cookie(parts, "sz-timezone")];
    let known = candidates
        .into_iter()
        .find(|name| !name.is_empty() && jiff::tz::TimeZone::get(name).is_ok());
    known.unwrap_or("UTC").to_owned()
}

fn header<'a>(parts: &'a Parts, name: &str) -> &'a str {
    parts
        .headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn cookie<'a>(parts: &'a Parts, name: &str) -> &'a str {
    crate::cookies::read(&parts.headers, name).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::workspace_of;

    #[test]
    fn the_workspace_is_the_one_of_the_path_and_nothing_else() {
        assert_eq!(workspace_of("/api/v1/workspaces/acme/accounts"), Some("acme"));
        assert_eq!(workspace_of("/api/v1/workspaces//accounts"), None);
        assert_eq!(workspace_of("/connections"), None);
    }
}
