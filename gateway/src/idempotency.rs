//! `Idempotency-Key`: one effect and one answer for every repetition of a POST under `/api`.
//!
//! accounts keeps keys and answers; the key is claimed before the handler runs and finished after it, in a task that goes on
//! when the client has gone. An answer that says "try again" frees the key instead of being kept. Answers are kept sealed: one
//! that starts a sign-in carries its state and its cookie.

use std::collections::HashMap;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use kit::seal::Aad;
use kit::{Code, Failure};
use prost::Message as _;
use proto::accounts::v1::claim_request_response::Outcome;
use proto::accounts::v1::{ClaimRequestRequest, FinishRequestRequest, StoredAnswer};

use crate::layers;
use crate::page::brotli;
use crate::problem::Problem;
use crate::session::{Viewer, full_uri};
use crate::state::App;

const HEADER: &str = "idempotency-key";
const LONGEST_KEY: usize = 255;
/// Largest answer; that of a sign-in which reaches a thousand accounts is a quarter of it. Kept it is a small part of that.
const LARGEST_ANSWER: usize = 4 * 1024 * 1024;
/// As for pages that are made for one reader.
const QUALITY: u32 = 4;
/// Headers that belong to the answer; all others are made anew for every reply.
const KEPT: &[HeaderName] = &[
    header::CONTENT_TYPE,
    header::LOCATION,
    header::ETAG,
    header::RETRY_AFTER,
    header::SET_COOKIE,
];

/// Runs a POST once per key.
pub(crate) async fn once(State(app): State<App>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    match claim_and_run(app, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn claim_and_run(app: App, request: Request, next: Next) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let viewer = Viewer::from_request_parts(&mut parts, &app).await?;
    let key = key(&parts.headers)?;
    let body = crate::api::read_body(body, &app).await?;
    let claim = ClaimRequestRequest {
        workspace_id: viewer.person.workspace_id.clone(),
        key: key.clone(),
        request_hash: hash(&viewer.person.user_id, &parts, &body),
    };
    let claimed = app
        .accounts()
        .claim_request(viewer.context.request(claim))
        .await?
        .into_inner();
    match claimed.outcome() {
        Outcome::Claimed => {}
        Outcome::Replay => {
            let place = place(&viewer.person.workspace_id, &key);
            return replay(opened(&app, &place, &claimed.answer.unwrap_or_default())?);
        }
        Outcome::InProgress => {
            let failure = Failure::new(
                Code::IdempotencyInProgress,
                "the first request with this key still runs",
            );
            return Err(failure.retry_after(std::time::Duration::from_secs(1)).into());
        }
        Outcome::Mismatch => {
            return Err(Problem::new(
                Code::IdempotencyKeyReused,
                "this key was used for another request",
            ));
        }
        Outcome::Unspecified => return Err(Problem::new(Code::Internal, "the key could not be claimed")),
    }
    let worker = app.clone();
    let work = async move { run(&worker, viewer, key, parts, body, next).await };
    let finished = app.tasks.spawn(work).await;
    finished.map_err(|_| Problem::new(Code::Internal, "something went wrong on our side"))
}

/// Runs the handler and keeps its answer, or frees the key.
async fn run(app: &App, viewer: Viewer, key: String, parts: Parts, body: Bytes, next: Next) -> Response {
    let kept_parts = parts.clone();
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let response = layers::write(app, &kept_parts, response).await;
    let (head, body) = response.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_ANSWER).await else {
        // The effect is there, so the key stays in progress until it lapses.
        tracing::error!("the answer of a request is too large");
        return Problem::new(Code::Internal, "something went wrong on our side").into_response();
    };
    let answer = is_final(head.status).then(|| StoredAnswer {
        status: head.status.as_u16().into(),
        headers: kept_headers(&head.headers),
        body: body.to_vec(),
    });
    // What cannot be sealed is not kept: the key then stays in progress until it lapses.
    let answer = match answer
        .map(|answer| sealed(app, &place(&viewer.person.workspace_id, &key), &answer))
        .transpose()
    {
        Ok(answer) => answer,
        Err(problem) => {
            tracing::error!(code = ?problem.0.code, "the answer of a request could not be sealed");
            return Response::from_parts(head, Body::from(body));
        }
    };
    let finish = FinishRequestRequest {
        workspace_id: viewer.person.workspace_id.clone(),
        key,
        answer,
    };
    let context = viewer.context.clone().within(app.config.request_timeout);
    if let Err(status) = app.accounts().finish_request(context.request(finish)).await {
        // The effect is there; a repetition finds the key in progress until it lapses, and never runs twice.
        tracing::warn!(code = ?status.code(), "the answer of a request could not be kept");
    }
    Response::from_parts(head, Body::from(body))
}

/// Where a kept answer belongs.
fn place<'a>(workspace: &'a str, key: &'a str) -> Aad<'a> {
    Aad {
        workspace,
        record: key,
        field: "packed answer",
        generation: 0,
    }
}

fn sealed(app: &App, place: &Aad<'_>, answer: &StoredAnswer) -> Result<StoredAnswer, Problem> {
    let ring = app.common.signer.ring("answers")?;
    let packed = brotli(&answer.encode_to_vec(), QUALITY);
    let body = ring.seal(place, &packed).map_err(|_| unreadable())?;
    Ok(StoredAnswer {
        status: answer.status,
        headers: HashMap::new(),
        body,
    })
}

fn opened(app: &App, place: &Aad<'_>, kept: &StoredAnswer) -> Result<StoredAnswer, Problem> {
    let ring = app.common.signer.ring("answers")?;
    let packed = ring.open(place, &kept.body).map_err(|_| unreadable())?;
    let mut plain = Vec::new();
    brotli::BrotliDecompress(&mut packed.as_slice(), &mut plain).map_err(|_| unreadable())?;
    StoredAnswer::decode(plain.as_slice()).map_err(|_| unreadable())
}

fn unreadable() -> Problem {
    Problem::new(Code::Internal, "the kept answer cannot be read")
}

/// What a repetition should get again. What says "later" or "not you" is not the request's answer.
fn is_final(status: StatusCode) -> bool {
    let passing = [
        StatusCode::UNAUTHORIZED,
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    !status.is_server_error() && !passing.contains(&status)
}

fn key(headers: &HeaderMap) -> Result<String, Problem> {
    let mut values = headers.get_all(HEADER).iter();
    let missing = || {
        Problem::new(
            Code::IdempotencyKeyMissing,
            "every POST needs an Idempotency-Key header",
        )
    };
    let key = values.next().ok_or_else(missing)?.to_str().unwrap_or_default();
    if key.is_empty() {
        return Err(missing());
    }
    if key.len() > LONGEST_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) || values.next().is_some() {
        return Err(Problem::new(
            Code::BadRequest,
            "Idempotency-Key must be one value of 1 to 255 printable characters",
        ));
    }
    Ok(key.to_owned())
}

/// SHA-256 over person, method, path with query, and body, each ended so that none can pass for another. An answer is its
/// asker's alone: it may hold the browser's half of a sign-in, or what only a role may see.
fn hash(user_id: &str, parts: &Parts, body: &[u8]) -> Vec<u8> {
    let path = full_uri(parts).path_and_query().map_or("", |path| path.as_str());
    let asked = [user_id, parts.method.as_str(), path].join("\n");
    kit::id::sha256(&[asked.as_bytes(), b"\n", body].concat()).to_vec()
}

/// Of a header that stands twice the last is kept: ours stand once.
fn kept_headers(headers: &HeaderMap) -> HashMap<String, String> {
    let kept = KEPT
        .iter()
        .filter_map(|name| Some((name.to_string(), headers.get(name)?.to_str().ok()?.to_owned())));
    kept.collect()
}

fn replay(answer: StoredAnswer) -> Result<Response, Problem> {
    let status = u16::try_from(answer.status)
        .ok()
        .and_then(|status| StatusCode::from_u16(status).ok());
    let status = status.ok_or_else(unreadable)?;
    let mut response = (status, Body::from(answer.body)).into_response();
    response.headers_mut().remove(header::CONTENT_TYPE);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
        .headers_mut()
        .insert("idempotency-replayed", HeaderValue::from_static("true"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn j7_a_key_of_256_characters_is_refused_and_one_of_255_is_not() {
        let of = |length: usize| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::try_from("k".repeat(length)).unwrap());
            key(&headers)
        };
        assert!(of(255).is_ok());
        assert_eq!(of(256).unwrap_err().0.code, Code::BadRequest);
        assert_eq!(of(0).unwrap_err().0.code, Code::IdempotencyKeyMissing);
    }

    #[test]
    fn what_says_later_is_not_kept() {
        assert!(is_final(StatusCode::CREATED) && is_final(StatusCode::FORBIDDEN));
        assert!(!is_final(StatusCode::SERVICE_UNAVAILABLE) && !is_final(StatusCode::TOO_MANY_REQUESTS));
    }
}
