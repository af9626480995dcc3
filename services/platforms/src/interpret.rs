//! From raw answers to a credential, or to the reason why there is none. Pure and total: the same answers always give
//! the same outcome, nothing is lost that a 2xx body held, and what a reply leaves out is taken from the previous
//! credential (FAULTS R10–R12). Called after the answers were stored, any number of times.

use proto::common::v1::{ErrorClass, PlatformError};
use proto::platforms::v1::{Answers, Credential, Delivery, RawAnswer, Renewal};

use crate::classify::{self, On};
use crate::ctx;
use crate::reply::{self, TokenReply};
use crate::spec::{DAY, Spec};

/// Replies count whole seconds from a moment that we guess: an end that moved by less than this did not move.
const SAME_END_MS: i64 = 60_000;
/// What rounding makes of one and the same lifetime.
const SECOND_MS: i64 = 1_000;

/// What answers amount to.
pub(crate) struct Outcome {
    pub(crate) result: Result<Credential, PlatformError>,
    /// A refresh token out of a 2xx body that was of no other use.
    pub(crate) salvaged: Option<String>,
}

impl Outcome {
    pub(crate) fn refused(error: PlatformError) -> Self {
        Self {
            result: Err(error),
            salvaged: None,
        }
    }
}

/// Reads answers; see the file's head.
pub(crate) fn interpret(spec: &'static Spec, answers: &Answers, previous: Option<&Credential>) -> Outcome {
    let replies: Vec<TokenReply> = answers
        .answers
        .iter()
        .map(|answer| TokenReply::read(&answer.body))
        .collect();
    let usable = |index: &usize| reply::accepted(&answers.answers[*index]) && replies[*index].access_token.is_some();
    let Some(chosen) = (0..replies.len()).rev().find(usable) else {
        let salvaged = answers
            .answers
            .iter()
            .filter(|answer| reply::accepted(answer))
            .rev()
            .find_map(|answer| reply::salvage(&answer.body));
        return Outcome {
            result: Err(refusal(spec, answers, previous)),
            salvaged,
        };
    };
    let credential = merge(spec, &answers.answers[chosen], &replies[..=chosen], previous);
    let brought = replies[..=chosen]
        .iter()
        .rev()
        .find_map(|reply| reply.refresh_token.clone());
    if spec.announced_refresh && previous.is_some_and(|previous| !extended(spec, previous, &credential)) {
        let error = classify::error(
            ErrorClass::NotExtended,
            "not_extended",
            "the platform answered and did not move the token's end",
        );
        return Outcome {
            result: Err(error),
            salvaged: brought,
        };
    }
    Outcome {
        result: Ok(credential),
        salvaged: None,
    }
}

/// Whether the end moved. Another token with a whole new life counts as well, the platform's usual one or that of the token
/// before, which may have been as young.
fn extended(spec: &Spec, previous: &Credential, renewed: &Credential) -> bool {
    let life = |of: &Credential| of.access_expires_at_ms - of.issued_at_ms;
    let another = previous.access_token != renewed.access_token;
    let whole = life(renewed) >= spec.default_lifetime_ms - DAY || life(renewed) > life(previous) - SECOND_MS;
    previous.access_expires_at_ms == 0
        || renewed.access_expires_at_ms > previous.access_expires_at_ms + SAME_END_MS
        || (another && whole)
}

/// A new credential, complete. The later replies of a flow win over the earlier ones, and those over what was before.
fn merge(spec: &Spec, answer: &RawAnswer, replies: &[TokenReply], previous: Option<&Credential>) -> Credential {
    let told = |field: fn(&TokenReply) -> Option<&String>| replies.iter().rev().find_map(field).cloned();
    let before =
        |field: fn(&Credential) -> &String| previous.map(|previous| field(previous).clone()).unwrap_or_default();
    let last = replies.last().cloned().unwrap_or_default();
    // A flow that ended early left a short-lived token in our hands.
    let default_ms = if answer.step == "code" {
        spec.first_lifetime_ms
    } else {
        spec.default_lifetime_ms
    };
    // One in an odd place replaces the one before as well: that has been spent.
    let refresh_token = told(|reply| reply.refresh_token.as_ref())
        .or_else(|| reply::salvage(&answer.body))
        .unwrap_or_else(|| before(|previous| &previous.refresh_token));
    let same_refresh_token = previous.is_some_and(|previous| previous.refresh_token == refresh_token);
    let refresh_expires_at_ms = match last.refresh_expires_in {
        Some(seconds) => answer.sent_at_ms + seconds * 1000,
        None if same_refresh_token => previous.map_or(0, |previous| previous.refresh_expires_at_ms),
        None => 0,
    };
    Credential {
        access_token: last.access_token.unwrap_or_default(),
        token_type: last
            .token_type
            .or_else(|| previous.map(|previous| previous.token_type.clone()))
            .unwrap_or_else(|| "Bearer".to_owned()),
        access_expires_at_ms: answer.sent_at_ms + last.expires_in.map_or(default_ms, |seconds| seconds * 1000),
        refresh_expires_at_ms,
        issued_at_ms: answer.sent_at_ms,
        platform_user_id: told(|reply| reply.user_id.as_ref())
            .unwrap_or_else(|| before(|previous| &previous.platform_user_id)),
        scopes: replies
            .iter()
            .rev()
            .find_map(|reply| reply.scopes.clone())
            .unwrap_or_else(|| previous.map(|previous| previous.scopes.clone()).unwrap_or_default()),
        renewal: if refresh_token.is_empty() {
            spec.renewal
        } else {
            spec.renewal_by_refresh_token
        }
        .into(),
        refresh_token,
    }
}

/// Why there is no token: what the platform said, or that nothing can be concluded.
fn refusal(spec: &'static Spec, answers: &Answers, previous: Option<&Credential>) -> PlatformError {
    if let Some(answer) = answers
        .answers
        .iter()
        .find(|answer| !answer.body.is_empty() || !reply::accepted(answer))
    {
        return refused_answer(spec, answer, previous);
    }
    match answers.delivery() {
        Delivery::HeldBack => PlatformError {
            retry_after_ms: (answers.retry_after_ms > 0).then_some(answers.retry_after_ms),
            ..classify::error(ErrorClass::RateLimited, "held_back", answers.reason.clone())
        },
        Delivery::NotSent if answers.reason == EXPIRED => classify::error(ErrorClass::Expired, "expired", EXPIRED),
        Delivery::NotSent => classify::error(ErrorClass::Transient, "not_sent", answers.reason.clone()),
        Delivery::Answered => classify::error(ErrorClass::Transient, "empty_answer", "the platform's answer was empty"),
        _ => classify::error(ErrorClass::Transient, "no_answer", answers.reason.clone()),
    }
}

/// Reason of a refresh that is pointless, because the token it renews has ended.
pub(crate) const EXPIRED: &str = "the token has ended and cannot be renewed";

fn refused_answer(spec: &'static Spec, answer: &RawAnswer, previous: Option<&Credential>) -> PlatformError {
    let said = classify::read(answer.status, &classify::parse(&answer.body));
    if reply::accepted(answer) && said.code.is_empty() {
        let what = if answer.truncated {
            "the platform's answer was cut short"
        } else {
            "the platform's answer has no token in it"
        };
        return classify::error(ErrorClass::Transient, "no_token", what);
    }
    let on = if previous.is_some() { On::Refresh } else { On::Code };
    let mut error = classify::classify(spec.id, spec.errors, on, &said);
    if on == On::Refresh {
        soften(&mut error, answer.status);
    }
    error.retry_after_ms = ctx::retry_after(spec, &error, answer);
    // The platform may quote what it was sent.
    for secret in previous
        .into_iter()
        .flat_map(|previous| [&previous.access_token, &previous.refresh_token])
    {
        if !secret.is_empty() {
            error.message = error.message.replace(secret.as_str(), "[…]");
        }
    }
    error
}

/// A platform in trouble, which its status says, knows nothing about a grant, whatever words come with it (FAULTS R10).
fn soften(error: &mut PlatformError, status: u32) {
    let class = match status {
        429 => ErrorClass::RateLimited,
        500.. => ErrorClass::Transient,
        _ => return,
    };
    if !matches!(
        error.class(),
        ErrorClass::Transient | ErrorClass::RateLimited | ErrorClass::AppMisconfigured
    ) {
        error.class = class.into();
    }
}

/// Whether a credential is renewed by its own access token, so that an expired one cannot be.
pub(crate) fn renews_itself(credential: &Credential) -> bool {
    credential.refresh_token.is_empty() && matches!(credential.renewal(), Renewal::Exchange | Renewal::InPlace)
}
