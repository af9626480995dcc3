//! What platforms are and can, as platforms tells it; kept, so that health can be computed while platforms is away.

use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use kit::grpc::{Client, Context};
use kit::{Code, Failure};
use proto::platforms::v1::platforms_service_client::PlatformsServiceClient;
use proto::platforms::v1::{Connector, ListPlatformsRequest, Platform};

use crate::error::Error;

/// How long an answer is used before it is asked for again.
const FRESH: Duration = Duration::from_secs(60);

type Known = Option<(Instant, Arc<Platforms>)>;

/// Asks platforms, and remembers.
#[derive(Clone)]
pub(crate) struct Catalogue {
    client: PlatformsServiceClient<Client>,
    known: Arc<RwLock<Known>>,
}

/// All platforms.
pub(crate) struct Platforms(Vec<Platform>);

impl Catalogue {
    pub(crate) fn new(client: PlatformsServiceClient<Client>) -> Self {
        Self {
            client,
            known: Arc::default(),
        }
    }

    /// All platforms, at most a minute old, or as last heard while platforms cannot be asked.
    pub(crate) async fn platforms(&self) -> Result<Arc<Platforms>, Error> {
        let known = self.known.read().ok().and_then(|known| known.clone());
        if let Some((_, platforms)) = known.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return Ok(platforms.clone());
        }
        let ask = Context::background()
            .within(Duration::from_secs(5))
            .request(ListPlatformsRequest {});
        match (self.client.clone().list_platforms(ask).await, known) {
            (Ok(answer), _) => {
                let platforms = Arc::new(Platforms(answer.into_inner().platforms));
                if let Ok(mut known) = self.known.write() {
                    *known = Some((Instant::now(), platforms.clone()));
                }
                Ok(platforms)
            }
            (Err(_), Some((_, platforms))) => Ok(platforms),
            (Err(status), None) => Err(status.into()),
        }
    }
}

impl Platforms {
    /// A platform that people can connect.
    pub(crate) fn connectable(&self, id: &str) -> Result<&Platform, Failure> {
        let platform = self
            .platform(id)
            .ok_or_else(|| Failure::invalid("/platform", "There is no such platform."))?;
        if !platform.connectable {
            return Err(
                Failure::new(Code::PlatformComingSoon, "The platform cannot be connected yet.").param("platform", id),
            );
        }
        Ok(platform)
    }

    /// A platform by its id.
    pub(crate) fn platform(&self, id: &str) -> Option<&Platform> {
        self.0.iter().find(|platform| platform.id == id)
    }

    /// A connector with its platform.
    pub(crate) fn connector(&self, id: &str) -> Result<(&Platform, &Connector), Error> {
        let of = |platform: &'_ Platform| platform.connectors.iter().position(|connector| connector.id == id);
        let found = self
            .0
            .iter()
            .find_map(|platform| of(platform).map(|at| (platform, &platform.connectors[at])));
        found.ok_or(Error::Corrupt("connector"))
    }
}

/// True when the platform has the capability.
pub(crate) fn is_capable(platform: &Platform, capability: &str) -> bool {
    platform.capabilities.iter().any(|known| known == capability)
}
