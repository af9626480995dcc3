//! What happened is told, once, whoever dies on the way from tokens to the page (cases K1, K3, E1, E2).

use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::future::try_join_all;
use harness::{Cluster, Hub, Outcome, eventually, eventually_within, separate_processes};
use proto::tokens::v1::{GrantState, InspectRequest};
use serde_json::json;

/// Ends one person's grant at the platform, and has the hub find out while `member` dies at a point.
async fn found_out_and_dies(hub: &Cluster, processes: &Hub, member: &str, faults: &str, who: (&str, &str)) -> Outcome {
    let (person, id) = who;
    processes.kill(&format!("{member}-0"))?;
    processes.start_member_with(member, 0, &[("faults", faults)])?;
    processes.ready(member, 0).await?;
    hub.sandbox.act("x", person, json!({"kind": "revoke"})).await?;
    let owner = hub.owner("bakery");
    eventually_within(Duration::from_secs(90), &format!("{faults} is met"), async || {
        if processes.runs(&format!("{member}-0")) {
            // Whoever asks may be the one whose answer dies.
            let _ = owner.check(id).await;
        }
        Ok((!processes.runs(&format!("{member}-0"))).then_some(()))
    })
    .await?;
    processes.kill(&format!("{member}-0"))?;
    processes.start_member(member, 0)?;
    processes.ready(member, 0).await?;
    // It may have died of an earlier change that came again, and before it was asked about this one.
    eventually(&format!("{faults}: tokens knows"), async || {
        let request = InspectRequest {
            workspace_id: "bakery".to_owned(),
            account_id: id.to_owned(),
        };
        let told = hub.tokens(0)?.inspect(request).await?.into_inner();
        if told.grant.context("no grant")?.state() != GrantState::Active {
            return Ok(Some(()));
        }
        owner.check(id).await?;
        Ok(None)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn k1_a_change_whose_bringer_dies_before_or_after_bringing_it_is_told_once() -> Outcome {
    separate_processes(async |hub, processes| {
        hub.plan("bakery", "professional").await?;
        let owner = hub.owner("bakery");
        let deaths = [
            ("ada", "tokens", "before_delivery:kill"),
            ("bo", "tokens", "after_delivery:kill"),
            ("cleo", "accounts", "inside_change:kill"),
            ("dora", "accounts", "after_change:kill"),
        ];
        let connected = deaths.map(|(person, ..)| owner.connect_one(&hub.sandbox, "x", person));
        let ids = try_join_all(connected).await?;
        // One process of a kind, so that it is the one that dies.
        processes.kill("tokens-1")?;
        for ((person, member, faults), id) in deaths.iter().zip(&ids) {
            found_out_and_dies(hub, processes, member, faults, (person, id))
                .await
                .with_context(|| (*faults).to_owned())?;
        }
        // What its bringer had leased waits until the lease is over.
        eventually_within(Duration::from_secs(120), "all are amber", async || {
            for id in &ids {
                if owner.health(id).await? == "healthy" {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await?;
        let list = owner.get("notifications").await?.ok()?;
        let notices = list["data"].as_array().context("no data")?;
        for ((person, _, faults), id) in deaths.iter().zip(&ids) {
            let told = notices.iter().filter(|one| one["account_id"] == id.as_str()).count();
            ensure!(told == 1, "{person}, {faults}: told {told} times: {list}");
            let history = owner.get(&format!("accounts/{id}/history")).await?.ok()?.to_string();
            let events = history.matches("account.reconnect_required").count();
            ensure!(events == 1, "{person}, {faults}: {events} events: {history}");
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn k3_a_wake_up_that_is_lost_is_made_up_for_by_looking() -> Outcome {
    separate_processes(async |hub, processes| {
        hub.plan("bakery", "professional").await?;
        let mut events = hub.owner_elsewhere("bakery").events(None).await?;
        // Nobody can wake anybody any more.
        processes.kill("redis")?;
        let id = hub.owner("bakery").connect_one(&hub.sandbox, "x", "ada").await?;
        let event = events.named("account.connected").await?;
        ensure!(event.data["account_id"] == id.as_str(), "{event:?}");
        eventually("health is told without Redis", async || {
            Ok((hub.owner_elsewhere("bakery").health(&id).await? == "healthy").then_some(()))
        })
        .await
    })
    .await
}
