//! What happened, from three witnesses: the imitated platforms' log, the attempts in the hub's database, and what the hub says
//! in the end and said on the way (health and events).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;
use sqlx::{Connection as _, PgConnection, Row as _};
use tokio::time::sleep;

use super::grants::Grant;
use crate::{Api, Cluster, Hub};

/// One refresh call as the platform saw it.
#[derive(Clone, Debug, Default)]
pub(super) struct Call {
    /// Id of the token that was sent.
    pub(super) token: String,
    pub(super) arrived_ms: i64,
    /// When the platform had done what it was asked; 0 = never.
    pub(super) done_ms: i64,
    pub(super) status: u64,
    pub(super) outcome: String,
    pub(super) switches: Vec<String>,
    pub(super) in_flight: u64,
    pub(super) dead_token: bool,
}

/// One attempt as the hub's database has it.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) parent: i64,
    pub(super) state: String,
    /// It repeats one that had no answer.
    pub(super) takeover: bool,
    /// It was sent with a token that was saved out of half an answer.
    pub(super) salvaged: bool,
    pub(super) received_ms: i64,
}

/// One refresh token of a lineage, and what it was turned into.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) refresh: String,
    /// Fingerprint of the access token that came with it.
    pub(super) access: String,
}

/// Everything about one grant.
#[derive(Clone, Debug, Default)]
pub(super) struct Story {
    /// Rotating platforms: the refresh tokens in order; the last one is alive.
    pub(super) chain: Vec<Link>,
    pub(super) attempts: Vec<Attempt>,
    /// `healthy`, or the reasons, as the API has it in the end.
    pub(super) health: String,
    /// Names of the events that said that a person has to do something.
    pub(super) alarms: Vec<String>,
    pub(super) state: String,
    /// The first generation whose answer was cut before its refresh token: from there on the hub has the one of before.
    pub(super) halved: Option<i64>,
}

impl Story {
    /// Where in the chain the token of a generation is. A salvaged one makes two steps in one generation, one that was cut off none.
    pub(super) fn place(&self, generation: i64) -> usize {
        let applied = self
            .attempts
            .iter()
            .filter(|one| one.state == "applied" && one.salvaged);
        let skipped = applied.filter(|one| one.parent < generation).count();
        let cut = usize::from(self.halved.is_some_and(|halved| generation >= halved));
        (usize::try_from(generation - 1).unwrap_or(0) + skipped).saturating_sub(cut)
    }

    /// Finds out whether the last answer was cut in the middle: the token that it spent was sent again, and the one that came
    /// with it never was.
    fn find_what_was_cut(&mut self, calls: &[Call]) {
        let [.., spent, last] = self.chain.as_slice() else {
            return;
        };
        let half = calls
            .iter()
            .any(|call| call.token == spent.refresh && call.outcome.starts_with("half"));
        let again = calls.iter().any(|call| call.token == spent.refresh && call.dead_token);
        // The hub took it for a renewal: it counts as many as the platform made.
        let counted = self.held() + 1 == self.chain.len();
        if half && again && counted && calls.iter().all(|call| call.token != last.refresh) {
            let applied = self.attempts.iter().filter(|one| one.state == "applied");
            self.halved = applied.map(|one| one.parent + 1).max();
        }
    }

    /// Where in the chain the newest token is that the hub has stored.
    pub(super) fn held(&self) -> usize {
        let applied = self.attempts.iter().filter(|one| one.state == "applied");
        let generation = applied.map(|one| one.parent + 1).max().unwrap_or(1);
        self.place(generation)
    }

    /// Whether the token at `place` was sent by an attempt that took over another one.
    pub(super) fn taken_over(&self, place: usize) -> bool {
        let sent = |one: &Attempt| self.place(one.parent) + usize::from(one.salvaged);
        self.attempts.iter().any(|one| one.takeover && sent(one) == place)
    }
}

/// See the file's head.
pub(super) struct History {
    pub(super) calls: Vec<Call>,
    /// By account.
    pub(super) stories: HashMap<String, Story>,
    /// Fingerprints of the tokens that work in the end.
    pub(super) alive: HashSet<String>,
    /// Attempts by state, over all grants.
    pub(super) states: BTreeMap<String, usize>,
    /// Generations that two attempts of one grant claim to have renewed; always empty.
    pub(super) twice: usize,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl History {
    pub(super) async fn read(cluster: &Cluster, hub: &Hub, grants: &[Grant]) -> anyhow::Result<Self> {
        let log = cluster.sandbox.log().await?;
        let mut stories = chains(&log, grants);
        let mut database = PgConnection::connect(hub.database()).await?;
        let states = attempts(&mut database, &mut stories).await?;
        told(cluster, grants, &mut stories).await?;
        let truth = cluster.sandbox.truth().await?;
        let tokens = truth.iter().filter_map(|grant| grant["tokens"].as_array()).flatten();
        let alive = tokens.map(|token| text(&token["fingerprint"])).collect();
        let twice = stories.values().map(|story| {
            let mut seen = HashSet::new();
            let applied = story.attempts.iter().filter(|attempt| attempt.state == "applied");
            applied.filter(|attempt| !seen.insert(attempt.parent)).count()
        });
        let twice = twice.sum();
        let calls = calls(&log);
        for story in stories.values_mut() {
            story.find_what_was_cut(&calls);
        }
        Ok(Self {
            calls,
            stories,
            alive,
            states,
            twice,
        })
    }
}

fn calls(log: &[Value]) -> Vec<Call> {
    let mut calls: BTreeMap<u64, Call> = BTreeMap::new();
    for entry in log.iter().filter(|entry| entry["operation"] == "refresh") {
        let call = calls.entry(entry["request"].as_u64().unwrap_or(0)).or_default();
        let at_ms = entry["at_ms"].as_i64().unwrap_or(0);
        if entry["kind"] == "received" {
            *call = Call {
                token: text(&entry["token"]["id"]),
                arrived_ms: at_ms,
                switches: entry["switches"].as_array().into_iter().flatten().map(text).collect(),
                in_flight: entry["in_flight"].as_u64().unwrap_or(0),
                dead_token: entry["token_was_dead"] == true,
                ..Call::default()
            };
        } else if entry["kind"] == "request" {
            (call.done_ms, call.status) = (at_ms, entry["status"].as_u64().unwrap_or(0));
            call.outcome = text(&entry["outcome"]);
        }
    }
    calls.into_values().collect()
}

/// Follows each rotating grant's refresh tokens from the one that came with its first access token.
fn chains(log: &[Value], grants: &[Grant]) -> HashMap<String, Story> {
    let issued = |entry: &&Value| entry["kind"] == "token" && entry["event"] == "issued";
    let tokens: Vec<&Value> = log.iter().filter(issued).collect();
    let mut by_request: HashMap<u64, Link> = HashMap::new();
    let mut child: HashMap<String, u64> = HashMap::new();
    let mut first: HashMap<String, u64> = HashMap::new();
    for token in tokens {
        let Some(request) = token["request"].as_u64() else {
            continue;
        };
        let link = by_request.entry(request).or_insert(Link {
            refresh: String::new(),
            access: String::new(),
        });
        if token["token_kind"] == "refresh" {
            link.refresh = text(&token["id"]);
            if let Some(parent) = token["parent"].as_str() {
                child.insert(parent.to_owned(), request);
            }
        } else {
            link.access = text(&token["fingerprint"]);
            first.insert(link.access.clone(), request);
        }
    }
    let story = |grant: &Grant| {
        let mut chain = Vec::new();
        let mut next = first.get(&grant.first).filter(|_| grant.rotates());
        while let Some(link) = next.and_then(|request| by_request.get(request)) {
            chain.push(link.clone());
            next = child.get(&link.refresh);
        }
        let story = Story {
            chain,
            ..Story::default()
        };
        (grant.account.clone(), story)
    };
    grants.iter().map(story).collect()
}

async fn attempts(
    database: &mut PgConnection,
    stories: &mut HashMap<String, Story>,
) -> anyhow::Result<BTreeMap<String, usize>> {
    let sql = "SELECT a.account_id, g.state AS grant_state, t.parent_generation, t.state, t.retry_of, t.salvage_id, t.received_at_ms
         FROM tokens.attachments a JOIN tokens.grants g ON g.id = a.grant_id
         LEFT JOIN tokens.attempts t ON t.grant_id = g.id ORDER BY t.started_at_ms";
    let mut states = BTreeMap::new();
    for row in sqlx::query(sql).fetch_all(database).await? {
        let account: String = row.try_get("account_id")?;
        let Some(story) = stories.get_mut(&account) else {
            continue;
        };
        story.state = row.try_get("grant_state")?;
        let Some(state) = row.try_get::<Option<String>, _>("state")? else {
            continue;
        };
        *states.entry(state.clone()).or_default() += 1;
        story.attempts.push(Attempt {
            parent: row.try_get("parent_generation")?,
            state,
            takeover: row.try_get::<Option<String>, _>("retry_of")?.is_some(),
            salvaged: row.try_get::<Option<String>, _>("salvage_id")?.is_some(),
            received_ms: row.try_get("received_at_ms")?,
        });
    }
    Ok(states)
}

/// What the API says in the end, once the outbox is through, and what its events said.
async fn told(cluster: &Cluster, grants: &[Grant], stories: &mut HashMap<String, Story>) -> anyhow::Result<()> {
    for grant in grants {
        let owner = cluster.owner(&grant.workspace);
        let story = stories.get_mut(&grant.account).context("no story")?;
        for _ in 0..60 {
            story.health = owner.health(&grant.account).await?;
            if (story.health == "healthy") == (story.state != "dead") {
                break;
            }
            sleep(Duration::from_millis(250)).await;
        }
    }
    for grant in grants {
        let alarms = alarms(&cluster.owner(&grant.workspace), &grant.account).await?;
        stories.get_mut(&grant.account).context("no story")?.alarms = alarms;
    }
    Ok(())
}

/// The events of an account that said that a person has to do something.
async fn alarms(owner: &Api, account: &str) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = owner
            .get(&format!("accounts/{account}/history?limit=100{cursor}"))
            .await?
            .ok()?;
        for event in page["data"].as_array().context("no history")? {
            let name = text(&event["type"]);
            if name == "account.reconnect_required" || name == "account.expired" {
                found.push(name);
            }
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(found),
        }
    }
}
