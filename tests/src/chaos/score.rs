//! Holds the witnesses against each other, and prints what came of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use super::Plan;
use super::actor::{Deed, Kind};
use super::callers::Asked;
use super::grants::Grant;
use super::history::{Call, History, Story};

/// How long after the platform's answer platforms may be without a kept copy: milliseconds on a machine that has time.
const WINDOW_MS: i64 = 1000;

/// How long platforms may take from being asked to sending, with a Redis that is slow.
const SENT_LATER_MS: i64 = 3000;
/// How often platforms puts back into Redis what was lost there.
const PUT_BACK_MS: i64 = 5000;

/// The account of a run.
#[derive(Clone, Debug, Default)]
pub struct Score {
    pub(super) plan: Option<Plan>,
    pub(super) settle_seconds: i64,
    /// Accounts that were neither renewed nor given up in time.
    pub unsettled: Vec<String>,
    deeds: BTreeMap<String, usize>,
    states: BTreeMap<String, usize>,
    served: u64,
    refused: u64,
    calls: usize,
    /// Attempts that stored a new token.
    pub refreshes: usize,
    /// Lost tokens that something done to the hub or by the platform explains.
    pub lost: Vec<String>,
    /// Lost tokens that nothing explains.
    pub lost_unexplained: Vec<String>,
    /// Losses that nobody was told of.
    pub untold: Vec<String>,
    doubles_taken_over: usize,
    doubles_repeatable: usize,
    /// Two calls with one single-use token at a time, and nobody took anything over.
    pub doubles: Vec<String>,
    reuses_taken_over: usize,
    reuses_hidden: usize,
    /// Dead tokens sent for no reason.
    pub reuses: Vec<String>,
    /// Accounts that were called broken and were not.
    pub false_ambers: Vec<String>,
    missed: Vec<String>,
    /// Accounts whose answer or health is not what the hub has stored.
    pub stale: Vec<String>,
    /// Generations renewed twice.
    pub twice: usize,
    windows: Vec<i64>,
}

impl Score {
    /// What must not be. Empty when all is well.
    pub fn faults(&self) -> Vec<String> {
        let lists = [
            ("lost without a reason", &self.lost_unexplained),
            ("lost and not told", &self.untold),
            ("sent twice at a time without a takeover", &self.doubles),
            ("sent dead for no reason", &self.reuses),
            ("falsely amber", &self.false_ambers),
            ("not what is stored", &self.stale),
            ("did not settle", &self.unsettled),
            ("passed its end", &self.missed),
        ];
        let named = lists
            .into_iter()
            .flat_map(|(what, list)| list.iter().map(move |one| format!("{what}: {one}")));
        let twice = (self.twice > 0).then(|| format!("{} generations were renewed twice", self.twice));
        named.chain(twice).collect()
    }

    fn percentile(&self, percent: usize) -> i64 {
        let last = self.windows.len().saturating_sub(1);
        self.windows.get(last * percent / 100).copied().unwrap_or(0)
    }
}

/// Judges a run.
pub(super) fn judge(history: &History, grants: &[Grant], deeds: &[Deed], asked: &Asked) -> Score {
    let mut score = Score {
        states: history.states.clone(),
        served: asked.served,
        refused: asked.refused,
        calls: history.calls.len(),
        refreshes: history.states.get("applied").copied().unwrap_or(0),
        twice: history.twice,
        ..Score::default()
    };
    for deed in deeds {
        *score.deeds.entry(format!("{:?} {}", deed.kind, deed.whom)).or_default() += 1;
    }
    let mut places: HashMap<&str, (&Grant, &Story, usize)> = HashMap::new();
    for grant in grants {
        let Some(story) = history.stories.get(&grant.account) else {
            continue;
        };
        for (place, link) in story.chain.iter().enumerate() {
            places.insert(&link.refresh, (grant, story, place));
        }
    }
    let first = first_calls(&history.calls);
    for grant in grants {
        let Some(story) = history.stories.get(&grant.account) else {
            continue;
        };
        let heard = asked
            .last
            .get(&grant.account)
            .map_or("", |heard| heard.fingerprint.as_str());
        if grant.rotates() {
            rotating(&mut score, grant, story, heard, (&history.calls, &first), deeds);
        } else {
            others(&mut score, grant, story, history.alive.contains(heard));
        }
    }
    sent(&mut score, &history.calls, &places, &first);
    score.windows.sort_unstable();
    score
}

/// The call that used each token, by the token's id.
fn first_calls(calls: &[Call]) -> HashMap<&str, &Call> {
    let mut first = HashMap::new();
    for call in calls.iter().filter(|call| !call.dead_token && call.done_ms > 0) {
        let spent = first.entry(call.token.as_str()).or_insert(call);
        // One that was refused before anything was done did not use it.
        if hides(spent) && !hides(call) {
            *spent = call;
        }
    }
    first
}

/// The platform did not give its answer whole.
fn hides(call: &Call) -> bool {
    call.status != 200 || call.outcome.starts_with("half")
}

fn name(grant: &Grant) -> String {
    format!("{} {} {}", grant.platform, grant.workspace, grant.account)
}

fn rotating(
    score: &mut Score,
    grant: &Grant,
    story: &Story,
    heard: &str,
    (calls, first): (&[Call], &HashMap<&str, &Call>),
    deeds: &[Deed],
) {
    for attempt in story
        .attempts
        .iter()
        .filter(|one| one.state == "applied" && one.received_ms > 0)
    {
        let place = story.place(attempt.parent) + usize::from(attempt.salvaged);
        if let Some(call) = story.chain.get(place).and_then(|link| first.get(link.refresh.as_str())) {
            score.windows.push(attempt.received_ms - call.done_ms);
        }
    }
    let (held, dead) = (story.held(), story.state == "dead");
    let (who, last) = (name(grant), story.chain.len().saturating_sub(1));
    if dead == (story.health == "healthy") {
        score
            .stale
            .push(format!("{who}: grant {}, health {}", story.state, story.health));
    }
    if held == last {
        if dead || !story.alarms.is_empty() {
            score
                .false_ambers
                .push(format!("{who}: {} {:?}", story.health, story.alarms));
        } else if story.chain.get(held).is_some_and(|link| link.access != heard) {
            score.stale.push(format!("{who}: an older token is handed out"));
        }
        return;
    }
    if !dead || story.alarms.is_empty() {
        score
            .untold
            .push(format!("{who}: grant {}, events {:?}", story.state, story.alarms));
    }
    let call = story.chain.get(held).and_then(|link| first.get(link.refresh.as_str()));
    let asked_again = |call: &Call| {
        let again = calls
            .iter()
            .filter(|other| other.token == call.token && other.dead_token);
        again.map(|other| other.arrived_ms).min().unwrap_or(i64::MAX)
    };
    match call.and_then(|call| reason(call, deeds, asked_again(call))) {
        Some(reason) => score.lost.push(format!("{who}: {reason}")),
        None => score.lost_unexplained.push(format!(
            "{who}: holds {held} of {last}, {call:?}, {:?}",
            story.attempts.last()
        )),
    }
}

/// What explains that the answer to this call never arrived, and was not there any more when its token was sent `again`.
fn reason(call: &Call, deeds: &[Deed], again_ms: i64) -> Option<String> {
    if hides(call) {
        let switches = call.switches.iter().filter(|switch| *switch != "lifetimes");
        let switches: Vec<&str> = switches.map(String::as_str).collect();
        return Some(format!(
            "the platform rotated and hid it ({}: {})",
            switches.join(", "),
            call.outcome
        ));
    }
    let done = call.done_ms;
    // A process that stood still had it in its socket until it went on.
    let stood = |deed: &&Deed| deed.kind == Kind::Pause && deed.whom == "platforms" && deed.at_ms <= done + WINDOW_MS;
    let read_ms = deeds
        .iter()
        .filter(stood)
        .map(|deed| deed.until_ms)
        .fold(done, i64::max);
    let kills = deeds
        .iter()
        .filter(|deed| deed.kind == Kind::Kill && deed.whom == "platforms");
    let near = |deed: &&Deed| deed.at_ms >= call.arrived_ms - 50 && deed.at_ms <= read_ms + WINDOW_MS;
    if let Some(kill) = kills.clone().filter(near).min_by_key(|deed| (deed.at_ms - done).abs()) {
        return Some(format!(
            "platforms was killed {:+} ms after the platform's commit, before any receipt",
            kill.at_ms - done
        ));
    }
    // Whoever waited for it died before it was stored, and both of platforms' copies were gone before it was asked for again.
    let within = |deed: &&Deed| deed.at_ms >= done && deed.at_ms < again_ms;
    let asked_ms = call.arrived_ms - SENT_LATER_MS;
    let stored_ms = stored_by(done, deeds);
    let waiting = deeds.iter().find(|deed| {
        let died = matches!(deed.kind, Kind::Kill | Kind::Restart) && deed.whom == "tokens";
        died && (asked_ms..=stored_ms).contains(&deed.at_ms)
    })?;
    let emptied = |deed: &&Deed| matches!(deed.kind, Kind::Flush | Kind::RedisDown);
    let (redis, memory) = deeds.iter().filter(emptied).filter(within).find_map(|redis| {
        let put_back_ms = redis.until_ms + PUT_BACK_MS + WINDOW_MS;
        let memory = kills.clone().filter(within).find(|kill| kill.at_ms <= put_back_ms)?;
        Some((redis, memory))
    })?;
    Some(format!(
        "tokens was killed {:+} ms, platforms {:+} ms, and Redis emptied {:+} ms after the platform's commit",
        waiting.at_ms - done,
        memory.at_ms - done,
        redis.at_ms - done
    ))
}

/// When tokens had the answer in its database at the latest: what stands still or is away meanwhile holds it up.
fn stored_by(done_ms: i64, deeds: &[Deed]) -> i64 {
    let holds_up = |deed: &&Deed| match deed.kind {
        Kind::Pause => deed.whom == "tokens" || deed.whom == "platforms",
        Kind::Hold | Kind::Cut | Kind::RedisDown | Kind::RedisSlow => true,
        Kind::Kill | Kind::Restart | Kind::Flush | Kind::Switch => false,
    };
    let mut by = done_ms + WINDOW_MS;
    for deed in deeds.iter().filter(holds_up) {
        if deed.at_ms <= by {
            by = by.max(deed.until_ms + WINDOW_MS);
        }
    }
    by
}

/// Platforms whose tokens may be renewed again and again: nothing can be lost there, only time.
fn others(score: &mut Score, grant: &Grant, story: &Story, alive: bool) {
    let who = name(grant);
    let expired = story.alarms.iter().any(|alarm| alarm == "account.expired");
    if expired {
        score.missed.push(who);
    } else if story.state == "dead" || !story.alarms.is_empty() || story.health != "healthy" {
        score
            .false_ambers
            .push(format!("{who}: {} {:?}", story.health, story.alarms));
    } else if !alive {
        score.stale.push(format!("{who}: a dead token is handed out"));
    }
}

/// How tokens were sent: two at a time, and after their end.
fn sent(
    score: &mut Score,
    calls: &[Call],
    places: &HashMap<&str, (&Grant, &Story, usize)>,
    first: &HashMap<&str, &Call>,
) {
    let mut seen = HashSet::new();
    for call in calls {
        let Some((grant, story, place)) = places.get(call.token.as_str()) else {
            score.doubles_repeatable += usize::from(call.in_flight > 1);
            continue;
        };
        let (taken_over, who) = (story.taken_over(*place), name(grant));
        if call.in_flight > 1 && taken_over {
            score.doubles_taken_over += 1;
        } else if call.in_flight > 1 {
            score.doubles.push(format!("{who}: {call:?}"));
        }
        // What follows a first reuse confirms it.
        if !call.dead_token || !seen.insert(call.token.as_str()) {
            continue;
        }
        if taken_over {
            score.reuses_taken_over += 1;
        } else if first.get(call.token.as_str()).is_some_and(|first| hides(first)) {
            score.reuses_hidden += 1;
        } else {
            score.reuses.push(format!("{who}: {call:?}"));
        }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(plan) = self.plan {
            writeln!(
                out,
                "seed {}, {} s, {} grants; well again after {} s",
                plan.seed, plan.seconds, plan.grants, self.settle_seconds
            )?;
        }
        let mut row = |what: &str, value: String| writeln!(out, "{what:<34} {value}");
        row(
            "tokens asked for",
            format!("{} served, {} refused", self.served, self.refused),
        )?;
        row(
            "refreshes",
            format!(
                "{} applied, {} calls at platforms, attempts {:?}",
                self.refreshes, self.calls, self.states
            ),
        )?;
        row("done to the hub", format!("{:?}", self.deeds))?;
        row(
            "lost tokens",
            format!(
                "{} explained, {} unexplained",
                self.lost.len(),
                self.lost_unexplained.len()
            ),
        )?;
        for lost in &self.lost {
            row("", lost.clone())?;
        }
        row(
            "double calls",
            format!(
                "{} without a takeover, {} after one, {} of tokens that may be repeated",
                self.doubles.len(),
                self.doubles_taken_over,
                self.doubles_repeatable
            ),
        )?;
        row(
            "dead tokens sent",
            format!(
                "{} for no reason, {} after a takeover, {} after a lie",
                self.reuses.len(),
                self.reuses_taken_over,
                self.reuses_hidden
            ),
        )?;
        row("false ambers", self.false_ambers.len().to_string())?;
        row("missed expiries", format!("{} {:?}", self.missed.len(), self.missed))?;
        row(
            "platform's commit to our receipt",
            format!(
                "p50 {} ms, p99 {} ms, of {}",
                self.percentile(50),
                self.percentile(99),
                self.windows.len()
            ),
        )?;
        for fault in self.faults() {
            row("FAULT", fault)?;
        }
        Ok(())
    }
}
