//! `/.well-known/…`: tells phones which apps may open the links that bring a person back from a consent page.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::problem::Problem;
use crate::state::App;

/// Routes of app links.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/.well-known/apple-app-site-association", get(apple))
        .route("/.well-known/assetlinks.json", get(android))
}

async fn apple(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let ids = &app.config.apple_app_ids;
    if ids.is_empty() {
        return Err(Problem::not_found());
    }
    let details = json!([{"appIDs": ids, "components": [{"/": "/oauth/return/*"}]}]);
    Ok(Json(json!({"applinks": {"details": details}})))
}

async fn android(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let apps: Vec<Value> = app
        .config
        .android_apps
        .iter()
        .filter_map(|entry| entry.split_once('='))
        .map(android_app)
        .collect();
    if apps.is_empty() {
        Err(Problem::not_found())
    } else {
        Ok(Json(apps.into()))
    }
}

fn android_app((package, fingerprint): (&str, &str)) -> Value {
    json!({
        "relation": ["delegate_permission/common.handle_all_urls"],
        "target": {
            "namespace": "android_app",
            "package_name": package.trim(),
            "sha256_cert_fingerprints": [fingerprint.trim()],
        },
    })
}
