//! The services behind the gateway, imitated: real gRPC over loopback, answers from closures.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use prost::Message;
use prost::bytes::{BufMut, Bytes, BytesMut};
use proto::accounts::v1::claim_request_response::Outcome;
use proto::accounts::v1::{
    ClaimRequestRequest, ClaimRequestResponse, FinishRequestRequest, FinishRequestResponse, GetPreferencesResponse,
    StoredAnswer,
};
use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tonic::server::NamedService;

/// An answer: messages, then either the end or nothing more for ever.
pub(crate) enum Reply {
    Messages(Vec<Vec<u8>>),
    Open(Vec<Vec<u8>>),
}

type Handler = Arc<dyn Fn(&[u8], &MetadataMap) -> Result<Reply, tonic::Status> + Send + Sync>;

/// Hash of a request and its answer, once there is one.
type Claimed = (Vec<u8>, Option<StoredAnswer>);
/// Name and request of a call.
type Call = (String, Vec<u8>);

/// What the services answer, by RPC name. Clones share.
#[derive(Clone, Default)]
pub(crate) struct Answers {
    handlers: Arc<Mutex<HashMap<String, Handler>>>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Answers {
    /// Answers an RPC with what the closure makes of its request.
    pub(crate) fn on<Q, A>(&self, rpc: &str, answer: impl Fn(Q) -> Result<A, kit::Failure> + Send + Sync + 'static)
    where
        Q: Message + Default,
        A: Message,
    {
        self.raw(rpc, move |bytes, _| {
            let request = Q::decode(bytes).map_err(|_| tonic::Status::invalid_argument("not the message"))?;
            Ok(Reply::Messages(vec![answer(request)?.encode_to_vec()]))
        });
    }

    /// Answers an RPC whatever was asked.
    pub(crate) fn always<A: Message + 'static>(&self, rpc: &str, answer: A) {
        self.raw(rpc, move |_, _| Ok(Reply::Messages(vec![answer.encode_to_vec()])));
    }

    /// Answers an RPC by its bytes and metadata.
    pub(crate) fn raw(
        &self,
        rpc: &str,
        answer: impl Fn(&[u8], &MetadataMap) -> Result<Reply, tonic::Status> + Send + Sync + 'static,
    ) {
        self.handlers.lock().unwrap().insert(rpc.to_owned(), Arc::new(answer));
    }

    /// How often an RPC was called.
    pub(crate) fn count(&self, rpc: &str) -> usize {
        self.calls
            .lock()
            .unwrap()
            .iter()
            .filter(|(name, _)| name == rpc)
            .count()
    }

    /// The last request of an RPC.
    pub(crate) fn last<Q: Message + Default>(&self, rpc: &str) -> Q {
        let calls = self.calls.lock().unwrap();
        let (_, bytes) = calls
            .iter()
            .rev()
            .find(|(name, _)| name == rpc)
            .expect("the call was made");
        Q::decode(bytes.as_slice()).unwrap()
    }

    /// Preferences are empty, idempotency keys work.
    pub(crate) fn with_basics(self) -> Self {
        self.always("GetPreferences", GetPreferencesResponse::default());
        let kept: Arc<Mutex<HashMap<String, Claimed>>> = Arc::default();
        let claims = kept.clone();
        self.on("ClaimRequest", move |request: ClaimRequestRequest| {
            let mut kept = claims.lock().unwrap();
            let (outcome, answer) = match kept.get(&request.key) {
                Some((hash, _)) if *hash != request.request_hash => (Outcome::Mismatch, None),
                Some((_, None)) => (Outcome::InProgress, None),
                Some((_, Some(answer))) => (Outcome::Replay, Some(answer.clone())),
                None => {
                    kept.insert(request.key, (request.request_hash, None));
                    (Outcome::Claimed, None)
                }
            };
            Ok(ClaimRequestResponse {
                outcome: outcome.into(),
                answer,
            })
        });
        self.on("FinishRequest", move |request: FinishRequestRequest| {
            let mut kept = kept.lock().unwrap();
            if let (Some(answer), Some((hash, _))) = (request.answer, kept.remove(&request.key)) {
                kept.insert(request.key, (hash, Some(answer)));
            }
            Ok(FinishRequestResponse::default())
        });
        self
    }

    fn answer(&self, rpc: &str, bytes: &[u8], metadata: &MetadataMap) -> Result<Reply, tonic::Status> {
        self.calls.lock().unwrap().push((rpc.to_owned(), bytes.to_vec()));
        let handler = self.handlers.lock().unwrap().get(rpc).cloned();
        handler.map_or_else(
            || Err(tonic::Status::unimplemented("not imitated")),
            |answer| answer(bytes, metadata),
        )
    }
}

/// One server for all services: requests are told apart by the RPC's name alone.
#[derive(Clone)]
pub(crate) struct Fake<const SERVICE: usize>(pub Answers);

macro_rules! named {
    ($($index:literal $name:literal)*) => { $(impl NamedService for Fake<$index> { const NAME: &'static str = $name; })* };
}
named! {
    0 "socializioz.accounts.v1.AccountsService"
    1 "socializioz.tokens.v1.TokensService"
    2 "socializioz.platforms.v1.PlatformsService"
    3 "socializioz.entitlements.v1.EntitlementsService"
}

impl<const SERVICE: usize> tower::Service<http::Request<Body>> for Fake<SERVICE> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answers = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let rpc = parts.uri.path().rsplit('/').next().unwrap_or_default().to_owned();
            let bytes = body
                .collect()
                .await
                .map(http_body_util::Collected::to_bytes)
                .unwrap_or_default();
            let metadata = MetadataMap::from_headers(parts.headers);
            Ok(
                match answers.answer(&rpc, bytes.get(5..).unwrap_or_default(), &metadata) {
                    Ok(reply) => respond(reply),
                    Err(status) => status.into_http(),
                },
            )
        })
    }
}

fn respond(reply: Reply) -> http::Response<Body> {
    let (messages, open) = match reply {
        Reply::Messages(messages) => (messages, false),
        Reply::Open(messages) => (messages, true),
    };
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    for message in messages {
        let _ = sender.send(Ok::<_, tonic::Status>(Frame::data(framed(&message))));
    }
    if open {
        tokio::spawn(async move { sender.closed().await });
    } else {
        let trailers = http::HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
        let _ = sender.send(Ok(Frame::trailers(trailers)));
    }
    let frames = tokio_stream_of(receiver);
    http::Response::builder()
        .header("content-type", "application/grpc")
        .body(Body::new(StreamBody::new(frames)))
        .unwrap()
}

fn tokio_stream_of<T>(receiver: tokio::sync::mpsc::UnboundedReceiver<T>) -> impl futures_util::Stream<Item = T> {
    futures_util::stream::unfold(receiver, |mut receiver| async move {
        Some((receiver.recv().await?, receiver))
    })
}

fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.put_slice(message);
    frame.freeze()
}
