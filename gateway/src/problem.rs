//! Failures as people and programs see them: RFC 9457 `application/problem+json` under `/api`, a page elsewhere.
//!
//! Handlers return [`Problem`]; the outermost layers know the request's id, the reader's role and the path, and write the
//! answer there ([`crate::layers`]), so that a body is made in exactly one place: [`ProblemBody::of`].

use std::collections::BTreeMap;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kit::{Code, Failure, Role};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::config::Links;
use crate::view::Lens;

/// Media type of every error under `/api`.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// A failure on its way out.
#[derive(Clone, Debug)]
pub struct Problem(pub Failure);

impl Problem {
    /// A failure with a sentence that may be shown.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Failure::new(code, detail))
    }

    /// What does not exist, or is not this person's to see: one answer for both.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "there is nothing here, or it is not yours to see")
    }

    /// One field of a request is wrong.
    pub fn invalid(pointer: &str, why: &str) -> Self {
        Self(Failure::invalid(pointer, why))
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl From<tonic::Status> for Problem {
    fn from(status: tonic::Status) -> Self {
        Self(Failure::from_status(&status))
    }
}

impl IntoResponse for Problem {
    /// Status and `Retry-After`; the body follows in the layer that knows the request.
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.code.http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        if let Some(wait) = self.0.retry_after.or(usual_wait(status)) {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            if status == StatusCode::TOO_MANY_REQUESTS {
                rate_limit(response.headers_mut(), self.0.code.slug(), 1, seconds, seconds);
            }
        }
        let headers = response.headers_mut();
        match status {
            StatusCode::UNAUTHORIZED => headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            // The rest of the body was not read: nothing can follow on this connection.
            StatusCode::PAYLOAD_TOO_LARGE => headers.insert(header::CONNECTION, HeaderValue::from_static("close")),
            _ => None,
        };
        response.extensions_mut().insert(self);
        response
    }
}

/// The fields of the IETF's RateLimit draft: which budget, how much of it in how many seconds, and when there is more.
pub(crate) fn rate_limit(headers: &mut HeaderMap, budget: &str, capacity: u32, window: u64, wait: u64) {
    for (name, value) in [
        ("ratelimit-policy", format!("\"{budget}\";q={capacity};w={window}")),
        ("ratelimit", format!("\"{budget}\";r=0;t={wait}")),
    ] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
}

/// Who is told "later" is told when, also where nobody knows better.
fn usual_wait(status: StatusCode) -> Option<Duration> {
    let later = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
    later.contains(&status).then_some(Duration::from_secs(5))
}

/// A problem as RFC 9457 writes it, with the facts of its kind (`limit`, `used`, `missing`, …) beside the named members.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// `/problems/<code>`
    #[serde(rename = "type")]
    pub kind: String,
    /// The same for every occurrence of the kind.
    pub title: &'static str,
    /// HTTP status.
    pub status: u16,
    /// This occurrence in one sentence.
    pub detail: String,
    /// Path of the request.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub instance: String,
    /// The kind, for programs.
    pub code: &'static str,
    /// To be named when asking for help.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    /// Fields that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// What the reader can do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// Facts of the kind.
    #[serde(flatten)]
    #[schema(additional_properties)]
    pub params: BTreeMap<String, Value>,
}

/// A field that is wrong.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer into the body, or the name of a parameter.
    pub pointer: String,
    /// Why.
    pub detail: String,
}

/// What a reader can do about a problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Action {
    /// `sign_in`, `see_plans`, `ask_owner`, `ask_admin`, `reconnect`, `start_again`, `open_account`, `retry`.
    pub kind: &'static str,
    /// Text of a button.
    pub label: &'static str,
    /// Where it leads; absent where somebody else must act.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub href: Option<String>,
}

impl ProblemBody {
    /// The one place that makes a body of a failure. `role` is the reader's, as far as it is known.
    pub fn of(failure: &Failure, links: &Links, role: Option<Role>) -> Self {
        Self {
            kind: format!("/problems/{}", failure.code.slug()),
            title: failure.code.title(),
            status: failure.code.http(),
            detail: failure.detail.clone(),
            instance: String::new(),
            code: failure.code.slug(),
            request_id: String::new(),
            errors: failure.fields.iter().map(|(at, why)| field_error(at, why)).collect(),
            action: action(failure, links, role),
            params: failure
                .params
                .iter()
                .map(|(name, value)| (name.clone(), typed(name, value)))
                .collect(),
        }
    }

    /// Why a connect session failed, as accounts tells it.
    pub fn of_session(problem: &proto::accounts::v1::Problem, lens: &Lens) -> Self {
        let reason = problem.code.to_uppercase().replace('-', "_");
        let mut failure = Failure::new(Code::from_reason(&reason).unwrap_or(Code::Internal), &problem.detail);
        failure.params = problem.params.clone().into_iter().collect();
        Self::of(&failure, &lens.links, Some(lens.role))
    }
}

fn field_error(pointer: &str, detail: &str) -> FieldError {
    FieldError {
        pointer: pointer.to_owned(),
        detail: detail.to_owned(),
    }
}

/// gRPC's metadata knows only strings; numbers and lists become what they are.
fn typed(name: &str, value: &str) -> Value {
    match name {
        "limit" | "used" => value.parse::<i64>().map_or_else(|_| Value::from(value), Value::from),
        "missing" | "roles" => value.split(',').map(str::trim).filter(|one| !one.is_empty()).collect(),
        _ => Value::from(value),
    }
}

fn action(failure: &Failure, links: &Links, role: Option<Role>) -> Option<Action> {
    let page = || Some("/connections".to_owned());
    let (kind, label, href) = match failure.code {
        Code::Unauthenticated => ("sign_in", "Sign in", page()),
        Code::ForbiddenRole => ("ask_admin", "Ask an admin", None),
        Code::PlanPlatformLocked | Code::AccountLimitReached | Code::PlanLocked => match role {
            Some(Role::Owner) => ("see_plans", "See plans", Some(links.billing())),
            _ => ("ask_owner", "Ask the workspace owner", None),
        },
        Code::TokenUnavailable | Code::PermissionsDenied | Code::WrongPlatformAccount => {
            let account = failure.params.get("account_id");
            let href = account.map(|id| format!("/connections?account={id}")).or_else(page);
            ("reconnect", "Reconnect", href)
        }
        Code::ConnectSessionExpired
        | Code::OauthStateMismatch
        | Code::OauthOtherBrowser
        | Code::OauthDenied
        | Code::NoDestinations => ("start_again", "Try again", page()),
        Code::AlreadyConnected => {
            let href = failure
                .params
                .get("account_id")
                .map(|id| format!("/connections?account={id}"));
            ("open_account", "Show the account", href.or_else(page))
        }
        Code::PlatformUnavailable | Code::PlatformRateLimited | Code::Unavailable | Code::DeadlineExceeded => {
            ("retry", "Try again", None)
        }
        _ => return None,
    };
    Some(Action { kind, label, href })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reached_limit_leads_owners_to_the_plans_and_others_to_the_owner() {
        let failure = Failure::new(Code::AccountLimitReached, "5 of 5")
            .param("limit", 5)
            .param("used", 5);
        let body = |role| ProblemBody::of(&failure, &Links::own_pages(), role);
        assert_eq!(body(Some(Role::Owner)).action.unwrap().kind, "see_plans");
        assert_eq!(body(Some(Role::Admin)).action.unwrap().kind, "ask_owner");
        assert_eq!(body(None).params["limit"], Value::from(5));
    }

    #[test]
    fn facts_stand_beside_the_named_members() {
        let failure = Failure::new(Code::PermissionsDenied, "declined").param("missing", "a,b");
        let json = serde_json::to_value(ProblemBody::of(&failure, &Links::own_pages(), None)).unwrap();
        assert_eq!(json["missing"], serde_json::json!(["a", "b"]));
        assert_eq!(json["type"], "/problems/permissions-denied");
        assert_eq!(json["status"], 422);
    }
}
