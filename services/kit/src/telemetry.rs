//! Logs, traces and metrics: pretty or JSON lines, OTLP when configured, Prometheus on a port of its own.
//!
//! Nothing here records URLs, headers or bodies: spans carry names of RPCs and routes, never a query, token, code or state.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::Context as _;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::config::{Error, Log, LogFormat, Telemetry};

const BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// The propagator's name for a trace and the place in it.
const TRACEPARENT: &str = "traceparent";

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

tokio::task_local! {
    /// The trace of the work that runs, where no exporter keeps it.
    static TRACE: Arc<str>;
}

/// The trace that the current work belongs to, as a `traceparent`; a new one where there is none.
pub fn trace() -> Arc<str> {
    current().unwrap_or_else(|| crate::grpc::new_trace().into())
}

/// The trace that the current work belongs to, if there is one: with an exporter the current span's place in it.
pub fn current() -> Option<Arc<str>> {
    let mut carrier = HashMap::new();
    let span = tracing::Span::current().context();
    opentelemetry::global::get_text_map_propagator(|propagator| propagator.inject_context(&span, &mut carrier));
    let exported = carrier.remove(TRACEPARENT).map(Into::into);
    exported.or_else(|| TRACE.try_with(Clone::clone).ok())
}

/// Runs work as part of a trace: what it calls and logs belongs to it.
pub async fn traced<F: Future>(trace: Option<Arc<str>>, work: F) -> F::Output {
    match trace {
        Some(trace) => TRACE.scope(trace, work).await,
        None => work.await,
    }
}

/// Makes a span, that was just made, part of a trace that may have begun in another process.
pub fn join(span: &tracing::Span, trace: &str) {
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), trace.to_owned())]);
    let parent = opentelemetry::global::get_text_map_propagator(|propagator| propagator.extract(&carrier));
    // Fails only where no exporter is configured, and then there is no trace to join.
    let _ = span.set_parent(parent);
}

/// A metric that is looked up once, for what happens with every call.
pub struct Once<T, F = fn() -> T> {
    found: OnceLock<T>,
    find: F,
}

impl<T: Clone, F: Fn() -> T> Once<T, F> {
    /// A metric that `find` looks up.
    pub const fn new(find: F) -> Self {
        Self {
            found: OnceLock::new(),
            find,
        }
    }

    /// The metric. Before there is a recorder it is one that nobody sees, and is not kept.
    pub fn get(&self) -> T {
        if let Some(found) = self.found.get() {
            return found.clone();
        }
        let found = (self.find)();
        if RECORDER.get().is_some() {
            let _ = self.found.set(found.clone());
        }
        found
    }
}

/// Flushes what is left when the process ends.
pub struct Guard(Option<SdkTracerProvider>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(provider) = &self.0 {
            // Nothing can be done about a collector that is away at the end.
            let _ = provider.shutdown();
        }
    }
}

/// Sets up logs and traces for this process, once, in `main`. Logs go to standard error.
pub fn init(log: &Log, telemetry: &Telemetry, role: &str, instance: &str) -> Result<Guard, Error> {
    let filter = EnvFilter::try_new(&log.level).map_err(|_| {
        Error::new(
            "log.level",
            "is not a log filter",
            "set it to info, debug or a list such as info,sqlx=warn",
        )
    })?;
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(colours);
    let lines = match log.format {
        LogFormat::Pretty => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    };
    let provider = exporter(telemetry, role, instance)?;
    let traces = provider.as_ref().map(|provider| {
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        tracing_opentelemetry::layer().with_tracer(provider.tracer("socializioz"))
    });
    // A second set-up in one process (tests) keeps the first.
    let _ = tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .with(traces)
        .try_init();
    Ok(Guard(provider))
}

fn exporter(telemetry: &Telemetry, role: &str, instance: &str) -> Result<Option<SdkTracerProvider>, Error> {
    if telemetry.otlp_endpoint.is_empty() {
        return Ok(None);
    }
    crate::config::check_url("telemetry.otlp_endpoint", &telemetry.otlp_endpoint, &["http", "https"])?;
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(&telemetry.otlp_endpoint)
        .build()
        .map_err(|error| {
            Error::new(
                "telemetry.otlp_endpoint",
                error.to_string(),
                "name an OTLP gRPC endpoint",
            )
        })?;
    let resource = opentelemetry_sdk::Resource::builder()
        .with_service_name(format!("socializioz-{role}"))
        .with_attribute(opentelemetry::KeyValue::new("service.instance.id", instance.to_owned()))
        .build();
    Ok(Some(
        SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .build(),
    ))
}

/// Installs the recorder behind the `metrics` macros. The first call in a process wins, later ones share it.
fn recorder() -> anyhow::Result<&'static PrometheusHandle> {
    // One at a time: a second one could not install it, and the handle of the first may not be kept yet.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _installing = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = RECORDER.get() {
        return Ok(handle);
    }
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), BUCKETS)?;
    let handle = builder.install_recorder().context("metrics cannot be recorded")?;
    Ok(RECORDER.get_or_init(|| handle))
}

/// Serves `/metrics` on `listen` until `shutdown`.
pub async fn serve_metrics(listen: SocketAddr, shutdown: CancellationToken) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        Error::new(
            "metrics.listen",
            format!("{listen} cannot be used ({error})"),
            "choose another address",
        )
    })?;
    serve_metrics_on(listener, shutdown).await
}

/// As [`serve_metrics`], on a listener that is bound already.
pub async fn serve_metrics_on(listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
    let handle = recorder()?;
    let upkeep = async {
        loop {
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            handle.run_upkeep();
        }
    };
    let router = axum::Router::new().route("/metrics", get(|| async { handle.render() }));
    let stop = shutdown.clone();
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move { stop.cancelled().await });
    tokio::select! {
        served = serving => Ok(served?),
        () = shutdown.cancelled() => Ok(()),
        () = upkeep => Ok(()),
    }
}
