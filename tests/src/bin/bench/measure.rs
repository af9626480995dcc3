//! Sets a hub up, measures it against the bare servers, and prints the table.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use harness::{Api, Cluster, Consent, Form, addresses, eventually};
use prost::Message as _;
use proto::tokens::v1::GetAccessTokenRequest;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::load::{self, Round};
use crate::{due, refresh};

pub(crate) const ROUNDS: usize = 3;
const WORKSPACE: &str = "bench";

/// A bare server; ends with this program.
pub(crate) struct Bare {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Bare {
    /// Starts this program in another part, with `answer` on its standard input.
    pub(crate) async fn start(arguments: &[&str], address: SocketAddr, answer: &[u8]) -> anyhow::Result<Self> {
        let (part, rest) = arguments.split_first().context("no part")?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg(part)
            .arg(address.to_string())
            .args(rest)
            .stdin(Stdio::piped());
        let mut child = command.spawn()?;
        child.stdin.take().context("no input")?.write_all(answer)?;
        let bare = Self { address, child };
        eventually("the bare server listens", async || {
            Ok(TcpStream::connect(address).await.ok().map(drop))
        })
        .await?;
        Ok(bare)
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a line and waits for its answer, for parts that speak lines.
    pub(crate) async fn ask(&self, line: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(format!("{line}\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// 25 Pages in one workspace; the id of the first.
async fn connect(hub: &Cluster, owner: &Api) -> anyhow::Result<String> {
    hub.plan(WORKSPACE, "professional").await?;
    let flow = owner.begin("facebook", &json!({})).await?;
    flow.consent(&hub.sandbox, &Consent::of("cleo")).await?;
    let session = flow.settled().await?;
    let all = session["destinations"].as_array().context("no destinations")?;
    let ids: Vec<&str> = all.iter().take(25).filter_map(|one| one["id"].as_str()).collect();
    let done = flow.choose(&ids).await?.ok()?;
    ensure!(done["status"] == "completed", "{done}");
    let accounts = owner.accounts().await?;
    ensure!(accounts.len() == 25, "{} accounts", accounts.len());
    Ok(accounts[0]["id"].as_str().context("no id")?.to_owned())
}

/// All measurements.
pub(crate) async fn all(length: Duration) -> anyhow::Result<()> {
    let begun = Instant::now();
    let settings = [
        ("log.level", "warn"),
        ("platforms.x.calls_per_minute", "1000000"),
        // All load comes from one address.
        ("gateway.requests_per_minute_address", "1000000000"),
    ];
    let hub = Cluster::start(Form::Processes, &settings).await?;
    let owner = hub.owner(WORKSPACE);
    let account_id = connect(&hub, &owner).await?;
    let [free, _] = addresses();
    println!(
        "{ROUNDS} rounds of {length:?}, {} in flight, best round of each\n",
        load::IN_FLIGHT
    );
    println!(
        "{:<34}{:>10}{:>10}{:>8}{:>7}   {:>9}{:>9}{:>7}{:>7}",
        "", "hub /s", "bare /s", "ratio", "goal", "p99 hub", "p99 bare", "ratio", "goal"
    );
    let bare = tokens(&hub, free, &account_id, length).await?;
    let grpc = format!("http://{}", bare.address);
    for (name, path, goals) in [
        (
            "GET accounts, 25 accounts",
            format!("/api/v1/workspaces/{WORKSPACE}/accounts"),
            (0.7, 2.0),
        ),
        ("GET the page, 25 accounts", "/connections".to_owned(), (0.5, 0.0)),
    ] {
        pages(&owner, name, &path, (free, &grpc), length, goals).await?;
    }
    drop(bare);
    refreshes(&hub, free, length).await?;
    resources(&hub).await?;
    // Nothing else looks for what is due.
    let processes = hub.hub().context("no processes")?;
    for replica in ["tokens-0", "tokens-1"] {
        processes.kill(replica)?;
    }
    due::all(processes.database()).await?;
    println!("\n{:.0} s in all", begun.elapsed().as_secs_f64());
    hub.stop().await
}

async fn refreshes(hub: &Cluster, free: Ipv4Addr, length: Duration) -> anyhow::Result<()> {
    let platform = Bare::start(&["serve-platform"], SocketAddr::from((free, 50002)), b"").await?;
    let looper = Bare::start(&["serve-loops"], SocketAddr::from((free, 50003)), b"").await?;
    refresh::all(hub, (&platform, &looper), length).await
}

/// A row of which only rates are of interest.
pub(crate) fn ratio(name: &str, hub: f64, bare: f64, ratio: f64, goal: &str) {
    println!("{name:<34}{hub:>10.0}{bare:>10.0}{ratio:>8.2}{goal:>7}");
}

async fn tokens(hub: &Cluster, free: Ipv4Addr, account_id: &str, length: Duration) -> anyhow::Result<Bare> {
    let request = GetAccessTokenRequest {
        workspace_id: WORKSPACE.to_owned(),
        account_id: account_id.to_owned(),
        min_ttl: None,
    };
    let answer = hub
        .tokens(0)?
        .get_access_token(request.clone())
        .await?
        .into_inner()
        .encode_to_vec();
    let bare = Bare::start(&["serve-grpc"], SocketAddr::from((free, 50000)), &answer).await?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(load::grpc(&hub.service_url(50052), &request, length).await?);
        theirs.push(load::grpc(&format!("http://{}", bare.address), &request, length).await?);
    }
    print("GetAccessToken, fresh token", &ours, &theirs, (0.8, 1.5))?;
    Ok(bare)
}

/// `bare` says where the bare servers listen: an address for HTTP, the URL of the gRPC one.
async fn pages(
    owner: &Api,
    name: &str,
    path: &str,
    bare: (Ipv4Addr, &str),
    length: Duration,
    goals: (f64, f64),
) -> anyhow::Result<()> {
    let body = owner.get(path).await?;
    ensure!(body.status == 200, "{path}: {}", body.status);
    let address: SocketAddr = owner.url().trim_start_matches("http://").parse()?;
    let server = Bare::start(
        &["serve-http", bare.1],
        SocketAddr::from((bare.0, 50001)),
        body.text.as_bytes(),
    )
    .await?;
    let token = format!("dev.usr_owner.{WORKSPACE}.owner");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(load::http(address, path, &token, length).await?);
        theirs.push(load::http(server.address, "/", &token, length).await?);
    }
    print(name, &ours, &theirs, goals)
}

fn print(name: &str, ours: &[Round], theirs: &[Round], goals: (f64, f64)) -> anyhow::Result<()> {
    let best = |rounds: &[Round]| {
        rounds
            .iter()
            .copied()
            .max_by(|a, b| a.per_second.total_cmp(&b.per_second))
    };
    let (hub, bare) = (best(ours).context("no round")?, best(theirs).context("no round")?);
    let slower = hub.p99.as_secs_f64() / bare.p99.as_secs_f64();
    let goal = |sign: &str, goal: f64| {
        if goal > 0.0 {
            format!("{sign}{goal}")
        } else {
            "-".to_owned()
        }
    };
    println!(
        "{name:<34}{:>10.0}{:>10.0}{:>8.2}{:>7}   {:>7.1}ms{:>7.1}ms{:>7.2}{:>7}   p50 {:.1} and {:.1} ms",
        hub.per_second,
        bare.per_second,
        hub.per_second / bare.per_second,
        goal("≥", goals.0),
        hub.p99.as_secs_f64() * 1e3,
        bare.p99.as_secs_f64() * 1e3,
        slower,
        goal("≤", goals.1),
        hub.p50.as_secs_f64() * 1e3,
        bare.p50.as_secs_f64() * 1e3,
    );
    Ok(())
}

/// Memory of every process after the load, and how long one takes to start.
async fn resources(hub: &Cluster) -> anyhow::Result<()> {
    let processes = hub.hub().context("no processes")?;
    println!("\nresident memory after the load (goal of an idle process: ≤ 30 MB)");
    for name in ["accounts-0", "platforms-1", "entitlements-0", "gateway-1"] {
        println!("  {name:<16}{:>6.1} MB", processes.memory(name)?);
    }
    println!("\nkilled to ready again (goal: ≤ 300 ms)");
    for role in ["entitlements", "accounts", "gateway"] {
        processes.kill(&format!("{role}-0"))?;
        let begin = Instant::now();
        processes.start_member(role, 0)?;
        processes.ready(role, 0).await?;
        println!("  {role:<16}{:>6} ms", begin.elapsed().as_millis());
    }
    Ok(())
}
