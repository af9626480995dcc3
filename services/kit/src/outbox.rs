//! The transactional outbox: what must happen elsewhere is written in the transaction that makes it true, and delivered at
//! least once, in order per key, by whichever replica comes first.
//!
//! A service's migrations carry this table:
//! ```sql
//! CREATE TABLE outbox (
//!     topic           TEXT   NOT NULL,
//!     key             TEXT   NOT NULL,
//!     seq             BIGINT NOT NULL,
//!     payload         BYTEA  NOT NULL,
//!     due_at_ms       BIGINT NOT NULL,
//!     leased_until_ms BIGINT NOT NULL DEFAULT 0,
//!     failures        BIGINT NOT NULL DEFAULT 0,
//!     PRIMARY KEY (topic, key, seq)
//! );
//! CREATE INDEX outbox_due ON outbox (topic, due_at_ms);
//! ```

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use sqlx::Row;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::Clock;
use crate::clock::millis;
use crate::db::{Db, Error, Tx};
use crate::fault::{self, Point};

/// A delivery that takes longer than this is tried by another replica as well.
const LEASE: Duration = Duration::from_secs(30);
/// How often the table is looked at without a wake-up.
const POLL: Duration = Duration::from_millis(500);
const BATCH: i64 = 64;
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Something to deliver.
pub struct Item {
    /// Who handles it.
    pub topic: &'static str,
    /// Items of one key are delivered one after another, by `seq`.
    pub key: String,
    /// Position within the key; with topic and key it is the item's identity.
    pub seq: i64,
    /// A protobuf message.
    pub payload: Vec<u8>,
    /// Not before this. Unix milliseconds.
    pub due_at_ms: i64,
}

/// What a handler is given.
pub struct Delivery {
    /// As put.
    pub key: String,
    /// As put.
    pub seq: i64,
    /// As put.
    pub payload: Vec<u8>,
    /// How often it was tried before.
    pub failures: i64,
}

/// The delivery did not succeed: try again, with back-off or after the given time.
#[derive(Debug, Default)]
pub struct Retry {
    /// When the other side said so.
    pub after: Option<Duration>,
}

/// Writes an item in a transaction; the same item twice is one.
pub async fn put(tx: &mut Tx, item: &Item) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO outbox (topic, key, seq, payload, due_at_ms) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (topic, key, seq) DO NOTHING",
    )
    .bind(item.topic)
    .bind(&item.key)
    .bind(item.seq)
    .bind(&item.payload)
    .bind(item.due_at_ms)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Delivers one topic of one service's outbox.
#[derive(Clone)]
pub struct Relay {
    db: Db,
    clock: Clock,
    topic: &'static str,
    wake: Arc<Notify>,
}

impl Relay {
    /// A relay for one topic.
    pub fn new(db: Db, clock: Clock, topic: &'static str) -> Self {
        Self {
            db,
            clock,
            topic,
            wake: Arc::default(),
        }
    }

    /// Looks at the table now: call it after the commit that put something there.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Delivers until `shutdown`; what is being delivered then is finished first.
    pub async fn run<H, F>(self, shutdown: CancellationToken, handle: H)
    where
        H: Fn(Delivery) -> F,
        F: Future<Output = Result<(), Retry>>,
    {
        while !shutdown.is_cancelled() {
            match self.deliver(&handle).await {
                Ok(0) => {}
                Ok(_) => continue,
                Err(error) => tracing::warn!(topic = self.topic, %error, "outbox cannot be read"),
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.wake.notified() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// One round: leases what is due, the first of each key, and delivers those side by side. How many there were.
    pub async fn deliver<H, F>(&self, handle: &H) -> Result<usize, Error>
    where
        H: Fn(Delivery) -> F,
        F: Future<Output = Result<(), Retry>>,
    {
        let leased = self.lease().await?;
        let count = leased.len();
        join_all(leased.into_iter().map(|delivery| self.one(delivery, handle))).await;
        Ok(count)
    }

    /// Two statements, each a walk along an index: in one, a planner that knows little of a table that is empty most of the time
    /// compares every item with every other.
    async fn lease(&self) -> Result<Vec<Delivery>, Error> {
        let now = self.clock.now_ms();
        // An earlier one of the key may be leased or wait for its turn: then this one waits too.
        let sql = "SELECT o.key, o.seq FROM outbox o
             WHERE o.topic = $1 AND o.due_at_ms <= $2 AND o.leased_until_ms <= $2
               AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.topic = o.topic AND e.key = o.key AND e.seq < o.seq)
             ORDER BY o.due_at_ms LIMIT $3";
        let due = sqlx::query_as(sql).bind(self.topic).bind(now).bind(BATCH);
        let due: Vec<(String, i64)> = due.fetch_all(self.db.pool()).await?;
        let Some(last) = due.last() else {
            return Ok(Vec::new());
        };
        // Few sizes, so that statements stay prepared; the last one fills up.
        let size = due.len().next_power_of_two();
        let places: Vec<String> = (0..size).map(|n| format!("(${}, ${})", 2 * n + 4, 2 * n + 5)).collect();
        let sql = format!(
            "UPDATE outbox SET leased_until_ms = $1
             WHERE topic = $2 AND leased_until_ms <= $3 AND (key, seq) IN (VALUES {})
               AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.topic = $2 AND e.key = outbox.key AND e.seq < outbox.seq)
             RETURNING key, seq, payload, failures",
            places.join(", ")
        );
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(now + millis(LEASE))
            .bind(self.topic)
            .bind(now);
        for (key, seq) in due.iter().chain(std::iter::repeat(last)).take(size) {
            query = query.bind(key).bind(*seq);
        }
        let rows = query.fetch_all(self.db.pool()).await?;
        rows.into_iter()
            .map(|row| {
                Ok(Delivery {
                    key: row.try_get(0)?,
                    seq: row.try_get(1)?,
                    payload: row.try_get(2)?,
                    failures: row.try_get(3)?,
                })
            })
            .collect()
    }

    async fn one<H, F>(&self, delivery: Delivery, handle: &H)
    where
        H: Fn(Delivery) -> F,
        F: Future<Output = Result<(), Retry>>,
    {
        let (key, seq, failures) = (delivery.key.clone(), delivery.seq, delivery.failures);
        fault::hit(Point::BeforeDelivery).await;
        let settled = match handle(delivery).await {
            Ok(()) => {
                fault::hit(Point::AfterDelivery).await;
                self.done(&key, seq).await
            }
            Err(retry) => {
                let wait = retry.after.unwrap_or_else(|| backoff(failures));
                self.again(&key, seq, wait).await
            }
        };
        if let Err(error) = settled {
            // The lease ends by itself and the item is delivered once more: handlers are idempotent.
            tracing::warn!(topic = self.topic, %error, "outbox item could not be settled");
        }
    }

    async fn done(&self, key: &str, seq: i64) -> Result<(), Error> {
        sqlx::query("DELETE FROM outbox WHERE topic = $1 AND key = $2 AND seq = $3")
            .bind(self.topic)
            .bind(key)
            .bind(seq)
            .execute(self.db.pool())
            .await?;
        Ok(())
    }

    async fn again(&self, key: &str, seq: i64, wait: Duration) -> Result<(), Error> {
        sqlx::query(
            "UPDATE outbox SET failures = failures + 1, leased_until_ms = 0, due_at_ms = $4
             WHERE topic = $1 AND key = $2 AND seq = $3",
        )
        .bind(self.topic)
        .bind(key)
        .bind(seq)
        .bind(self.clock.now_ms() + millis(wait))
        .execute(self.db.pool())
        .await?;
        Ok(())
    }
}

/// 0.25 s, doubled each time, at most five minutes.
fn backoff(failures: i64) -> Duration {
    let doublings = u32::try_from(failures.clamp(0, 16)).unwrap_or(0);
    (Duration::from_millis(250) * 2_u32.pow(doublings)).min(LONGEST_WAIT)
}
