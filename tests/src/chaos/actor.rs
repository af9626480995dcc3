//! The one who breaks things: seeded, one deed after the other, each put right again by itself.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Plan, now_ms};
use crate::{Cluster, Hub, eventually_within};

/// Longest that a start may take, with everything else broken.
const UP: Duration = Duration::from_secs(60);
/// Who may be killed and stopped.
const VICTIMS: [(&str, usize); 7] = [
    ("tokens", 0),
    ("tokens", 1),
    ("tokens", 2),
    ("platforms", 0),
    ("platforms", 1),
    ("accounts", 0),
    ("accounts", 1),
];

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    Kill,
    Restart,
    Pause,
    Flush,
    RedisDown,
    RedisSlow,
    Hold,
    Cut,
    Switch,
}

/// One deed.
#[derive(Clone, Debug)]
pub(super) struct Deed {
    pub(super) kind: Kind,
    /// Whom it met: a role, a platform, or nobody in particular.
    pub(super) whom: String,
    pub(super) at_ms: i64,
    /// When it was over, where it lasted.
    pub(super) until_ms: i64,
}

struct Stage<'a> {
    cluster: &'a Cluster,
    /// Members that are down or stand still.
    busy: Mutex<HashSet<String>>,
    deeds: Mutex<Vec<Deed>>,
    /// Platforms may leave calls without an answer; a call is given up after 90 s only, so short runs do without.
    silence: bool,
}

/// Breaks things for the planned time, then puts everything right; what was done.
pub(super) async fn rage(cluster: &Cluster, plan: Plan) -> anyhow::Result<Vec<Deed>> {
    let stage = Stage {
        cluster,
        busy: Mutex::default(),
        deeds: Mutex::default(),
        silence: plan.seconds >= 30,
    };
    let mut random = StdRng::seed_from_u64(plan.seed);
    let end = Instant::now() + Duration::from_secs(plan.seconds);
    let mut next = Instant::now();
    let mut going_on = FuturesUnordered::new();
    while Instant::now() < end {
        tokio::select! {
            () = sleep_until(next) => {
                next += Duration::from_millis(random.random_range(200..900));
                going_on.push(stage.act(StdRng::seed_from_u64(random.random())));
            }
            Some(ended) = going_on.next() => ended?,
        }
    }
    while let Some(ended) = going_on.next().await {
        ended?;
    }
    heal(cluster).await?;
    drop(going_on);
    let mut deeds = stage.deeds.into_inner().unwrap_or_else(PoisonError::into_inner);
    // They were noted when they were over.
    deeds.sort_by_key(|deed| deed.at_ms);
    Ok(deeds)
}

/// Nothing hangs, lies or limits any more; short lives stay.
async fn heal(cluster: &Cluster) -> anyhow::Result<()> {
    let hub = cluster.hub().context("no processes")?;
    for (role, replica) in VICTIMS {
        revive(hub, role, replica).await?;
    }
    cluster.sandbox.calm("lifetimes").await
}

/// Waits until a member listens, and starts it again as a supervisor does: one that cannot reach its database at the start ends.
async fn revive(hub: &Hub, role: &str, replica: usize) -> anyhow::Result<()> {
    let name = format!("{role}-{replica}");
    eventually_within(UP, &format!("{name} is up"), async || {
        if !hub.runs(&name) {
            hub.kill(&name)?;
            hub.start_member(role, replica)?;
        }
        Ok(TcpStream::connect(hub.address(role, replica)).await.ok().map(drop))
    })
    .await
}

impl Stage<'_> {
    fn hub(&self) -> anyhow::Result<&Hub> {
        self.cluster.hub().context("no processes")
    }

    fn note(&self, kind: Kind, whom: &str, at_ms: i64) {
        let deed = Deed {
            kind,
            whom: whom.to_owned(),
            at_ms,
            until_ms: now_ms(),
        };
        self.deeds.lock().unwrap_or_else(PoisonError::into_inner).push(deed);
    }

    fn take(&self, name: &str) -> bool {
        self.busy
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned())
    }

    fn give_back(&self, name: &str) {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    async fn act(&self, mut random: StdRng) -> anyhow::Result<()> {
        match random.random_range(0..100) {
            0..23 => self.kill(&mut random).await,
            23..27 => self.restart(&mut random).await,
            27..40 => self.pause(&mut random).await,
            40..48 => self.flush().await,
            48..51 => self.redis_down(&mut random).await,
            51..54 => self.redis_slow(&mut random).await,
            54..61 => self.hold(&mut random).await,
            61..65 => {
                self.hub()?.proxies()?.database.cut();
                self.note(Kind::Cut, "postgres", now_ms());
                Ok(())
            }
            65..67 => {
                self.hub()?.proxies()?.redis.cut();
                self.note(Kind::Cut, "redis", now_ms());
                Ok(())
            }
            _ => self.switch(&mut random).await,
        }
    }

    async fn kill(&self, random: &mut StdRng) -> anyhow::Result<()> {
        let (role, replica) = *VICTIMS.choose(random).context("nobody")?;
        let (name, rest) = (format!("{role}-{replica}"), random.random_range(100..2000));
        if !self.take(&name) {
            return Ok(());
        }
        let at_ms = now_ms();
        self.hub()?.kill(&name)?;
        self.note(Kind::Kill, role, at_ms);
        sleep(Duration::from_millis(rest)).await;
        self.hub()?.start_member(role, replica)?;
        revive(self.hub()?, role, replica).await?;
        self.give_back(&name);
        Ok(())
    }

    /// As a deployment does: asked to end, and started again once it has.
    async fn restart(&self, random: &mut StdRng) -> anyhow::Result<()> {
        let (role, replica) = *VICTIMS.choose(random).context("nobody")?;
        let name = format!("{role}-{replica}");
        if !self.take(&name) {
            return Ok(());
        }
        let at_ms = now_ms();
        self.hub()?.signal(&name, "TERM")?;
        // It finishes what is in flight, for a minute at most.
        eventually_within(Duration::from_secs(90), &format!("{name} ends"), async || {
            Ok((!self.hub()?.runs(&name)).then_some(()))
        })
        .await?;
        self.note(Kind::Restart, role, at_ms);
        revive(self.hub()?, role, replica).await?;
        self.give_back(&name);
        Ok(())
    }

    async fn pause(&self, random: &mut StdRng) -> anyhow::Result<()> {
        let (role, replica) = *VICTIMS.choose(random).context("nobody")?;
        let (name, length) = (format!("{role}-{replica}"), random.random_range(300..4000));
        if !self.take(&name) {
            return Ok(());
        }
        let at_ms = now_ms();
        self.hub()?.signal(&name, "STOP")?;
        sleep(Duration::from_millis(length)).await;
        self.hub()?.signal(&name, "CONT")?;
        self.note(Kind::Pause, role, at_ms);
        self.give_back(&name);
        Ok(())
    }

    async fn flush(&self) -> anyhow::Result<()> {
        let at_ms = now_ms();
        let client = redis::Client::open(self.hub()?.redis())?;
        let flushed = async {
            let mut redis = client.get_multiplexed_async_connection().await?;
            redis::cmd("FLUSHALL").exec_async(&mut redis).await
        };
        // It may be down just now, and then it is empty anyhow.
        if flushed.await.is_ok() {
            self.note(Kind::Flush, "redis", at_ms);
        }
        Ok(())
    }

    async fn redis_down(&self, random: &mut StdRng) -> anyhow::Result<()> {
        let length = random.random_range(300..2500);
        if !self.take("redis") {
            return Ok(());
        }
        let at_ms = now_ms();
        self.hub()?.kill("redis")?;
        sleep(Duration::from_millis(length)).await;
        self.hub()?.start_redis()?;
        self.note(Kind::RedisDown, "redis", at_ms);
        self.give_back("redis");
        Ok(())
    }

    async fn redis_slow(&self, random: &mut StdRng) -> anyhow::Result<()> {
        let (late, length) = (random.random_range(100..2500), random.random_range(500..3000));
        if !self.take("redis") {
            return Ok(());
        }
        let at_ms = now_ms();
        let proxy = &self.hub()?.proxies()?.redis;
        proxy.slow(Duration::from_millis(late));
        sleep(Duration::from_millis(length)).await;
        proxy.release();
        self.note(Kind::RedisSlow, "redis", at_ms);
        self.give_back("redis");
        Ok(())
    }

    async fn hold(&self, random: &mut StdRng) -> anyhow::Result<()> {
        let length = random.random_range(300..3500);
        if !self.take("postgres") {
            return Ok(());
        }
        let at_ms = now_ms();
        let proxy = &self.hub()?.proxies()?.database;
        proxy.hold();
        sleep(Duration::from_millis(length)).await;
        proxy.release();
        self.note(Kind::Hold, "postgres", at_ms);
        self.give_back("postgres");
        Ok(())
    }

    async fn switch(&self, random: &mut StdRng) -> anyhow::Result<()> {
        let platforms = ["x", "tiktok", "x", "tiktok", "facebook", "linkedin"];
        let platform = *platforms.choose(random).context("no platform")?;
        let (effect, times) = effect(random, platform, self.silence);
        let at_ms = now_ms();
        let order = json!({"platform": platform, "operation": "refresh", "next": times, "effect": effect});
        self.cluster.sandbox.switch(&order).await?;
        self.note(Kind::Switch, platform, at_ms);
        Ok(())
    }
}

/// A misbehaviour, and for how many calls. Those that hide a rotation cost the grant, so they meet one call at a time.
fn effect(random: &mut StdRng, platform: &str, silence: bool) -> (Value, u32) {
    let times = random.random_range(1..4);
    let wait = random.random_range(200..3000);
    match random.random_range(0..20) {
        0..3 if silence => (json!({"kind": "hang"}), 1),
        0..3 => (json!({"kind": "drop"}), 1),
        3..6 => (json!({"kind": "drop"}), times),
        6..9 => (json!({"kind": "server_error", "status": 503}), times),
        9..11 if platform != "facebook" => (json!({"kind": "rate_limit", "retry_after": {"seconds": 2}}), 1),
        9..13 => (json!({"kind": "delay", "ms": wait, "when": "before"}), times),
        13..16 => (json!({"kind": "delay", "ms": wait, "when": "after"}), times),
        16 => (json!({"kind": "drop", "when": "after"}), 1),
        17 => (json!({"kind": "drop", "when": "half_body"}), 1),
        18 => (json!({"kind": "server_error", "status": 500, "when": "after"}), 1),
        _ if silence => (json!({"kind": "hang", "when": "after"}), 1),
        _ => (json!({"kind": "drop", "when": "after"}), 1),
    }
}
