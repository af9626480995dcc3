//! Outgoing webhooks: a workspace's events, sent to addresses that its admins name, in the form of Standard Webhooks.
//!
//! A delivery is written in the transaction that makes its event true and sent at least once; receivers tell repetitions by
//! `webhook-id`. [`courier`] sends, [`sign`] signs; rules are here.

pub(crate) mod courier;
pub(crate) mod sign;

use std::time::Duration;

use kit::clock::millis;
use kit::http::{Outside, Reach, Timeouts};
use kit::seal::{self, Aad, KeyRing};
use kit::{Common, Failure, Secret, id};
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::model::account::AccountRow;
use crate::model::incident::Announcement;

/// Endpoints of one workspace.
pub(crate) const MOST_ENDPOINTS: i64 = 20;
const LONGEST_URL: usize = 2048;
const LONGEST_DESCRIPTION: usize = 200;
/// How long a former secret signs beside its successor.
pub(crate) const OVERLAP_MS: i64 = 24 * 3600 * 1000;
/// An endpoint that took nothing for this long is given up.
pub(crate) const PATIENCE_MS: i64 = 5 * 24 * 3600 * 1000;
/// How long ended deliveries are kept.
pub(crate) const KEPT_MS: i64 = 30 * 24 * 3600 * 1000;
/// Type of a test message.
pub(crate) const PING: &str = "ping";

/// Time between tries: eleven in a day, then the delivery is dead.
const WAITS: [Duration; 10] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(600),
    Duration::from_secs(1800),
    Duration::from_secs(3600),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(4 * 3600),
    Duration::from_secs(8 * 3600),
    Duration::from_secs(8 * 3600 + 1200),
];

/// A receiver answers within this.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    total: Duration::from_secs(10),
};

/// Types of events that are sent. Sessions of sign-ins and the list of notifications are the page's own affair.
pub(crate) const EVENT_TYPES: &[&str] = &[
    "account.connected",
    "account.disconnected",
    "account.expired",
    "account.expiring_soon",
    "account.health_changed",
    "account.reconnect_required",
    "account.refresh_attempt_failed",
    "account.token_refreshed",
    "account.updated",
    "entitlements.changed",
    "webhook_endpoint.given_up",
];

/// What endpoints are made and asked with.
#[derive(Clone)]
pub(crate) struct Webhooks {
    keys: KeyRing,
    http: Outside,
}

impl Webhooks {
    /// In `dev` mode receivers on this machine are reached too.
    pub(crate) fn build(common: &Common) -> anyhow::Result<Self> {
        let reach = if common.dev() {
            Reach::PublicOrLoopback
        } else {
            Reach::Public
        };
        Ok(Self {
            keys: common.key_ring()?,
            http: kit::http::outside(TIMEOUTS, reach)?,
        })
    }

    /// A new secret, sealed for its endpoint.
    pub(crate) fn seal(&self, place: Place<'_>, secret: &Secret) -> Result<Vec<u8>, Error> {
        let sealed = self.keys.seal(&place.aad(), secret.expose().as_bytes());
        sealed.map_err(|_| Error::Corrupt("webhook secret"))
    }

    /// The secret of an endpoint.
    pub(crate) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Secret, Error> {
        let plain = self
            .keys
            .open(&place.aad(), sealed)
            .map_err(|_| Error::Corrupt("webhook secret"))?;
        let text = std::str::from_utf8(&plain).map_err(|_| Error::Corrupt("webhook secret"))?;
        Ok(Secret::new(text))
    }

    /// Sealed anew when it is not under the first key of the ring; `None` when it is.
    pub(crate) fn resealed(&self, place: Place<'_>, sealed: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
        if sealed.is_empty() || seal::key_id(sealed)? == self.keys.primary_id() {
            return Ok(None);
        }
        let plain = self.keys.open(&place.aad(), sealed)?;
        Ok(Some(self.keys.seal(&place.aad(), &plain)?))
    }

    /// Checks what a person typed.
    pub(crate) fn check(&self, url: &str, description: &str, event_types: &[String]) -> Result<(), Failure> {
        let parsed = url::Url::parse(url).ok().filter(|_| url.len() <= LONGEST_URL);
        let parsed = parsed.ok_or_else(|| Failure::invalid("/url", "is not an address"))?;
        self.http
            .check(&parsed)
            .map_err(|refused| Failure::invalid("/url", refused.to_string()))?;
        if description.chars().count() > LONGEST_DESCRIPTION || description.chars().any(char::is_control) {
            return Err(Failure::invalid(
                "/description",
                format!("is one line of at most {LONGEST_DESCRIPTION} characters"),
            ));
        }
        match event_types.iter().find(|name| !EVENT_TYPES.contains(&name.as_str())) {
            Some(_) => Err(Failure::invalid(
                "/event_types",
                format!("are of: {}", EVENT_TYPES.join(", ")),
            )),
            None => Ok(()),
        }
    }
}

/// Where a secret belongs.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) workspace_id: &'a str,
    pub(crate) endpoint_id: &'a str,
    pub(crate) generation: i64,
}

impl<'a> Place<'a> {
    fn aad(self) -> Aad<'a> {
        Aad {
            workspace: self.workspace_id,
            record: self.endpoint_id,
            field: "webhook_secret",
            generation: self.generation,
        }
    }
}

/// When a delivery that failed for the `attempts`-th time is tried again; `None` = never. A receiver may ask for longer.
pub(crate) fn next_try(attempts: i64, asked: Option<Duration>) -> Option<i64> {
    let wait = WAITS.get(usize::try_from(attempts).ok()?.checked_sub(1)?)?;
    let mut random = [0_u8; 1];
    id::fill(&mut random);
    // 0.8 to 1.2 of it: receivers that fell over together are not asked together.
    let jittered = wait.mul_f64(0.8 + 0.4 * f64::from(random[0]) / 255.0);
    Some(millis(jittered.max(asked.unwrap_or_default())))
}

/// The body of a message.
pub(crate) fn body(
    workspace_id: &str,
    occurred_at_ms: i64,
    event_id: i64,
    told: &Announcement,
    account: Option<&AccountRow>,
    actor: &str,
) -> String {
    let mut data = match &told.data {
        Value::Object(facts) => facts.clone(),
        _ => Map::new(),
    };
    if let Some(account) = account {
        data.insert("account_id".into(), account.id.clone().into());
        data.insert("account_name".into(), account.display_name.clone().into());
        data.insert("platform".into(), account.platform.clone().into());
    }
    if !actor.is_empty() {
        data.insert("actor_name".into(), actor.into());
    }
    message(told.event, workspace_id, occurred_at_ms, Some(event_id), data)
}

/// A message: type, time and data, as Standard Webhooks has it.
pub(crate) fn message(
    kind: &str,
    workspace_id: &str,
    at_ms: i64,
    event_id: Option<i64>,
    data: Map<String, Value>,
) -> String {
    let at = jiff::Timestamp::from_millisecond(at_ms).unwrap_or_default();
    let message = json!({
        "type": kind,
        "timestamp": at.to_string(),
        "workspace_id": workspace_id,
        "event_id": event_id,
        "data": data,
    });
    message.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_tried_for_a_day_and_then_dead() {
        let mut total = 0;
        for attempts in 1..=10 {
            total += next_try(attempts, None).unwrap();
        }
        let hours = total / 3_600_000;
        assert!((19..29).contains(&hours), "{hours}");
        assert!(next_try(11, None).is_none());
        assert!(next_try(1, Some(Duration::from_secs(900))).unwrap() >= 900_000);
    }

    #[test]
    fn tries_are_spread() {
        let waits: std::collections::BTreeSet<_> = (0..64).filter_map(|_| next_try(6, None)).collect();
        assert!(waits.len() > 8);
    }
}
