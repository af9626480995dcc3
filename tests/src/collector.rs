//! A collector of traces that keeps the bytes it is sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

/// Speaks as much gRPC as an exporter needs; ends when it is dropped.
pub struct Collector {
    address: SocketAddr,
    kept: Arc<Mutex<Vec<u8>>>,
    _serving: AbortOnDropHandle<()>,
}

impl Collector {
    /// Starts one.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let kept = Arc::<Mutex<Vec<u8>>>::default();
        let keeper = kept.clone();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = keeper.clone();
                tokio::spawn(async move { collect(stream, kept).await });
            }
        });
        Ok(Self {
            address,
            kept,
            _serving: AbortOnDropHandle::new(serving),
        })
    }

    /// `telemetry.otlp_endpoint`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All messages so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn collect(stream: TcpStream, kept: Arc<Mutex<Vec<u8>>>) -> Result<(), h2::Error> {
    let mut connection = h2::server::handshake(stream).await?;
    while let Some(request) = connection.accept().await {
        let (request, mut answer) = request?;
        let kept = kept.clone();
        tokio::spawn(async move {
            let mut body = request.into_body();
            while let Some(chunk) = body.data().await {
                let chunk = chunk?;
                kept.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend_from_slice(&chunk);
                body.flow_control().release_capacity(chunk.len())?;
            }
            let mut head = Response::new(());
            let grpc = HeaderValue::from_static("application/grpc");
            head.headers_mut().insert("content-type", grpc);
            let mut stream = answer.send_response(head, false)?;
            // An empty message, and that all went well.
            stream.send_data(Bytes::from_static(&[0; 5]), false)?;
            let mut status = HeaderMap::new();
            status.insert("grpc-status", HeaderValue::from_static("0"));
            stream.send_trailers(status)
        });
    }
    Ok(())
}
