//! The way of one request to an imitated platform: recognise it, take its switches, log its arrival, misbehave before,
//! answer, misbehave after, log the outcome. Work runs in a detached task: as at a real platform, a caller that goes away
//! does not undo what it asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::call::{Call, Reply};
use crate::consent;
use crate::platform::{ALL, Cx, Imitation, Operation, Platform};
use crate::switches::{BodyFault, Cut, Effect, Effects, When};
use crate::world::World;
use crate::world::log::{Arrival, Event};

/// What happens to the answer on its way out.
pub(crate) enum Delivery {
    Whole(Reply),
    /// Ten bytes a second.
    Slow(Reply),
    /// Half the body, then the connection ends.
    Half(Reply),
    /// The connection ends without a byte.
    Cut,
    /// Nothing ever comes.
    Never,
}

/// The shared state.
pub(crate) struct Sandbox {
    world: Mutex<World>,
    in_flight: Mutex<HashMap<String, usize>>,
    /// Sends callbacks and webhooks.
    pub(crate) http: reqwest::Client,
}

impl Sandbox {
    pub(crate) fn new(world: World, http: reqwest::Client) -> Self {
        Self {
            world: Mutex::new(world),
            in_flight: Mutex::default(),
            http,
        }
    }

    /// A panic in one answer must not silence all others, so a poisoned lock is taken all the same.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_flight(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request counts as in flight until the caller has the answer or goes away.
pub(crate) struct InFlight {
    sandbox: Arc<Sandbox>,
    key: String,
}

impl InFlight {
    fn enter(sandbox: &Arc<Sandbox>, key: String) -> (Self, usize) {
        let mut counts = sandbox.in_flight();
        let count = counts.entry(key.clone()).or_default();
        *count += 1;
        (
            Self {
                sandbox: Arc::clone(sandbox),
                key,
            },
            *count,
        )
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut counts = self.sandbox.in_flight();
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

/// Answers a request, or `None` when no platform has such a path.
pub(crate) async fn handle(sandbox: Arc<Sandbox>, call: Call) -> Option<(Delivery, InFlight)> {
    let (platform, operation) = recognise(&sandbox, &call)?;
    let (arrival, effects, guard) = arrive(&sandbox, &call, platform, operation);
    let work = tokio::spawn(process(sandbox, call, arrival, effects));
    let delivery = work
        .await
        .unwrap_or_else(|_| Delivery::Whole(Reply::empty(500).because("sandbox failed")));
    Some((delivery, guard))
}

/// Paths tell the platforms apart; where Facebook's and Instagram's coincide the token does (`Instagram::recognise`).
fn recognise(sandbox: &Sandbox, call: &Call) -> Option<(Platform, Operation)> {
    let mut found = ALL
        .iter()
        .filter_map(|&one| Some((one, one.imitation().recognise(call)?)));
    let (platform, operation) = found.next()?;
    // Facebook's short and long exchange look the same on the wire; only the token sent says that it is a renewal.
    let renews = operation == Operation::Exchange
        && call
            .graph_param("fb_exchange_token")
            .is_some_and(|token| crate::facebook::is_long(&sandbox.world(), &token));
    Some((platform, if renews { Operation::Refresh } else { operation }))
}

fn arrive(
    sandbox: &Arc<Sandbox>,
    call: &Call,
    platform: Platform,
    operation: Operation,
) -> (Arrival, Effects, InFlight) {
    let mut guard = sandbox.world();
    let world = &mut *guard;
    let credentials = call.credentials();
    let sent = credentials.iter().find(|value| world.token(value).is_some());
    let token = sent.and_then(|value| world.token(value)).cloned();
    let person = match &token {
        Some(token) => Some(token.person.clone()),
        None => credentials
            .iter()
            .find_map(|value| world.code_person(value))
            .map(str::to_owned),
    };
    let person = person.or_else(|| call.form.first("person").map(str::to_owned));
    let effects = world.switches.take(platform, person.as_deref(), operation);
    let request = world.next_request();
    let shown = sent.or(credentials.first());
    let key = format!("{operation:?} {}", shown.copied().unwrap_or_default());
    let (in_flight_guard, in_flight) = InFlight::enter(sandbox, key);
    let arrival = Arrival {
        request,
        platform,
        operation,
        method: call.method.to_string(),
        path: call.path.clone(),
        person,
        token: shown.map(|value| world.token_ref(value)),
        in_flight,
        token_was_dead: token.is_some_and(|token| world.check(&token).is_err()),
        switches: effects.kinds(),
    };
    world.record(Event::Received {
        arrival: arrival.clone(),
    });
    (arrival, effects, in_flight_guard)
}

async fn process(sandbox: Arc<Sandbox>, call: Call, arrival: Arrival, effects: Effects) -> Delivery {
    let arrived_at_ms = sandbox.world().now_ms();
    delay(&effects, When::Before).await;
    let delivery = {
        let mut world = sandbox.world();
        world.request = Some(arrival.request);
        let delivery = deliver(&mut world, &call, &arrival, &effects);
        world.request = None;
        let (status, outcome) = match &delivery {
            Delivery::Whole(reply) | Delivery::Slow(reply) => (reply.status, reply.outcome.clone()),
            Delivery::Half(reply) => (reply.status, format!("half sent, {}", reply.outcome)),
            Delivery::Cut => (0, "dropped".to_owned()),
            Delivery::Never => (0, "hung".to_owned()),
        };
        world.record(Event::Request {
            arrival,
            arrived_at_ms,
            status,
            outcome,
        });
        delivery
    };
    delay(&effects, When::After).await;
    delivery
}

async fn delay(effects: &Effects, at: When) {
    let ms = effects.find(|effect| match effect {
        Effect::Delay { ms, when } if *when == at => Some(*ms),
        _ => None,
    });
    if let Some(ms) = ms {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

/// Everything between arrival and the wire, under the world's lock.
fn deliver(world: &mut World, call: &Call, arrival: &Arrival, effects: &Effects) -> Delivery {
    if effects.any(|effect| matches!(effect, Effect::Hang { when: When::Before })) {
        return Delivery::Never;
    }
    if effects.any(|effect| matches!(effect, Effect::Drop { when: Cut::Before })) {
        return Delivery::Cut;
    }
    let imitation = arrival.platform.imitation();
    let reply = instead(imitation, effects, When::Before, world.now_ms()).unwrap_or_else(|| {
        let reply = answer(world, imitation, call, arrival.operation, effects);
        let lie = instead(imitation, effects, When::After, world.now_ms());
        let reply = lie.unwrap_or(reply);
        spoil(edit(reply, effects), effects)
    });
    if effects.any(|effect| matches!(effect, Effect::Hang { when: When::After })) {
        return Delivery::Never;
    }
    match effects.find(|effect| match effect {
        Effect::Drop { when } => Some(*when),
        _ => None,
    }) {
        Some(Cut::HalfBody) => Delivery::Half(reply),
        Some(_) => Delivery::Cut,
        None if effects.any(|effect| matches!(effect, Effect::Body { with: BodyFault::Slow })) => Delivery::Slow(reply),
        None => Delivery::Whole(reply),
    }
}

fn answer(world: &mut World, imitation: &dyn Imitation, call: &Call, operation: Operation, effects: &Effects) -> Reply {
    match operation {
        Operation::Dialog => consent::show(world, imitation, call),
        Operation::Consent => consent::submit(world, imitation, call, effects),
        _ => imitation.answer(&mut Cx { world, call, effects }),
    }
}

/// An answer that a switch gives in the platform's place.
fn instead(imitation: &dyn Imitation, effects: &Effects, at: When, now_ms: i64) -> Option<Reply> {
    effects.find(|effect| match effect {
        Effect::ServerError { status, when } if *when == at => Some(imitation.server_error(*status)),
        Effect::Reply {
            status,
            content_type,
            body,
            when,
        } if *when == at => {
            let kind = content_type.as_deref().unwrap_or("application/json");
            Some(Reply::raw(*status, kind, body.clone()).because("scripted reply"))
        }
        Effect::RateLimit(limit) if at == When::Before => Some(imitation.rate_limited(limit, now_ms)),
        Effect::WrongSecret if at == When::Before => Some(imitation.wrong_secret()),
        Effect::VersionRetired if at == When::Before => Some(imitation.version_retired()),
        Effect::GraphError {
            code,
            subcode,
            message,
            status,
        } if at == When::Before => Some(crate::graph::scripted(*code, *subcode, message.as_deref(), *status)),
        _ => None,
    })
}

/// Changes members of a JSON answer.
fn edit(mut reply: Reply, effects: &Effects) -> Reply {
    let Some((remove, set)) = effects.find(|effect| match effect {
        Effect::EditReply { remove, set } => Some((remove, set)),
        _ => None,
    }) else {
        return reply;
    };
    if let Ok(serde_json::Value::Object(mut body)) = serde_json::from_slice(&reply.body) {
        body.retain(|name, _| !remove.contains(name));
        body.extend(set.clone());
        reply.body = serde_json::Value::Object(body).to_string().into_bytes();
    }
    reply
}

/// Puts a fault in the body's place.
fn spoil(mut reply: Reply, effects: &Effects) -> Reply {
    const HUGE: usize = 32 << 20;
    let Some(with) = effects.find(|effect| match effect {
        Effect::Body { with } => Some(*with),
        _ => None,
    }) else {
        return reply;
    };
    match with {
        BodyFault::Html => {
            let page = "<!doctype html><title>Attention required</title><p>Please enable cookies.</p>";
            reply = Reply::html(200, page.to_owned()).because(reply.outcome);
        }
        BodyFault::Empty => reply.body.clear(),
        BodyFault::Truncated => reply.body.truncate(reply.body.len() / 2),
        BodyFault::Huge => {
            reply.body = b"{\"padding\":\"".to_vec();
            reply.body.resize(HUGE, b'x');
            reply.body.extend_from_slice(b"\"}");
        }
        BodyFault::Garbage => reply.body = (0..=255).rev().collect(),
        BodyFault::Bom => drop(reply.body.splice(0..0, *b"\xEF\xBB\xBF")),
        BodyFault::PlainText => reply = reply.with("content-type", "text/plain; charset=iso-8859-1"),
        BodyFault::Slow => {}
    }
    reply
}
