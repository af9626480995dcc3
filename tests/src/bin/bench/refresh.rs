//! Refreshes per second of processor time against a bare loop: one call to a platform that answers in 50 ms, two commits of one
//! row. Counted is what everything takes that works for it, PostgreSQL included; the platforms are on neither side.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::{StreamExt as _, TryStreamExt as _};
use harness::{Cluster, Hub};
use proto::tokens::v1::RefreshNowRequest;
use proto::tokens::v1::tokens_service_client::TokensServiceClient;
use serde_json::json;
use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::measure::{Bare, ROUNDS, ratio};

/// Grants, each refreshed anew as soon as it was.
pub(crate) const GRANTS: usize = 96;
pub(crate) const PLATFORM: Duration = Duration::from_millis(50);
/// Who works for a refresh.
const MEMBERS: [&str; 5] = ["tokens-0", "tokens-1", "platforms-0", "platforms-1", "accounts-0"];

/// What one round took.
#[derive(Clone, Copy)]
struct Round {
    done: f64,
    seconds: f64,
    cores: f64,
}

impl Round {
    fn per_core(self) -> f64 {
        self.done / (self.cores * self.seconds)
    }
}

pub(crate) async fn all(hub: &Cluster, bare: (&Bare, &Bare), length: Duration) -> anyhow::Result<()> {
    let grants = connect(hub).await?;
    let late =
        json!({"platform": "x", "operation": "refresh", "effect": {"kind": "delay", "ms": PLATFORM.as_millis()}});
    hub.sandbox.switch(&late).await?;
    let processes = hub.hub().context("no processes")?;
    let postgres = postmaster(processes).await?;
    // Connections are made, statements prepared.
    hubs(processes, &grants, postgres, length.min(Duration::from_secs(2))).await?;
    let (mut ours, mut theirs): (Vec<Round>, Vec<Round>) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(hubs(processes, &grants, postgres, length).await?);
        theirs.push(loops(bare, processes.database(), postgres, length).await?);
    }
    hub.sandbox.behave().await?;
    let best = |rounds: &[Round]| {
        rounds
            .iter()
            .copied()
            .max_by(|a, b| a.per_core().total_cmp(&b.per_core()))
    };
    let (hub, bare) = (best(&ours).context("no round")?, best(&theirs).context("no round")?);
    ratio(
        "refreshes per second and core",
        hub.per_core(),
        bare.per_core(),
        hub.per_core() / bare.per_core(),
        "≥0.6",
    );
    for (name, round) in [("the hub", hub), ("the bare loop", bare)] {
        println!(
            "  {name}: {:.0} per second on {:.2} cores",
            round.done / round.seconds,
            round.cores
        );
    }
    Ok(())
}

/// One X account in each of as many workspaces; workspace and account.
async fn connect(hub: &Cluster) -> anyhow::Result<Vec<(String, String)>> {
    let one = async |number: usize| {
        let workspace = format!("refresh-{number}");
        hub.plan(&workspace, "professional").await?;
        let accounts = hub.owner(&workspace).connect(&hub.sandbox, "x", "ada").await?;
        let account = accounts.first().and_then(|account| account["id"].as_str());
        Ok((workspace, account.context("no account")?.to_owned()))
    };
    futures_util::stream::iter(0..GRANTS)
        .map(one)
        .buffered(4)
        .try_collect()
        .await
}

async fn hubs(processes: &Hub, grants: &[(String, String)], postgres: u32, length: Duration) -> anyhow::Result<Round> {
    let ids = MEMBERS
        .iter()
        .map(|name| processes.id(name))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let used = || anyhow::Ok(ids.iter().map(|id| of(*id)).sum::<anyhow::Result<f64>>()? + tree(postgres)?);
    let (begun, before) = (Instant::now(), used()?);
    let mut loops = JoinSet::new();
    for (number, (workspace_id, account_id)) in grants.iter().cloned().enumerate() {
        let url = format!("http://{}", processes.address("tokens", number % 2));
        let mut tokens = TokensServiceClient::new(Channel::from_shared(url)?.connect_lazy());
        loops.spawn(async move {
            let mut done = 0_u32;
            while begun.elapsed() < length {
                let request = RefreshNowRequest {
                    workspace_id: workspace_id.clone(),
                    account_id: account_id.clone(),
                };
                let answer = tokens.refresh_now(request).await?.into_inner();
                anyhow::ensure!(answer.error.is_none(), "not renewed: {:?}", answer.error);
                done += 1;
            }
            anyhow::Ok(done)
        });
    }
    let mut done = 0;
    while let Some(one) = loops.join_next().await {
        done += one??;
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Round {
        done: f64::from(done),
        seconds,
        cores: (used()? - before) / seconds,
    })
}

async fn loops(
    (platform, looper): (&Bare, &Bare),
    database: &str,
    postgres: u32,
    length: Duration,
) -> anyhow::Result<Round> {
    let used = || anyhow::Ok(of(looper.id())? + tree(postgres)?);
    let (begun, before) = (Instant::now(), used()?);
    let done = looper
        .ask(&format!("{} {database} {}", platform.address, length.as_secs_f64()))
        .await?;
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Round {
        done: done.trim().parse()?,
        seconds,
        cores: (used()? - before) / seconds,
    })
}

/// Process id of the database server behind a connection.
async fn postmaster(processes: &Hub) -> anyhow::Result<u32> {
    let mut connection = PgConnection::connect(processes.database()).await?;
    let backend: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(&mut connection)
        .await?;
    let parent = fields(u32::try_from(backend)?)?.get(1).context("no parent")?.parse()?;
    Ok(parent)
}

/// The fields of a process' state after its name.
fn fields(id: u32) -> anyhow::Result<Vec<String>> {
    let state = std::fs::read_to_string(Path::new("/proc").join(id.to_string()).join("stat"))?;
    let (_, rest) = state.rsplit_once(')').context("no name")?;
    Ok(rest.split_whitespace().map(str::to_owned).collect())
}

/// Processor seconds of one process: in it, and in children that have ended.
fn of(id: u32) -> anyhow::Result<f64> {
    const TICKS: f64 = 100.0;
    let fields = fields(id)?;
    let ticks = fields
        .get(11..15)
        .context("no times")?
        .iter()
        .map(|ticks| ticks.parse::<f64>());
    Ok(ticks.sum::<Result<f64, _>>()? / TICKS)
}

/// Processor seconds of a process and its children.
fn tree(id: u32) -> anyhow::Result<f64> {
    let mut used = of(id)?;
    for entry in std::fs::read_dir("/proc")? {
        let Ok(child) = entry?.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        // One that ended meanwhile is in its parent's times.
        if fields(child).is_ok_and(|fields| fields.get(1).is_some_and(|parent| *parent == id.to_string())) {
            used += of(child).unwrap_or_default();
        }
    }
    Ok(used)
}
