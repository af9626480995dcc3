//! The OpenID Connect provider as it describes itself: endpoints and signing keys, read from the configured issuer alone.
//!
//! Nothing in a token can name other keys. They are kept for a day when the issuer is away, and an unknown key id makes us ask
//! again, at most once in half a minute: a flood of them costs nothing.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use kit::clock::millis;
use kit::{Clock, Code, Common};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use crate::problem::Problem;

/// Claims of a token whose signature is right.
pub(crate) type Claims = Map<String, Value>;

const ALGORITHMS: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];
/// Clocks differ by so much.
pub(super) const LEEWAY_SECONDS: i64 = 30;
const REFETCH_AFTER: Duration = Duration::from_secs(30);
/// While nothing was ever read, the issuer is asked this often.
const FIRST_AFTER: Duration = Duration::from_secs(2);
const FRESH: Duration = Duration::from_secs(600);
const STALE: Duration = Duration::from_secs(24 * 3600);
const TIMEOUTS: kit::http::Timeouts = kit::http::Timeouts {
    connect: Duration::from_secs(3),
    total: Duration::from_secs(5),
};
const LARGEST_DOCUMENT: usize = 256 * 1024;

/// What the discovery document says, as far as it matters here.
#[derive(Deserialize)]
pub(super) struct Endpoints {
    issuer: String,
    jwks_uri: String,
    #[serde(default)]
    pub(super) authorization_endpoint: String,
    #[serde(default)]
    pub(super) token_endpoint: String,
    #[serde(default)]
    pub(super) userinfo_endpoint: String,
    #[serde(default)]
    pub(super) revocation_endpoint: String,
    /// RFC 9207: every answer of the authorization endpoint says whose it is.
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    pub(super) token_endpoint_auth_methods_supported: Vec<String>,
}

#[derive(Clone)]
struct Known {
    endpoints: Arc<Endpoints>,
    keys: Arc<JwkSet>,
    read_at_ms: i64,
}

#[derive(Default)]
struct State {
    known: Option<Known>,
    asked_at_ms: i64,
}

/// One issuer.
pub(super) struct Provider {
    pub(super) issuer: String,
    pub(super) clock: Clock,
    pub(super) http: reqwest::Client,
    state: Mutex<State>,
}

impl Provider {
    pub(super) fn new(common: &Common) -> anyhow::Result<Self> {
        Ok(Self {
            issuer: common.auth.issuer.clone(),
            clock: common.clock.clone(),
            http: kit::http::client(TIMEOUTS)?,
            state: Mutex::default(),
        })
    }

    /// Its endpoints.
    pub(super) async fn endpoints(&self) -> Result<Arc<Endpoints>, Problem> {
        Ok(self.known(|_| true).await?.endpoints)
    }

    /// The claims of a token of this issuer for this audience. Dates are the caller's to check, by the clock that is passed in.
    pub(super) async fn claims(&self, token: &str, audience: &str) -> Result<Claims, Problem> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| super::invalid())?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(super::invalid());
        }
        let kid = header.kid.as_deref();
        let known = self.known(|keys| find(keys, kid).is_some()).await?;
        let jwk = find(&known.keys, kid).ok_or_else(super::invalid)?;
        let key = DecodingKey::from_jwk(jwk).map_err(|_| super::invalid())?;
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let decoded = jsonwebtoken::decode::<Claims>(token, &key, &validation);
        Ok(decoded.map_err(|_| super::invalid())?.claims)
    }

    /// What is known of the issuer, read anew when it is old or lacks what is wanted.
    async fn known(&self, suffices: impl Fn(&JwkSet) -> bool) -> Result<Known, Problem> {
        let mut state = self.state.lock().await;
        let now = self.clock.now_ms();
        let age = state.known.as_ref().map(|known| now - known.read_at_ms);
        let is_good = state.known.as_ref().is_some_and(|known| suffices(&known.keys));
        let patience = if age.is_some() { REFETCH_AFTER } else { FIRST_AFTER };
        let is_due = !is_good || age.is_none_or(|age| age > millis(FRESH));
        if is_due && now - state.asked_at_ms >= millis(patience) {
            state.asked_at_ms = now;
            match self.read().await {
                Ok((endpoints, keys)) => {
                    state.known = Some(Known {
                        endpoints: Arc::new(endpoints),
                        keys: Arc::new(keys),
                        read_at_ms: now,
                    });
                }
                Err(error) => tracing::warn!(%error, "the issuer's endpoints and keys could not be read"),
            }
        }
        let known = state.known.clone();
        known
            .filter(|known| now - known.read_at_ms <= millis(STALE))
            .ok_or_else(silent)
    }

    async fn read(&self) -> anyhow::Result<(Endpoints, JwkSet)> {
        let issuer = self.issuer.trim_end_matches('/');
        let url = format!("{issuer}/.well-known/openid-configuration");
        let endpoints: Endpoints = json(self.http.get(url)).await?;
        anyhow::ensure!(
            endpoints.issuer == self.issuer,
            "the discovery document is another issuer's"
        );
        for url in [
            &endpoints.jwks_uri,
            &endpoints.authorization_endpoint,
            &endpoints.token_endpoint,
            &endpoints.userinfo_endpoint,
            &endpoints.revocation_endpoint,
        ] {
            let fine = url.is_empty() || kit::config::check_encrypted("", url).is_ok();
            anyhow::ensure!(fine, "the discovery document names an endpoint over plain http");
        }
        let keys = json(self.http.get(&endpoints.jwks_uri)).await?;
        Ok((endpoints, keys))
    }
}

/// Sends a request and reads a JSON document of bounded size.
async fn json<T: DeserializeOwned>(request: reqwest::RequestBuilder) -> anyhow::Result<T> {
    let response = request.send().await.map_err(reqwest::Error::without_url)?;
    anyhow::ensure!(response.status().is_success(), "answered {}", response.status());
    Ok(serde_json::from_slice(&body(response).await?)?)
}

/// The body, of bounded size.
pub(super) async fn body(mut response: reqwest::Response) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        body.extend_from_slice(&chunk);
        anyhow::ensure!(body.len() <= LARGEST_DOCUMENT, "the document is too large");
    }
    Ok(body)
}

/// The provider does not answer: nobody is let in, and nobody is thrown out for it.
pub(super) fn silent() -> Problem {
    Problem::new(Code::Unavailable, "sign-in cannot be checked at the moment")
}

/// The key of this id; without an id, the only key there is.
fn find<'a>(set: &'a JwkSet, kid: Option<&str>) -> Option<&'a Jwk> {
    match kid {
        Some(kid) => set.find(kid),
        None if set.keys.len() == 1 => set.keys.first(),
        None => None,
    }
}
