//! Readers that need a token again and again and want it fresher than it is, so that refreshes never stop; and people who
//! press the button where a platform has one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use proto::tokens::v1::GetAccessTokenRequest;
use proto::tokens::v1::tokens_service_client::TokensServiceClient;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use super::grants::Grant;
use super::now_ms;
use crate::{Api, Cluster, Sandbox};

const REPLICAS: usize = 3;
/// Longer than a token lives when it is new: a reader then waits for a renewal after half of its life at the latest.
const WANTED: i64 = 29;

/// What was heard of one account last.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    pub(super) at_ms: i64,
    pub(super) fingerprint: String,
    pub(super) generation: i64,
    /// The hub says that a person has to reconnect.
    pub(super) dead: bool,
}

/// What all callers were answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    pub(super) served: u64,
    pub(super) refused: u64,
    /// By account.
    pub(super) last: HashMap<String, Heard>,
}

pub(super) struct Callers {
    asked: Arc<Mutex<Asked>>,
    grants: Vec<Grant>,
    tokens: Vec<TokensServiceClient<Channel>>,
    tasks: JoinSet<()>,
}

struct Caller {
    grant: Grant,
    tokens: Vec<TokensServiceClient<Channel>>,
    api: Api,
    random: StdRng,
    asked: Arc<Mutex<Asked>>,
}

impl Callers {
    pub(super) fn start(cluster: &Cluster, grants: &[Grant], seed: u64) -> anyhow::Result<Self> {
        let hub = cluster.hub().context("no processes")?;
        let tokens = (0..REPLICAS).map(|replica| {
            let endpoint = Endpoint::from_shared(format!("http://{}", hub.address("tokens", replica)))?;
            anyhow::Ok(TokensServiceClient::new(endpoint.connect_lazy()))
        });
        let tokens = tokens.collect::<anyhow::Result<Vec<_>>>()?;
        let asked = Arc::<Mutex<Asked>>::default();
        let mut tasks = JoinSet::new();
        for (grant, number) in grants.iter().zip(1_u64..) {
            let caller = Caller {
                grant: grant.clone(),
                tokens: tokens.clone(),
                api: cluster.owner(&grant.workspace),
                random: StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(number)),
                asked: asked.clone(),
            };
            tasks.spawn(caller.go_on());
        }
        let grants = grants.to_vec();
        Ok(Self {
            asked,
            grants,
            tokens,
            tasks,
        })
    }

    fn asked(&self) -> Asked {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until every account was renewed once more or is said to be over; the accounts of which neither is true.
    pub(super) async fn settle(&self, longest: Duration) -> Vec<String> {
        let end = Instant::now() + longest;
        let (healed_ms, before) = (now_ms(), self.asked().last);
        loop {
            let heard = self.asked().last;
            let restless = self.grants.iter().filter(|grant| {
                let (now, then) = (heard.get(&grant.account), before.get(&grant.account));
                let newer = now.is_some_and(|now| {
                    now.at_ms > healed_ms
                        && (!grant.rotates() || now.generation > then.map_or(0, |then| then.generation))
                });
                !newer && !now.is_some_and(|now| now.dead && now.at_ms > healed_ms)
            });
            let restless: Vec<String> = restless
                .map(|grant| format!("{} {} {}", grant.platform, grant.workspace, grant.account))
                .collect();
            if restless.is_empty() || Instant::now() >= end {
                return restless;
            }
            sleep(Duration::from_millis(250)).await;
        }
    }

    /// Ends the callers; what they heard, and what every replica hands out in the end.
    pub(super) async fn stop(mut self) -> anyhow::Result<Asked> {
        self.tasks.shutdown().await;
        // What they asked for goes on without them, and a replica may remember a token for a second.
        sleep(Duration::from_secs(3)).await;
        let mut asked = self.asked();
        for grant in &self.grants {
            let mut told = Vec::new();
            for client in &mut self.tokens {
                if let Ok(answer) = client.get_access_token(wish(grant, None)).await {
                    told.push(Sandbox::fingerprint(&answer.into_inner().access_token));
                }
            }
            told.dedup();
            // Replicas that differ have no fingerprint that any token has.
            asked.last.entry(grant.account.clone()).or_default().fingerprint = told.join("|");
        }
        Ok(asked)
    }
}

fn wish(grant: &Grant, seconds: Option<i64>) -> GetAccessTokenRequest {
    GetAccessTokenRequest {
        workspace_id: grant.workspace.clone(),
        account_id: grant.account.clone(),
        min_ttl: seconds.map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
    }
}

impl Caller {
    async fn go_on(mut self) {
        loop {
            let pause = self.random.random_range(400..2500);
            sleep(Duration::from_millis(pause)).await;
            self.ask().await;
            if self.grant.platform == "facebook" && self.random.random_bool(0.1) {
                let path = format!("accounts/{}/token-refreshes", self.grant.account);
                let press = self.api.post(&path, json!({}));
                // Whatever comes of it: the account is held against the platform later.
                let _ = timeout(Duration::from_secs(10), press).await;
            }
        }
    }

    async fn ask(&mut self) {
        let replica = self.random.random_range(0..REPLICAS);
        let message = wish(&self.grant, Some(WANTED));
        let answer = timeout(Duration::from_secs(12), self.tokens[replica].get_access_token(message)).await;
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let dead = matches!(&answer, Ok(Err(status)) if status.code() == Code::FailedPrecondition);
        let served = matches!(&answer, Ok(Ok(_)));
        asked.served += u64::from(served);
        asked.refused += u64::from(!served);
        let heard = asked.last.entry(self.grant.account.clone()).or_default();
        match answer {
            Ok(Ok(answer)) => {
                let token = answer.into_inner();
                *heard = Heard {
                    at_ms: now_ms(),
                    fingerprint: Sandbox::fingerprint(&token.access_token),
                    generation: token.generation,
                    dead: false,
                };
            }
            _ if dead => (heard.dead, heard.at_ms) = (true, now_ms()),
            _ => {}
        }
    }
}
