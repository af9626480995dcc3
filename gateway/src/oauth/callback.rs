//! `GET /oauth/{platform}/callback`: where platforms send people back to.

use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode};
use kit::Code;
use kit::grpc::Context;
use proto::accounts::v1::{CompleteConnectRequest, CompleteConnectResponse};
use url::{Url, form_urlencoded};

use super::{Transaction, is_look_ahead, sealed, see_other};
use crate::api::Path;
use crate::problem::Problem;
use crate::session::{Identity, context};
use crate::state::App;

const LONGEST_CODE: usize = 2048;
const LONGEST_STATE: usize = 512;
const LONGEST_ERROR: usize = 64;

/// What a platform may say, each at most once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameters {
    pub(crate) state: String,
    pub(crate) code: String,
    /// One word; never shown.
    pub(crate) error: String,
    /// Who says that it answers (RFC 9207); may be empty.
    pub(crate) iss: String,
}

pub(super) async fn answer(
    State(app): State<App>,
    Path(platform): Path<String>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    identity: Option<axum::Extension<Identity>>,
) -> Response {
    if is_look_ahead(&method, &headers) {
        return sealed(StatusCode::NO_CONTENT.into_response());
    }
    let parameters = match parse(uri.query().unwrap_or_default()) {
        Ok(parameters) => parameters,
        Err(problem) => return sealed(problem.into_response()),
    };
    let transaction = Transaction::read(&app, &parameters.state, &headers);
    let completed = complete(
        &app,
        &platform,
        parameters,
        transaction.as_ref(),
        identity.map(|found| found.0),
    )
    .await;
    let mut response = match completed {
        Ok(answer) => see_other(&target(&app, &answer)),
        Err(problem) => sealed(problem.into_response()),
    };
    // What was refused may still be finished: by the right address, or after signing in again.
    if let Some(transaction) = transaction.filter(|_| response.status().is_redirection()) {
        transaction.linger(&app, response.headers_mut());
    }
    response
}

async fn complete(
    app: &App,
    platform: &str,
    parameters: Parameters,
    transaction: Option<&Transaction>,
    identity: Option<Identity>,
) -> Result<CompleteConnectResponse, Problem> {
    if !parameters.iss.is_empty() && !is_of(app, platform, &parameters.iss).await? {
        return Err(mismatch());
    }
    let message = CompleteConnectRequest {
        platform: platform.to_owned(),
        state: parameters.state,
        code: parameters.code,
        error: parameters.error,
        browser_hash: transaction.map(Transaction::browser_hash).unwrap_or_default(),
        has_browser: transaction.is_some(),
    };
    let context = caller(app, transaction, identity)?;
    let mut accounts = app.accounts();
    // The person may close the window now; the code is spent all the same, so this goes on without them.
    let work = async move { accounts.complete_connect(context.request(message)).await };
    let done = app.tasks.spawn(work).await;
    let done = done.map_err(|_| Problem::new(Code::Internal, "something went wrong on our side"))?;
    Ok(done?.into_inner())
}

/// True when the issuer is the platform whose callback this is: the one that its consent pages are at. Another one's code
/// must not be sent there.
async fn is_of(app: &App, platform: &str, iss: &str) -> Result<bool, Problem> {
    let origin = Url::parse(iss)
        .map(|url| url.origin().ascii_serialization())
        .unwrap_or_default();
    let catalogue = app.catalogue().await?;
    if origin.is_empty() {
        return Ok(false);
    }
    let connectors = catalogue.platform(platform).map(|platform| &platform.connectors);
    Ok(connectors
        .into_iter()
        .flatten()
        .any(|connector| connector.dialog_origin == origin))
}

/// The person of this browser, in the workspace that the flow was started in; nobody for native apps.
fn caller(app: &App, transaction: Option<&Transaction>, identity: Option<Identity>) -> Result<Context, Problem> {
    let Some(identity) = identity else {
        return Ok(Context::background().within(app.config.request_timeout));
    };
    let first = identity.memberships.first().map(|(workspace, _)| workspace.as_str());
    let person = transaction
        .and_then(Transaction::workspace)
        .or(first)
        .and_then(|workspace| identity.person_in(workspace));
    match person {
        Some(person) => Ok(context(app, person)),
        None => Err(Problem::new(
            Code::ForbiddenRole,
            "you are not in the workspace that this sign-in was started in",
        )),
    }
}

fn target(app: &App, answer: &CompleteConnectResponse) -> String {
    let session_id = answer
        .session
        .as_ref()
        .map(|session| session.id.as_str())
        .unwrap_or_default();
    if answer.completion_code.is_empty() {
        return format!("/oauth/return/{session_id}");
    }
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("completion_code", &answer.completion_code)
        .finish();
    format!("{}?{query}", app.config.native_return(session_id))
}

/// Reads the query strictly: what stands twice, is too long or no plain text comes from no platform.
pub(crate) fn parse(query: &str) -> Result<Parameters, Problem> {
    let one = |name: &str, longest: usize| {
        let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(found, _)| found == name);
        let value = values.next().map(|(_, value)| value.into_owned()).unwrap_or_default();
        let is_plain = value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if values.next().is_some() || value.len() > longest || !is_plain {
            Err(mismatch())
        } else {
            Ok(value)
        }
    };
    let iss = one("iss", LONGEST_STATE)?;
    let (state, code) = (one("state", LONGEST_STATE)?, one("code", LONGEST_CODE)?);
    // Meta sends `error_code` alone when the app itself is at fault.
    let error = match one("error", LONGEST_CODE)? {
        error if error.is_empty() => one("error_code", LONGEST_CODE)?,
        error => error,
    };
    if state.is_empty() || (code.is_empty() && error.is_empty()) {
        return Err(mismatch());
    }
    // An error beside a code is an error.
    if error.is_empty() {
        Ok(Parameters {
            state,
            code,
            error,
            iss,
        })
    } else {
        Ok(Parameters {
            state,
            code: String::new(),
            error: word(&error),
            iss,
        })
    }
}

/// One word of the platform, cut and cleaned, for accounts to recognise.
fn word(text: &str) -> String {
    let word: String = text
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        .take(LONGEST_ERROR)
        .collect();
    if word.is_empty() { "error".to_owned() } else { word }
}

fn mismatch() -> Problem {
    Problem::new(Code::OauthStateMismatch, "this sign-in cannot be used; start again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a1_a13_a17_what_no_platform_would_send_is_refused() {
        let long = format!("state=s&code={}", "c".repeat(2049));
        for bad in [
            "code=c",
            "state=s",
            "state=s&code=a&code=b",
            "state=a&state=b&code=c",
            "state=s&code=%00",
            "state=s&code=%C3%A4",
            &long,
            "state=s&code=c&iss=a&iss=b",
        ] {
            assert_eq!(parse(bad).unwrap_err().0.code, Code::OauthStateMismatch, "{bad}");
        }
    }

    #[test]
    fn a15_a16_an_error_wins_over_a_code_and_only_one_word_of_it_goes_on() {
        let found = parse("state=s&code=c&error=access_denied<b>&error_description=%3Cscript%3E").unwrap();
        assert_eq!(
            found,
            Parameters {
                state: "s".into(),
                code: String::new(),
                error: "access_deniedb".into(),
                iss: String::new(),
            }
        );
    }
}
