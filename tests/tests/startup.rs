//! Starting with nonsense ends within five seconds with one line that names the key.

use std::net::Ipv4Addr;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use harness::{Outcome, Settings, addresses, binary, eventually, separate_processes};
use tokio::process::Command;
use tokio::time::timeout;

/// Keys and values that are wrong.
type Wrong = &'static [(&'static str, &'static str)];

struct Ended {
    status: ExitStatus,
    /// What it said on standard error.
    said: String,
    /// What it said on standard output.
    promised: String,
}

fn command(role: Option<&str>, settings: &Settings, folder: &std::path::Path) -> anyhow::Result<Command> {
    let mut command = Command::new(binary()?);
    command
        .args(role)
        .env_clear()
        .envs(settings.variables())
        .current_dir(folder)
        .kill_on_drop(true);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Ok(command)
}

fn settings(addresses: [Ipv4Addr; 2], wrong: &[(&str, &str)]) -> Settings {
    let mut settings = Settings::of(addresses);
    settings.extend(wrong);
    settings
}

async fn ended(role: Option<&str>, wrong: &[(&str, &str)]) -> anyhow::Result<Ended> {
    let folder = tempfile::tempdir()?;
    let output = command(role, &settings(addresses(), wrong), folder.path())?.output();
    let output = timeout(Duration::from_secs(5), output)
        .await
        .with_context(|| format!("{wrong:?} still runs after 5 s"))??;
    Ok(Ended {
        status: output.status,
        said: String::from_utf8_lossy(&output.stderr).into_owned(),
        promised: String::from_utf8_lossy(&output.stdout).into_owned(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_key_ends_the_start_with_one_line_that_names_it() -> Outcome {
    let cases: [(Option<&str>, Wrong, &str); 22] = [
        (None, &[("gateway.public_url", "not a url")], "gateway.public_url"),
        (None, &[("gateway.listen", "nowhere")], "gateway.listen"),
        (None, &[("gateway.lisen", "127.0.0.1:1")], "gateway.lisen"),
        (None, &[("tokens.refresh_window", "a week")], "tokens.refresh_window"),
        (None, &[("tokens.refresh_attempts", "many")], "tokens.refresh_attempts"),
        (None, &[("database.url", "mysql://localhost/x")], "database.url"),
        (
            None,
            &[("database.url", "postgres://nobody@127.0.0.1:1/x")],
            "database.url",
        ),
        (None, &[("redis.url", "redis://127.0.0.1:1")], "redis.url"),
        (None, &[("redis.url", "http://127.0.0.1:1")], "redis.url"),
        (None, &[("keys.ring", "short:AAAA")], "keys.ring"),
        (None, &[("auth.mode", "magic")], "auth.mode"),
        (
            None,
            &[("auth.mode", "oidc"), ("sandbox.enabled", "false")],
            "auth.issuer",
        ),
        (None, &[("gateway.listen", "0.0.0.0:18080")], "gateway.listen"),
        (Some("tokens"), &[("tokens.listen", "0.0.0.0:18052")], "tokens.listen"),
        (None, &[("tokens.listen", "0.0.0.0:18053")], "tokens.listen"),
        (None, &[("tokens.sweep.interval", "0s")], "tokens.sweep.interval"),
        (None, &[("tokens.refresh_attempts", "0")], "tokens.refresh_attempts"),
        (
            None,
            &[("tokens.takeover_after.single_use", "1s")],
            "tokens.takeover_after",
        ),
        (None, &[("plans.default", "gold")], "plans.default"),
        (None, &[("platforms.x.api_base", "ftp://x")], "platforms.x.api_base"),
        (None, &[("platforms.x.client_secret", "")], "platforms.x.client_secret"),
        (None, &[("platforms.myspace.client_id", "1")], "platforms.myspace"),
    ];
    for (role, wrong, key) in cases {
        let ended = ended(role, wrong).await?;
        ensure!(!ended.status.success(), "{wrong:?} was accepted");
        let lines: Vec<&str> = ended.said.lines().filter(|line| !line.trim().is_empty()).collect();
        ensure!(
            lines.len() == 1 && lines[0].starts_with(&format!("error: {key}")),
            "{wrong:?} said: {}",
            ended.said
        );
        ensure!(ended.promised.is_empty(), "{wrong:?} promised: {}", ended.promised);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn g11_without_its_keys_nothing_starts_and_nothing_is_kept_in_the_clear() -> Outcome {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("keys");
    let file = file.to_str().context("no path")?;
    for content in [None, Some(""), Some("fjord")] {
        if let Some(content) = content {
            std::fs::write(file, content)?;
        }
        for role in [None, Some("tokens")] {
            let ended = ended(role, &[("keys.ring", ""), ("keys.file", file)]).await?;
            ensure!(!ended.status.success(), "{content:?} was accepted");
            ensure!(
                ended.said.starts_with("error: keys.file"),
                "{content:?}: {}",
                ended.said
            );
            ensure!(!ended.said.contains("fjord"), "it shows what it read: {}", ended.said);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn g5_a_process_leaves_no_core_dump_and_names_no_secret_in_its_arguments() -> Outcome {
    separate_processes(async |_, processes| {
        for name in ["tokens-0", "platforms-0", "gateway-0"] {
            let proc = format!("/proc/{}", processes.id(name)?);
            let limits = std::fs::read_to_string(format!("{proc}/limits"))?;
            let core = limits.lines().find(|line| line.starts_with("Max core file size"));
            let core: Vec<&str> = core.context("no limit")?.split_whitespace().collect();
            ensure!(core[4..6] == ["0", "0"], "{name}: {core:?}");
            let arguments = std::fs::read_to_string(format!("{proc}/cmdline"))?;
            ensure!(
                arguments.split('\0').filter(|one| !one.is_empty()).count() == 2,
                "{arguments:?}"
            );
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_role_is_refused_with_the_roles_there_are() -> Outcome {
    let ended = ended(Some("tockens"), &[]).await?;
    ensure!(
        !ended.status.success() && ended.said.contains("tokens"),
        "{}",
        ended.said
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_says_so_and_names_the_port() -> Outcome {
    let (addresses, folder) = (addresses(), tempfile::tempdir()?);
    let settings = settings(addresses, &[]);
    let mut first = command(None, &settings, folder.path())?
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let ready = format!("http://{}:8080/readyz", addresses[0]);
    eventually("the first is ready", async || {
        Ok(reqwest::get(&ready)
            .await
            .is_ok_and(|answer| answer.status().is_success())
            .then_some(()))
    })
    .await?;
    let second = timeout(
        Duration::from_secs(5),
        command(None, &settings, folder.path())?.output(),
    )
    .await??;
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    ensure!(!second.status.success(), "a second hub runs beside the first");
    ensure!(
        said.contains("gateway.listen") && said.contains("8080") || said.contains("listen"),
        "{said}"
    );
    ensure!(
        said.lines().filter(|line| !line.trim().is_empty()).count() == 1,
        "{said}"
    );
    first.kill().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_clean_and_the_next_start_finds_everything_again() -> Outcome {
    let (addresses, folder) = (addresses(), tempfile::tempdir()?);
    let settings = settings(addresses, &[("demo", "true")]);
    let list = format!("http://{}:8080/api/v1/workspaces/demo/accounts", addresses[0]);
    let (http, mut seen) = (reqwest::Client::builder().build()?, Vec::new());
    for _ in 0..2 {
        let mut hub = command(None, &settings, folder.path())?
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let found = eventually("the demo workspace has accounts", async || {
            let answer = http.get(&list).bearer_auth("dev.usr_demo.demo.owner").send().await?;
            let body: serde_json::Value = serde_json::from_str(&answer.text().await?)?;
            let mut ids: Vec<String> = body["data"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|one| one["id"].to_string())
                .collect();
            ids.sort();
            Ok((ids.len() >= 3).then_some(ids))
        })
        .await?;
        seen.push(found);
        let id = hub.id().context("it ended by itself")?;
        ensure!(
            Command::new("kill")
                .args(["-s", "INT", &id.to_string()])
                .status()
                .await?
                .success()
        );
        let status = timeout(Duration::from_secs(15), hub.wait())
            .await
            .context("Ctrl-C did not end it")??;
        ensure!(status.success(), "{status}");
    }
    ensure!(seen[0].iter().all(|id| seen[1].contains(id)), "{seen:?}");
    Ok(())
}
