//! Private PostgreSQL: that of `tests/run`, or one started once per test process through `tests/servers`.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::LazyLock;

use anyhow::{Context, anyhow};
use sqlx::{Connection, PgConnection};

/// Running servers. They end when the pipe does: when this process is gone, however it went.
struct Servers {
    postgres: String,
    _alive: Option<ChildStdin>,
}

static SERVERS: LazyLock<Result<Servers, String>> = LazyLock::new(|| find().map_err(|error| format!("{error:#}")));

fn servers() -> anyhow::Result<&'static Servers> {
    SERVERS.as_ref().map_err(|error| anyhow!("{error}"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "how tests/run tells the tests where its servers are"
)]
fn find() -> anyhow::Result<Servers> {
    if let Ok(postgres) = std::env::var("TEST_POSTGRES_URL") {
        return Ok(Servers { postgres, _alive: None });
    }
    start()
}

fn start() -> anyhow::Result<Servers> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/servers");
    let child = Command::new(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context(script)?;
    let Child { stdin, stdout, .. } = child;
    let mut postgres = None;
    for line in BufReader::new(stdout.context("no output")?).lines() {
        match line?.split_once('=') {
            Some(("TEST_POSTGRES_URL", url)) => postgres = Some(url.to_owned()),
            Some(_) => {}
            // `ready`
            None => break,
        }
    }
    Ok(Servers {
        postgres: postgres.context("tests/servers did not start PostgreSQL")?,
        _alive: stdin,
    })
}

/// True when a PostgreSQL can be had, so that the separate processes can be tested.
pub(crate) fn available() -> bool {
    servers().is_ok()
}

/// A fresh, empty database; its URL.
pub(crate) async fn database(name: &str) -> anyhow::Result<String> {
    let admin = &servers()?.postgres;
    let mut connection = PgConnection::connect(admin).await?;
    let create = format!("CREATE DATABASE {name}");
    sqlx::query(sqlx::AssertSqlSafe(create))
        .execute(&mut connection)
        .await?;
    connection.close().await?;
    let (base, _) = admin.rsplit_once('/').context("TEST_POSTGRES_URL names no database")?;
    Ok(format!("{base}/{name}"))
}
