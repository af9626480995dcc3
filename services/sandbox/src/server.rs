//! The HTTP server: one connection loop over hyper, because a connection that ends without an answer, or in the middle of
//! one, cannot be said in a web framework. Pictures, the index page and the control API are axum routes; everything
//! else is a platform's.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Request, Response, StatusCode, header};
use axum::response::IntoResponse as _;
use axum::routing::get;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::call::{BODY_LIMIT, Call, Reply};
use crate::pipeline::{self, Delivery, Sandbox};
use crate::{avatar, control};

const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const DRAIN: Duration = Duration::from_secs(5);
/// hyper sends what it has when a body pauses; without the pause the first half would never leave.
const BREATH: Duration = Duration::from_millis(50);

/// Ends the connection.
type Hangup = std::io::Error;

fn hangup() -> Hangup {
    std::io::Error::new(
        std::io::ErrorKind::ConnectionAborted,
        "the sandbox was told to drop this connection",
    )
}

/// Serves until `shutdown`.
pub(crate) async fn run(sandbox: Arc<Sandbox>, listener: TcpListener, shutdown: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let routes = routes(Arc::clone(&sandbox));
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => accept(&sandbox, &routes, &graceful, stream, shutdown.clone()),
                Err(error) => {
                    tracing::warn!(%error, "accepting a connection failed");
                    tokio::time::sleep(BREATH).await;
                }
            },
            () = shutdown.cancelled() => break,
        }
    }
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("sandbox connections were still open after {DRAIN:?}");
    }
}

fn accept(
    sandbox: &Arc<Sandbox>,
    routes: &Router,
    graceful: &GracefulShutdown,
    stream: TcpStream,
    shutdown: CancellationToken,
) {
    let (sandbox, routes) = (Arc::clone(sandbox), routes.clone());
    let service = service_fn(move |request| respond(Arc::clone(&sandbox), routes.clone(), request, shutdown.clone()));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), service));
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a sandbox connection ended early");
        }
    });
}

fn routes(sandbox: Arc<Sandbox>) -> Router {
    Router::new()
        .route("/", get(index))
        .route(
            "/avatars/{file}",
            get(|Path(file): Path<String>| async move { picture(&file, avatar::AVATAR) }),
        )
        .route(
            "/images/{file}",
            get(|Path(file): Path<String>| async move { picture(&file, avatar::IMAGE) }),
        )
        .nest("/_sandbox", control::routes())
        .with_state(sandbox)
}

async fn index(State(sandbox): State<Arc<Sandbox>>) -> Response<Body> {
    control::index(&sandbox)
}

fn picture(file: &str, side: u32) -> Response<Body> {
    match file.strip_suffix(".png") {
        Some(id) => ([(header::CONTENT_TYPE, "image/png")], avatar::png(id, side)).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn respond(
    sandbox: Arc<Sandbox>,
    routes: Router,
    request: Request<Incoming>,
    shutdown: CancellationToken,
) -> Result<Response<Body>, Hangup> {
    let path = request.uri().path();
    let own = path == "/"
        || ["/_sandbox", "/avatars/", "/images/"]
            .iter()
            .any(|prefix| path.starts_with(prefix));
    if own {
        let response: Result<_, Infallible> = routes.oneshot(request.map(Body::new)).await;
        return response.map_err(|_| hangup());
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_LIMIT)
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
    else {
        return Ok(StatusCode::PAYLOAD_TOO_LARGE.into_response());
    };
    let query = parts.uri.query().unwrap_or_default();
    let call = Call::new(parts.method, parts.uri.path(), query, parts.headers, &body);
    let Some((delivery, _in_flight)) = pipeline::handle(sandbox, call).await else {
        return Ok((StatusCode::NOT_FOUND, "no imitated platform has this path\n").into_response());
    };
    match delivery {
        Delivery::Whole(reply) => Ok(whole(reply)),
        Delivery::Slow(reply) => Ok(slow(&reply)),
        Delivery::Half(reply) => Ok(half(&reply)),
        Delivery::Cut => Err(hangup()),
        Delivery::Never => {
            shutdown.cancelled().await;
            Err(hangup())
        }
    }
}

fn whole(reply: Reply) -> Response<Body> {
    let (status, headers) = reply.head();
    (status, headers, reply.body).into_response()
}

fn half(reply: &Reply) -> Response<Body> {
    let (status, headers) = reply.head();
    let length = [(header::CONTENT_LENGTH, reply.body.len().to_string())];
    let first = Bytes::copy_from_slice(reply.body.get(..reply.body.len() / 2).unwrap_or_default());
    let stream = futures_util::stream::iter([Ok(first), Err(hangup())]).then(|part| async move {
        if part.is_err() {
            tokio::time::sleep(BREATH).await;
        }
        part
    });
    (status, headers, length, Body::from_stream(stream)).into_response()
}

fn slow(reply: &Reply) -> Response<Body> {
    const PIECE: usize = 10;
    let (status, headers) = reply.head();
    let pieces: Vec<Bytes> = reply.body.chunks(PIECE).map(Bytes::copy_from_slice).collect();
    let stream = futures_util::stream::iter(pieces).then(|piece| async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok::<_, Hangup>(piece)
    });
    (status, headers, Body::from_stream(stream)).into_response()
}
