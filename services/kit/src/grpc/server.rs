//! A gRPC server with everything that every service has: policy, health, reflection, limits, graceful end.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use http::{Request, Response};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;

use super::policy::{Policy, Rule};
use super::{health, tls};
use crate::config::{Common, check_loopback};
use crate::db::Db;

/// Streams that one connection may have open at a time.
const STREAMS: u32 = 1024;
/// Calls of one connection that may be given up before we have looked at them: as many as it may have open. Fewer, and callers
/// with short deadlines would end the connection for all who share it.
const RESETS: usize = STREAMS as usize;
/// How long calls are served after the listener closed: callers try addresses once a second, and leave out what refuses.
const LINGER: Duration = Duration::from_secs(2);
/// How long streams that never end by themselves are waited for.
const OPEN_STREAMS: Duration = Duration::from_secs(10);

/// Serves one service on `listener` until `shutdown`, then lets running calls end. Its health follows `database`.
pub async fn server<S>(
    common: &Common,
    listener: TcpListener,
    shutdown: CancellationToken,
    rules: &'static [Rule],
    database: Option<Db>,
    service: S,
) -> anyhow::Result<()>
where
    S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    if common.tls.is_none() && !common.trust_network {
        let listen = listener.local_addr()?;
        check_loopback(
            &format!("{}.listen", S::NAME.split('.').nth(1).unwrap_or(S::NAME)),
            listen,
            "calls are not encrypted",
            "set tls.mode = mutual with certificates, or tls.trust_network = true behind a mesh",
        )?;
    }
    let (health, health_service) = tonic_health::server::health_reporter();
    health::say(&health, S::NAME, ServingStatus::Serving).await;
    if let Some(database) = database {
        tokio::spawn(health::follow(health.clone(), S::NAME, database, shutdown.clone()));
    }
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name(S::NAME)
            .with_service_name("grpc.health.v1.Health")
    };

    let mut server = Server::builder();
    if let Some(certificates) = &common.tls {
        server = server.max_connection_age(certificates.lifetime());
    }
    // Without Redis there is one process of each kind: nobody could move on to another.
    let linger = if common.redis.is_empty() {
        Duration::ZERO
    } else {
        LINGER
    };
    let (closing, ended) = (shutdown.clone(), shutdown.clone());
    let stop = async move {
        shutdown.cancelled().await;
        health.set_service_status("", ServingStatus::NotServing).await;
        // New connections are refused from here on, and old ones serve until callers have noticed.
        tokio::time::sleep(linger).await;
    };
    let routes = server
        .max_concurrent_streams(STREAMS)
        .http2_max_header_list_size(16 * 1024)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
        .max_frame_size(Some(64 * 1024))
        .http2_max_pending_accept_reset_streams(Some(RESETS))
        .layer(Policy::new(rules, common.clone()))
        .add_service(health_service)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .add_service(service);
    let serving = async {
        if let Some(certificates) = &common.tls {
            let incoming = tls::incoming(listener, certificates.clone());
            routes
                .serve_with_incoming_shutdown(until(incoming, closing), stop)
                .await
        } else {
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            routes
                .serve_with_incoming_shutdown(until(incoming, closing), stop)
                .await
        }
    };
    tokio::select! {
        served = serving => Ok(served?),
        // Open streams (events) would hold the drain for ever.
        () = async { ended.cancelled().await; tokio::time::sleep(linger + OPEN_STREAMS).await } => Ok(()),
    }
}

/// Connections until `closing`; the listener is gone then, and the stream goes on without any.
fn until<S: Stream>(incoming: S, closing: CancellationToken) -> impl Stream<Item = S::Item> {
    incoming
        .take_until(closing.cancelled_owned())
        .chain(futures_util::stream::pending())
}
