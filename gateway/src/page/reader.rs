//! Who looks at a page, with everything that decides how it reads: language, clock, role, links. Axum extractor of all pages.

use axum::extract::FromRequestParts;
use http::request::Parts;
use jiff::tz::TimeZone;
use kit::grpc::Context;
use kit::{Person, Role};

use super::dates::{Calendar, When};
use super::texts::{Texts, texts};
use crate::answers::Key;
use crate::api::me;
use crate::problem::Problem;
use crate::session::Viewer;
use crate::state::App;
use crate::view::{Lens, Locale, Time};

/// A reader of pages.
#[derive(Clone)]
pub(crate) struct Reader {
    pub(crate) person: Person,
    pub(crate) lens: Lens,
    pub(crate) t: &'static Texts,
    pub(crate) calendar: Calendar,
    /// IANA name; what the page's script compares with the browser's.
    pub(crate) timezone: String,
    /// Path and query of this page, to come back to.
    pub(crate) path: String,
    /// `dev` mode: persons, roles and plans can be switched.
    pub(crate) dev: bool,
    /// Ids of all their workspaces.
    pub(crate) workspaces: Vec<String>,
    /// Signed in at the provider, so there is something to sign out of.
    pub(crate) signed_in: bool,
    /// The tour of the Connections page was finished or skipped.
    pub(crate) toured: bool,
    /// Platforms to come whose start they want to hear of.
    pub(crate) waits_for: Vec<String>,
    /// For calls on the reader's behalf.
    pub(crate) context: Context,
}

impl FromRequestParts<App> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let viewer = <Viewer as FromRequestParts<App>>::from_request_parts(parts, app).await?;
        let path = parts.uri.path_and_query().map_or("/connections", |path| path.as_str());
        Self::of(app, viewer, path).await
    }
}

impl Reader {
    /// The viewer as a reader of the page at `path`.
    pub(crate) async fn of(app: &App, viewer: Viewer, path: &str) -> Result<Self, Problem> {
        let t = texts(viewer.locale);
        Ok(Self {
            lens: app.lens(&viewer).await?,
            calendar: Calendar {
                zone: TimeZone::get(&viewer.timezone).unwrap_or(TimeZone::UTC),
                now_ms: app.clock().now_ms(),
                words: &t.time,
            },
            t,
            timezone: viewer.timezone,
            path: path.to_owned(),
            dev: app.auth.is_dev(),
            workspaces: viewer.identity.memberships.into_iter().map(|(id, _)| id).collect(),
            signed_in: viewer.identity.browser.is_some(),
            toured: viewer.preferences.tours.contains_key("connections"),
            waits_for: me::interests(&viewer.preferences),
            context: viewer.context,
            person: viewer.person,
        })
    }

    /// The same reader in another language.
    pub(crate) fn reading(mut self, locale: Locale) -> Self {
        self.t = texts(locale);
        self.calendar.words = &self.t.time;
        self.lens.locale = locale;
        self
    }

    /// The same reader in another role.
    pub(crate) fn acting(mut self, role: Role) -> Self {
        self.person.role = role;
        self.lens.role = role;
        self
    }

    /// Everything about the reader that shows on a page. A field that is added here has to be looked at there.
    pub(crate) fn key(&self) -> Key {
        let Self {
            person,
            // Of the catalogue, which is the same for everybody, the role, and the language.
            lens: _,
            t,
            // Of the zone, the words, and the time, which bounds the age.
            calendar: _,
            timezone,
            path,
            // The same for all.
            dev: _,
            workspaces,
            signed_in,
            toured,
            waits_for,
            context: _,
        } = self;
        Key {
            person: person.clone(),
            locale: t.locale,
            timezone: timezone.clone(),
            toured: *toured,
            waits_for: waits_for.clone(),
            workspaces: workspaces.clone(),
            signed_in: *signed_in,
            path: path.clone(),
        }
    }

    /// May connect, reconnect and disconnect.
    pub(crate) fn manages(&self) -> bool {
        self.person.role >= Role::Admin
    }

    /// May change the plan.
    pub(crate) fn owns(&self) -> bool {
        self.person.role == Role::Owner
    }

    /// Id of the workspace that is looked at.
    pub(crate) fn workspace(&self) -> String {
        self.person.workspace_id.clone()
    }

    /// "3 min ago".
    pub(crate) fn ago(&self, time: Option<Time>) -> Option<When> {
        time.map(|time| self.calendar.ago(time.ms()))
    }

    /// "checked 3 min ago".
    pub(crate) fn checked(&self, time: Option<Time>) -> Option<When> {
        let mut when = self.ago(time)?;
        let sentence = (self.t.health.checked)("\u{0}");
        sentence
            .split('\u{0}')
            .next()
            .unwrap_or_default()
            .clone_into(&mut when.before);
        Some(when)
    }

    /// "today 07:12".
    pub(crate) fn moment(&self, time: Option<Time>) -> Option<When> {
        time.map(|time| self.calendar.moment(time.ms()))
    }
}
