//! Keys are replaced while the hub runs: nothing fails to open, and a key that is still needed cannot be left out.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harness::{Cluster, Hub, Outcome, Receiver, eventually, separate_processes_with};
use proto::tokens::v1::RotateKeysRequest;
use serde_json::json;
use tonic::Code;

use crate::access::token;

/// Those that seal, as the harness names them.
const SEALING: [(&str, usize); 5] = [
    ("platforms", 0),
    ("platforms", 1),
    ("tokens", 0),
    ("tokens", 1),
    ("accounts", 0),
];

fn key(id: &str, byte: u8) -> String {
    format!("{id}:{}", STANDARD.encode([byte; 32]))
}

async fn restart(processes: &Hub, ring: &str) -> Outcome {
    for (role, replica) in SEALING {
        processes.kill(&format!("{role}-{replica}"))?;
        processes.start_member_with(role, replica, &[("keys.ring", ring)])?;
        processes.ready(role, replica).await?;
    }
    Ok(())
}

/// All processes get the new ring, one after another, and what is sealed is sealed anew.
async fn rotate(hub: &Cluster, processes: &Hub, ring: &str) -> Outcome {
    restart(processes, ring).await?;
    let rotated = hub.tokens(1)?.rotate_keys(RotateKeysRequest {}).await?.into_inner();
    ensure!(
        rotated.resealed > 0 && rotated.unused_key_ids == ["test"],
        "{rotated:?}"
    );
    Ok(())
}

/// Asks for tokens until `done`; how many came. A replica that is away is no failure, a token that does not open is.
async fn load(hub: &Cluster, account: &str, done: &AtomicBool) -> anyhow::Result<usize> {
    let mut given = 0;
    for replica in [0, 1].into_iter().cycle() {
        if done.load(Ordering::Relaxed) {
            break;
        }
        match token(hub, replica, account).await {
            Ok(_) => given += 1,
            Err(error) => {
                let status = error.downcast_ref::<tonic::Status>().context("no status")?;
                let away = [
                    Code::Unavailable,
                    Code::DeadlineExceeded,
                    Code::Unknown,
                    Code::Cancelled,
                ];
                ensure!(away.contains(&status.code()), "{status}");
                tokio::task::yield_now().await;
            }
        }
    }
    Ok(given)
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_g10_g12_keys_are_replaced_under_load_and_one_in_use_is_not_left_out() -> Outcome {
    let settings = [("auth.identity_key", "an identity key of this test alone")];
    separate_processes_with(&settings, async |hub, processes| {
        hub.plan("bakery", "professional").await?;
        let (owner, receiver) = (hub.owner("bakery"), Receiver::start().await?);
        let account = owner.connect_one(&hub.sandbox, "x", "ada").await?;
        let made = owner
            .post("webhook-endpoints", json!({ "url": receiver.url("hook") }))
            .await?
            .ok()?;
        let (old, new) = (key("test", 7), key("new", 9));
        let done = AtomicBool::new(false);
        let rotating = async {
            let rotated = rotate(hub, processes, &format!("{new},{old}")).await;
            done.store(true, Ordering::Relaxed);
            rotated
        };
        let (given, rotated) = tokio::join!(load(hub, &account, &done), rotating);
        rotated?;
        ensure!(given? > 0, "no token in the whole time");
        // The old ring alone opens nothing any more: it is refused at the start.
        processes.kill("tokens-1")?;
        processes.start_member("tokens", 1)?;
        let log = processes.folder().join("tokens-1.log");
        eventually("a ring without the key is refused", async || {
            let said = std::fs::read_to_string(&log)?.contains("keys.ring: lacks the key");
            Ok((said && !processes.runs("tokens-1")).then_some(()))
        })
        .await?;
        processes.kill("tokens-1")?;
        processes.start_member_with("tokens", 1, &[("keys.ring", &new)])?;
        processes.ready("tokens", 1).await?;
        restart(processes, &new).await?;
        token(hub, 0, &account).await?;
        let ping = format!("webhook-endpoints/{}/pings", made["id"].as_str().context("no id")?);
        owner.post(&ping, json!({})).await?.ok()?;
        let secret = made["secret"].as_str().context("no secret")?;
        receiver.of_type("ping", 1).await?[0].verify(secret)
    })
    .await
}
