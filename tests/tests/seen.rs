//! What an operator sees of a refresh: counts on the metrics ports, one trace, one line in the log. Never a secret.

use anyhow::{Context, ensure};
use harness::{Cluster, Collector, Hub, Outcome, Seen, eventually, separate_processes_with};
use serde_json::{Value, json};

use crate::access::{grows_old, short_lives, token};

/// An X account whose token is old enough to be renewed.
async fn old_account(hub: &Cluster) -> anyhow::Result<String> {
    hub.plan("bakery", "professional").await?;
    short_lives(hub, "x").await?;
    let id = hub.owner("bakery").connect_one(&hub.sandbox, "x", "ada").await?;
    grows_old(hub, &id).await?;
    Ok(id)
}

async fn restart(processes: &Hub, faults: &str) -> Outcome {
    processes.kill("tokens-0")?;
    processes.start_member_with("tokens", 0, &[("faults", faults)])?;
    processes.ready("tokens", 0).await
}

/// Lines of the JSON logs of both tokens processes that say `message`.
fn lines(processes: &Hub, message: &str) -> anyhow::Result<Vec<Value>> {
    let mut found = Vec::new();
    for name in ["tokens-0", "tokens-1"] {
        let log = std::fs::read_to_string(processes.folder().join(format!("{name}.log")))?;
        let parsed = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        found.extend(parsed.filter(|line| line["message"] == message));
    }
    Ok(found)
}

/// Value of a metric with these labels, over all processes.
async fn metric(hub: &Cluster, name: &str, labels: &[&str]) -> anyhow::Result<f64> {
    let mut sum = 0.0;
    for url in hub.metrics() {
        let Ok(answer) = reqwest::get(&url).await else { continue };
        for line in answer.text().await?.lines() {
            let (key, value) = line.rsplit_once(' ').unwrap_or_default();
            let (found, rest) = key.split_once('{').unwrap_or((key, ""));
            if found == name && labels.iter().all(|label| rest.contains(label)) {
                sum += value.parse::<f64>()?;
            }
        }
    }
    Ok(sum)
}

/// Spans of one trace, once they reach from the attempt to the event in accounts.
async fn whole_trace(collector: &Collector, trace: &str) -> Outcome {
    eventually("the trace is whole", async || {
        let spans: Vec<Seen> = collector
            .spans()
            .into_iter()
            .filter(|span| span.trace == trace)
            .collect();
        let has = |service: &str, name: &str, rpc: &str| {
            let is_it = |span: &Seen| span.service == service && span.name == name && span.field("rpc") == rpc;
            spans.iter().any(is_it)
        };
        let whole = has("socializioz-tokens", "refresh_attempt", "")
            && has("socializioz-platforms", "rpc", "Refresh")
            && has("socializioz-accounts", "rpc", "ApplyGrantChange");
        ensure!(whole, "so far {spans:?}");
        Ok(Some(()))
    })
    .await
}

/// The trace of the only attempt that has ended, by its line in the log.
async fn traced(processes: &Hub) -> anyhow::Result<(Value, String)> {
    let line = eventually("the attempt has its line", async || {
        Ok(lines(processes, "refresh attempt")?.into_iter().next())
    })
    .await?;
    let trace = line["trace"].as_str().and_then(|trace| trace.split('-').nth(1));
    let trace = trace.context("no trace")?.to_owned();
    Ok((line, trace))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_is_one_trace_one_line_and_counted_once() -> Outcome {
    let collector = Collector::start().await?;
    let settings = [("telemetry.otlp_endpoint", collector.url()), ("log.format", "json")];
    separate_processes_with(&settings, async |hub, processes| {
        let id = old_account(hub).await?;
        let renewed = token(hub, 0, &id).await?;
        ensure!(renewed.generation == 2, "not renewed");
        let (line, trace) = traced(processes).await?;
        for (field, value) in [
            ("outcome", "renewed"),
            ("why", "lazy"),
            ("connector", "x"),
            ("workspace", "bakery"),
        ] {
            ensure!(line[field] == value, "{field} of {line}");
        }
        ensure!(!line.to_string().contains(&renewed.access_token), "a token in the log");
        whole_trace(&collector, &trace).await?;
        ensure!(
            lines(processes, "refresh attempt")?.len() == 1,
            "one line for each attempt"
        );
        for (name, labels, value) in [
            (
                "tokens_attempts_total",
                &["connector=\"x\"", "outcome=\"renewed\""][..],
                1.0,
            ),
            ("tokens_attempts_total", &[], 1.0),
            ("tokens_receipt_window_seconds_count", &[], 1.0),
        ] {
            let counted = metric(hub, name, labels).await?;
            ensure!((counted - value).abs() < 0.5, "{name}{labels:?} is {counted}");
        }
        for name in ["tokens_read_total", "platforms_call_seconds_count", "rpc_seconds_count"] {
            ensure!(metric(hub, name, &[]).await? >= 1.0, "{name} counts nothing");
        }
        for gauge in ["tokens_open_attempts", "tokens_oldest_due_seconds"] {
            eventually("the sweep has looked", async || {
                let text = reqwest::get(&hub.metrics()[4]).await?.text().await?;
                Ok(text.contains(gauge).then_some(()))
            })
            .await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_whose_process_died_goes_on_in_its_trace_and_has_one_line() -> Outcome {
    let collector = Collector::start().await?;
    let settings = [("telemetry.otlp_endpoint", collector.url()), ("log.format", "json")];
    separate_processes_with(&settings, async |hub, processes| {
        let id = old_account(hub).await?;
        restart(processes, "after_answer:kill").await?;
        ensure!(token(hub, 0, &id).await.is_err(), "the process lived on");
        eventually("it died", async || Ok((!processes.runs("tokens-0")).then_some(()))).await?;
        // The first life's spans died with it: what it began is in the database.
        let first: String = {
            let pool = sqlx::PgPool::connect(processes.database()).await?;
            sqlx::query_scalar("SELECT trace FROM tokens.attempts")
                .fetch_one(&pool)
                .await?
        };
        restart(processes, "").await?;
        eventually("the token is renewed", async || {
            Ok((token(hub, 1, &id).await?.generation == 2).then_some(()))
        })
        .await?;
        let (line, trace) = traced(processes).await?;
        ensure!(
            first.contains(&trace) && line["outcome"] == "renewed",
            "{first} went on as {line}"
        );
        whole_trace(&collector, &trace).await?;
        ensure!(
            lines(processes, "refresh attempt")?.len() == 1,
            "one line for each attempt"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_turns_amber_is_counted_with_its_reason() -> Outcome {
    separate_processes_with(&[], async |hub, _| {
        hub.plan("bakery", "professional").await?;
        let owner = hub.owner("bakery");
        let id = owner.connect_one(&hub.sandbox, "x", "bo").await?;
        hub.sandbox.act("x", "bo", json!({"kind": "revoke"})).await?;
        owner.check(&id).await?;
        eventually("it is amber", async || {
            Ok((owner.health(&id).await? != "healthy").then_some(()))
        })
        .await?;
        let amber = metric(
            hub,
            "accounts_amber_total",
            &["platform=\"x\"", "reason=\"access_revoked\""],
        )
        .await?;
        ensure!((amber - 1.0).abs() < 0.5, "counted {amber} times");
        Ok(())
    })
    .await
}
