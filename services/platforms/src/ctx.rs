//! What an adapter gets to work with: its app, the clock, and calls that are paced, sent, read and classified in one
//! place. Bodies of API answers are read as JSON; an error inside a 200 is an error.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kit::Clock;
use proto::common::v1::{ErrorClass, PlatformError};
use proto::platforms::v1::RawAnswer;
use reqwest::Method;
use serde_json::Value;

use crate::adapter::Result;
use crate::app::App;
use crate::classify::{self, On};
use crate::http::{self, Outgoing, Sent};
use crate::limits::{self, Whom};
use crate::pace::{Pace, Showed};
use crate::spec::Spec;

/// Longest time for one API call.
const API_LIMIT: Duration = Duration::from_secs(20);

/// See the file's head.
pub(crate) struct Ctx {
    pub(crate) app: App,
    pub(crate) spec: &'static Spec,
    pub(crate) clock: Clock,
    pub(crate) pace: Arc<Pace>,
    pub(crate) http: reqwest::Client,
}

/// A 2xx answer without an error in it.
pub(crate) struct Reply {
    pub(crate) json: Value,
    pub(crate) headers: HashMap<String, String>,
}

impl Ctx {
    /// An address below the API's base; `{version}` becomes the configured version.
    pub(crate) fn api(&self, path: &str) -> String {
        format!("{}{}", self.app.api_base, crate::oauth::path(path, &self.app))
    }

    /// Calls the API for `subject` (whose pace it counts against; empty = the app's own).
    pub(crate) async fn call(&self, subject: &str, outgoing: Outgoing) -> Result<Reply> {
        self.call_on(On::Api, subject, outgoing).await
    }

    /// Calls the API with our app's own token. An HTTP error is the app's refusal, never the person's.
    pub(crate) async fn call_as_app(&self, outgoing: Outgoing) -> Result<Reply> {
        self.call_on(On::App, "", outgoing).await
    }

    async fn call_on(&self, on: On, subject: &str, outgoing: Outgoing) -> Result<Reply> {
        let reads = outgoing.method == Method::GET;
        let permit = self.pace.admit(subject).await.map_err(|wait| held_back(Some(wait)))?;
        let sent = self.send(outgoing, http::API_BODY, API_LIMIT).await;
        drop(permit);
        match sent {
            Sent::Answered(answer) => {
                let (error, json) = self.judge(subject, on, &answer).await;
                match error {
                    Some(error) => Err(error),
                    // A page of a firewall says nothing, least of all that something is missing.
                    None if reads && !json.is_object() => Err(classify::unreadable()),
                    None => Ok(Reply {
                        json,
                        headers: answer.headers,
                    }),
                }
            }
            Sent::Unsent(reason) => Err(classify::error(ErrorClass::Transient, "not_sent", reason)),
            Sent::Unknown(reason, _) => Err(classify::error(ErrorClass::Transient, "no_answer", reason)),
        }
    }

    /// Sends without asking the budget; no answer is counted against the platform.
    pub(crate) async fn send(&self, outgoing: Outgoing, cap: usize, limit: Duration) -> Sent {
        let (step, began) = (outgoing.step, Instant::now());
        let sent = http::send(&self.http, &self.clock, outgoing, cap, limit).await;
        let outcome = match &sent {
            Sent::Answered(answer) if answer.status >= 400 => "refused",
            Sent::Answered(_) => "answered",
            Sent::Unsent(_) => "not_sent",
            Sent::Unknown(..) => "unknown",
        };
        if !matches!(sent, Sent::Answered(_)) {
            self.pace.showed(Showed::Trouble);
        }
        let labels = [("connector", self.spec.id), ("step", step), ("outcome", outcome)];
        metrics::histogram!("platforms_call_seconds", &labels).record(began.elapsed());
        sent
    }

    /// GET with a bearer token.
    pub(crate) async fn get(&self, token: &str, url: String, query: Vec<(&'static str, String)>) -> Result<Value> {
        let subject = kit::id::sha256_hex(token.as_bytes());
        Ok(self
            .call(&subject, Outgoing::get("api", url, query).bearer(token))
            .await?
            .json)
    }

    /// What an answer says against us, if anything, and what follows for the pace. Also used on token answers.
    pub(crate) async fn judge(&self, subject: &str, on: On, answer: &RawAnswer) -> (Option<PlatformError>, Value) {
        let json = classify::parse(&answer.body);
        let said = classify::read(answer.status, &json);
        let fine = http_success(answer.status) && matches!(said.code.as_str(), "" | "ok");
        let error = (!fine).then(|| {
            let mut error = classify::classify(self.spec.id, self.spec.errors, on, &said);
            let waits = matches!(error.class(), ErrorClass::RateLimited | ErrorClass::Transient);
            if on == On::App && !http_success(answer.status) && !waits {
                error.set_class(ErrorClass::AppMisconfigured);
            }
            error.retry_after_ms = retry_after(self.spec, &error, answer);
            error
        });
        // A partial error of X: data came all the same.
        let error =
            error.filter(|_| !(http_success(answer.status) && json["data"].is_object() && json["errors"].is_array()));
        self.learn(subject, on, answer, error.as_ref()).await;
        (error, json)
    }

    async fn learn(&self, subject: &str, on: On, answer: &RawAnswer, error: Option<&PlatformError>) {
        let class = error.map(PlatformError::class);
        // Our app refused where tokens are made: every further call would be, too.
        let trouble = answer.status >= 500 || (on != On::Api && class == Some(ErrorClass::AppMisconfigured));
        self.pace.showed(if trouble { Showed::Trouble } else { Showed::Life });
        if class == Some(ErrorClass::AppMisconfigured) {
            metrics::counter!("platforms_app_misconfigured_total", "connector" => self.spec.id).increment(1);
            tracing::error!(
                connector = self.spec.id,
                code = error.map(|error| error.code.as_str()),
                "the platform refuses our app"
            );
        }
        let limited = (class == Some(ErrorClass::RateLimited)).then_some((
            Whom::Subject,
            limits::unsaid(self.spec.daily_limits, answer.received_at_ms),
        ));
        if let Some((whom, wait)) = limits::wait(answer.status, &answer.headers, answer.received_at_ms).or(limited) {
            // Graph's codes 4 and 341 are the app's.
            let app_wide = whom == Whom::App || error.is_some_and(|error| matches!(error.code.as_str(), "4" | "341"));
            match on {
                _ if app_wide => self.pace.hold(Whom::App, subject, wait).await,
                On::Api | On::App => self.pace.hold(whom, subject, wait).await,
                On::Code | On::Refresh => self.pace.limited(subject, wait).await,
            }
        }
    }
}

fn http_success(status: u32) -> bool {
    (200..300).contains(&status)
}

/// How long the platform asked to wait, on errors that waiting helps.
pub(crate) fn retry_after(spec: &Spec, error: &PlatformError, answer: &RawAnswer) -> Option<i64> {
    let class = error.class();
    let wait = limits::wait(answer.status, &answer.headers, answer.received_at_ms).map(|(_, wait)| wait);
    match class {
        ErrorClass::RateLimited => {
            Some(wait.unwrap_or_else(|| limits::unsaid(spec.daily_limits, answer.received_at_ms)))
        }
        ErrorClass::Transient => wait,
        _ => None,
    }
    .and_then(|wait| i64::try_from(wait.as_millis()).ok())
}

/// The platform's budget does not allow the call.
pub(crate) fn held_back(wait: Option<Duration>) -> PlatformError {
    let retry_after_ms = wait.and_then(|wait| i64::try_from(wait.as_millis()).ok());
    PlatformError {
        retry_after_ms,
        ..classify::error(ErrorClass::RateLimited, "held_back", "our call budget is used up")
    }
}
