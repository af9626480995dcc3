//! What a call carries besides its message.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::propagation::Injector;
use tokio::time::Instant;
use tonic::Request;
use tonic::metadata::{MetadataMap, MetadataValue};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{DEV, IDENTITY, TRACEPARENT};
use crate::identity::Signer;
use crate::{Code, Failure, Person, Role, id, telemetry};

/// Kept back from a deadline for the way home.
const MARGIN: Duration = Duration::from_millis(50);
/// Given to a call that came without a deadline.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);

/// Who calls, for whom, by when, in which trace.
#[derive(Clone)]
pub struct Context {
    /// Name of the calling service.
    pub caller: Arc<str>,
    /// Whom it is for; `None` for the hub's own work.
    pub person: Option<Arc<Person>>,
    /// When the answer is no longer wanted.
    pub deadline: Instant,
    pub(super) signed: Option<Signed>,
    pub(super) trace: Option<Arc<str>>,
}

/// Who it is for, in a form that a service believes.
#[derive(Clone)]
pub(super) enum Signed {
    /// As it came in.
    Given(Arc<str>),
    /// Signed with the first call that is made: an answer from memory makes none.
    Later(Arc<(Signer, OnceLock<Option<String>>)>),
}

impl Signed {
    /// `None` when it could not be signed: the call is refused then.
    fn text(&self, person: Option<&Person>) -> Option<&str> {
        match self {
            Self::Given(text) => Some(text),
            Self::Later(later) => {
                let (signer, signed) = &**later;
                let sign = || person.and_then(|person| signer.sign(person).ok());
                signed.get_or_init(sign).as_deref()
            }
        }
    }
}

impl Context {
    /// For the hub's own work: no person, a fresh deadline, in the trace of the work that makes it.
    pub fn background() -> Self {
        Self {
            caller: "".into(),
            person: None,
            deadline: Instant::now() + DEFAULT_DEADLINE,
            signed: None,
            trace: telemetry::current(),
        }
    }

    /// For a person, at the edge: signs who it is.
    pub fn for_person(person: Person, signer: &Signer, trace: Option<&str>) -> Self {
        Self {
            person: Some(Arc::new(person)),
            signed: Some(Signed::Later(Arc::new((signer.clone(), OnceLock::new())))),
            trace: trace.map(Into::into),
            caller: "".into(),
            deadline: Instant::now() + DEFAULT_DEADLINE,
        }
    }

    /// The context that the server put into a request.
    pub fn of<T>(request: &Request<T>) -> Result<Self, Failure> {
        let context = request.extensions().get::<Self>().cloned();
        context.ok_or_else(|| Failure::new(Code::Internal, "the call has no context"))
    }

    /// The same call with another deadline, for work that outlives the caller.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.deadline = Instant::now() + time;
        self
    }

    /// The person, who must belong to this workspace. To anybody else it looks as if the workspace did not exist.
    pub fn person_in(&self, workspace_id: &str) -> Result<Arc<Person>, Failure> {
        check_workspace_id(workspace_id)?;
        match &self.person {
            Some(person) if person.workspace_id == workspace_id => Ok(person.clone()),
            // The policy lets DEV in without a person only in `dev` mode.
            None if &*self.caller == DEV => Ok(Arc::new(Person {
                user_id: "usr_dev".into(),
                name: "Developer".into(),
                workspace_id: workspace_id.into(),
                role: Role::Owner,
            })),
            other => {
                let user = other.as_ref().map_or("", |person| &person.user_id);
                tracing::warn!(
                    user,
                    caller = &*self.caller,
                    workspace_id,
                    "somebody asked for a workspace that is not theirs"
                );
                metrics::counter!("foreign_workspace_total").increment(1);
                Err(Failure::new(Code::NotFound, "no such workspace"))
            }
        }
    }

    /// For RPCs that services call without a person; with one, the workspace must be theirs.
    pub fn workspace(&self, workspace_id: &str) -> Result<(), Failure> {
        match &self.person {
            Some(_) => self.person_in(workspace_id).map(|_| ()),
            None => check_workspace_id(workspace_id),
        }
    }

    /// A request onward: same person, same trace, a little less time.
    pub fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        let left = self
            .deadline
            .saturating_duration_since(Instant::now())
            .saturating_sub(MARGIN);
        request.set_timeout(left.max(Duration::from_millis(1)));
        let metadata = request.metadata_mut();
        if let Some(signed) = self
            .signed
            .as_ref()
            .and_then(|signed| signed.text(self.person.as_deref()))
        {
            insert(metadata, IDENTITY, signed);
        }
        if let Some(trace) = &self.trace {
            insert(metadata, TRACEPARENT, trace);
        }
        let span = tracing::Span::current().context();
        opentelemetry::global::get_text_map_propagator(|propagator| {
            propagator.inject_context(&span, &mut Metadata(metadata));
        });
        request
    }

    /// The trace that this call belongs to, as a `traceparent` header.
    pub fn trace(&self) -> Option<&str> {
        self.trace.as_deref()
    }
}

/// A `traceparent` for a call that came without one.
pub fn new_trace() -> String {
    let mut random = [0_u8; 24];
    id::fill(&mut random);
    let hex = hex::encode(random);
    format!("00-{}-{}-01", &hex[..32], &hex[32..])
}

/// Workspace ids are `[A-Za-z0-9_-]{1,64}`.
fn check_workspace_id(workspace_id: &str) -> Result<(), Failure> {
    let fine = (1..=64).contains(&workspace_id.len())
        && workspace_id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if fine {
        Ok(())
    } else {
        Err(Failure::invalid(
            "/workspace_id",
            "is not 1 to 64 of A-Z, a-z, 0-9, _ and -",
        ))
    }
}

fn insert(metadata: &mut MetadataMap, key: &'static str, value: &str) {
    if let Ok(value) = MetadataValue::try_from(value) {
        metadata.insert(key, value);
    }
}

struct Metadata<'a>(&'a mut MetadataMap);

impl Injector for Metadata<'_> {
    fn set(&mut self, key: &str, value: String) {
        if key == TRACEPARENT {
            insert(self.0, TRACEPARENT, &value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(workspace: &str) -> Context {
        let person = Person {
            user_id: "usr_1".into(),
            name: String::new(),
            workspace_id: workspace.into(),
            role: Role::Owner,
        };
        Context {
            person: Some(Arc::new(person)),
            ..Context::background()
        }
    }

    #[test]
    fn t5_another_workspace_looks_as_if_it_did_not_exist() {
        assert!(of("demo").person_in("demo").is_ok());
        assert_eq!(of("demo").person_in("other").unwrap_err().code, Code::NotFound);
        assert_eq!(of("demo").workspace("other").unwrap_err().code, Code::NotFound);
        assert_eq!(
            Context::background().person_in("demo").unwrap_err().code,
            Code::NotFound
        );
    }

    #[test]
    fn odd_workspace_ids_are_refused_before_any_look() {
        for bad in ["", "a b", "../etc", "ü", &"x".repeat(65)] {
            assert_eq!(
                Context::background().workspace(bad).unwrap_err().code,
                Code::ValidationFailed
            );
        }
    }

    #[test]
    fn an_onward_call_has_less_time() {
        let context = Context::background().within(Duration::from_secs(1));
        assert!(context.request(()).metadata().get("grpc-timeout").is_some());
    }
}
