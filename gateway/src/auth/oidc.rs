//! Access tokens of an OpenID Connect provider: signature by the issuer's published keys, issuer, audience, dates.
//!
//! Keys come from the configured issuer alone; nothing in a token can name others. They are kept for a day when the issuer
//! is away, and an unknown key id makes us ask again, at most once in half a minute: a flood of them costs nothing.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use kit::{Clock, Code, Common, Role};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use crate::problem::Problem;
use crate::session::{How, Identity};

const ALGORITHMS: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];
const LEEWAY_SECONDS: i64 = 30;
const REFETCH_AFTER: Duration = Duration::from_secs(30);
const FRESH: Duration = Duration::from_secs(600);
const STALE: Duration = Duration::from_secs(24 * 3600);
const TIMEOUTS: kit::http::Timeouts = kit::http::Timeouts {
    connect: Duration::from_secs(3),
    total: Duration::from_secs(5),
};
const LARGEST_DOCUMENT: usize = 256 * 1024;

/// Verifies access tokens of one issuer.
pub struct Oidc {
    issuer: String,
    audience: String,
    workspaces_claim: String,
    clock: Clock,
    http: reqwest::Client,
    keys: Mutex<Keys>,
}

#[derive(Default)]
struct Keys {
    set: Option<Arc<JwkSet>>,
    fetched_at_ms: i64,
    asked_at_ms: i64,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Oidc {
    pub(super) fn new(common: &Common) -> anyhow::Result<Self> {
        Ok(Self {
            issuer: common.auth.issuer.clone(),
            audience: common.auth.audience.clone(),
            workspaces_claim: common.auth.workspaces_claim.clone(),
            clock: common.clock.clone(),
            http: kit::http::client(TIMEOUTS)?,
            keys: Mutex::default(),
        })
    }

    pub(super) async fn verify(&self, token: &str) -> Result<Identity, Problem> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| super::invalid())?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(super::invalid());
        }
        let key = self.key(header.kid.as_deref()).await?;
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // Dates are checked below, by the clock that is passed in.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let claims = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &validation);
        let claims = claims.map_err(|_| super::invalid())?.claims;
        self.identity(&claims).ok_or_else(super::invalid)
    }

    fn identity(&self, claims: &Map<String, Value>) -> Option<Identity> {
        let now = self.clock.now_ms() / 1000;
        let seconds = |name: &str| claims.get(name).and_then(Value::as_i64);
        let expires = seconds("exp")?;
        let early = seconds("nbf").is_some_and(|not_before| not_before > now + LEEWAY_SECONDS);
        // An ID token tells a client who signed in; it is no key to an API.
        let is_id_token = claims.contains_key("nonce") || claims.get("typ").is_some_and(|typ| typ == "ID");
        if expires + LEEWAY_SECONDS < now || early || is_id_token {
            return None;
        }
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let user_id = Some(text("sub")).filter(|sub| !sub.is_empty() && sub.len() <= 255)?;
        Some(Identity {
            user_id,
            name: text("name"),
            memberships: memberships(claims.get(&self.workspaces_claim)),
            how: How::Bearer,
            expires_at_ms: Some(expires.saturating_mul(1000)),
        })
    }

    async fn key(&self, kid: Option<&str>) -> Result<DecodingKey, Problem> {
        let mut keys = self.keys.lock().await;
        let now = self.clock.now_ms();
        let age = now - keys.fetched_at_ms;
        let known = keys.set.as_ref().is_some_and(|set| find(set, kid).is_some());
        let may_ask = keys.set.is_none() || now - keys.asked_at_ms >= kit::clock::millis(REFETCH_AFTER);
        if may_ask && (!known || age > kit::clock::millis(FRESH)) {
            keys.asked_at_ms = now;
            match self.fetch().await {
                Ok(set) => {
                    keys.set = Some(Arc::new(set));
                    keys.fetched_at_ms = now;
                }
                Err(error) => tracing::warn!(%error, "the issuer's keys could not be read"),
            }
        }
        let usable = now - keys.fetched_at_ms <= kit::clock::millis(STALE);
        let Some(set) = keys.set.as_ref().filter(|_| usable) else {
            return Err(Problem::new(
                Code::Unavailable,
                "sign-in cannot be checked at the moment",
            ));
        };
        let jwk = find(set, kid).ok_or_else(super::invalid)?;
        DecodingKey::from_jwk(jwk).map_err(|_| super::invalid())
    }

    async fn fetch(&self) -> anyhow::Result<JwkSet> {
        let issuer = self.issuer.trim_end_matches('/');
        let discovery: Discovery = self
            .document(&format!("{issuer}/.well-known/openid-configuration"))
            .await?;
        anyhow::ensure!(
            discovery.issuer == self.issuer,
            "the discovery document is another issuer's"
        );
        self.document(&discovery.jwks_uri).await
    }

    async fn document<T: serde::de::DeserializeOwned>(&self, url: &str) -> anyhow::Result<T> {
        let mut response = self.http.get(url).send().await.map_err(reqwest::Error::without_url)?;
        anyhow::ensure!(response.status().is_success(), "answered {}", response.status());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
            body.extend_from_slice(&chunk);
            anyhow::ensure!(body.len() <= LARGEST_DOCUMENT, "the document is too large");
        }
        Ok(serde_json::from_slice(&body)?)
    }
}

/// The key of this id; without an id, the only key there is.
fn find<'a>(set: &'a JwkSet, kid: Option<&str>) -> Option<&'a jsonwebtoken::jwk::Jwk> {
    match kid {
        Some(kid) => set.find(kid),
        None if set.keys.len() == 1 => set.keys.first(),
        None => None,
    }
}

/// `{"acme": "owner"}` or `["acme:owner"]`; what is neither, or no role, is no membership.
fn memberships(claim: Option<&Value>) -> Vec<(String, Role)> {
    let one = |workspace: &str, role: &str| {
        super::dev::is_id(workspace)
            .then(|| Some((workspace.to_owned(), Role::parse(role)?)))
            .flatten()
    };
    match claim {
        Some(Value::Object(map)) => map.iter().filter_map(|(id, role)| one(id, role.as_str()?)).collect(),
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(|entry| entry.as_str()?.split_once(':'))
            .filter_map(|(id, role)| one(id, role))
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memberships_are_read_from_a_map_or_a_list_and_nonsense_is_none() {
        let read = |json: Value| memberships(Some(&json));
        assert_eq!(
            read(serde_json::json!({"acme": "owner", "b c": "owner", "d": "root"})),
            [("acme".into(), Role::Owner)]
        );
        assert_eq!(
            read(serde_json::json!(["acme:member", "x"])),
            [("acme".into(), Role::Member)]
        );
        assert!(read(serde_json::json!(7)).is_empty());
    }
}
