//! PostgreSQL loses connections, locks, is read-only, slow or away (cases I10, I11, I13, I17, I18, R6, V2): no refresh starts that
//! cannot be written down, no answer is lost, no platform is asked again.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::future::join_all;
use harness::{Cluster, Hub, Layout, Outcome, Proxy, eventually, eventually_within, separate_processes_as};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use crate::access::token;
use crate::fault_points::{asked_once, calls, is_healthy, old_accounts, renewed, restart};
use crate::platform_deaths::platforms_with;

/// Starts tokens-0 with a fault, has it refresh one account there, and makes trouble once the platform has answered.
async fn in_the_middle(
    hub: &Cluster,
    processes: &Hub,
    (person, id): (&str, &str),
    faults: &str,
    trouble: impl AsyncFn() -> Outcome,
) -> Outcome {
    restart(processes, faults).await?;
    let then = async {
        eventually("the platform answered", async || {
            Ok(calls(hub, "x", person).await?.pop())
        })
        .await?;
        trouble().await
    };
    // What the caller is told in the trouble is not what this is about.
    let (_, done) = tokio::join!(token(hub, 0, id), then);
    done?;
    let got = renewed(hub, 0, id).await.with_context(|| faults.to_owned())?;
    asked_once(hub, "x", person, &got).await?;
    is_healthy(hub, id).await
}

/// tokens-0 says how often something could not be stored yet.
async fn has_trouble(processes: &Hub) -> Outcome {
    eventually_within(Duration::from_secs(30), "tokens cannot store what it has", async || {
        let log = std::fs::read_to_string(processes.folder().join("tokens-0.log"))?;
        Ok(log.contains("stored yet, trying again").then_some(()))
    })
    .await
}

fn forget_log(processes: &Hub) -> Outcome {
    Ok(std::fs::write(processes.folder().join("tokens-0.log"), "")?)
}

async fn in_database(processes: &Hub, sql: &'static str) -> Outcome {
    let mut connection = PgConnection::connect(processes.database()).await?;
    for sql in ["SET default_transaction_read_only = off", sql] {
        sqlx::query(sql).execute(&mut connection).await?;
    }
    Ok(())
}

async fn count(processes: &Hub, sql: &'static str) -> anyhow::Result<i64> {
    let mut connection = PgConnection::connect(processes.database()).await?;
    Ok(sqlx::query_scalar(sql).fetch_one(&mut connection).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn i10_a_commit_that_happened_and_was_not_heard_of_is_not_made_twice() -> Outcome {
    separate_processes_as(Layout::proxied(), &[], async |hub, processes| {
        let ids = old_accounts(hub, "x", &["ada"]).await?;
        let proxy = &processes.proxies()?.database;
        in_the_middle(hub, processes, ("ada", &ids[0]), "inside_apply:hold:500", async || {
            forget_log(processes)?;
            proxy.lose_commits(1000);
            has_trouble(processes).await?;
            proxy.lose_commits(0);
            Ok(())
        })
        .await?;
        let applied = "SELECT COUNT(*) FROM tokens.attempts WHERE state = 'applied'";
        ensure!(count(processes, applied).await? == 1, "applied more than once");
        ensure!(token(hub, 1, &ids[0]).await?.generation == 2, "a generation too many");
        Ok(())
    })
    .await
}

/// A transaction that waited for a lock has given up, and the next one waits.
async fn was_refused_a_lock(processes: &Hub) -> Outcome {
    let mut connection = PgConnection::connect(processes.database()).await?;
    let mut began = BTreeSet::new();
    eventually("a second transaction waits for the lock", async || {
        let waiting = "SELECT xact_start::text FROM pg_stat_activity
             WHERE wait_event_type = 'Lock' AND datname = current_database() AND query LIKE '%grants%'";
        let found: Vec<String> = sqlx::query_scalar(waiting).fetch_all(&mut connection).await?;
        began.extend(found);
        Ok((began.len() > 1).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn i11_a_transaction_that_waits_for_a_lock_or_a_connection_is_tried_again_and_the_call_is_not() -> Outcome {
    separate_processes_as(Layout::proxied(), &[], async |hub, processes| {
        let ids = old_accounts(hub, "x", &["ada", "bo"]).await?;
        let proxy = &processes.proxies()?.database;
        in_the_middle(
            hub,
            processes,
            ("ada", &ids[0]),
            "after_receipt:hold:1000",
            async || {
                forget_log(processes)?;
                let mut rival = PgConnection::connect(processes.database()).await?;
                let mut holding = rival.begin().await?;
                sqlx::query("UPDATE tokens.grants SET version = version")
                    .execute(&mut *holding)
                    .await?;
                was_refused_a_lock(processes).await?;
                Ok(holding.rollback().await?)
            },
        )
        .await?;
        in_the_middle(hub, processes, ("bo", &ids[1]), "after_answer:hold:500", async || {
            forget_log(processes)?;
            // All connections of the pool stand, and nobody gets one.
            proxy.hold();
            let readers = join_all((0..40).map(|n| token(hub, n % 2, &ids[0])));
            let (_, troubled) = tokio::join!(
                tokio::time::timeout(Duration::from_secs(8), readers),
                has_trouble(processes)
            );
            proxy.release();
            troubled
        })
        .await
    })
    .await
}

/// While the database takes no writes: nothing is sent, and the page says when to come again.
async fn nothing_starts(hub: &Cluster, person: &str, id: &str) -> Outcome {
    let _ = token(hub, 0, id).await;
    ensure!(
        calls(hub, "x", person).await?.is_empty(),
        "{person} was refreshed without a claim"
    );
    let refused = hub.owner("bakery").try_begin("facebook", &json!({})).await?;
    ensure!(
        refused.status == 503,
        "a connect began without a database: {}",
        refused.status
    );
    ensure!(
        refused.headers.contains_key("retry-after"),
        "nobody says when to come again"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn l5_a_hub_without_its_database_is_alive_and_not_ready() -> Outcome {
    separate_processes_as(Layout::proxied(), &[], async |hub, processes| {
        let says = async |path: &str| -> anyhow::Result<u16> {
            Ok(reqwest::get(format!("{}{path}", hub.url())).await?.status().as_u16())
        };
        let proxy = &processes.proxies()?.database;
        proxy.down();
        let unready = async || Ok((says("/readyz").await? == 503).then_some(()));
        eventually_within(Duration::from_secs(30), "it says that it is not ready", unready).await?;
        ensure!(says("/healthz").await? == 200, "it would be restarted for nothing");
        proxy.release();
        let ready = async || Ok((says("/readyz").await? == 200).then_some(()));
        eventually_within(Duration::from_secs(30), "it is ready again", ready).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn v2_r6_without_postgresql_no_refresh_starts_and_an_answer_waits_until_it_is_back() -> Outcome {
    separate_processes_as(Layout::proxied(), &[], async |hub, processes| {
        let ids = old_accounts(hub, "x", &["ada", "bo"]).await?;
        let proxy = &processes.proxies()?.database;
        in_the_middle(hub, processes, ("ada", &ids[0]), "after_answer:hold:300", async || {
            proxy.down();
            has_trouble(processes).await?;
            nothing_starts(hub, "bo", &ids[1]).await?;
            // From here on the answer is in the memory of tokens-0 alone.
            let mut redis = redis::Client::open(processes.redis())?
                .get_multiplexed_async_connection()
                .await?;
            redis::cmd("FLUSHALL").exec_async(&mut redis).await?;
            platforms_with(processes, "").await?;
            proxy.release();
            Ok(())
        })
        .await?;
        let got = renewed(hub, 1, &ids[1])
            .await
            .context("it does not recover by itself")?;
        asked_once(hub, "x", "bo", &got).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn i13_a_database_that_is_read_only_claims_nothing_and_an_answer_waits_for_its_end() -> Outcome {
    separate_processes_as(Layout::proxied(), &[], async |hub, processes| {
        let ids = old_accounts(hub, "x", &["ada", "bo"]).await?;
        let proxy = &processes.proxies()?.database;
        in_the_middle(hub, processes, ("ada", &ids[0]), "after_answer:hold:300", async || {
            forget_log(processes)?;
            in_database(processes, READ_ONLY).await?;
            proxy.cut();
            has_trouble(processes).await?;
            nothing_starts(hub, "bo", &ids[1]).await?;
            in_database(processes, WRITABLE).await?;
            proxy.cut();
            Ok(())
        })
        .await?;
        let got = renewed(hub, 1, &ids[1]).await?;
        asked_once(hub, "x", "bo", &got).await
    })
    .await
}

/// For sessions that begin from now on.
const READ_ONLY: &str = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$";
const WRITABLE: &str = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = off', current_database()); END $$";

#[tokio::test(flavor = "multi_thread")]
async fn i17_a_replica_that_reaches_the_platform_and_no_database_sends_nothing_and_keeps_what_came() -> Outcome {
    separate_processes_as(Layout::proxied(), &[], async |hub, processes| {
        let ids = old_accounts(hub, "x", &["ada", "bo"]).await?;
        // tokens-1 is on the side of the database.
        processes.kill("tokens-1")?;
        processes.start_member_with("tokens", 1, &[("database.url", processes.database())])?;
        processes.ready("tokens", 1).await?;
        let proxy: &Proxy = &processes.proxies()?.database;
        in_the_middle(hub, processes, ("ada", &ids[0]), "after_answer:hold:300", async || {
            proxy.down();
            has_trouble(processes).await?;
            // Nobody takes over what may still be applied, and nobody sends what nobody claimed.
            ensure!(
                token(hub, 1, &ids[0]).await?.generation == 1,
                "ada was refreshed beside the answer"
            );
            let _ = token(hub, 0, &ids[1]).await;
            ensure!(calls(hub, "x", "bo").await?.is_empty(), "sent without a claim");
            let got = renewed(hub, 1, &ids[1]).await?;
            asked_once(hub, "x", "bo", &got).await?;
            proxy.release();
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn i18_a_network_that_is_slow_and_breaks_again_and_again_loses_and_doubles_nothing() -> Outcome {
    separate_processes_as(Layout::proxied(), &[], async |hub, processes| {
        let people = ["ada", "bo", "cleo", "dora", "gus"];
        let ids = old_accounts(hub, "x", &people).await?;
        let proxies = processes.proxies()?;
        proxies.database.slow(Duration::from_millis(60));
        proxies.redis.slow(Duration::from_millis(200));
        let breaking = async {
            for n in 0_u64.. {
                tokio::time::sleep(Duration::from_millis(350 + n % 3 * 150)).await;
                proxies.database.cut();
                proxies.redis.cut();
            }
        };
        let asking = join_all((0..60).map(|n| token(hub, n % 2, &ids[n % 5])));
        tokio::select! {
            () = breaking => {}
            // What they are told is not what this is about.
            _ = asking => {}
        }
        proxies.database.release();
        proxies.redis.release();
        for (person, id) in people.iter().zip(&ids) {
            let got = renewed(hub, 0, id).await.with_context(|| (*person).to_owned())?;
            asked_once(hub, "x", person, &got).await?;
            is_healthy(hub, id).await.with_context(|| (*person).to_owned())?;
        }
        Ok(())
    })
    .await
}
