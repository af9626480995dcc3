//! Several processes serve one workspace, and the death of one costs time, never a token or an event.

use anyhow::{Context, ensure};
use harness::{Outcome, eventually, separate_processes};
use serde_json::json;

use crate::access::{grows_old, short_lives, token};

#[tokio::test(flavor = "multi_thread")]
async fn a_change_made_through_one_gateway_is_told_by_the_other() -> Outcome {
    separate_processes(async |hub, _| {
        hub.plan("bakery", "professional").await?;
        let mut events = hub.owner_elsewhere("bakery").events(None).await?;
        let id = hub.owner("bakery").connect_one(&hub.sandbox, "x", "ada").await?;
        let event = events.named("account.connected").await?;
        ensure!(event.data["account_id"] == id.as_str(), "{event:?}");
        ensure!(hub.owner_elsewhere("bakery").health(&id).await? == "healthy");
        // Resuming behind an event tells everything since, and nothing twice.
        let mut resumed = hub.owner("bakery").events(Some(&event.id)).await?;
        hub.owner_elsewhere("bakery").delete(&format!("accounts/{id}")).await?;
        let mut begun = hub.owner("bakery").events_begun(&event.id).await?;
        for stream in [&mut resumed, &mut begun] {
            let seen = stream.until("account.disconnected").await?;
            ensure!(seen.iter().all(|one| one.id != event.id), "told twice: {seen:?}");
        }
        let refused = hub.owner("bakery").get("events?after=-1").await?;
        ensure!(
            refused.status == 422 && refused.body["errors"][0]["pointer"] == "after",
            "{refused:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_tokens_process_goes_on_when_one_is_killed() -> Outcome {
    separate_processes(async |hub, processes| {
        hub.plan("bakery", "professional").await?;
        let owner = hub.owner("bakery");
        let id = owner.connect_one(&hub.sandbox, "x", "ada").await?;
        processes.kill("tokens-0")?;
        let kept = token(hub, 1, &id).await?;
        let other = owner.connect_one(&hub.sandbox, "tiktok", "ada").await?;
        ensure!(owner.health(&other).await? == "healthy");
        processes.start_member("tokens", 0)?;
        processes.ready("tokens", 0).await?;
        ensure!(token(hub, 0, &id).await?.access_token == kept.access_token);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn v1_without_redis_everything_works_more_slowly() -> Outcome {
    separate_processes(async |hub, processes| {
        hub.plan("bakery", "professional").await?;
        let owner = hub.owner("bakery");
        let id = owner.connect_one(&hub.sandbox, "x", "ada").await?;
        processes.kill("redis")?;
        token(hub, 0, &id).await?;
        token(hub, 1, &id).await?;
        ensure!(owner.health(&id).await? == "healthy");
        let other = owner.connect_one(&hub.sandbox, "tiktok", "ada").await?;
        ensure!(owner.accounts().await?.len() == 2);
        ensure!(owner.delete(&format!("accounts/{other}")).await?.status == 204);
        eventually("no replica hands it out", async || {
            Ok(token(hub, 1, &other).await.err().map(drop))
        })
        .await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_a_renewal_survives_the_death_of_the_process_that_asked_for_it() -> Outcome {
    separate_processes(async |hub, processes| {
        hub.plan("bakery", "professional").await?;
        short_lives(hub, "x").await?;
        let id = hub.owner("bakery").connect_one(&hub.sandbox, "x", "ada").await?;
        grows_old(hub, &id).await?;
        // The platform has rotated already when its answer is still on the way.
        let slow = json!({"kind": "delay", "ms": 1500, "when": "after"});
        hub.sandbox
            .switch(&json!({"platform": "x", "operation": "refresh", "next": 1, "effect": slow}))
            .await?;
        let asking = token(hub, 0, &id);
        let kill = async {
            eventually("the platform was asked", async || {
                let log = hub.sandbox.log().await?;
                Ok(log
                    .iter()
                    .any(|one| one["kind"] == "received" && one["operation"] == "refresh")
                    .then_some(()))
            })
            .await?;
            processes.kill("tokens-0")
        };
        let (asked, killed) = tokio::join!(asking, kill);
        killed?;
        ensure!(asked.is_err(), "the answer came before the kill");
        processes.start_member("tokens", 0)?;
        processes.ready("tokens", 0).await?;
        let renewed = eventually("the renewal is found again", async || {
            Ok(token(hub, 0, &id).await.ok().filter(|one| one.generation == 2))
        })
        .await
        .context("the rotated token was lost")?;
        ensure!(
            hub.sandbox.requests("x", "refresh").await?.len() == 1,
            "the platform was asked twice"
        );
        ensure!(token(hub, 1, &id).await?.access_token == renewed.access_token);
        ensure!(hub.owner("bakery").health(&id).await? == "healthy");
        Ok(())
    })
    .await
}
