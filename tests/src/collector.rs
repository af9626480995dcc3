//! A collector of traces, as an operator would run one: takes what the hub's processes export over OTLP and keeps it.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// A span that was exported.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `socializioz-<role>`
    pub service: String,
    /// Its name.
    pub name: String,
    /// Hex.
    pub trace: String,
    /// Names and values that are texts.
    pub fields: Vec<(String, String)>,
}

impl Seen {
    /// A field by its name; empty when it has none.
    pub fn field(&self, name: &str) -> &str {
        let found = self.fields.iter().find(|(field, _)| field == name);
        found.map_or("", |(_, value)| value)
    }
}

/// Takes traces until it is dropped.
pub struct Collector {
    url: String,
    spans: Spans,
    _serving: AbortOnDropHandle<()>,
}

#[derive(Clone, Default)]
struct Spans(Arc<Mutex<(Vec<Seen>, Vec<u8>)>>);

impl Spans {
    fn kept(&self) -> MutexGuard<'_, (Vec<Seen>, Vec<u8>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector {
    /// On a free port of loopback.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let spans = Spans::default();
        let server = Server::builder().add_service(TraceServiceServer::new(spans.clone()));
        let serving = server.serve_with_incoming(TcpListenerStream::new(listener));
        let serving = AbortOnDropHandle::new(tokio::spawn(async move { drop(serving.await) }));
        Ok(Self {
            url,
            spans,
            _serving: serving,
        })
    }

    /// For `telemetry.otlp_endpoint`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// All messages so far, as they are written on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        self.spans.kept().1.clone()
    }

    /// What came so far.
    pub fn spans(&self) -> Vec<Seen> {
        self.spans.kept().0.clone()
    }
}

#[tonic::async_trait]
impl TraceService for Spans {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let request = request.into_inner();
        let mut kept = self.kept();
        kept.1.extend(request.encode_to_vec());
        for exported in request.resource_spans {
            let resource = texts(exported.resource.unwrap_or_default().attributes);
            let service = resource.into_iter().find(|(name, _)| name == "service.name");
            let service = service.map(|(_, value)| value).unwrap_or_default();
            for span in exported.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                kept.0.push(Seen {
                    service: service.clone(),
                    name: span.name,
                    trace: hex::encode(span.trace_id),
                    fields: texts(span.attributes),
                });
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn texts(attributes: Vec<KeyValue>) -> Vec<(String, String)> {
    let text = |one: KeyValue| match one.value?.value? {
        Value::StringValue(text) => Some((one.key, text)),
        _ => None,
    };
    attributes.into_iter().filter_map(text).collect()
}
