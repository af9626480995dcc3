//! `GET …/events`: live changes of a workspace as server-sent events.
//!
//! Every message has `id`, `event` (the type) and JSON `data` of [`view::EventView`]'s shape. The stream reads from accounts, so
//! a client that comes back with `Last-Event-ID`, or begins with `after`, misses nothing that is kept, and is told
//! `sync.required` where something is not. Who is signed out, or loses the workspace or their role, is told so within a minute
//! by `stream.closed` with its reason, and the stream ends. An open stream is what "the app is open" means: it asks for a check
//! at once and then hourly.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event as Message, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use http::{HeaderMap, HeaderValue, header};
use kit::{Code, Failure};
use proto::accounts::v1::watch_events_response::Item;
use proto::accounts::v1::{CheckHealthRequest, CheckTrigger, WatchEventsRequest, WatchEventsResponse};
use serde::Deserialize;
use tokio::time::Instant;
use tonic::Streaming;
use utoipa::IntoParams;

use crate::api::path::InWorkspace;
use crate::api::{Path, Query};
use crate::auth::browser::CONFIRMED;
use crate::places::Place;
use crate::problem::Problem;
use crate::session::{Viewer, context};
use crate::state::App;
use crate::view::{self, EventView, Lens};

/// How long a client waits before it comes back.
const RETRY: Duration = Duration::from_millis(3000);
const CHECK_INTERVAL: Duration = Duration::from_secs(3600);

/// True for the path of a live stream.
pub(crate) fn is_stream(path: &str) -> bool {
    path.starts_with("/api/") && path.ends_with("/events")
}

/// Where a stream begins.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Begin {
    /// Begin after this event, for a browser that cannot send a header at first. `Last-Event-ID` goes before it.
    #[param(required = false)]
    after: Option<u64>,
}

/// Live changes. `Last-Event-ID` goes on after an event; `sync.required` says to read everything anew, `stream.closed` why it ended.
#[utoipa::path(get, path = "/workspaces/{workspace_id}/events", tag = "events",
    params(InWorkspace, Begin, ("Last-Event-ID" = Option<i64>, Header, description = "The last event that was seen")),
    responses((status = 200, body = EventView, content_type = "text/event-stream")))]
pub(crate) async fn stream(
    State(app): State<App>,
    viewer: Viewer,
    Path(path): Path<InWorkspace>,
    Query(begin): Query<Begin>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let begin = begin.after.map(|after| i64::try_from(after).unwrap_or(i64::MAX));
    let after_id = last_event_id(&headers)?.or(begin);
    let Some(place) = app.streams.enter(viewer.person.user_id.clone()) else {
        let failure = Failure::new(Code::RateLimited, "too many live streams are open; close one");
        return Err(failure.retry_after(Duration::from_secs(5)).into());
    };
    let lens = app.lens(&viewer).await?;
    let lifetime = lifetime(&app);
    let message = WatchEventsRequest {
        workspace_id: path.workspace_id,
        after_id,
    };
    let request = viewer.context.clone().within(lifetime + RETRY).request(message);
    let changes = app.accounts().watch_events(request).await?.into_inner();
    let open = Open {
        changes,
        lens,
        workspace_id: viewer.person.workspace_id.clone(),
        ends: Instant::now() + lifetime,
        next_check: None,
        next_look: next_look(&app, &viewer),
        greeted: false,
        closed: false,
        viewer,
        app,
        _place: place,
    };
    let mut response = Sse::new(messages(open)).into_response();
    // Proxies that buffer would hold events back.
    response
        .headers_mut()
        .insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// About an hour, a tenth more or less, so that not all come back at once.
fn lifetime(app: &App) -> Duration {
    let jitter = kit::id::sha256(kit::id::secret().as_bytes())[0];
    app.config
        .stream_lifetime
        .mul_f64(0.9 + 0.2 * f64::from(jitter) / 255.0)
}

/// Every [`CONFIRMED`], and when the credentials end.
fn next_look(app: &App, viewer: &Viewer) -> i64 {
    let next = app.clock().now_ms() + kit::clock::millis(CONFIRMED);
    viewer.identity.expires_at_ms.map_or(next, |end| end.min(next))
}

pub(crate) fn last_event_id(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or("?");
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(id) if digits => Ok(Some(id)),
        _ if text.is_empty() => Ok(None),
        _ => Err(Problem::new(Code::BadRequest, "Last-Event-ID is not one of ours")),
    }
}

/// One open stream.
struct Open {
    changes: Streaming<WatchEventsResponse>,
    lens: Lens,
    workspace_id: String,
    ends: Instant,
    /// On the hub's clock; `None` = now.
    next_check: Option<i64>,
    /// When to look again whether the person may still see this; on the hub's clock.
    next_look: i64,
    greeted: bool,
    /// The last message was said.
    closed: bool,
    viewer: Viewer,
    app: App,
    _place: Place<String>,
}

fn messages(open: Open) -> impl Stream<Item = Result<Message, Infallible>> {
    stream::unfold(open, |mut open| async move {
        let message = open.next().await?;
        Some((Ok(message), open))
    })
}

impl Open {
    /// The next message, or the end: of its time, of the process, or of the stream behind it.
    async fn next(&mut self) -> Option<Message> {
        if !self.greeted {
            self.greeted = true;
            return Some(Message::default().retry(RETRY).comment("open"));
        }
        loop {
            if self.closed {
                return None;
            }
            let now = self.app.clock().now_ms();
            if self.next_look <= now {
                if let Some(reason) = self.look().await {
                    self.closed = true;
                    return Some(self.own("stream.closed", None, &serde_json::json!({ "reason": reason })));
                }
                self.next_look = next_look(&self.app, &self.viewer);
                continue;
            }
            let due = self.next_check.unwrap_or(now);
            if due <= now {
                self.check();
                self.next_check = Some(now + kit::clock::millis(CHECK_INTERVAL));
                continue;
            }
            let until = Duration::from_millis(u64::try_from(due.min(self.next_look) - now).unwrap_or(0));
            let app = self.app.clone();
            tokio::select! {
                biased;
                () = app.shutdown.cancelled() => return None,
                () = tokio::time::sleep_until(self.ends) => return None,
                change = self.changes.message() => {
                    // A stream that broke behind us ends here too: the client comes back and goes on where it was.
                    return self.message(change.ok()??.item?);
                }
                () = app.clock().sleep(until) => {}
                () = tokio::time::sleep(app.config.stream_heartbeat) => return Some(Message::default().comment("still here")),
            }
        }
    }

    fn message(&self, item: Item) -> Option<Message> {
        match item {
            Item::Event(event) => {
                let view = view::event(&event, &self.lens);
                let data = serde_json::to_string(&view).ok()?;
                Some(Message::default().id(event.id.to_string()).event(view.kind).data(data))
            }
            Item::SyncRequired(id) => Some(self.own("sync.required", Some(id), &serde_json::json!({}))),
            // No data: the client only remembers where to go on.
            Item::StartedAfter(id) => Some(Message::default().id(id.to_string()).comment("from here")),
        }
    }

    /// A message of the gateway's own, in the shape of all others.
    fn own(&self, kind: &str, id: Option<i64>, data: &serde_json::Value) -> Message {
        let at = jiff::Timestamp::from_millisecond(self.app.clock().now_ms()).unwrap_or_default();
        let data = serde_json::json!({
            "id": id, "type": kind, "occurred_at": at.to_string(), "workspace_id": self.workspace_id, "data": data,
        });
        let message = Message::default().event(kind).data(data.to_string());
        match id {
            Some(id) => message.id(id.to_string()),
            None => message,
        }
    }

    /// Why the person may not see this any more.
    async fn look(&self) -> Option<&'static str> {
        match self.app.auth.again(&self.app, &self.viewer.identity).await {
            Err(_) => Some("unavailable"),
            Ok(None) if self.viewer.identity.browser.is_none() => Some("credentials_expired"),
            Ok(None) => Some("signed_out"),
            Ok(Some(now)) => match now.person_in(&self.workspace_id) {
                None => Some("membership_ended"),
                Some(person) if person.role != self.viewer.person.role => Some("role_changed"),
                Some(_) => None,
            },
        }
    }

    /// Asks for a check of the workspace, at most once per interval over all gateways. It does not hold the stream up.
    fn check(&self) {
        let context = context(&self.app, self.viewer.person.clone());
        let message = CheckHealthRequest {
            workspace_id: self.workspace_id.clone(),
            account_id: String::new(),
            trigger: CheckTrigger::Open.into(),
        };
        let mut accounts = self.app.accounts();
        self.app.tasks.spawn(async move {
            if let Err(status) = accounts.check_health(context.request(message)).await {
                tracing::debug!(code = ?status.code(), "the check of an open page was not started");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k4_a_last_event_id_is_a_number_of_ours_or_refused() {
        let of = |text: &'static str| {
            last_event_id(&HeaderMap::from_iter([(
                "last-event-id".parse().unwrap(),
                HeaderValue::from_static(text),
            )]))
        };
        assert_eq!(of("42").unwrap(), Some(42));
        assert_eq!(last_event_id(&HeaderMap::new()).unwrap(), None);
        for bad in ["-1", "abc", "1e3", "99999999999999999999", " 7", "+7"] {
            assert_eq!(of(bad).unwrap_err().0.code, Code::BadRequest, "{bad}");
        }
    }
}
