//! The two calls that are made once per id: trading a code and renewing a token. Each goes through the budget, marks that
//! it was sent, sends, and reports what became of it. A wrong client secret is the one refusal that is answered with a
//! second call, with the other secret: the platform did not look at the token then.

use std::sync::Arc;
use std::time::Duration;

use proto::common::v1::ErrorClass;
use proto::platforms::v1::{Answers, Credential, Delivery, RawAnswer};

use crate::adapter::Adapter;
use crate::classify::On;
use crate::ctx::Ctx;
use crate::http::{Outgoing, Sent, TOKEN_BODY};
use crate::interpret::{EXPIRED, renews_itself};
use crate::oauth::CodeGrant;
use crate::receipts::Flight;
use crate::reply::{self, TokenReply};

/// Longest time for a token call. Callers stop waiting sooner; an answer after that is kept all the same.
pub(crate) const CALL: Duration = Duration::from_secs(90);

/// What an exchange needs; owned, because the work outlives its caller.
pub(crate) struct Trade {
    pub(crate) code: String,
    pub(crate) redirect_uri: String,
    pub(crate) verifier: String,
}

fn answers(answers: Vec<RawAnswer>, delivery: Delivery, reason: &str) -> Answers {
    Answers {
        answers,
        delivery: delivery.into(),
        reason: reason.to_owned(),
        ..Answers::default()
    }
}

/// Trades a code, and goes on from `early` when a process that died had come so far.
pub(crate) async fn exchange(
    ctx: Arc<Ctx>,
    adapter: &'static dyn Adapter,
    trade: Trade,
    flight: Flight,
    early: Option<Answers>,
) -> Answers {
    let mut got = if let Some(early) = early {
        early
    } else {
        let grant = CodeGrant {
            code: &trade.code,
            redirect_uri: &trade.redirect_uri,
            verifier: &trade.verifier,
        };
        once(&ctx, (On::Code, ""), &flight, || {
            Some(adapter.code_call(&ctx.app, &grant))
        })
        .await
    };
    while got.delivery() == Delivery::Answered {
        let Some(next) = adapter.next_call(&ctx.app, &got.answers) else {
            break;
        };
        flight.keep_early(&got).await;
        match ctx.send(next, TOKEN_BODY, CALL).await {
            Sent::Answered(answer) => {
                ctx.judge("", On::Refresh, &answer).await;
                got.answers.push(answer);
            }
            // The first token is good for a while; the next refresh makes up for it.
            Sent::Unsent(reason) | Sent::Unknown(reason, _) => {
                reason.clone_into(&mut got.reason);
                break;
            }
        }
    }
    got
}

/// Renews with one call.
pub(crate) async fn refresh(
    ctx: Arc<Ctx>,
    adapter: &'static dyn Adapter,
    credential: Credential,
    send_before_ms: i64,
    flight: Flight,
) -> Answers {
    let (now_ms, end) = (ctx.clock.now_ms(), credential.access_expires_at_ms);
    if send_before_ms > 0 && now_ms > send_before_ms {
        return answers(Vec::new(), Delivery::NotSent, "too late to send");
    }
    if renews_itself(&credential) && end > 0 && end <= now_ms {
        return answers(Vec::new(), Delivery::NotSent, EXPIRED);
    }
    let young_until = credential.issued_at_ms + adapter.spec().min_refresh_age_ms;
    if credential.issued_at_ms > 0 && now_ms < young_until {
        let mut early = answers(Vec::new(), Delivery::HeldBack, "the token is too young to be renewed");
        early.retry_after_ms = young_until - now_ms;
        return early;
    }
    let grant = subject(&credential);
    once(&ctx, (On::Refresh, &grant), &flight, || {
        adapter.refresh_call(&ctx.app, &credential)
    })
    .await
}

/// Whom the platform limits when it limits a renewal: the same as long as nothing was renewed.
fn subject(credential: &Credential) -> String {
    let renews_by = match credential.refresh_token.as_str() {
        "" => &credential.access_token,
        _ => &credential.refresh_token,
    };
    kit::id::sha256_hex(renews_by.as_bytes())
}

/// Sends what `build` makes, and once more with the other client secret if the platform refused the first. `what` is the kind of
/// call and the grant that it is for; a sign-in is of nobody yet.
async fn once(ctx: &Ctx, what: (On, &str), flight: &Flight, build: impl Fn() -> Option<Outgoing>) -> Answers {
    let Some(outgoing) = build() else {
        return answers(
            Vec::new(),
            Delivery::NotSent,
            "there is nothing to renew this credential with",
        );
    };
    if !flight.has_room() {
        let mut held = answers(
            Vec::new(),
            Delivery::HeldBack,
            "there is no room to keep another answer",
        );
        held.retry_after_ms = 5_000;
        return held;
    }
    // Before the budget is asked, which would be spent for nothing without a marker.
    if !flight.mark_sent().await {
        return Answers {
            unmarked: true,
            ..answers(Vec::new(), Delivery::HeldBack, "redis did not take the marker")
        };
    }
    let permit = match ctx.pace.admit(what.1).await {
        Ok(permit) => permit,
        Err(wait) => {
            let mut held = answers(Vec::new(), Delivery::HeldBack, "our call budget is used up");
            held.retry_after_ms = i64::try_from(wait.as_millis()).unwrap_or(0);
            return held;
        }
    };
    let (mut got, class) = send(ctx, what, outgoing).await;
    if class == Some(ErrorClass::AppMisconfigured)
        && ctx.app.switch_secret()
        && let Some(outgoing) = build()
    {
        tracing::warn!(
            connector = ctx.spec.id,
            "the platform refused our client secret; trying the other one"
        );
        (got, _) = send(ctx, what, outgoing).await;
    }
    drop(permit);
    got
}

async fn send(ctx: &Ctx, (on, grant): (On, &str), outgoing: Outgoing) -> (Answers, Option<ErrorClass>) {
    match ctx.send(outgoing, TOKEN_BODY, CALL).await {
        Sent::Answered(answer) => {
            let (error, _) = ctx.judge(grant, on, &answer).await;
            (
                answers(vec![answer], Delivery::Answered, ""),
                error.map(|error| error.class()),
            )
        }
        Sent::Unsent(reason) => (answers(Vec::new(), Delivery::NotSent, reason), None),
        Sent::Unknown(reason, partial) => {
            let useful = partial.as_ref().is_some_and(says_something);
            let delivery = if useful { Delivery::Answered } else { Delivery::Unknown };
            (answers(partial.into_iter().collect(), delivery, reason), None)
        }
    }
}

/// Whether an answer that was cut short still decides: a refusal, or a whole token in it.
fn says_something(answer: &RawAnswer) -> bool {
    !reply::accepted(answer)
        || TokenReply::read(&answer.body).access_token.is_some()
        || reply::salvage(&answer.body).is_some()
}
