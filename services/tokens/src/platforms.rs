//! The platforms service as tokens uses it, and its list of connectors, read once it is needed and kept.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use kit::grpc::{ANSWER_LIMIT, Client, Context, Everyone};
use kit::shared::Budget;
use proto::platforms::v1::platforms_service_client::PlatformsServiceClient;
use proto::platforms::v1::{
    self as pb, Answers, Credential, Delivery, Destination, DiscoverResponse, InterpretResponse,
};
use tokio::sync::RwLock;

use crate::Error;
use crate::model::Traits;

/// Inspect, Discover and Revoke make several calls each.
const CALL: Duration = Duration::from_secs(45);
/// Longest that platforms lets one token call last.
pub const TOKEN_CALL: Duration = Duration::from_secs(90);
/// Nothing leaves platforms for these.
const QUICK: Duration = Duration::from_secs(5);

/// Already passed when it is compared: platforms only looks for the answer.
const ONLY_ASK: i64 = 1;

fn service(channel: Client) -> PlatformsServiceClient<Client> {
    PlatformsServiceClient::new(channel).max_decoding_message_size(ANSWER_LIMIT)
}

/// How much a replica knows of a call.
fn says(delivery: Delivery) -> u8 {
    match delivery {
        Delivery::Answered => 2,
        Delivery::NotSent | Delivery::HeldBack => 0,
        _ => 1,
    }
}

/// A call that broke.
pub struct Broken {
    /// It may have reached a replica, and gone on from there.
    pub arrived: bool,
    /// What is known.
    pub error: Error,
}

/// No connection was made, so nothing of the call left this process.
fn is_connect(status: &tonic::Status) -> bool {
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The platforms service.
#[derive(Clone)]
pub struct Platforms {
    client: PlatformsServiceClient<Client>,
    everyone: Everyone,
    connectors: Arc<RwLock<HashMap<String, Known>>>,
}

/// A connector, as platforms told it.
#[derive(Clone)]
struct Known {
    traits: Arc<Traits>,
    calls_per_minute: u32,
}

impl Platforms {
    /// Connects when it is first used.
    pub fn new(client: Client, everyone: Everyone) -> Self {
        Self {
            client: service(client),
            everyone,
            connectors: Arc::default(),
        }
    }

    fn client(&self) -> PlatformsServiceClient<Client> {
        self.client.clone()
    }

    /// What a connector is like. Asks platforms until it has answered once; what it says is data and does not change.
    pub async fn traits(&self, connector: &str) -> Result<Arc<Traits>, Error> {
        Ok(self.known(connector).await?.traits)
    }

    /// What the work that nobody waits for may call of a connector: half, so that who waits finds something left. `None` where
    /// no pace is told.
    pub async fn background(&self, connector: &str) -> Result<Option<Budget>, Error> {
        let pace = self.known(connector).await?.calls_per_minute;
        Ok((pace > 0).then(|| Budget::per_minute((pace / 2).max(1))))
    }

    async fn known(&self, connector: &str) -> Result<Known, Error> {
        if let Some(found) = self.connectors.read().await.get(connector) {
            return Ok(found.clone());
        }
        let request = Context::background().within(QUICK).request(pb::ListPlatformsRequest {});
        let platforms = self.client().list_platforms(request).await?.into_inner().platforms;
        let listed = platforms.iter().flat_map(|platform| &platform.connectors);
        let listed = listed
            .map(|connector| {
                let known = Known {
                    traits: Arc::new(Traits::from(connector)),
                    calls_per_minute: u32::try_from(connector.calls_per_minute).unwrap_or_default(),
                };
                (connector.id.clone(), known)
            })
            .collect();
        *self.connectors.write().await = listed;
        let found = self.connectors.read().await.get(connector).cloned();
        found.ok_or_else(|| Error::NoSuchConnector(connector.to_owned()))
    }

    /// Trades a code; the same session is traded once.
    pub async fn exchange(&self, request: pb::ExchangeRequest) -> Result<Answers, Error> {
        let request = Context::background().within(Duration::from_secs(90)).request(request);
        Ok(self
            .client()
            .exchange(request)
            .await?
            .into_inner()
            .answers
            .unwrap_or_default())
    }

    /// Renews a credential; the same attempt is sent once. After `send_before_ms` it is only asked for its answer.
    pub async fn refresh(&self, request: pb::RefreshRequest, patience: Duration) -> Result<Answers, Broken> {
        let request = Context::background().within(patience).request(request);
        match self.client().refresh(request).await {
            Ok(answer) => Ok(answer.into_inner().answers.unwrap_or_default()),
            Err(status) => Err(Broken {
                arrived: !is_connect(&status),
                error: status.into(),
            }),
        }
    }

    /// Asks every replica for an attempt's answer, and sends nothing: the one whose call it was has it though Redis may not.
    /// "Not sent" is what all of them say; one that is there and cannot be asked may know better.
    pub async fn seek(&self, request: pb::RefreshRequest, patience: Duration) -> Result<Answers, Error> {
        let request = pb::RefreshRequest {
            send_before_ms: ONLY_ASK,
            ..request
        };
        let mut tried = 0;
        loop {
            tried += 1;
            let (best, silent) = self.ask_everyone(&request, patience).await;
            match best {
                Some(answers) if !silent || answers.delivery() == Delivery::Answered => return Ok(answers),
                // It may be going away just now, and be gone at the next look.
                _ if tried < 3 => tokio::time::sleep(Duration::from_millis(300)).await,
                Some(answers) => {
                    return Ok(Answers {
                        delivery: Delivery::Unknown.into(),
                        ..answers
                    });
                }
                None => return Err(tonic::Status::unavailable("no replica of platforms could be asked").into()),
            }
        }
    }

    /// The best answer of all replicas, the first that has one; and whether any did not answer.
    async fn ask_everyone(&self, request: &pb::RefreshRequest, patience: Duration) -> (Option<Answers>, bool) {
        let asked = self.everyone.channels().await.into_iter().map(|replica| {
            let request = Context::background().within(patience).request(request.clone());
            async move { service(replica).refresh(request).await }
        });
        let mut asked: FuturesUnordered<_> = asked.collect();
        let (mut best, mut silent) = (None::<Answers>, false);
        while let Some(told) = asked.next().await {
            let Some(answers) = told.ok().and_then(|told| told.into_inner().answers) else {
                silent = true;
                continue;
            };
            if answers.delivery() == Delivery::Answered {
                return (Some(answers), silent);
            }
            if best
                .as_ref()
                .is_none_or(|best| says(answers.delivery()) > says(best.delivery()))
            {
                best = Some(answers);
            }
        }
        (best, silent)
    }

    /// Reads raw answers.
    pub async fn interpret(
        &self,
        connector: &str,
        answers: &Answers,
        previous: Option<&Credential>,
    ) -> Result<InterpretResponse, Error> {
        let message = pb::InterpretRequest {
            connector: connector.to_owned(),
            answers: Some(answers.clone()),
            previous: previous.cloned(),
        };
        Ok(self
            .client()
            .interpret(Context::background().within(QUICK).request(message))
            .await?
            .into_inner())
    }

    /// Lets platforms forget an answer that is stored here. Best effort: it forgets by itself after a day.
    pub async fn acknowledge(&self, id: &str) {
        let request = Context::background()
            .within(QUICK)
            .request(pb::AcknowledgeRequest { id: id.to_owned() });
        if let Err(status) = self.client().acknowledge(request).await {
            tracing::debug!(code = ?status.code(), "an answer was not acknowledged");
            // Without Redis they cannot tell each other.
            for replica in self.everyone.channels().await {
                let request = pb::AcknowledgeRequest { id: id.to_owned() };
                let _ = service(replica)
                    .acknowledge(Context::background().within(QUICK).request(request))
                    .await;
            }
        }
    }

    /// Who granted what, and what the grant reaches.
    pub async fn discover(&self, connector: &str, credential: &Credential) -> Result<DiscoverResponse, Error> {
        let message = pb::DiscoverRequest {
            connector: connector.to_owned(),
            credential: Some(credential.clone()),
        };
        Ok(self
            .client()
            .discover(Context::background().within(CALL).request(message))
            .await?
            .into_inner())
    }

    /// Whether a credential works, and for what.
    pub async fn inspect(
        &self,
        connector: &str,
        credential: &Credential,
        destinations: Vec<Destination>,
    ) -> Result<DiscoverResponse, Error> {
        let message = pb::InspectRequest {
            connector: connector.to_owned(),
            credential: Some(credential.clone()),
            destinations,
        };
        let answer = self
            .client()
            .inspect(Context::background().within(CALL).request(message))
            .await?
            .into_inner();
        Ok(answer.found.unwrap_or_default())
    }

    /// Ends a credential at the platform.
    pub async fn revoke(
        &self,
        connector: &str,
        credential: &Credential,
        platform_user_id: &str,
    ) -> Result<pb::RevokeResponse, Error> {
        let message = pb::RevokeRequest {
            connector: connector.to_owned(),
            credential: Some(credential.clone()),
            platform_user_id: platform_user_id.to_owned(),
        };
        Ok(self
            .client()
            .revoke(Context::background().within(CALL).request(message))
            .await?
            .into_inner())
    }
}
