//! The person who asks: who they are, where, and what the hub remembers of them.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use proto::accounts::v1::{Preferences, SetPreferencesRequest};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use utoipa::ToSchema;

use super::Body;
use crate::problem::Problem;
use crate::session::Viewer;
use crate::state::App;
use crate::view::PersonRef;

/// Preferences of this prefix say which platforms somebody waits for.
const INTEREST: &str = "interest:";

/// Who asks.
#[derive(Serialize, ToSchema)]
pub(crate) struct Me {
    /// The person.
    user: PersonRef,
    /// Every workspace they are a member of.
    workspaces: Vec<Membership>,
    /// IANA name.
    timezone: String,
    /// BCP 47.
    locale: &'static str,
    /// Guided tours: `completed` or `dismissed`.
    tours: BTreeMap<String, String>,
    /// Platforms to come that they want to hear of.
    platform_interests: Vec<String>,
}

/// A workspace and the role there.
#[derive(Serialize, ToSchema)]
struct Membership {
    /// Id of the workspace.
    id: String,
    /// `owner`, `admin` or `member`.
    role: &'static str,
}

/// How a tour ended.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TourEnd {
    status: TourStatus,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum TourStatus {
    Completed,
    Dismissed,
}

/// What a person may set; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreferencesBody {
    /// IANA name, e.g. `Europe/Berlin`.
    #[serde(default)]
    timezone: Option<String>,
    /// `en` or `ar`.
    #[serde(default)]
    locale: Option<Language>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Language {
    En,
    Ar,
}

/// The person who asks.
#[utoipa::path(get, path = "/me", tag = "me", responses((status = 200, body = Me)))]
pub(crate) async fn read(viewer: Viewer) -> Json<Me> {
    let platform_interests = interests(&viewer.preferences);
    let stored = viewer.preferences.tours.clone().into_iter();
    let tours = stored.filter(|(name, _)| !name.starts_with(INTEREST));
    let workspaces = viewer
        .identity
        .memberships
        .iter()
        .map(|(id, role)| Membership {
            id: id.clone(),
            role: role.as_str(),
        })
        .collect();
    Json(Me {
        user: PersonRef {
            id: viewer.person.user_id,
            name: viewer.person.name,
        },
        workspaces,
        timezone: viewer.timezone,
        locale: viewer.locale.tag(),
        tours: tours.collect(),
        platform_interests,
    })
}

/// Remembers that the tour of the Connections page is over, so that it does not come again.
#[utoipa::path(put, path = "/me/tours/connections", tag = "me", request_body = TourEnd, responses((status = 204)))]
pub(crate) async fn end_tour(
    State(app): State<App>,
    viewer: Viewer,
    Body(body): Body<TourEnd>,
) -> Result<StatusCode, Problem> {
    let status = match body.status {
        TourStatus::Completed => "completed",
        TourStatus::Dismissed => "dismissed",
    };
    let tours = HashMap::from([("connections".to_owned(), status.to_owned())]);
    store(
        &app,
        &viewer,
        Preferences {
            tours,
            ..Preferences::default()
        },
    )
    .await
}

/// Sets language and time zone.
#[utoipa::path(put, path = "/me/preferences", tag = "me", request_body = PreferencesBody, responses((status = 204)))]
pub(crate) async fn set_preferences(
    State(app): State<App>,
    viewer: Viewer,
    Body(body): Body<PreferencesBody>,
) -> Result<StatusCode, Problem> {
    let timezone = body.timezone.unwrap_or_default();
    if !timezone.is_empty() && jiff::tz::TimeZone::get(&timezone).is_err() {
        return Err(Problem::invalid("/timezone", "is not a time zone that we know"));
    }
    let locale = match body.locale {
        Some(Language::En) => "en",
        Some(Language::Ar) => "ar",
        None => "",
    };
    store(
        &app,
        &viewer,
        Preferences {
            locale: locale.into(),
            timezone,
            tours: HashMap::new(),
        },
    )
    .await
}

/// Platforms to come that a person waits for, in order of their ids.
pub(crate) fn interests(preferences: &Preferences) -> Vec<String> {
    let names = preferences.tours.keys();
    let mut platforms: Vec<_> = names
        .filter_map(|name| Some(name.strip_prefix(INTEREST)?.to_owned()))
        .collect();
    platforms.sort();
    platforms
}

/// Remembers that the person waits for a platform to come: asking for it is a step they completed, kept as tours are.
pub(crate) async fn remember_interest(app: &App, viewer: &Viewer, platform: &str) -> Result<StatusCode, Problem> {
    let tours = HashMap::from([(format!("{INTEREST}{platform}"), "completed".to_owned())]);
    store(
        app,
        viewer,
        Preferences {
            tours,
            ..Preferences::default()
        },
    )
    .await
}

async fn store(app: &App, viewer: &Viewer, preferences: Preferences) -> Result<StatusCode, Problem> {
    let message = SetPreferencesRequest {
        preferences: Some(preferences),
    };
    app.accounts().set_preferences(viewer.context.request(message)).await?;
    app.forget_preferences(&viewer.person.user_id);
    Ok(StatusCode::NO_CONTENT)
}
