//! Sends what is due: one message of an endpoint at a time, many endpoints side by side, so that one that hangs holds up
//! nobody else and one that answers gets its events in order.

use std::time::Duration;

use kit::Clock;
use kit::clock::millis;
use reqwest::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Webhooks, sign};
use crate::error::Error;
use crate::store::Store;
use crate::store::deliveries::{Due, Outcome};

/// How often due deliveries are looked for.
const POLL: Duration = Duration::from_millis(500);
/// A delivery that is not settled by then is tried by another process as well.
const LEASE: Duration = Duration::from_secs(60);
/// Messages on their way at a time.
const CONCURRENCY: usize = 32;
/// Longest wait that a receiver may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);
/// What is read of an answer, so that its connection can be used again; nothing in it counts.
const ANSWER_BYTES: usize = 16 * 1024;

/// Sends until `shutdown`; what is on its way then is finished first.
#[derive(Clone)]
pub(crate) struct Courier {
    pub(crate) store: Store,
    pub(crate) webhooks: Webhooks,
    pub(crate) clock: Clock,
    /// Name of this process.
    pub(crate) instance: String,
}

impl Courier {
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut sending = JoinSet::new();
        while !shutdown.is_cancelled() {
            match self.lease(CONCURRENCY - sending.len()).await {
                Ok(due) => {
                    for one in due {
                        let courier = self.clone();
                        sending.spawn(async move { courier.deliver(one).await });
                    }
                }
                Err(error) => tracing::warn!(%error, "webhook deliveries cannot be read"),
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                // Somebody's next message may be due.
                Some(_) = sending.join_next() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
        while sending.join_next().await.is_some() {}
    }

    async fn lease(&self, free: usize) -> Result<Vec<Due>, Error> {
        if free == 0 {
            return Ok(Vec::new());
        }
        let now = self.clock.now_ms();
        let until = now + millis(LEASE);
        let limit = i64::try_from(free).unwrap_or(1);
        self.store.lease_deliveries(&self.instance, (now, until), limit).await
    }

    async fn deliver(&self, due: Due) {
        let outcome = match self.send(&due).await {
            Ok(outcome) => outcome,
            Err(error) => {
                // A secret that this process cannot open says nothing of the receiver: left to the end of its lease.
                tracing::error!(%error, endpoint = due.endpoint.id, "a webhook could not be signed");
                return;
            }
        };
        metrics::counter!("webhook_deliveries_total", "outcome" => outcome.name()).increment(1);
        if let Err(error) = self.store.settle_delivery(&due, &outcome, self.clock.now_ms()).await {
            tracing::warn!(%error, "what became of a webhook could not be kept; it is sent again");
        }
    }

    async fn send(&self, due: &Due) -> Result<Outcome, Error> {
        let now = self.clock.now_ms();
        let timestamp = now / 1000;
        let secrets = due.endpoint.secrets(&self.webhooks, now)?;
        let Ok(request) = due
            .endpoint
            .url
            .parse::<url::Url>()
            .map_err(drop)
            .and_then(|url| self.webhooks.http.request(Method::POST, url).map_err(drop))
        else {
            return Ok(Outcome::failed("the address may not be asked"));
        };
        let sent = request
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &due.id)
            .header("webhook-timestamp", timestamp)
            .header(
                "webhook-signature",
                sign::signatures(&secrets, &due.id, timestamp, &due.body),
            )
            .body(due.body.clone())
            .send()
            .await;
        let response = match sent {
            Ok(response) => response,
            Err(error) if error.is_timeout() => return Ok(Outcome::failed("no answer in time")),
            Err(error) if error.is_connect() => {
                return Ok(Outcome::failed("no connection to a public address of that name"));
            }
            Err(_) => return Ok(Outcome::failed("the connection broke")),
        };
        let status = response.status();
        let asked = response.headers().get(RETRY_AFTER).and_then(seconds);
        // Read so that the connection can be used again; an endless answer is cut.
        let _ = kit::http::body(response, ANSWER_BYTES).await;
        Ok(judge(status, asked))
    }
}

fn seconds(value: &HeaderValue) -> Option<Duration> {
    let seconds = value.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_ASKED))
}

fn judge(status: StatusCode, asked: Option<Duration>) -> Outcome {
    let words = match status {
        status if status.is_success() => return Outcome::taken(status.as_u16()),
        StatusCode::GONE => return Outcome::gone(),
        status if status.is_redirection() => "the answer leads elsewhere, which is not followed",
        _ => "the answer is not 2xx",
    };
    let later = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
    let asked = asked.filter(|_| later.contains(&status));
    Outcome::answered(status.as_u16(), words, asked)
}
