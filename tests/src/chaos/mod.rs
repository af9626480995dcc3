//! Chaos: many grants refreshed all the time while processes die, stand still and lose Redis, PostgreSQL and platforms, and
//! then an account of every token: the imitated platforms' log is the truth that the hub's history and answers are held
//! against. Run by `tests/chaos` and, shortly, by the tests.
//!
//! Everything random comes from the seed; how long things take does not, so two runs are alike and never the same.

mod actor;
mod callers;
mod grants;
mod history;
mod score;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use tokio::time::Instant;

pub use score::Score;

use crate::{Cluster, Form, Layout};
use callers::Callers;

/// What a run is made of.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How long things are broken.
    pub seconds: u64,
    /// Of everything random.
    pub seed: u64,
    /// Connections, over all platforms.
    pub grants: usize,
}

/// Access tokens of rotating platforms live for half a minute, attempts a moment, and orphans are taken over soon; all in the
/// order of size that the defaults have: deadline < patience < takeover.
const SETTINGS: [(&str, &str); 8] = [
    ("tokens.refresh_deadline", "2s"),
    ("tokens.takeover_after.repeatable", "10s"),
    ("tokens.takeover_after.single_use", "20s"),
    ("tokens.attempt_spacing", "10s"),
    ("tokens.check_interval", "15s"),
    ("tokens.sweep.interval", "1s"),
    ("gateway.changes_per_minute_person", "0"),
    ("gateway.changes_per_minute_workspace", "0"),
];
/// Longest that the hub may take to be well again once everything else is.
const SETTLE: Duration = Duration::from_secs(150);

fn layout() -> Layout {
    let members = vec![
        ("sandbox", 0),
        ("entitlements", 0),
        ("platforms", 0),
        ("platforms", 1),
        ("tokens", 0),
        ("tokens", 1),
        ("tokens", 2),
        ("accounts", 0),
        ("accounts", 1),
        ("gateway", 0),
    ];
    Layout { members, proxied: true }
}

/// Now, as all processes of this machine see it. Unix milliseconds.
fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Runs one plan and gives its account. What was done and what every process printed goes to the folder `logs`, if there is one.
pub async fn run(plan: Plan, logs: Option<&Path>) -> anyhow::Result<Score> {
    let cluster = Cluster::start_as(Form::Processes, layout(), &SETTINGS).await?;
    let outcome = Box::pin(play(&cluster, plan, logs)).await;
    if outcome.is_err() {
        cluster.report();
    }
    outcome
}

async fn play(cluster: &Cluster, plan: Plan, logs: Option<&Path>) -> anyhow::Result<Score> {
    let grants = grants::connect(cluster, plan.grants).await?;
    let callers = Callers::start(cluster, &grants, plan.seed)?;
    let began = Instant::now();
    let deeds = actor::rage(cluster, plan).await?;
    let settled = callers.settle(SETTLE).await;
    let asked = callers.stop().await?;
    let hub = cluster.hub().context("no processes")?;
    if let Some(logs) = logs {
        hub.copy_logs(logs)?;
        std::fs::write(logs.join("deeds.log"), listed(&deeds))?;
    }
    let history = history::History::read(cluster, hub, &grants).await?;
    let mut score = score::judge(&history, &grants, &deeds, &asked);
    score.settle_seconds =
        i64::try_from(began.elapsed().as_secs()).unwrap_or(0) - i64::try_from(plan.seconds).unwrap_or(0);
    score.unsettled = settled;
    score.plan = Some(plan);
    Ok(score)
}

fn listed(deeds: &[actor::Deed]) -> String {
    deeds.iter().fold(String::new(), |mut lines, deed| {
        let (kind, whom, at_ms) = (deed.kind, &deed.whom, deed.at_ms);
        let _ = writeln!(lines, "{at_ms} {kind:?} {whom} for {} ms", deed.until_ms - at_ms);
        lines
    })
}
