//! Who may call which RPC, checked before the handler: default deny.

use std::sync::Arc;
use std::task::{Context as Poll, Poll as Ready};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use metrics::Histogram;
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tracing::{Instrument, Span};

use super::context::Signed;
use super::{CALLER, Context, DEV, IDENTITY, SERVICES, TRACEPARENT, tls};
use crate::config::Common;
use crate::telemetry::{self, Once};
use crate::{Code, Failure, Role};

/// What a person must be for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// No person is needed: the hub's own work.
    Nobody,
    /// Any member.
    Anybody,
    /// At least this role.
    Role(Role),
}

/// Who may call one RPC.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Name of the method.
    pub rpc: &'static str,
    /// Names of services; [`SERVICES`] stands for those in `auth.services`.
    pub callers: &'static [&'static str],
    /// What the person must be.
    pub person: Need,
}

/// Checks calls against the rules of one service.
#[derive(Clone)]
pub(super) struct Policy {
    rules: Arc<[Ruled]>,
    common: Arc<Common>,
}

/// A rule, and the times of its calls.
struct Ruled {
    rule: Rule,
    seconds: Once<Histogram, Box<dyn Fn() -> Histogram + Send + Sync>>,
}

impl Ruled {
    fn new(rule: Rule) -> Self {
        let find = move || metrics::histogram!("rpc_seconds", "rpc" => rule.rpc);
        Self {
            rule,
            seconds: Once::new(Box::new(find)),
        }
    }
}

impl Policy {
    pub(super) fn new(rules: &'static [Rule], common: Common) -> Self {
        Self {
            rules: rules.iter().copied().map(Ruled::new).collect(),
            common: Arc::new(common),
        }
    }

    fn admit(&self, method: &str, request: &http::request::Parts) -> Result<(Context, &Ruled), Failure> {
        let ruled = self
            .rules
            .iter()
            .find(|ruled| ruled.rule.rpc == method)
            .ok_or_else(|| Failure::new(Code::CallerNotAllowed, "this RPC has no policy"))?;
        let rule = &ruled.rule;
        let caller = self.caller(request)?;
        let dev = self.common.dev() && &*caller == DEV;
        let listed = |name: &str| name == &*caller || (name == SERVICES && self.is_service(&caller));
        if !dev && !rule.callers.iter().any(|name| listed(name)) {
            return Err(Failure::new(
                Code::CallerNotAllowed,
                format!("{caller:?} may not call {method}"),
            ));
        }
        let signed = text(&request.headers, IDENTITY);
        let person = signed
            .map(|signed| self.common.signer.verify(signed))
            .transpose()?
            .map(Arc::new);
        match (rule.person, &person) {
            (Need::Nobody, _) | (Need::Anybody, Some(_)) => {}
            (_, None) if dev => {}
            (Need::Anybody | Need::Role(_), None) => {
                return Err(Failure::new(Code::Unauthenticated, "this call needs a person"));
            }
            (Need::Role(role), Some(person)) if person.role >= role => {}
            (Need::Role(role), Some(_)) => {
                let who = if role == Role::Owner { "owner" } else { "owner,admin" };
                return Err(Failure::new(Code::ForbiddenRole, "your role does not allow this").param("roles", who));
            }
        }
        let trace = text(&request.headers, TRACEPARENT).filter(|trace| trace.len() == 55);
        let context = Context {
            caller,
            person,
            deadline: Instant::now() + timeout(&request.headers),
            signed: signed.map(|signed| Signed::Given(signed.into())),
            trace: trace.map(Into::into),
        };
        Ok((context, ruled))
    }

    /// With mutual TLS the certificate's name; without, what the caller says: only loopback or a trusted network gets here.
    fn caller(&self, request: &http::request::Parts) -> Result<Arc<str>, Failure> {
        if self.common.tls.is_some() {
            let info = request.extensions.get::<TlsConnectInfo<TcpConnectInfo>>();
            let chain = info.and_then(TlsConnectInfo::peer_certs);
            let name = chain
                .as_ref()
                .and_then(|chain| chain.first())
                .and_then(|leaf| tls::name_of(leaf.as_ref()));
            let name =
                name.ok_or_else(|| Failure::new(Code::Unauthenticated, "the client certificate names nobody"))?;
            return Ok(name.into());
        }
        match text(&request.headers, CALLER) {
            Some(name) => Ok(name.into()),
            None if self.common.dev() => Ok(DEV.into()),
            None => Err(Failure::new(Code::Unauthenticated, "the call names no caller")),
        }
    }

    fn is_service(&self, caller: &str) -> bool {
        self.common.auth.services.iter().any(|name| name == caller)
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// `grpc-timeout`, or half a minute.
fn timeout(headers: &HeaderMap) -> Duration {
    const DEFAULT: Duration = Duration::from_secs(30);
    let Some(text) = text(headers, "grpc-timeout") else {
        return DEFAULT;
    };
    let Some((digits, unit)) = text.len().checked_sub(1).and_then(|at| text.split_at_checked(at)) else {
        return DEFAULT;
    };
    let Ok(amount) = digits.parse::<u64>() else {
        return DEFAULT;
    };
    match unit {
        "H" => Duration::from_secs(amount.saturating_mul(3600)),
        "M" => Duration::from_secs(amount.saturating_mul(60)),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => DEFAULT,
    }
    .min(Duration::from_secs(600))
}

/// A message that cannot be read is the caller's fault: tonic calls that an internal error.
fn blamed(answer: Response<Body>) -> Response<Body> {
    let is_internal = text(answer.headers(), "grpc-status") == Some("13");
    let is_unreadable =
        || text(answer.headers(), "grpc-message").is_some_and(|said| said.starts_with("failed%20to%20decode"));
    if is_internal && is_unreadable() {
        Status::from(Failure::new(Code::BadRequest, "the message cannot be read")).into_http()
    } else {
        answer
    }
}

impl<S> tower::Layer<S> for Policy {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded {
            policy: self.clone(),
            inner,
        }
    }
}

/// A service behind its policy.
#[derive(Clone)]
pub(super) struct Guarded<S> {
    policy: Policy,
    inner: S,
}

impl<S> tower::Service<Request<Body>> for Guarded<S>
where
    S: tower::Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, poll: &mut Poll<'_>) -> Ready<Result<(), Self::Error>> {
        self.inner.poll_ready(poll)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let called = parts.uri.path().strip_prefix('/').and_then(|path| path.split_once('/'));
        let Some((service, method)) = called else {
            return Box::pin(async { Ok(Status::unimplemented("no such RPC").into_http()) });
        };
        // Health and reflection are everybody's; nothing of a workspace is behind them.
        if service.starts_with("grpc.") {
            return Box::pin(self.inner.call(Request::from_parts(parts, body)));
        }
        let admitted = self.policy.admit(method, &parts);
        let (mut context, ruled) = match admitted {
            Ok(admitted) => admitted,
            Err(failure) => {
                tracing::warn!(rpc = method, reason = failure.code.reason(), "call refused");
                metrics::counter!("rpc_refused_total", "reason" => failure.code.reason()).increment(1);
                return Box::pin(async { Ok(Status::from(failure).into_http()) });
            }
        };
        let span = span(&mut context, ruled.rule.rpc);
        let (seconds, trace) = (ruled.seconds.get(), context.trace.clone());
        parts.extensions.insert(context);
        let started = Instant::now();
        let answer = self.inner.call(Request::from_parts(parts, body));
        let timed = async move {
            let answer = answer.await.map(blamed);
            seconds.record(started.elapsed().as_secs_f64());
            answer
        };
        Box::pin(telemetry::traced(trace, timed).instrument(span))
    }
}

/// The call's span, in its caller's trace or in one of its own, which onward calls then carry.
fn span(context: &mut Context, rpc: &'static str) -> Span {
    let span = tracing::info_span!("rpc", rpc, caller = &*context.caller, trace = tracing::field::Empty);
    if span.is_disabled() {
        return span;
    }
    let trace = context.trace.clone().unwrap_or_else(|| {
        // Without an exporter the log alone shows what belongs together.
        span.in_scope(telemetry::trace)
    });
    if context.trace.is_some() {
        telemetry::join(&span, &trace);
    }
    span.record("trace", &*trace);
    context.trace = Some(trace);
    span
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d19_odd_timeouts_fall_back_to_the_default() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", value.parse().unwrap());
            timeout(&headers)
        };
        assert_eq!(with("250m"), Duration::from_millis(250));
        assert_eq!(with("2S"), Duration::from_secs(2));
        for odd in ["soon", "S", "-1S", "5x"] {
            assert_eq!(with(odd), Duration::from_secs(30), "{odd}");
        }
        assert_eq!(with("99999999H"), Duration::from_secs(600));
    }
}
