//! The platforms' own calls to us: a person removed the app, wants their data deleted, withdrew a permission.
//!
//! The raw bytes go to platforms, which knows the secrets, and what it verified goes to tokens. An error of ours is never
//! answered with 2xx: the platform must try again.

use axum::Json;
use std::collections::HashMap;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{OriginalUri, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode};
use kit::Code;
use kit::grpc::Context;
use proto::platforms::v1::platform_event::Kind;
use proto::platforms::v1::{PlatformEvent, VerifyCallbackRequest};
use proto::tokens::v1::ApplyPlatformEventRequest;
use serde::Serialize;
use url::form_urlencoded;

use crate::api::{Path, read_body};
use crate::problem::Problem;
use crate::state::App;

/// Headers that signatures are made of.
const SIGNATURES: &[&str] = &["content-type", "x-hub-signature-256", "tiktok-signature"];

/// What marks of confirmation codes are made for.
const CODES: &str = "deletion codes";
/// Letters of a confirmation code before its mark.
const CODE_NUMBER: usize = 24;

/// Routes of the platforms' calls.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/webhooks/meta", get(challenge).post(meta))
        .route("/webhooks/instagram", get(challenge).post(instagram))
        .route("/webhooks/tiktok", post(tiktok))
        .route("/webhooks/meta/deauthorize", post(meta))
        .route("/webhooks/instagram/deauthorize", post(instagram))
        .route("/webhooks/meta/deletion", post(meta_deletion))
        .route("/webhooks/instagram/deletion", post(instagram_deletion))
        .route("/webhooks/deletions/{code}", get(deletion))
}

/// What Meta wants to hear about a deletion.
#[derive(Serialize)]
struct Deletion {
    url: String,
    confirmation_code: String,
}

async fn meta(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    accept(&app, "meta", request).await
}

async fn instagram(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    accept(&app, "instagram", request).await
}

async fn tiktok(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    accept(&app, "tiktok", request).await
}

async fn meta_deletion(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    delete(&app, "meta_deletion", request).await
}

async fn instagram_deletion(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    delete(&app, "instagram_deletion", request).await
}

/// A platform that removed our app or withdrew a permission. One address may serve for deletions too.
async fn accept(app: &App, source: &str, request: Request) -> Result<Response, Problem> {
    let events = verify(app, source, request).await?;
    apply(app, &events).await?;
    let deletes = events.iter().any(|event| event.kind() == Kind::DataDeletion);
    Ok(if deletes {
        confirm(app, &events)
    } else {
        StatusCode::OK.into_response()
    })
}

/// The address of deletions: what comes here is one, although its body looks like any other removal.
async fn delete(app: &App, source: &str, request: Request) -> Result<Response, Problem> {
    let events = verify(app, source, request).await?;
    apply(app, &events).await?;
    Ok(confirm(app, &events))
}

async fn verify(app: &App, source: &str, request: Request) -> Result<Vec<PlatformEvent>, Problem> {
    let (parts, body) = request.into_parts();
    let body = read_body(body, app).await?;
    let message = VerifyCallbackRequest {
        source: source.to_owned(),
        headers: signature_headers(&parts.headers),
        body: body.to_vec(),
    };
    let context = Context::background().within(app.config.request_timeout);
    let verified = app
        .platforms()
        .verify_callback(context.request(message))
        .await?
        .into_inner();
    tracing::info!(source, events = verified.events.len(), "a platform's call was verified");
    Ok(verified.events)
}

/// Makes it effective before the platform is answered.
async fn apply(app: &App, events: &[PlatformEvent]) -> Result<(), Problem> {
    let context = Context::background().within(app.config.request_timeout);
    for event in events {
        let message = ApplyPlatformEventRequest {
            event: Some(event.clone()),
        };
        app.tokens().apply_platform_event(context.request(message)).await?;
    }
    Ok(())
}

/// The headers that signatures are made of, and no other.
fn signature_headers(headers: &HeaderMap) -> HashMap<String, String> {
    let text = |name: &&str| Some(((*name).to_owned(), headers.get(*name)?.to_str().ok()?.to_owned()));
    SIGNATURES.iter().filter_map(text).collect()
}

/// The code is derived from the event, so that a repetition is told the same, and marked, so that it is known again without
/// being kept.
fn confirm(app: &App, events: &[PlatformEvent]) -> Response {
    let event_id = events.first().map(|event| event.event_id.as_str()).unwrap_or_default();
    let number = &kit::id::sha256_hex(event_id.as_bytes())[..CODE_NUMBER];
    let confirmation_code = format!("{number}{}", hex::encode(app.common.signer.mark(CODES, number)));
    let url = format!("{}/webhooks/deletions/{confirmation_code}", app.config.origin());
    Json(Deletion { url, confirmation_code }).into_response()
}

/// `GET /webhooks/deletions/{code}`: what a person is told who follows Meta's link. A request is confirmed only once it is
/// done, so a code of ours says that it was.
async fn deletion(State(app): State<App>, Path(code): Path<String>) -> Response {
    if !is_issued(&app, &code) {
        let unknown = "We do not know this code. Please follow the link that the platform shows.\n";
        return (StatusCode::NOT_FOUND, unknown).into_response();
    }
    format!("A request that was confirmed as {code} is done: the access that was given is removed, its tokens are destroyed.\n")
        .into_response()
}

/// True for a code that one of our gateways made under the identity key of now: codes end with it.
fn is_issued(app: &App, code: &str) -> bool {
    let Some((number, mark)) = code.split_at_checked(CODE_NUMBER) else {
        return false;
    };
    hex::decode(mark).is_ok_and(|mark| app.common.signer.is_mark(CODES, number, &mark))
}

/// `GET ?hub.mode=subscribe&hub.challenge=…&hub.verify_token=…`: proves that the address is ours.
async fn challenge(State(app): State<App>, OriginalUri(uri): OriginalUri) -> Result<Bytes, Problem> {
    let query = uri.query().unwrap_or_default();
    let one = |name: &str| {
        form_urlencoded::parse(query.as_bytes())
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.into_owned())
    };
    let wanted = app.config.webhook_verify_token.expose();
    // Hashes are compared, so that the time taken tells nothing of the token.
    let digest = |text: &str| kit::id::sha256(text.as_bytes());
    let is_known = !wanted.is_empty() && one("hub.verify_token").is_some_and(|token| digest(&token) == digest(wanted));
    let challenge =
        one("hub.challenge").filter(|text| text.len() <= 256 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    match challenge.filter(|_| is_known && one("hub.mode").as_deref() == Some("subscribe")) {
        Some(challenge) => Ok(Bytes::from(challenge)),
        None => Err(Problem::new(Code::CallerNotAllowed, "the verification does not match")),
    }
}
