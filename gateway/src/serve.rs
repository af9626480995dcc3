//! Puts the gateway together and serves HTTP/1.1 on a listener until told to stop.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use futures_util::future::try_join_all;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use kit::grpc::{Context, check_health};
use kit::shared::Shared;
use kit::{Code, Common, config};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::api::Path;
use crate::auth::{Auth, sign_in};
use crate::avatars::{self, Avatars};
use crate::config::{Links, Section};
use crate::limits::Peer;
use crate::patience::Patient;
use crate::places::Places;
use crate::problem::Problem;
use crate::state::{App, Parts};
use crate::{api, app_links, dev, layers, oauth, page, webhooks};

/// Requests under way may take this long once the process is told to stop.
const DRAIN: Duration = Duration::from_secs(10);
const LARGEST_HEAD: usize = 16 * 1024;
const MOST_HEADERS: usize = 100;

/// What the gateway is made of.
pub struct Config {
    /// What all services share.
    pub common: Common,
    /// `[gateway]`
    pub section: Section,
    /// `[links]`
    pub links: Links,
}

/// Serves until `shutdown`, then lets requests end and closes live streams.
///
/// # Errors
/// When the configuration cannot be used, or Redis cannot be reached at the start.
pub async fn serve(config: Config, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
    let app = build(config, listener.local_addr()?, &shutdown).await?;
    accept(&app, listener, shutdown).await;
    app.tasks.drain(DRAIN).await;
    Ok(())
}

/// Puts the state together; `listen` is where it will be served.
///
/// # Errors
/// As [`serve`].
pub async fn build(config: Config, listen: SocketAddr, shutdown: &CancellationToken) -> anyhow::Result<App> {
    let Config { common, section, links } = config;
    if common.dev() {
        config::check_loopback(
            "gateway.listen",
            listen,
            "auth.mode = dev signs anybody in",
            "listen on 127.0.0.1, or set auth.mode = oidc",
        )?;
    }
    Ok(App::new(Parts {
        auth: Auth::build(&common, &section)?,
        shared: Shared::connect(&common.redis, "gateway").await?,
        avatars: Avatars::new(section.avatar_hosts.clone(), section.avatar_max_bytes, common.dev())?,
        shutdown: shutdown.clone(),
        config: section,
        common,
        links,
    }))
}

/// All routes with all layers.
pub fn router(app: &App) -> Router {
    let routes = Router::new()
        .route("/", get(|| async { Redirect::to("/connections") }))
        .route("/problems/{code}", get(problem_kind))
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/media/avatars/{account_id}", get(avatars::of_account))
        .route(
            "/media/avatars/{session_id}/{destination_id}",
            get(avatars::of_destination),
        )
        .merge(api::router(app))
        .merge(oauth::router())
        .merge(webhooks::router())
        .merge(app_links::router())
        .merge(dev::router(app))
        .merge(sign_in::router(app))
        .merge(page::router())
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async {
            Problem::new(Code::MethodNotAllowed, "this path does not take this verb")
        })
        .layer(DefaultBodyLimit::max(app.config.max_body_bytes));
    layers::around(routes, app).with_state(app.clone())
}

/// What a problem's `type` leads to: its kind in the documentation.
async fn problem_kind(Path(code): Path<String>) -> Redirect {
    Redirect::to(&format!("/api/v1/docs#problem-{code}"))
}

/// Ready when all services say that they can do their work.
async fn ready(State(app): State<App>) -> Response {
    if app.shutdown.is_cancelled() {
        return Problem::new(Code::Unavailable, "going down").into_response();
    }
    let context = Context::background().within(Duration::from_secs(2));
    let asked = app.peers.iter().map(|peer| check_health(peer.clone(), &context));
    match try_join_all(asked).await {
        Ok(_) => "ready".into_response(),
        Err(_) => Problem::new(Code::Unavailable, "a part of the hub cannot do its work").into_response(),
    }
}

async fn accept(app: &App, listener: TcpListener, shutdown: CancellationToken) {
    let routes = router(app);
    let open = Arc::new(Semaphore::new(app.config.max_connections));
    let most = app.config.max_connections_per_address;
    let guests = Places::new(if most == 0 { usize::MAX } else { most });
    let timeouts = [app.config.header_timeout, app.config.write_timeout];
    let graceful = GracefulShutdown::new();
    loop {
        let Ok(place) = open.clone().acquire_owned().await else {
            break;
        };
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        let Ok((stream, peer)) = stream else {
            // Out of file descriptors, or the client was gone already: the next one may do better.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Closed without a word: who has this many is no browser.
        let Some(guest) = guests.enter(peer.ip()) else {
            continue;
        };
        let connection = graceful.watch(connection(stream, peer.ip(), routes.clone(), timeouts));
        tokio::spawn(async move {
            // A client that goes away is no event.
            let _ = connection.await;
            drop((place, guest));
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("some connections did not end in time");
    }
}

/// hyper by hand rather than `axum::serve`, which has no time-out for headers.
fn connection(
    stream: TcpStream,
    peer: IpAddr,
    routes: Router,
    [header_timeout, write_timeout]: [Duration; 2],
) -> hyper::server::conn::http1::Connection<
    TokioIo<Patient>,
    TowerToHyperService<
        impl tower::Service<http::Request<Incoming>, Response = Response, Error = std::convert::Infallible, Future: Send>
        + Clone
        + Send,
    >,
> {
    let _ = stream.set_nodelay(true);
    let service = routes.map_request(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        request.map(axum::body::Body::new)
    });
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(LARGEST_HEAD)
        .max_headers(MOST_HEADERS)
        .serve_connection(
            TokioIo::new(Patient::new(stream, write_timeout)),
            TowerToHyperService::new(service),
        )
}
