//! The canary search (FAULTS S1): a token, an authorization code or a state found anywhere that it must not be: PostgreSQL's
//! files, its log of changes, a dump, Redis, logs at their most talkative, spans, metrics, answers and pages.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};
use harness::{Cluster, Collector, Consent, Hub, Outcome, each_form_with, eventually, found};
use proto::tokens::v1::GetAccessTokenRequest;
use serde_json::json;
use sqlx::{Connection, PgConnection};

/// How every token of the imitated platforms begins, refresh tokens too.
const MARKS: [&str; 6] = [
    "SBXEAA",
    "SBXTTact",
    "SBXTTrft",
    "SBXXaccess",
    "SBXXrefresh",
    "SBXLIrefresh",
];

/// Everything that must not be seen, and an id of an account, which must.
struct Canaries {
    secret: Vec<String>,
    account_id: String,
    /// Callbacks as they came, codes and states in them.
    callbacks: Vec<String>,
}

async fn canaries(hub: &Cluster) -> anyhow::Result<Canaries> {
    hub.plan("bakery", "professional").await?;
    let owner = hub.owner("bakery");
    let (mut secret, mut callbacks, mut account_id) = (Vec::new(), Vec::new(), String::new());
    for (platform, person) in [
        ("facebook", "enid"),
        ("instagram", "bo"),
        ("tiktok", "ada"),
        ("x", "ada"),
    ] {
        let flow = owner.begin(platform, &json!({})).await?;
        let location = flow.decide(&hub.sandbox, &Consent::of(person)).await?;
        flow.callback(&location).await?;
        let session = flow.settled().await?;
        account_id = session["result"]["accounts"][0]["id"]
            .as_str()
            .with_context(|| format!("not connected: {session}"))?
            .to_owned();
        let callback = reqwest::Url::parse(&location)?;
        let carried = callback
            .query_pairs()
            .filter(|(name, _)| name == "code" || name == "state");
        secret.extend(carried.map(|(_, value)| value.trim_end_matches("#_").to_owned()));
        callbacks.push(location);
        let request = GetAccessTokenRequest {
            workspace_id: "bakery".to_owned(),
            account_id: account_id.clone(),
            min_ttl: None,
        };
        let token = hub.tokens(0)?.get_access_token(request).await?.into_inner();
        secret.push(token.access_token);
    }
    ensure!(secret.iter().all(|one| one.len() >= 16), "too short to search for");
    secret.extend(MARKS.map(str::to_owned));
    Ok(Canaries {
        secret,
        account_id,
        callbacks,
    })
}

/// Trouble makes services talk.
async fn trouble(hub: &Cluster) -> anyhow::Result<()> {
    let owner = hub.owner("bakery");
    for platform in ["facebook", "instagram", "tiktok", "x"] {
        for effect in [json!({"kind": "body", "with": "garbage"}), json!({"kind": "drop"})] {
            hub.sandbox
                .switch(&json!({"platform": platform, "next": 1, "effect": effect}))
                .await?;
        }
    }
    for account in owner.accounts().await? {
        let id = account["id"].as_str().context("no id")?;
        owner.check(id).await?;
        owner.get(&format!("accounts/{id}/posts")).await?;
        owner.post(&format!("accounts/{id}/token-refreshes"), json!({})).await?;
    }
    Ok(())
}

/// Answers and pages, errors among them, in a file each.
async fn answers(hub: &Cluster, canaries: &Canaries, folder: &std::path::Path) -> anyhow::Result<()> {
    let owner = hub.owner("bakery");
    let mut paths: Vec<String> = [
        "accounts",
        "notifications",
        "/connections",
        "/overview",
        "/api/v1/openapi.json",
    ]
    .map(str::to_owned)
    .to_vec();
    paths.push(format!("accounts/{}/diagnostics", canaries.account_id));
    paths.push(format!("accounts/{}/history", canaries.account_id));
    // The same sign-in once more, and with a browser that did not begin it.
    paths.extend(canaries.callbacks.iter().cloned());
    for (n, path) in paths.iter().enumerate() {
        let answer = owner.get(path).await?;
        let text = format!("{:?}\n{}", answer.headers, answer.text);
        std::fs::write(folder.join(format!("answer-{n}")), text)?;
    }
    for (n, url) in hub.metrics().iter().enumerate() {
        let metrics = reqwest::get(url).await?.text().await?;
        std::fs::write(folder.join(format!("metrics-{n}")), metrics)?;
    }
    Ok(())
}

/// What PostgreSQL and Redis keep: files, the log of changes, a dump.
async fn stored(processes: &Hub, folder: &std::path::Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut database = PgConnection::connect(processes.database()).await?;
    sqlx::query("CHECKPOINT").execute(&mut database).await?;
    let (data, number): (String, String) = sqlx::query_as(
        "SELECT current_setting('data_directory'), oid::text FROM pg_database WHERE datname = current_database()",
    )
    .fetch_one(&mut database)
    .await?;
    let dump = glob("/usr/lib/postgresql", "bin/pg_dump").context("no pg_dump")?;
    let file = folder.join("dump.sql");
    let dumped = Command::new(dump)
        .arg("--file")
        .arg(&file)
        .arg(processes.database())
        .status()?;
    ensure!(dumped.success(), "pg_dump: {dumped}");
    let mut redis = redis::Client::open(processes.redis())?
        .get_multiplexed_async_connection()
        .await?;
    // Compressed, a text would not be found.
    let mut plain = redis::cmd("CONFIG");
    plain.arg("SET").arg("rdbcompression").arg("no");
    plain.exec_async(&mut redis).await?;
    redis::cmd("SAVE").exec_async(&mut redis).await?;
    ensure!(processes.folder().join("dump.rdb").exists(), "Redis kept nothing");
    let data = PathBuf::from(data);
    Ok(vec![data.join("base").join(number), data.join("pg_wal"), file])
}

fn glob(folder: &str, rest: &str) -> Option<PathBuf> {
    let versions = std::fs::read_dir(folder).ok()?.filter_map(Result::ok);
    versions
        .map(|version| version.path().join(rest))
        .find(|path| path.exists())
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_g1_g6_no_token_code_or_state_is_found_anywhere_in_any_form() -> Outcome {
    let collector = Collector::start().await?;
    let (endpoint, kept) = (collector.url(), tempfile::tempdir()?);
    let settings = [("log.level", "trace"), ("telemetry.otlp_endpoint", endpoint)];
    each_form_with(&settings, async |hub| {
        let canaries = canaries(hub).await?;
        trouble(hub).await?;
        answers(hub, &canaries, kept.path()).await?;
        let mut places = vec![hub.folder().to_owned(), kept.path().to_owned()];
        let id = std::slice::from_ref(&canaries.account_id);
        if let Some(processes) = hub.hub() {
            eventually("spans are exported", async || {
                Ok((collector.bytes().windows(14).any(|part| part == b"GetAccessToken")).then_some(()))
            })
            .await?;
            std::fs::write(kept.path().join("spans"), collector.bytes())?;
            let stored = stored(processes, kept.path()).await?;
            for place in &stored {
                let hits = found(id, std::slice::from_ref(place))?;
                ensure!(!hits.is_empty(), "{} was not really looked at", place.display());
            }
            places.extend(stored);
        } else {
            ensure!(
                !found(id, &places)?.is_empty(),
                "the databases were not really looked at"
            );
        }
        let hits = found(&canaries.secret, &places)?;
        ensure!(hits.is_empty(), "{hits:#?}");
        Ok(())
    })
    .await
}
