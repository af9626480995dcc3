//! Death of platforms at each step of a refresh, and of tokens together with Redis (cases I1, H19, V1): what was kept anywhere is
//! found, what nobody could keep ends in one honest amber and one notice, and nothing is sent twice but by a takeover.

use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::future::try_join_all;
use harness::{Cluster, Hub, Outcome, eventually, eventually_within, separate_processes, separate_processes_with};
use proto::tokens::v1::InspectRequest;
use serde_json::{Value, json};

use crate::access::token;
use crate::fault_points::{asked_once, calls, old_accounts, renewed, renewed_within, restart};

/// Both replicas: whichever is asked meets the fault.
pub(crate) async fn platforms_with(processes: &Hub, faults: &str) -> Outcome {
    for replica in 0..2 {
        processes.kill(&format!("platforms-{replica}"))?;
        processes.start_member_with("platforms", replica, &[("faults", faults)])?;
    }
    processes.ready("platforms", 0).await?;
    processes.ready("platforms", 1).await
}

/// Has one refresh meet a fault of platforms; the process it killed is started again.
async fn refresh_through(hub: &Cluster, processes: &Hub, id: &str, faults: &str) -> Outcome {
    platforms_with(processes, faults).await?;
    let died = async {
        let name = eventually(&format!("{faults} is met"), async || {
            let gone = ["platforms-0", "platforms-1"]
                .into_iter()
                .find(|name| !processes.runs(name));
            Ok(gone)
        })
        .await?;
        let replica = usize::from(name.ends_with('1'));
        processes.kill(name)?;
        processes.start_member("platforms", replica)?;
        processes.ready("platforms", replica).await
    };
    // Whatever it is answered, if it has the patience: a stored token that still lives, or that there is none now.
    let asking = tokio::time::timeout(Duration::from_secs(1), token(hub, 0, id));
    let (_, died) = tokio::join!(asking, died);
    died
}

async fn switch(hub: &Cluster, platform: &str, person: &str, effect: Value) -> Outcome {
    let order = json!({"platform": platform, "person": person, "operation": "refresh", "next": 1, "effect": effect});
    hub.sandbox.switch(&order).await.map(drop)
}

/// Never two calls at a time.
async fn one_at_a_time(hub: &Cluster, platform: &str, person: &str) -> anyhow::Result<Vec<Value>> {
    let calls = calls(hub, platform, person).await?;
    ensure!(
        calls.iter().all(|call| call["in_flight"] == 1),
        "{person}: two at a time: {calls:?}"
    );
    Ok(calls)
}

/// The platform had rotated and its answer is lost: one retry after the takeover, one confirmation, one notice.
async fn honestly_over(hub: &Cluster, platform: &str, person: &str, id: &str) -> Outcome {
    let owner = hub.owner("bakery");
    eventually_within(Duration::from_secs(90), "the loss is noticed", async || {
        let refused = token(hub, 1, id).await.err();
        let status = refused.and_then(|error| error.downcast::<tonic::Status>().ok());
        Ok(status.filter(|status| status.code() == tonic::Code::FailedPrecondition))
    })
    .await?;
    eventually("the account is amber", async || {
        Ok((owner.health(id).await? != "healthy").then_some(()))
    })
    .await?;
    let calls = one_at_a_time(hub, platform, person).await?;
    ensure!((2..=3).contains(&calls.len()), "{person}: {} calls", calls.len());
    ensure!(
        calls[0]["token_was_dead"] == false && calls[1..].iter().all(|call| call["token_was_dead"] == true),
        "{person}: {calls:?}"
    );
    let notices = owner.get("notifications").await?.ok()?;
    let all = notices["data"].as_array().context("no data")?;
    let theirs = all.iter().filter(|notice| notice["account_id"] == id).count();
    ensure!(theirs == 1, "{person}: {theirs} notices: {notices}");
    Ok(())
}

/// People of one platform and their accounts; platforms dies for each at another step.
struct Five {
    platform: &'static str,
    people: [&'static str; 5],
    ids: Vec<String>,
}

impl Five {
    /// Their tokens live for some seconds, and more than half of that is over.
    async fn connect(hub: &Cluster, platform: &'static str, people: [&'static str; 5]) -> anyhow::Result<Self> {
        let short = json!({"kind": "lifetimes", "access_seconds": 12});
        let order = json!({"platform": platform, "operation": "exchange", "effect": short});
        hub.sandbox.switch(&order).await?;
        let owner = hub.owner("bakery");
        let connected = people
            .iter()
            .map(|person| owner.connect_one(&hub.sandbox, platform, person));
        let ids = try_join_all(connected).await?;
        for id in &ids {
            has_left(hub, id, Duration::from_secs(5)).await?;
        }
        Ok(Self { platform, people, ids })
    }

    async fn step(&self, hub: &Cluster, processes: &Hub, at: usize, faults: &str) -> Outcome {
        refresh_through(hub, processes, &self.ids[at], faults)
            .await
            .with_context(|| format!("{}, {faults}", self.platform))
    }

    async fn meet_their_fate(&self, hub: &Cluster, processes: &Hub) -> Outcome {
        let (platform, people) = (self.platform, self.people);
        // W1, and the platform never looked at it.
        switch(hub, platform, people[0], json!({"kind": "hang"})).await?;
        self.step(hub, processes, 0, "after_send:kill:300").await?;
        // W1 and W2: the platform has rotated.
        switch(
            hub,
            platform,
            people[1],
            json!({"kind": "delay", "ms": 1500, "when": "after"}),
        )
        .await?;
        self.step(hub, processes, 1, "after_send:kill:300").await?;
        self.step(hub, processes, 2, "after_headers:kill").await?;
        // W2 at a platform that lets a spent token live for a while.
        let grace = json!({"kind": "rotation_grace", "seconds": 600});
        let order = json!({"platform": platform, "person": people[3], "effect": grace});
        hub.sandbox.switch(&order).await?;
        self.step(hub, processes, 3, "after_body:kill").await?;
        self.step(hub, processes, 4, "after_platforms_receipt:kill").await
    }

    async fn are_accounted_for(&self, hub: &Cluster) -> Outcome {
        let (platform, people) = (self.platform, self.people);
        // Kept: nothing is lost, and nothing repeated.
        let got = renewed(hub, 0, &self.ids[4]).await.context(people[4])?;
        asked_once(hub, platform, people[4], &got).await?;
        for at in [0, 3] {
            // The retry was the first that the platform looked at, or it got the pair that was missed.
            renewed_within(hub, 0, &self.ids[at], Duration::from_secs(90))
                .await
                .context(people[at])?;
            ensure!(
                one_at_a_time(hub, platform, people[at]).await?.len() == 2,
                "{}",
                people[at]
            );
        }
        for at in [1, 2] {
            honestly_over(hub, platform, people[at], &self.ids[at]).await?;
        }
        for at in [0, 3, 4] {
            let health = hub.owner("bakery").health(&self.ids[at]).await?;
            ensure!(health == "healthy", "{}: {health}", people[at]);
        }
        Ok(())
    }
}

async fn has_left(hub: &Cluster, account: &str, left: Duration) -> Outcome {
    let request = InspectRequest {
        workspace_id: "bakery".to_owned(),
        account_id: account.to_owned(),
    };
    eventually("the token grows old", async || {
        let told = hub.tokens(0)?.inspect(request.clone()).await?.into_inner();
        let end = told.grant.context("no grant")?.access_expires_at_ms;
        Ok((end < jiff::Timestamp::now().as_millisecond() + kit::clock::millis(left)).then_some(()))
    })
    .await
}

/// Nothing is taken over while processes are still dying, and everything soon after.
const LATER: [(&str, &str); 3] = [
    ("tokens.refresh_deadline", "15s"),
    ("tokens.takeover_after.repeatable", "30s"),
    ("tokens.takeover_after.single_use", "45s"),
];

#[tokio::test(flavor = "multi_thread")]
async fn i1_the_death_of_platforms_at_any_step_loses_what_nobody_could_keep_and_says_so() -> Outcome {
    separate_processes_with(&LATER, async |hub, processes| {
        hub.plan("bakery", "professional").await?;
        let five = [
            Five::connect(hub, "x", ["ada", "bo", "cleo", "dora", "gus"]).await?,
            Five::connect(hub, "tiktok", ["ada", "bo", "cleo", "enid", "finn"]).await?,
        ];
        for five in &five {
            five.meet_their_fate(hub, processes).await?;
        }
        for five in &five {
            five.are_accounted_for(hub).await.context(five.platform)?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn v1_redis_emptied_after_the_answer_and_tokens_killed_then_loses_nothing() -> Outcome {
    separate_processes(async |hub, processes| {
        // Several, so that the answer is with either replica of platforms.
        let people = ["ada", "bo", "cleo", "dora"];
        let ids = old_accounts(hub, "x", &people).await?;
        for (person, id) in people.iter().zip(&ids) {
            restart(processes, "after_answer:stop").await?;
            let asking = token(hub, 0, id);
            let then = async {
                eventually("the platform answered", async || {
                    Ok(calls(hub, "x", person).await?.pop())
                })
                .await?;
                eventually("tokens stands still", async || {
                    Ok(processes.stands("tokens-0")?.then_some(()))
                })
                .await?;
                let mut redis = redis::Client::open(processes.redis())?
                    .get_multiplexed_async_connection()
                    .await?;
                redis::cmd("FLUSHALL").exec_async(&mut redis).await?;
                restart(processes, "").await
            };
            let (_, done) = tokio::join!(asking, then);
            done?;
            let got = renewed(hub, 0, id).await.context("the rotated token was lost")?;
            asked_once(hub, "x", person, &got).await?;
            ensure!(hub.owner("bakery").health(id).await? == "healthy", "{person}: amber");
        }
        Ok(())
    })
    .await
}

/// Has one refresh hang at the platform until platforms dies of it; `lose` takes its marker from Redis meanwhile.
async fn dies_in_a_call(hub: &Cluster, processes: &Hub, id: &str, lose: impl AsyncFnOnce() -> Outcome) -> Outcome {
    let asking = tokio::time::timeout(Duration::from_secs(1), token(hub, 0, id));
    let dying = async {
        // Not before: a call that broke on the way, which tokens cannot tell from this one, would have to wait too.
        let name = eventually("a call is out", async || {
            for name in ["platforms-0", "platforms-1"] {
                let log = std::fs::read_to_string(processes.folder().join(format!("{name}.log")))?;
                if log.contains("after_send") {
                    return Ok(Some(name));
                }
            }
            Ok(None)
        })
        .await?;
        lose().await?;
        eventually("platforms dies with it", async || {
            Ok((!processes.runs(name)).then_some(()))
        })
        .await
    };
    let (_, died) = tokio::join!(asking, dying);
    died?;
    platforms_with(processes, "").await
}

/// Nobody knew of the first call: the second is made when it cannot run any more.
async fn sent_again_late(hub: &Cluster, id: &str) -> Outcome {
    renewed_within(hub, 0, id, Duration::from_secs(90)).await?;
    let calls = one_at_a_time(hub, "x", "ada").await?;
    let at: Vec<_> = calls.iter().filter_map(|call| call["arrived_at_ms"].as_i64()).collect();
    // The deadline and the longest time of a call make it certain; the takeover comes before that here.
    ensure!(at.len() == 2 && at[1] - at[0] >= 30_000, "{calls:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_what_was_sent_is_not_sent_again_when_its_marker_died_with_redis_and_platforms() -> Outcome {
    separate_processes_with(&LATER, async |hub, processes| {
        let ids = old_accounts(hub, "x", &["ada"]).await?;
        switch(hub, "x", "ada", json!({"kind": "hang"})).await?;
        platforms_with(processes, "after_send:kill:1500").await?;
        dies_in_a_call(hub, processes, &ids[0], async || {
            let mut redis = redis::Client::open(processes.redis())?
                .get_multiplexed_async_connection()
                .await?;
            redis::cmd("FLUSHALL").exec_async(&mut redis).await?;
            Ok(())
        })
        .await?;
        sent_again_late(hub, &ids[0]).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_what_was_sent_is_not_sent_again_when_redis_never_took_its_marker_and_platforms_died() -> Outcome {
    separate_processes_with(&LATER, async |hub, processes| {
        let ids = old_accounts(hub, "x", &["ada"]).await?;
        switch(hub, "x", "ada", json!({"kind": "hang"})).await?;
        // Redis is there for everybody but platforms.
        let (way, redis) = processes.way_to_redis().await?;
        for replica in 0..2 {
            processes.kill(&format!("platforms-{replica}"))?;
            let settings = [("faults", "after_send:kill:1500"), ("redis.url", &redis)];
            processes.start_member_with("platforms", replica, &settings)?;
            processes.ready("platforms", replica).await?;
        }
        way.down();
        dies_in_a_call(hub, processes, &ids[0], async || Ok(())).await?;
        sent_again_late(hub, &ids[0]).await
    })
    .await
}
