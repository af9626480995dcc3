//! The canary search: a token, an authorization code or a state found anywhere that it must not be.

use anyhow::{Context, ensure};
use harness::{Cluster, Consent, Outcome, each_form};
use proto::tokens::v1::GetAccessTokenRequest;
use serde_json::json;
use sqlx::{Connection, PgConnection};

/// Everything that must not be seen: what the callback carried, and what the platforms issued.
async fn canaries(hub: &Cluster) -> anyhow::Result<Vec<String>> {
    hub.plan("bakery", "professional").await?;
    let owner = hub.owner("bakery");
    let mut canaries = Vec::new();
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
        let account = &session["result"]["accounts"][0]["id"];
        let account_id = account
            .as_str()
            .with_context(|| format!("not connected: {session}"))?
            .to_owned();
        let callback = reqwest::Url::parse(&location)?;
        let carried = callback
            .query_pairs()
            .filter(|(name, _)| name == "code" || name == "state");
        canaries.extend(carried.map(|(_, value)| value.trim_end_matches("#_").to_owned()));
        let request = GetAccessTokenRequest {
            workspace_id: "bakery".to_owned(),
            account_id,
            min_ttl: None,
        };
        canaries.push(
            hub.tokens(0)?
                .get_access_token(request)
                .await?
                .into_inner()
                .access_token,
        );
    }
    ensure!(
        canaries.iter().all(|canary| canary.len() >= 16),
        "too short to search for: {canaries:?}"
    );
    Ok(canaries)
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

/// Files of the cluster: databases of the embedded form, logs of the processes.
fn files(hub: &Cluster) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(hub.folder())? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            found.push((
                entry.file_name().to_string_lossy().into_owned(),
                std::fs::read(entry.path())?,
            ));
        }
    }
    Ok(found)
}

/// Every row of every table as text; bytes are in it as hexadecimal digits.
async fn rows(url: &str) -> anyhow::Result<Vec<(String, String)>> {
    let mut database = PgConnection::connect(url).await?;
    let tables: Vec<(String, String)> = sqlx::query_as(
        "SELECT table_schema::text, table_name::text FROM information_schema.tables
         WHERE table_schema NOT IN ('pg_catalog', 'information_schema')",
    )
    .fetch_all(&mut database)
    .await?;
    let mut found = Vec::new();
    for (schema, table) in tables {
        let query = format!("SELECT t::text FROM \"{schema}\".\"{table}\" t");
        let texts: Vec<(String,)> = sqlx::query_as(sqlx::AssertSqlSafe(query))
            .fetch_all(&mut database)
            .await?;
        found.extend(texts.into_iter().map(|(text,)| (format!("{schema}.{table}"), text)));
    }
    Ok(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_code_or_state_is_found_in_logs_metrics_answers_or_databases() -> Outcome {
    each_form(async |hub| {
        let canaries = canaries(hub).await?;
        trouble(hub).await?;
        let mut places: Vec<(String, Vec<u8>)> = files(hub)?;
        for url in hub.metrics() {
            let metrics = reqwest::get(&url).await?.text().await?;
            places.push((url, metrics.into_bytes()));
        }
        let owner = hub.owner("bakery");
        for path in ["accounts", "notifications", "/connections", "/api/v1/openapi.json"] {
            places.push((path.to_owned(), owner.get(path).await?.text.into_bytes()));
        }
        for (table, row) in match hub.hub() {
            Some(processes) => rows(processes.database()).await?,
            None => Vec::new(),
        } {
            places.push((table, row.into_bytes()));
        }
        ensure!(places.len() > 8, "looked nowhere");
        for canary in canaries {
            for form in [canary.clone(), hex::encode(&canary)] {
                let needle = form.as_bytes();
                let found = places
                    .iter()
                    .find(|(_, bytes)| bytes.windows(needle.len()).any(|part| part == needle));
                ensure!(
                    found.is_none(),
                    "{canary} is in {}",
                    found.map_or("", |(place, _)| place)
                );
            }
        }
        Ok(())
    })
    .await
}
