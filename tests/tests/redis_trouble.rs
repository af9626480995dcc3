//! Redis is slow, full, read-only, emptied, or gives a lock to two (cases I5–I8, V1): it costs time and nothing else.

use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::future::join_all;
use harness::{Cluster, Hub, Layout, Outcome, separate_processes_as};
use redis::aio::MultiplexedConnection;

use crate::access::token;
use crate::fault_points::{asked_once, old_accounts, renewed};

async fn redis(processes: &Hub) -> anyhow::Result<MultiplexedConnection> {
    let client = redis::Client::open(processes.redis())?;
    Ok(client.get_multiplexed_async_connection().await?)
}

async fn order(processes: &Hub, words: &[&str]) -> Outcome {
    let (name, arguments) = words.split_first().context("no order")?;
    let mut connection = redis(processes).await?;
    redis::cmd(name).arg(arguments).exec_async(&mut connection).await?;
    Ok(())
}

/// Twenty callers of both replicas, and what one person's refresh came to.
async fn many_want_it(hub: &Cluster, person: &str, id: &str) -> anyhow::Result<String> {
    for answer in join_all((0..20).map(|n| token(hub, n % 2, id))).await {
        // Whoever lost patience was served the stored token, which still lives.
        answer?;
    }
    let got = renewed(hub, 0, id).await?;
    asked_once(hub, "x", person, &got).await?;
    ensure!(renewed(hub, 1, id).await? == got, "{person}: replicas differ");
    let health = hub.owner("bakery").health(id).await?;
    ensure!(health == "healthy", "{person}: {health}");
    Ok(got)
}

#[tokio::test(flavor = "multi_thread")]
async fn i6_redis_that_is_slow_full_read_only_or_silent_changes_the_speed_only() -> Outcome {
    separate_processes_as(Layout::proxied(), &[], async |hub, processes| {
        let people = ["ada", "bo", "cleo", "dora", "gus"];
        let ids = old_accounts(hub, "x", &people).await?;
        let proxy = &processes.proxies()?.redis;
        let step = async |at: usize, what: &str| {
            many_want_it(hub, people[at], &ids[at])
                .await
                .with_context(|| what.to_owned())
        };
        proxy.slow(Duration::from_secs(2));
        step(0, "two seconds late").await?;
        proxy.release();
        order(processes, &["CONFIG", "SET", "maxmemory", "1"]).await?;
        step(1, "out of memory").await?;
        order(processes, &["CONFIG", "SET", "maxmemory", "0"]).await?;
        order(processes, &["REPLICAOF", "127.0.0.1", "1"]).await?;
        step(2, "read-only").await?;
        order(processes, &["REPLICAOF", "NO", "ONE"]).await?;
        // The lock is taken, and whoever took it is not told.
        proxy.hold_answers();
        step(3, "answers are lost").await?;
        proxy.release();
        proxy.down();
        step(4, "away").await?;
        proxy.release();
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_i8_a_lock_that_two_hold_or_that_ends_early_is_no_guard_and_needs_to_be_none() -> Outcome {
    separate_processes_as(Layout::default(), &[], async |hub, processes| {
        let people = ["ada", "bo", "cleo", "dora"];
        let ids = old_accounts(hub, "x", &people).await?;
        let mut connection = redis(processes).await?;
        // As a failover that forgot them, and as a clock that jumped: every lock is gone as soon as it is there.
        let stealing = async {
            loop {
                let found: Vec<String> = redis::cmd("KEYS")
                    .arg("*:refresh:*")
                    .query_async(&mut connection)
                    .await?;
                if !found.is_empty() {
                    redis::cmd("DEL").arg(found).exec_async(&mut connection).await?;
                }
                tokio::task::yield_now().await;
            }
        };
        let refreshing = async {
            for (person, id) in people.iter().zip(&ids) {
                many_want_it(hub, person, id).await?;
            }
            anyhow::Ok(())
        };
        tokio::select! {
            stolen = stealing => stolen,
            refreshed = refreshing => refreshed,
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn i5_many_callers_of_three_replicas_get_the_one_token_of_one_call() -> Outcome {
    let mut layout = Layout::default();
    layout.members.push(("tokens", 2));
    separate_processes_as(layout, &[], async |hub, processes| {
        for platform in ["x", "tiktok"] {
            let ids = old_accounts(hub, platform, &["ada"]).await?;
            let clients = (0..3).map(|replica| hub.tokens_at(processes.address("tokens", replica)));
            let clients = clients.collect::<anyhow::Result<Vec<_>>>()?;
            let asked = (0..600).map(|n| crate::access::ask(clients[n % 3].clone(), &ids[0]));
            let told = join_all(asked).await.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
            let first = &told[0];
            ensure!(first.generation == 2, "{platform}: generation {}", first.generation);
            ensure!(
                told.iter().all(|one| one.access_token == first.access_token),
                "{platform}: different tokens"
            );
            asked_once(hub, platform, "ada", &first.access_token).await?;
        }
        Ok(())
    })
    .await
}
