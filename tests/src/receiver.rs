//! A receiver of webhooks that keeps what it got and answers as it is told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode, header};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::eventually;

/// One message as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// The path's last part.
    pub path: String,
    /// `webhook-id`
    pub id: String,
    /// `webhook-timestamp`
    pub timestamp: i64,
    /// `webhook-signature`, one or several.
    pub signatures: Vec<String>,
    /// The body's bytes.
    pub raw: Bytes,
    /// The body as JSON.
    pub body: Value,
}

/// How a message is answered.
#[derive(Clone, Copy, Debug)]
pub enum Reply {
    /// With this status.
    Status(u16),
    /// With a redirect to `elsewhere`.
    Elsewhere,
    /// Never.
    Silence,
}

#[derive(Default)]
struct Book {
    received: Vec<Received>,
    next: VecDeque<Reply>,
    usual: Option<Reply>,
}

/// A running receiver; ends when it is dropped.
pub struct Receiver {
    address: SocketAddr,
    book: Arc<Mutex<Book>>,
    _serving: AbortOnDropHandle<()>,
}

impl Receiver {
    /// Starts one that takes everything.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let book = Arc::<Mutex<Book>>::default();
        let routes = Router::new().route("/{path}", post(take)).with_state(book.clone());
        let serving = tokio::spawn(async move {
            // Ends with the test.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self {
            address,
            book,
            _serving: AbortOnDropHandle::new(serving),
        })
    }

    /// Where it listens.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// Answers the next messages so, in this order.
    pub fn next(&self, replies: impl IntoIterator<Item = Reply>) {
        self.book().next.extend(replies);
    }

    /// Answers all others so.
    pub fn usually(&self, reply: Reply) {
        self.book().usual = Some(reply);
    }

    /// What came so far.
    pub fn received(&self) -> Vec<Received> {
        self.book().received.clone()
    }

    /// Waits for as many messages of a type.
    pub async fn of_type(&self, kind: &str, count: usize) -> anyhow::Result<Vec<Received>> {
        eventually(&format!("{count} of {kind} came"), async || {
            let mut all = self.received();
            all.retain(|one| one.body["type"] == kind);
            Ok((all.len() >= count).then_some(all))
        })
        .await
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn take(
    State(book): State<Arc<Mutex<Book>>>,
    Path(path): Path<String>,
    headers: HeaderMap,
    raw: Bytes,
) -> Response {
    let text = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let received = Received {
        path,
        id: text("webhook-id"),
        timestamp: text("webhook-timestamp").parse().unwrap_or_default(),
        signatures: text("webhook-signature").split(' ').map(str::to_owned).collect(),
        body: serde_json::from_slice(&raw).unwrap_or_default(),
        raw,
    };
    let reply = {
        let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
        book.received.push(received);
        book.next.pop_front().or(book.usual)
    };
    match reply.unwrap_or(Reply::Status(204)) {
        Reply::Status(status) => StatusCode::from_u16(status).unwrap_or_default().into_response(),
        Reply::Elsewhere => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/elsewhere")]).into_response(),
        Reply::Silence => std::future::pending().await,
    }
}

impl Received {
    /// Checks that one of the signatures is over these very bytes, made with this secret, as Standard Webhooks says.
    pub fn verify(&self, secret: &str) -> anyhow::Result<()> {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").context("no whsec_")?)?;
        let signed = [
            self.id.as_bytes(),
            b".",
            self.timestamp.to_string().as_bytes(),
            b".",
            &self.raw[..],
        ]
        .concat();
        let wanted = format!("v1,{}", STANDARD.encode(hmac_sha256(&key, &signed)));
        ensure!(
            self.signatures.contains(&wanted),
            "not signed with it: {:?}",
            self.signatures
        );
        Ok(())
    }
}

/// RFC 2104 over the hub's SHA-256: the other side's arithmetic, written out.
fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let pad = |byte: u8| block.map(|one| one ^ byte);
    let inner = kit::id::sha256(&[&pad(0x36)[..], message].concat());
    kit::id::sha256(&[&pad(0x5c)[..], &inner].concat())
}
