//! What every handler shares: clients of the services, configuration, clock, caches. No truth lives here.

use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::HeaderValue;
use kit::grpc::{Client, Context};
use kit::shared::Shared;
use kit::tasks::Tasks;
use kit::{Clock, Common};
use proto::accounts::v1::Preferences;
use proto::accounts::v1::accounts_service_client::AccountsServiceClient;
use proto::entitlements::v1::ListPlansRequest;
use proto::entitlements::v1::entitlements_service_client::EntitlementsServiceClient;
use proto::platforms::v1::ListPlatformsRequest;
use proto::platforms::v1::platforms_service_client::PlatformsServiceClient;
use proto::tokens::v1::tokens_service_client::TokensServiceClient;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::answers::Answers;
use crate::auth::Auth;
use crate::avatars::Avatars;
use crate::config::{Links, Section};
use crate::layers::content_security_policy;
use crate::limits::{Addresses, Leases};
use crate::places::Places;
use crate::problem::Problem;
use crate::session::Viewer;
use crate::view::{Catalogue, Lens};

/// Platforms and plans change with a deployment, so a page may be this much behind.
const CATALOGUE_LIFETIME: Duration = Duration::from_secs(60);
const PREFERENCES_LIFETIME: Duration = Duration::from_secs(60);
const PREFERENCES_KEPT: u64 = 10_000;

/// The state of the gateway; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

/// What [`App`] gives access to.
pub struct Inner {
    /// Configuration that all services share.
    pub common: Common,
    /// `[gateway]`
    pub config: Section,
    /// `[links]`
    pub links: Arc<Links>,
    /// All services, for asking whether they can do their work.
    pub(crate) peers: [Client; 4],
    /// How people are recognised.
    pub auth: Auth,
    /// Limits over all gateways.
    pub shared: Shared,
    /// What was taken of the limits and not spent.
    pub(crate) leases: Leases,
    /// What addresses have asked in this minute.
    pub(crate) addresses: Addresses,
    /// What pages may load; the same for all of them.
    pub(crate) csp: HeaderValue,
    /// Pictures of accounts.
    pub avatars: Avatars,
    /// Answers that were made a moment ago.
    pub(crate) answers: Answers,
    /// Open live streams.
    pub(crate) streams: Places<String>,
    /// Work that must finish although its request is gone.
    pub tasks: Tasks,
    /// Ends live streams when the process does.
    pub shutdown: CancellationToken,
    accounts: AccountsServiceClient<Client>,
    entitlements: EntitlementsServiceClient<Client>,
    platforms: PlatformsServiceClient<Client>,
    tokens: TokensServiceClient<Client>,
    /// Until when it is good.
    catalogue: RwLock<Option<(i64, Arc<Catalogue>)>>,
    /// Held by whoever reads the catalogue anew.
    reading: Mutex<()>,
    preferences: moka::sync::Cache<String, Arc<Preferences>>,
}

impl Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// What an [`App`] is made of.
pub struct Parts {
    /// Configuration that all services share.
    pub common: Common,
    /// `[gateway]`
    pub config: Section,
    /// `[links]`
    pub links: Links,
    /// How people are recognised.
    pub auth: Auth,
    /// Limits over all gateways.
    pub shared: Shared,
    /// Pictures of accounts.
    pub avatars: Avatars,
    /// Ends live streams when the process does.
    pub shutdown: CancellationToken,
}

impl App {
    /// Connects lazily to the services: a peer that is down fails calls, not the start.
    pub fn new(parts: Parts) -> Self {
        let peers = &parts.common.peers;
        let csp = content_security_policy(&parts.config, parts.common.dev());
        let client = |urls: &str| kit::grpc::client(&parts.common, kit::grpc::GATEWAY, urls);
        let peers = [&peers.accounts, &peers.entitlements, &peers.platforms, &peers.tokens].map(|urls| client(urls));
        let [accounts, entitlements, platforms, tokens] = peers.clone();
        let accounts = AccountsServiceClient::new(accounts);
        let entitlements = EntitlementsServiceClient::new(entitlements);
        Self(Arc::new(Inner {
            answers: Answers::new(accounts.clone(), entitlements.clone(), parts.common.clock.clone()),
            accounts,
            entitlements,
            platforms: PlatformsServiceClient::new(platforms),
            tokens: TokensServiceClient::new(tokens),
            peers,
            streams: Places::new(parts.config.streams_per_person),
            catalogue: RwLock::default(),
            reading: Mutex::default(),
            preferences: moka::sync::Cache::builder()
                .max_capacity(PREFERENCES_KEPT)
                .time_to_live(PREFERENCES_LIFETIME)
                .build(),
            tasks: Tasks::new(),
            leases: Leases::new(),
            addresses: Addresses::new(),
            csp: HeaderValue::try_from(csp).unwrap_or(HeaderValue::from_static("default-src 'none'")),
            links: Arc::new(parts.links),
            common: parts.common,
            config: parts.config,
            auth: parts.auth,
            shared: parts.shared,
            avatars: parts.avatars,
            shutdown: parts.shutdown,
        }))
    }

    /// A client of accounts.
    pub fn accounts(&self) -> AccountsServiceClient<Client> {
        self.accounts.clone()
    }

    /// A client of entitlements.
    pub fn entitlements(&self) -> EntitlementsServiceClient<Client> {
        self.entitlements.clone()
    }

    /// A client of platforms.
    pub fn platforms(&self) -> PlatformsServiceClient<Client> {
        self.platforms.clone()
    }

    /// A client of tokens.
    pub fn tokens(&self) -> TokensServiceClient<Client> {
        self.tokens.clone()
    }

    /// Where the time comes from.
    pub fn clock(&self) -> &Clock {
        &self.common.clock
    }

    /// Platforms and plans; when they cannot be read anew, what was read before.
    ///
    /// # Errors
    /// When they were never read and a service does not answer.
    pub async fn catalogue(&self) -> Result<Arc<Catalogue>, Problem> {
        let now = self.clock().now_ms();
        if let Some(catalogue) = self.good_catalogue(now) {
            return Ok(catalogue);
        }
        let _reading = self.reading.lock().await;
        // Whoever held it before may have read it.
        if let Some(catalogue) = self.good_catalogue(now) {
            return Ok(catalogue);
        }
        match self.read_catalogue().await {
            Ok(fresh) => {
                let fresh = Arc::new(fresh);
                let until = now + kit::clock::millis(CATALOGUE_LIFETIME);
                *self.catalogue.write().unwrap_or_else(PoisonError::into_inner) = Some((until, fresh.clone()));
                Ok(fresh)
            }
            Err(problem) => self.good_catalogue(i64::MIN).ok_or(problem),
        }
    }

    /// The catalogue that was read last, if it is good until after `now`.
    fn good_catalogue(&self, now: i64) -> Option<Arc<Catalogue>> {
        let kept = self.catalogue.read().unwrap_or_else(PoisonError::into_inner);
        let (until, catalogue) = kept.as_ref()?;
        (now < *until).then(|| catalogue.clone())
    }

    async fn read_catalogue(&self) -> Result<Catalogue, Problem> {
        let context = Context::background();
        let (mut platforms, mut entitlements) = (self.platforms(), self.entitlements());
        let (platforms, plans) = tokio::try_join!(
            platforms.list_platforms(context.request(ListPlatformsRequest {})),
            entitlements.list_plans(context.request(ListPlansRequest {})),
        )?;
        Ok(Catalogue {
            platforms: platforms.into_inner().platforms,
            plans: plans.into_inner().plans,
        })
    }

    /// Whose eyes a view is made for.
    ///
    /// # Errors
    /// As [`App::catalogue`].
    pub async fn lens(&self, viewer: &Viewer) -> Result<Lens, Problem> {
        Ok(Lens {
            catalogue: self.catalogue().await?,
            role: viewer.person.role,
            links: self.links.clone(),
            locale: viewer.locale,
        })
    }

    /// What the hub remembers of a person, at most a minute old; nothing when accounts does not answer.
    pub(crate) async fn preferences(&self, user_id: &str, context: &Context) -> Arc<Preferences> {
        if let Some(known) = self.preferences.get(user_id) {
            return known;
        }
        let request = context.request(proto::accounts::v1::GetPreferencesRequest {});
        match self.accounts().get_preferences(request).await {
            Ok(answer) => {
                let preferences = Arc::new(answer.into_inner().preferences.unwrap_or_default());
                self.preferences.insert(user_id.to_owned(), preferences.clone());
                preferences
            }
            Err(_) => Arc::default(),
        }
    }

    /// Forgets what [`App::preferences`] keeps of a person, after a change.
    pub fn forget_preferences(&self, user_id: &str) {
        self.preferences.invalidate(user_id);
    }
}
