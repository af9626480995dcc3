//! The control API under `/_sandbox`, JSON in and out, for tests, demo data and curious people.
//!
//! | Request | Body, and answer |
//! |---|---|
//! | `GET /people` | `{"people": […], "pages": […], "instagram": […], "organizations": […]}` |
//! | `POST /consent` | `{"authorize_url": "…", "person": "ada", "permissions": ["…"], "destinations": ["…"], "action": "allow"}`, last three optional: everything, everything, allow → `{"redirect_to": "…"}`; 400 `{"error": "…"}` where the platform would show its own error page |
//! | `POST /switches` | `{"platform": "x", "person": "ada", "operation": "refresh", "next": 2, "effect": {"kind": "server_error", "status": 500, "when": "after"}}` → 201 `{"id": 3, …}`; `person`, `operation`, `next` optional: everybody, wherever it can show, for ever |
//! | `GET /switches`, `DELETE /switches`, `DELETE /switches/{id}` | `{"switches": […]}`; 204 |
//! | `POST /actions` | `{"platform": "facebook", "person": "ada", "action": {"kind": "revoke"}}` → 204 |
//! | `GET /profile`, `PATCH /profile` | choices that are not faults: `{"tiktok_lives": "2026-11"}` → the whole profile |
//! | `GET /clock`, `POST /clock` | `{"offset_seconds": 86400}` or `{"advance_seconds": 60}` → `{"offset_seconds": …, "now_ms": …}` |
//! | `POST /callbacks` | `{"platform": "tiktok", "person": "ada", "what": "authorization_removed", "url": "…", "signature": "wrong", "times": 3, "age_seconds": 600}` → `{"answers": [{"status": 200, "body": "…"}]}` |
//! | `GET /log?after=17&limit=500` | `{"entries": [{"seq": 18, "at_ms": …, "kind": "request", …}], "last": 18}` |
//! | `GET /truth` | `{"grants": [{"platform": "x", "person": "ada", "app": "…", "grant": 4, "scopes": […], "tokens": [{"id": "tok_5", "fingerprint": "…", "kind": "refresh", …}]}]}`, tokens that work now |
//! | `POST /reset` | 204; everything as at the start, except that log numbers go on |
//!
//! Effects are listed in `switches/effect.rs`, operations in `switches::Scope` (`api` is everything done with an access
//! token), actions in `actions::Action`, choices in `world::profile`, log entries in `world::log::Event`.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, Response, StatusCode};
use axum::response::{Html, IntoResponse as _};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use crate::call::Call;
use crate::consent::{self, Choice, Verdict};
use crate::pipeline::Sandbox;
use crate::platform::{ALL, Operation};
use crate::switches::{Order, Switch};
use crate::world::people::Person;
use crate::world::profile::Profile;
use crate::world::tokens::Token;
use crate::{actions, callbacks, crypto};

type Shared = State<Arc<Sandbox>>;
type Answer = Result<Json<Value>, (StatusCode, Json<Value>)>;

const LOG_LIMIT: usize = 10_000;

fn refuse<T>(problem: impl ToString) -> Result<T, (StatusCode, Json<Value>)> {
    Err((StatusCode::BAD_REQUEST, Json(json!({"error": problem.to_string()}))))
}

/// All routes, relative to `/_sandbox`.
pub(crate) fn routes() -> Router<Arc<Sandbox>> {
    Router::new()
        .route("/people", get(people))
        .route("/consent", post(consent))
        .route("/switches", get(switches).post(switch_on).delete(switches_off))
        .route("/switches/{id}", delete(switch_off))
        .route("/actions", post(act))
        .route("/profile", get(profile).patch(change_profile))
        .route("/clock", get(clock).post(set_clock))
        .route("/callbacks", post(send_callback))
        .route("/log", get(log))
        .route("/truth", get(truth))
        .route("/reset", post(reset))
}

async fn people(State(sandbox): Shared) -> Json<Value> {
    let world = sandbox.world();
    Json(json!({
        "people": world.people, "pages": world.pages, "businesses": world.businesses,
        "instagram": world.instagram, "organizations": world.organizations,
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Decision {
    Allow,
    Cancel,
}

fn allow() -> Decision {
    Decision::Allow
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsentRequest {
    authorize_url: String,
    person: String,
    #[serde(default)]
    permissions: Option<Vec<String>>,
    #[serde(default)]
    destinations: Option<Vec<String>>,
    #[serde(default = "allow")]
    action: Decision,
}

/// The consent page without the page: same checks, same switches.
async fn consent(State(sandbox): Shared, Json(request): Json<ConsentRequest>) -> Answer {
    let Ok(url) = Url::parse(&request.authorize_url) else {
        return refuse("authorize_url is not a URL");
    };
    let call = Call::new(
        Method::GET,
        url.path(),
        url.query().unwrap_or_default(),
        HeaderMap::new(),
        b"",
    );
    let is_dialog = |platform: &crate::Platform| platform.imitation().recognise(&call) == Some(Operation::Dialog);
    let Some(platform) = ALL.into_iter().find(is_dialog) else {
        return refuse("no platform has its consent page at this path");
    };
    let imitation = platform.imitation();
    let mut world = sandbox.world();
    let dialog = match imitation.dialog(&world, &call) {
        Ok(dialog) => dialog,
        Err(reply) => match reply.header("location") {
            Some(location) => return Ok(Json(json!({"redirect_to": location}))),
            None => return refuse(reply.outcome),
        },
    };
    let effects = world.switches.take(platform, Some(&request.person), Operation::Consent);
    let choice = Choice {
        person: request.person,
        permissions: request.permissions,
        destinations: request.destinations,
        allow: matches!(request.action, Decision::Allow),
    };
    let verdict: Verdict = match consent::decide(&mut world, &dialog, &choice, &effects) {
        Ok(verdict) => verdict,
        Err(problem) => return refuse(problem),
    };
    Ok(Json(json!({"redirect_to": imitation.callback(&dialog, &verdict)})))
}

async fn switches(State(sandbox): Shared) -> Json<Value> {
    Json(json!({"switches": sandbox.world().switches.list()}))
}

async fn switch_on(State(sandbox): Shared, Json(order): Json<Order>) -> (StatusCode, Json<Switch>) {
    (StatusCode::CREATED, Json(sandbox.world().switches.add(order)))
}

async fn switches_off(State(sandbox): Shared) -> StatusCode {
    sandbox.world().switches.clear();
    StatusCode::NO_CONTENT
}

async fn switch_off(State(sandbox): Shared, Path(id): Path<u64>) -> StatusCode {
    if sandbox.world().switches.remove(id) {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::NOT_FOUND
    }
}

async fn act(
    State(sandbox): Shared,
    Json(request): Json<actions::Request>,
) -> Result<StatusCode, impl axum::response::IntoResponse> {
    match actions::perform(&mut sandbox.world(), &request) {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(problem) => refuse::<StatusCode>(problem),
    }
}

async fn profile(State(sandbox): Shared) -> Json<Profile> {
    Json(sandbox.world().profile.clone())
}

async fn change_profile(State(sandbox): Shared, Json(changes): Json<Map<String, Value>>) -> Answer {
    let mut world = sandbox.world();
    let mut merged = json!(world.profile);
    if let Some(members) = merged.as_object_mut() {
        members.extend(changes);
    }
    match serde_json::from_value::<Profile>(merged) {
        Ok(profile) => {
            world.profile = profile.clone();
            Ok(Json(json!(profile)))
        }
        Err(error) => refuse(error),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Move {
    OffsetSeconds(i64),
    AdvanceSeconds(i64),
}

fn clock_state(sandbox: &Sandbox) -> Json<Value> {
    let world = sandbox.world();
    Json(json!({"offset_seconds": world.clock.offset_ms / 1000, "now_ms": world.now_ms()}))
}

async fn clock(State(sandbox): Shared) -> Json<Value> {
    clock_state(&sandbox)
}

async fn set_clock(State(sandbox): Shared, Json(change): Json<Move>) -> Json<Value> {
    match change {
        Move::OffsetSeconds(seconds) => sandbox.world().clock.offset_ms = seconds * 1000,
        Move::AdvanceSeconds(seconds) => sandbox.world().clock.offset_ms += seconds * 1000,
    }
    clock_state(&sandbox)
}

async fn send_callback(State(sandbox): Shared, Json(request): Json<callbacks::Request>) -> Answer {
    match callbacks::send(&sandbox, &request).await {
        Ok(answers) => Ok(Json(json!({"answers": answers}))),
        Err(problem) => refuse(problem),
    }
}

fn log_limit() -> usize {
    LOG_LIMIT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    #[serde(default)]
    after: u64,
    #[serde(default = "log_limit")]
    limit: usize,
}

async fn log(State(sandbox): Shared, Query(cursor): Query<Cursor>) -> Json<Value> {
    let world = sandbox.world();
    let entries = world.log.after(cursor.after, cursor.limit.min(LOG_LIMIT));
    Json(json!({"last": entries.last().map_or(world.log.last(), |entry| entry.seq), "entries": entries}))
}

async fn truth(State(sandbox): Shared) -> Json<Value> {
    let world = sandbox.world();
    let grants =
        world.grants().map(|grant| {
            let tokens = world.tokens_of(grant.id).filter(|token| world.check(token).is_ok()).map(|token| {
            json!({
                "id": Token::label(token.id), "fingerprint": crypto::fingerprint(&token.value), "kind": token.kind,
                "parent": token.parent.map(Token::label), "destination": token.destination,
                "issued_at_ms": token.issued_at_ms, "expires_at_ms": token.expires_at_ms,
            })
        });
            json!({
                "platform": grant.platform, "person": grant.person, "app": world.apps.of(grant.platform).client_id,
                "grant": grant.id, "ended": grant.ended, "scopes": grant.scopes, "declined": grant.declined,
                "destinations": grant.destinations, "tokens": tokens.collect::<Vec<_>>(),
            })
        });
    Json(json!({"grants": grants.collect::<Vec<_>>()}))
}

async fn reset(State(sandbox): Shared) -> StatusCode {
    sandbox.world().reset();
    StatusCode::NO_CONTENT
}

#[derive(Template)]
#[template(path = "index.html")]
struct IndexPage {
    platforms: [crate::Platform; 5],
    people: Vec<Person>,
    switches: Vec<Switch>,
    paths: &'static [(&'static str, &'static str)],
}

const PATHS: [(&str, &str); 10] = [
    ("GET /_sandbox/people", "people, Pages, organisations"),
    ("POST /_sandbox/consent", "consent without a browser"),
    ("GET, POST, DELETE /_sandbox/switches", "make platforms misbehave"),
    (
        "POST /_sandbox/actions",
        "revoke, expire, change a password, lose a role",
    ),
    ("GET, PATCH /_sandbox/profile", "choices where the documents leave one"),
    ("GET, POST /_sandbox/clock", "the sandbox's own time"),
    ("POST /_sandbox/callbacks", "send a deauthorize callback or a webhook"),
    ("GET /_sandbox/log?after=", "everything asked and issued"),
    ("GET /_sandbox/truth", "which tokens work now"),
    ("POST /_sandbox/reset", "start again"),
];

/// The page at `/`.
pub(crate) fn index(sandbox: &Sandbox) -> Response<Body> {
    let page = {
        let world = sandbox.world();
        IndexPage {
            platforms: ALL,
            people: world.people.clone(),
            switches: world.switches.list(),
            paths: &PATHS,
        }
    };
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
