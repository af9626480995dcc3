//! The hub as separate processes of the built binary, on PostgreSQL and a Redis of their own.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::{Proxy, Settings, eventually_within, servers};

/// Debug builds on two busy cores take their time.
const READY: Duration = Duration::from_secs(60);

/// Role and replica, in the order they are started.
pub(crate) const MEMBERS: [(&str, usize); 9] = [
    ("sandbox", 0),
    ("entitlements", 0),
    ("platforms", 0),
    ("platforms", 1),
    ("tokens", 0),
    ("tokens", 1),
    ("accounts", 0),
    ("gateway", 0),
    ("gateway", 1),
];

/// The built binary: what `TEST_BINARY` names, or built now, so that it is never older than the tests.
pub fn binary() -> anyhow::Result<&'static Path> {
    static BINARY: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| build().map_err(|error| format!("{error:#}")));
    BINARY.as_deref().map_err(|error| anyhow!("{error}"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "how tests/run and cargo tell the tests where things are"
)]
fn build() -> anyhow::Result<PathBuf> {
    if let Ok(path) = std::env::var("TEST_BINARY") {
        return Ok(path.into());
    }
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no workspace")?;
    let status = Command::new(cargo)
        .args(["build", "--workspace", "--bin", "socializioz"])
        .current_dir(root)
        .status()?;
    ensure!(status.success(), "the binary does not build");
    // target/debug/deps/<test> → target/debug/socializioz
    let test = std::env::current_exe()?;
    Ok(test
        .parent()
        .and_then(Path::parent)
        .context("no target folder")?
        .join("socializioz"))
}

struct Member {
    name: String,
    child: Child,
}

/// Role and replica of one process.
pub type Role = (&'static str, usize);

/// Which processes a hub is made of, and how they reach their servers.
#[derive(Clone, Debug)]
pub struct Layout {
    /// In the order they are started.
    pub members: Vec<Role>,
    /// PostgreSQL and Redis are reached through a [`Proxy`] each, that tests stall and cut.
    pub proxied: bool,
}

impl Layout {
    /// The usual processes, with what stands between them and their servers in the hands of the test.
    pub fn proxied() -> Self {
        Self {
            proxied: true,
            ..Self::default()
        }
    }
}

impl Default for Layout {
    fn default() -> Self {
        let members = MEMBERS.to_vec();
        Self {
            members,
            proxied: false,
        }
    }
}

/// What stands between the members and their servers.
pub struct Proxies {
    /// PostgreSQL
    pub database: Proxy,
    /// Redis
    pub redis: Proxy,
}

static DATABASES: AtomicUsize = AtomicUsize::new(0);

/// Running processes; killed by their own ids when it is dropped.
pub struct Hub {
    settings: Settings,
    database: String,
    addresses: [Ipv4Addr; 2],
    layout: Layout,
    proxies: Option<Proxies>,
    members: Mutex<Vec<Member>>,
    folder: TempDir,
}

impl Hub {
    pub(crate) async fn start(
        mut settings: Settings,
        addresses: [Ipv4Addr; 2],
        layout: Layout,
    ) -> anyhow::Result<Self> {
        let [first, second] = addresses;
        let folder = tempfile::tempdir()?;
        // Addresses come again when their clusters are gone, databases stay as long as the server.
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let database = servers::database(&format!("hub_{}_{number}", std::process::id())).await?;
        let mut database_url = database.clone();
        let proxies = if layout.proxied {
            let (head, rest) = database.split_once('@').context("no user in the database URL")?;
            let (target, name) = rest.split_once('/').context("no name in the database URL")?;
            database_url = format!("{head}@{first}:5432/{name}");
            let redis = SocketAddr::from((second, 6379));
            Some(Proxies {
                database: Proxy::start((first, 5432).into(), target.parse()?).await?,
                redis: Proxy::start((first, 6379).into(), redis).await?,
            })
        } else {
            None
        };
        settings.set("database.url", database_url);
        settings.set("redis.url", format!("redis://{first}:6379"));
        for service in ["tokens", "platforms", "accounts"] {
            let replicas = layout.members.iter().filter(|(role, _)| *role == service);
            let urls: Vec<String> = replicas
                .map(|(role, replica)| format!("http://{}", listens(addresses, role, *replica)))
                .collect();
            settings.set(&format!("{service}.url"), urls.join(","));
        }
        let hub = Self {
            settings,
            database,
            addresses,
            layout,
            proxies,
            members: Mutex::default(),
            folder,
        };
        hub.start_redis()?;
        hub.listening("redis", hub.redis_address().to_string()).await?;
        for (role, replica) in &hub.layout.members {
            hub.start_member(role, *replica)?;
        }
        for (role, replica) in &hub.layout.members {
            hub.ready(role, *replica).await?;
        }
        Ok(hub)
    }

    /// A way to its Redis that can be closed, for members that are started with its URL.
    pub async fn way_to_redis(&self) -> anyhow::Result<(Proxy, String)> {
        let address = SocketAddr::from((self.addresses[0], 6380));
        let way = Proxy::start(address, self.redis_address()).await?;
        Ok((way, format!("redis://{address}")))
    }

    /// Starts its Redis (again), empty.
    pub fn start_redis(&self) -> anyhow::Result<()> {
        let address = self.redis_address().ip().to_string();
        let arguments = ["--bind", &address, "--port", "6379", "--save", "", "--appendonly", "no"];
        let mut command = Command::new("redis-server");
        command.args(arguments);
        self.spawn("redis", command)
    }

    /// Starts a role (again). `replica` is 0, or 1 where there are two.
    pub fn start_member(&self, role: &str, replica: usize) -> anyhow::Result<()> {
        self.start_member_with(role, replica, &[])
    }

    /// As [`Hub::start_member`], with `section.key` settings of its own.
    pub fn start_member_with(&self, role: &str, replica: usize, more: &[(&str, &str)]) -> anyhow::Result<()> {
        let name = format!("{role}-{replica}");
        let index = self
            .layout
            .members
            .iter()
            .position(|member| *member == (role, replica))
            .context("no such member")?;
        let mut own = self.settings.clone();
        own.set("instance", name.as_str());
        own.set("metrics.listen", format!("{}:{}", self.addresses[0], 9464 + index));
        if replica > 0 {
            own.set(
                &format!("{role}.listen"),
                listens(self.addresses, role, replica).to_string(),
            );
        }
        own.extend(more);
        // `{role}` in a value is the member's: its certificate.
        let variables = own
            .variables()
            .map(|(name, value)| (name, value.replace("{role}", role)));
        let mut command = Command::new(binary()?);
        command.arg(role).env_clear().envs(variables).env("RUST_BACKTRACE", "1");
        self.spawn(&name, command)
    }

    fn spawn(&self, name: &str, mut command: Command) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(self.log(name))?;
        command
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let child = command.spawn().with_context(|| format!("{name} cannot be started"))?;
        self.members().push(Member {
            name: name.to_owned(),
            child,
        });
        Ok(())
    }

    /// Waits until a role accepts connections, and a gateway says that it is ready.
    pub async fn ready(&self, role: &str, replica: usize) -> anyhow::Result<()> {
        let address = listens(self.addresses, role, replica).to_string();
        self.listening(&format!("{role}-{replica}"), address.clone()).await?;
        if role != "gateway" {
            return Ok(());
        }
        eventually_within(READY, "the gateway is ready", async || {
            let answer = reqwest::get(format!("http://{address}/readyz")).await?;
            let ready = answer.status().is_success();
            if !ready {
                bail!("{}\n{}", answer.text().await?, self.tail(&format!("{role}-{replica}")));
            }
            Ok(Some(()))
        })
        .await
    }

    async fn listening(&self, name: &str, address: String) -> anyhow::Result<()> {
        eventually_within(READY, &format!("{name} listens on {address}"), async || {
            if !self.runs(name) {
                bail!("{name} ended: {}", self.tail(name));
            }
            Ok(TcpStream::connect(&address).await.ok().map(drop))
        })
        .await
    }

    fn members(&self) -> std::sync::MutexGuard<'_, Vec<Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True while a member has not ended, by itself or otherwise.
    pub fn runs(&self, name: &str) -> bool {
        let mut members = self.members();
        members
            .iter_mut()
            .any(|member| member.name == name && matches!(member.child.try_wait(), Ok(None)))
    }

    /// Kills a member (`tokens-0`, `redis`) as kill -9 does.
    pub fn kill(&self, name: &str) -> anyhow::Result<()> {
        let mut members = self.members();
        let at = members
            .iter()
            .position(|member| member.name == name)
            .with_context(|| format!("no {name} runs"))?;
        let mut member = members.remove(at);
        member.child.kill()?;
        member.child.wait()?;
        Ok(())
    }

    /// Id of a member's process.
    pub fn id(&self, name: &str) -> anyhow::Result<u32> {
        let members = self.members();
        let member = members.iter().find(|member| member.name == name);
        Ok(member.with_context(|| format!("no {name} runs"))?.child.id())
    }

    /// Sends a member a signal by name: `TERM`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str, signal: &str) -> anyhow::Result<()> {
        let id = self.id(name)?;
        ensure!(
            Command::new("kill")
                .args(["-s", signal, &id.to_string()])
                .status()?
                .success(),
            "no signal sent"
        );
        Ok(())
    }

    /// True while a member is stopped, by a signal of its own or of ours.
    pub fn stands(&self, name: &str) -> anyhow::Result<bool> {
        let id = self.id(name)?;
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
        // After the name, which may hold anything: the state.
        Ok(stat
            .rsplit_once(')')
            .is_some_and(|(_, rest)| rest.trim_start().starts_with('T')))
    }

    /// Where a member listens.
    pub fn address(&self, role: &str, replica: usize) -> SocketAddr {
        listens(self.addresses, role, replica)
    }

    /// Its Redis.
    pub fn redis(&self) -> String {
        format!("redis://{}", self.redis_address())
    }

    /// Beside its proxy where there is one.
    fn redis_address(&self) -> SocketAddr {
        (self.addresses[usize::from(self.layout.proxied)], 6379).into()
    }

    /// What stands between the members and their servers, in a layout that has it so.
    pub fn proxies(&self) -> anyhow::Result<&Proxies> {
        self.proxies.as_ref().context("no proxies in this layout")
    }

    /// URL of its PostgreSQL database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Resident memory of a member, in megabytes.
    pub fn memory(&self, name: &str) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id(name)?))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .context("no VmRSS")?;
        Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? / 1024.0)
    }

    /// Where a member's output goes: `<folder>/<role>-<replica>.log`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Copies what every member printed to a folder of the caller's.
    pub(crate) fn copy_logs(&self, to: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(to)?;
        for (role, replica) in &self.layout.members {
            let name = format!("{role}-{replica}");
            std::fs::copy(self.log(&name), to.join(format!("{name}.log")))?;
        }
        Ok(())
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.log"))
    }

    fn tail(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.log(name)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    #[expect(clippy::print_stderr, reason = "shown by the test runner beside the failure")]
    pub(crate) fn report(&self) {
        for (role, replica) in &self.layout.members {
            let name = format!("{role}-{replica}");
            eprintln!("--- {name}\n{}", self.tail(&name));
        }
    }
}

/// Third replicas share the second's address, on ports of their own.
fn listens(addresses: [Ipv4Addr; 2], role: &str, replica: usize) -> SocketAddr {
    match replica {
        0 | 1 => (addresses[replica], port(role)).into(),
        _ => (addresses[1], port(role) + 100).into(),
    }
}

fn port(role: &str) -> u16 {
    match role {
        "accounts" => 50051,
        "tokens" => 50052,
        "platforms" => 50053,
        "entitlements" => 50054,
        "sandbox" => 8090,
        _ => 8080,
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        for member in self.members().iter_mut() {
            // Already gone is as good.
            let _ = member.child.kill();
        }
        for member in self.members().iter_mut() {
            let _ = member.child.wait();
        }
    }
}
