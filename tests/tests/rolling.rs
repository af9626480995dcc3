//! Processes end and start as in a deployment (cases I3, V5): nobody who asks is refused twice, and no refresh is broken off.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, ensure};
use futures_util::future::join_all;
use harness::{Cluster, Hub, Layout, Outcome, eventually, separate_processes, separate_processes_as};
use serde_json::json;

use crate::access::token;
use crate::fault_points::{PEOPLE, asked_once, calls, old_accounts, renewed};

/// Asks it to end, as Kubernetes does, and starts it again once it has.
async fn roll(processes: &Hub, role: &'static str, replica: usize) -> Outcome {
    let name = format!("{role}-{replica}");
    processes.signal(&name, "TERM")?;
    eventually(&format!("{name} ends by itself"), async || {
        Ok((!processes.runs(&name)).then_some(()))
    })
    .await?;
    processes.kill(&name)?;
    processes.start_member(role, replica)?;
    processes.ready(role, replica).await
}

#[tokio::test(flavor = "multi_thread")]
async fn i3_a_process_that_is_asked_to_end_finishes_every_refresh_that_was_sent() -> Outcome {
    separate_processes(async |hub, processes| {
        let ids = old_accounts(hub, "x", &PEOPLE).await?;
        let slow = json!({"kind": "delay", "ms": 1200, "when": "after"});
        hub.sandbox
            .switch(&json!({"platform": "x", "operation": "refresh", "effect": slow}))
            .await?;
        let asking = join_all(ids.iter().map(|id| token(hub, 0, id)));
        let ending = async {
            eventually("all are under way", async || {
                let log = hub.sandbox.log().await?;
                let sent = log
                    .iter()
                    .filter(|one| one["kind"] == "received" && one["operation"] == "refresh");
                Ok((sent.count() == ids.len()).then_some(()))
            })
            .await?;
            roll(processes, "tokens", 0).await
        };
        let (_, ended) = tokio::join!(asking, ending);
        ended?;
        for (person, id) in PEOPLE.iter().zip(&ids) {
            // Applied by the one that was ending: nobody else could have, so soon.
            let got = renewed(hub, 1, id).await.with_context(|| (*person).to_owned())?;
            asked_once(hub, "x", person, &got).await?;
        }
        Ok(())
    })
    .await
}

/// Readers of tokens and of the list, each of whom tries once more, elsewhere, before it counts as a failure.
#[derive(Default)]
struct Readers {
    stop: AtomicBool,
    served: AtomicUsize,
    refused: Mutex<Vec<String>>,
}

impl Readers {
    async fn read(&self, hub: &Cluster, n: usize, id: &str) {
        let lists = [hub.owner("bakery"), hub.owner_elsewhere("bakery")];
        while !self.stop.load(Ordering::SeqCst) {
            let (first, second) = (n % 2, (n + 1) % 2);
            let had_token = match token(hub, first, id).await {
                Err(_) => token(hub, second, id).await.map(drop),
                Ok(_) => Ok(()),
            };
            let had_list = match lists[first].accounts().await {
                Err(_) => lists[second].accounts().await.map(drop),
                Ok(_) => Ok(()),
            };
            for (what, had) in [("a token", had_token), ("the list", had_list)] {
                match had {
                    Ok(()) => {
                        self.served.fetch_add(1, Ordering::SeqCst);
                    }
                    Err(error) => self.refused().push(format!("{what}: {error:#}")),
                }
            }
        }
    }

    fn refused(&self) -> MutexGuard<'_, Vec<String>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v5_l1_a_rolling_restart_refuses_nobody_twice_and_breaks_no_refresh_off() -> Outcome {
    let mut layout = Layout::default();
    layout.members.push(("accounts", 1));
    separate_processes_as(layout, &[], async |hub, processes| {
        let people = &PEOPLE[..4];
        let ids = old_accounts(hub, "x", people).await?;
        let readers = Readers::default();
        let reading = join_all(ids.iter().enumerate().map(|(n, id)| readers.read(hub, n, id)));
        let rolling = async {
            let mut rolled = Ok(());
            'all: for role in ["tokens", "platforms", "accounts", "gateway"] {
                for replica in 0..2 {
                    rolled = roll(processes, role, replica).await;
                    if rolled.is_err() {
                        break 'all;
                    }
                }
            }
            readers.stop.store(true, Ordering::SeqCst);
            rolled
        };
        let (_, rolled) = tokio::join!(reading, rolling);
        rolled?;
        let (served, refused) = (readers.served.load(Ordering::SeqCst), readers.refused().clone());
        ensure!(
            served > 50 && refused.is_empty(),
            "{served} served, refused twice: {refused:?}"
        );
        for (person, id) in people.iter().zip(&ids) {
            asked_once(hub, "x", person, &renewed(hub, 0, id).await?).await?;
            ensure!(calls(hub, "x", person).await?.len() == 1);
        }
        Ok(())
    })
    .await
}
