//! What a person sets for themselves on any page: the language, the workspace.

use axum::Form;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use proto::accounts::v1::{Preferences, SetPreferencesRequest};
use serde::Deserialize;

use super::reader::Reader;
use crate::cookies::{self, Cookie};
use crate::problem::Problem;
use crate::session::Viewer;
use crate::state::App;

/// A language.
#[derive(Debug, Deserialize)]
pub(crate) struct Language {
    locale: String,
    #[serde(default)]
    back: String,
}

/// `POST /preferences/locale`
pub(crate) async fn set_locale(
    State(app): State<App>,
    reader: Reader,
    Form(chosen): Form<Language>,
) -> Result<Response, Problem> {
    if !matches!(chosen.locale.as_str(), "en" | "ar") {
        return Err(Problem::invalid("/locale", "is neither en nor ar"));
    }
    let preferences = Preferences {
        locale: chosen.locale,
        ..Preferences::default()
    };
    let request = SetPreferencesRequest {
        preferences: Some(preferences),
    };
    app.accounts().set_preferences(reader.context.request(request)).await?;
    app.forget_preferences(&reader.person.user_id);
    Ok(Redirect::to(back(&chosen.back)).into_response())
}

/// A workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Place {
    workspace: String,
}

/// `POST /workspace`: which of their workspaces the pages show from now on.
pub(crate) async fn set_workspace(
    State(app): State<App>,
    viewer: Viewer,
    Form(place): Form<Place>,
) -> Result<Response, Problem> {
    if viewer.identity.person_in(&place.workspace).is_none() {
        return Err(Problem::not_found());
    }
    let mut response = Redirect::to("/connections").into_response();
    let cookie = Cookie {
        plain_name: cookies::WORKSPACE,
        value: &place.workspace,
        https: app.config.is_https(),
        max_age_seconds: Some(365 * 86_400),
    };
    cookie.set(response.headers_mut());
    Ok(response)
}

/// Only ever a path of our own.
fn back(path: &str) -> &str {
    let is_local = path.starts_with('/') && !path.starts_with("//") && !path.contains(['\\', '\r', '\n']);
    if is_local { path } else { "/connections" }
}

#[cfg(test)]
mod tests {
    use super::back;

    #[test]
    fn one_comes_back_to_our_own_pages_only() {
        assert_eq!(back("/connections?q=a"), "/connections?q=a");
        for evil in [
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "",
            "javascript:alert(1)",
        ] {
            assert_eq!(back(evil), "/connections");
        }
    }
}
