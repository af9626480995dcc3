//! Death, standstill and loss at each step of a refresh (cases I1, I2, I4, I6, H2, H6): the grant goes on, no refresh token is
//! spent twice, and the platform is asked once.

use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::future::{join_all, try_join_all};
use harness::separate_processes_with;
use harness::{Cluster, Hub, Outcome, Sandbox, eventually, eventually_within, in_one_process, separate_processes};
use proto::tokens::v1::GetAccessTokenRequest;
use serde_json::{Value, json};

use crate::access::{grows_old, short_lives, token};

/// Steps in the tokens process; those in the platforms process are in `platform_deaths`.
const POINTS: [&str; 7] = [
    "before_claim",
    "after_claim",
    "after_ask",
    "after_answer",
    "after_receipt",
    "inside_apply",
    "after_commit",
];
pub(crate) const PEOPLE: [&str; 7] = ["ada", "bo", "cleo", "dora", "enid", "finn", "gus"];
/// Attempts of a standing process are taken over soon after their deadline.
const IMPATIENT: [(&str, &str); 3] = [
    ("tokens.refresh_deadline", "2s"),
    ("tokens.takeover_after.repeatable", "4s"),
    ("tokens.takeover_after.single_use", "4s"),
];

/// Accounts of several people, all with a token that is old enough to be renewed.
pub(crate) async fn old_accounts(hub: &Cluster, platform: &str, people: &[&str]) -> anyhow::Result<Vec<String>> {
    hub.plan("bakery", "professional").await?;
    short_lives(hub, platform).await?;
    let owner = hub.owner("bakery");
    let ids = try_join_all(
        people
            .iter()
            .map(|person| owner.connect_one(&hub.sandbox, platform, person)),
    )
    .await?;
    for id in &ids {
        grows_old(hub, id).await?;
    }
    Ok(ids)
}

/// Refresh calls that reached a platform for one person.
pub(crate) async fn calls(hub: &Cluster, platform: &str, person: &str) -> anyhow::Result<Vec<Value>> {
    let all = hub.sandbox.requests(platform, "refresh").await?;
    Ok(all.into_iter().filter(|call| call["person"] == person).collect())
}

/// One call with a living token, and the platform's newest token is the one that is handed out.
pub(crate) async fn asked_once(hub: &Cluster, platform: &str, person: &str, access_token: &str) -> Outcome {
    let calls = calls(hub, platform, person).await?;
    ensure!(
        calls.len() == 1,
        "{person}: the platform was asked {} times: {calls:?}",
        calls.len()
    );
    ensure!(
        calls[0]["token_was_dead"] == false && calls[0]["in_flight"] == 1,
        "{person}: {calls:?}"
    );
    let live = hub.sandbox.live_tokens(platform, person).await?;
    let fingerprint = Sandbox::fingerprint(access_token);
    let newest = live
        .iter()
        .filter(|one| one["kind"] == "access")
        .max_by_key(|one| one["issued_at_ms"].as_i64());
    ensure!(
        newest.is_some_and(|one| one["fingerprint"] == fingerprint.as_str()),
        "{person}: an older token is handed out: {live:?}"
    );
    Ok(())
}

/// The page says so, once it can be asked: a connection that broke fails one request.
pub(crate) async fn is_healthy(hub: &Cluster, id: &str) -> Outcome {
    eventually("the account is healthy", async || {
        let health = hub.owner("bakery").health(id).await?;
        Ok((health == "healthy").then_some(()))
    })
    .await
}

pub(crate) async fn restart(processes: &Hub, faults: &str) -> Outcome {
    processes.kill("tokens-0")?;
    processes.start_member_with("tokens", 0, &[("faults", faults)])?;
    processes.ready("tokens", 0).await
}

/// Asks until somebody has renewed the token.
pub(crate) async fn renewed(hub: &Cluster, replica: usize, id: &str) -> anyhow::Result<String> {
    renewed_within(hub, replica, id, Duration::from_secs(40)).await
}

/// As [`renewed`], with a patience of its own.
pub(crate) async fn renewed_within(
    hub: &Cluster,
    replica: usize,
    id: &str,
    longest: Duration,
) -> anyhow::Result<String> {
    eventually_within(longest, "the token is renewed", async || {
        let got = token(hub, replica, id).await?;
        Ok((got.generation == 2).then_some(got.access_token))
    })
    .await
}

async fn dies_and_goes_on(hub: &Cluster, processes: &Hub, platform: &str, points: &[&str], people: &[&str]) -> Outcome {
    let ids = old_accounts(hub, platform, people).await?;
    for ((point, person), id) in points.iter().zip(people).zip(&ids) {
        restart(processes, &format!("{point}:kill")).await?;
        let answer = token(hub, 0, id).await;
        ensure!(answer.is_err(), "{point}: the process lived on");
        eventually("it died", async || Ok((!processes.runs("tokens-0")).then_some(()))).await?;
        restart(processes, "").await?;
        let got = renewed(hub, 0, id)
            .await
            .with_context(|| format!("killed at {point}"))?;
        asked_once(hub, platform, person, &got)
            .await
            .with_context(|| format!("killed at {point}"))?;
        ensure!(token(hub, 1, id).await?.access_token == got, "{point}: replicas differ");
        ensure!(hub.owner("bakery").health(id).await? == "healthy", "{point}: amber");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_a_process_that_dies_at_any_step_of_a_refresh_loses_nothing() -> Outcome {
    separate_processes(async |hub, processes| dies_and_goes_on(hub, processes, "x", &POINTS, &PEOPLE).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_the_same_on_the_other_platform_with_single_use_tokens() -> Outcome {
    // Nothing was sent at the first; the call that is under way at the third is the fourth's as well.
    let points = [
        "after_claim",
        "after_answer",
        "after_receipt",
        "inside_apply",
        "after_commit",
    ];
    let people = ["ada", "bo", "cleo", "enid", "finn"];
    separate_processes(async |hub, processes| dies_and_goes_on(hub, processes, "tiktok", &points, &people).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_a_refresh_that_platforms_was_killed_in_is_not_sent_again_at_once() -> Outcome {
    separate_processes(async |hub, processes| {
        let ids = old_accounts(hub, "x", &["ada"]).await?;
        let slow = json!({"kind": "delay", "ms": 1500, "when": "before"});
        hub.sandbox
            .switch(&json!({"platform": "x", "operation": "refresh", "next": 1, "effect": slow}))
            .await?;
        let kill = async {
            under_way(hub).await?;
            for replica in 0..2 {
                processes.kill(&format!("platforms-{replica}"))?;
                processes.start_member("platforms", replica)?;
            }
            processes.ready("platforms", 0).await
        };
        let (asked, killed) = tokio::join!(token(hub, 0, &ids[0]), kill);
        killed?;
        // The answer died with the process: nobody knows, so the stored token is served and nothing is repeated.
        ensure!(asked?.generation == 1);
        ensure!(calls(hub, "x", "ada").await?.len() <= 1, "it was sent again");
        ensure!(
            hub.owner("bakery").health(&ids[0]).await? == "healthy",
            "amber before anything is proven"
        );
        Ok(())
    })
    .await
}

pub(crate) async fn under_way(hub: &Cluster) -> Outcome {
    eventually("the platform was asked", async || {
        let log = hub.sandbox.log().await?;
        let asked = |one: &Value| one["kind"] == "received" && one["operation"] == "refresh";
        Ok(log.iter().any(asked).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn i2_a_process_that_stands_still_is_taken_over_and_does_no_harm_when_it_wakes() -> Outcome {
    separate_processes_with(&IMPATIENT, async |hub, processes| {
        let points = ["after_claim", "after_answer", "after_receipt"];
        let ids = old_accounts(hub, "x", &PEOPLE[..3]).await?;
        for ((point, person), id) in points.iter().zip(PEOPLE).zip(&ids) {
            restart(processes, &format!("{point}:stop")).await?;
            let standing = async {
                let got = renewed(hub, 1, id).await;
                processes.signal("tokens-0", "CONT")?;
                got
            };
            let (_, got) = tokio::join!(token(hub, 0, id), standing);
            let got = got.with_context(|| format!("stopped at {point}"))?;
            let same = "the one that woke up serves the same token";
            eventually(same, async || {
                Ok((token(hub, 0, id).await?.access_token == got).then_some(()))
            })
            .await?;
            asked_once(hub, "x", person, &got)
                .await
                .with_context(|| format!("stopped at {point}"))?;
            ensure!(hub.owner("bakery").health(id).await? == "healthy", "{point}: amber");
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn r6_a_panic_on_the_way_costs_another_try_and_no_token() -> Outcome {
    separate_processes(async |hub, processes| {
        let ids = old_accounts(hub, "x", &["ada"]).await?;
        // The second is met by whoever goes on with the first.
        restart(processes, "after_answer:panic,inside_apply:panic").await?;
        let got = renewed(hub, 0, &ids[0]).await?;
        asked_once(hub, "x", "ada", &got).await?;
        let log = std::fs::read_to_string(processes.folder().join("tokens-0.log"))?;
        ensure!(
            log.matches("as the configuration says").count() == 2,
            "not both were met"
        );
        ensure!(processes.runs("tokens-0"), "the process ended");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn i4_a_caller_who_goes_away_does_not_stop_the_refresh() -> Outcome {
    separate_processes(async |hub, _| {
        let ids = old_accounts(hub, "x", &["ada"]).await?;
        let slow = json!({"kind": "delay", "ms": 800, "when": "after"});
        hub.sandbox
            .switch(&json!({"platform": "x", "operation": "refresh", "next": 1, "effect": slow}))
            .await?;
        let message = GetAccessTokenRequest {
            workspace_id: "bakery".to_owned(),
            account_id: ids[0].clone(),
            min_ttl: Some(prost_types::Duration { seconds: 58, nanos: 0 }),
        };
        let mut hurried = tonic::Request::new(message.clone());
        hurried.set_timeout(Duration::from_millis(50));
        let _ = hub.tokens(0)?.get_access_token(hurried).await;
        let mut client = hub.tokens(0)?;
        let gone = tokio::time::timeout(Duration::from_millis(50), client.get_access_token(message)).await;
        ensure!(gone.is_err(), "the answer came too soon to go away before it");
        asked_once(hub, "x", "ada", &renewed(hub, 1, &ids[0]).await?).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn i6_redis_emptied_and_killed_in_the_middle_of_a_refresh_changes_its_speed_only() -> Outcome {
    separate_processes(async |hub, processes| {
        let ids = old_accounts(hub, "x", &["ada", "bo"]).await?;
        for (person, id) in ["ada", "bo"].iter().zip(&ids) {
            let slow = json!({"kind": "delay", "ms": 1500, "when": "after"});
            let order = json!({"platform": "x", "person": person, "operation": "refresh", "next": 1, "effect": slow});
            hub.sandbox.switch(&order).await?;
            let trouble = async {
                eventually("it is under way", async || Ok(calls(hub, "x", person).await?.pop())).await?;
                if *person == "ada" {
                    let mut redis = redis::Client::open(processes.redis())?
                        .get_multiplexed_async_connection()
                        .await?;
                    redis::cmd("FLUSHALL").exec_async(&mut redis).await?;
                } else {
                    processes.kill("redis")?;
                }
                // Who comes now finds no lock, and no marker either.
                anyhow::Ok(join_all((0..20).map(|n| token(hub, n % 2, id))).await)
            };
            let (first, others) = tokio::join!(token(hub, 0, id), trouble);
            // Whoever lost patience was served the stored token, which still lives.
            first?;
            for other in others? {
                other?;
            }
            asked_once(hub, "x", person, &renewed(hub, 0, id).await?).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn h2_a_rotation_hidden_behind_a_500_is_noticed_and_announced_once() -> Outcome {
    in_one_process(async |hub| {
        let ids = old_accounts(hub, "x", &["ada"]).await?;
        let owner = hub.owner("bakery");
        let lie = json!({"kind": "server_error", "status": 500, "when": "after"});
        hub.sandbox
            .switch(&json!({"platform": "x", "operation": "refresh", "next": 1, "effect": lie}))
            .await?;
        ensure!(token(hub, 0, &ids[0]).await?.generation == 1, "not the stored token");
        ensure!(
            owner.health(&ids[0]).await? == "healthy",
            "a 500 turned the account amber"
        );
        // Nobody knows whether it was processed; one retry once no late answer is to be feared any more, and its confirmation.
        hub.advance(Duration::from_secs(16 * 60)).await?;
        let gone = eventually("the loss is noticed", async || {
            hub.advance(Duration::from_secs(20)).await?;
            let asked = token(hub, 0, &ids[0]).await;
            let status = asked.err().and_then(|error| error.downcast::<tonic::Status>().ok());
            Ok(status.filter(|status| status.code() == tonic::Code::FailedPrecondition))
        });
        gone.await?;
        let mut events = owner.events(Some("0")).await?;
        events.named("account.reconnect_required").await?;
        ensure!(owner.health(&ids[0]).await? != "healthy");
        let calls = calls(hub, "x", "ada").await?;
        ensure!(calls.len() <= 3, "a dead token was sent {} times", calls.len() - 1);
        let notices = owner.get("notifications").await?.ok()?;
        ensure!(
            notices["data"].as_array().map(Vec::len) == Some(1),
            "not one notice: {notices}"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn h6_a_platform_that_never_answers_is_asked_once_and_the_stored_token_is_served() -> Outcome {
    separate_processes_with(&IMPATIENT, async |hub, _| {
        let ids = old_accounts(hub, "x", &["ada"]).await?;
        let silent = json!({"kind": "hang"});
        hub.sandbox
            .switch(&json!({"platform": "x", "operation": "refresh", "next": 1, "effect": silent}))
            .await?;
        let stored = token(hub, 0, &ids[0]).await?;
        ensure!(stored.generation == 1, "not the stored token");
        // That reader's patience is over, and this one's after it; the call may still run.
        let (served, calls) = (token(hub, 1, &ids[0]).await?, calls(hub, "x", "ada").await?);
        ensure!(served.access_token == stored.access_token, "another token");
        ensure!(calls.len() == 1, "asked again while the first call may run: {calls:?}");
        ensure!(
            hub.owner("bakery").health(&ids[0]).await? == "healthy",
            "silence turned the account amber"
        );
        Ok(())
    })
    .await
}
