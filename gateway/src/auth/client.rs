//! This hub as a client of the OpenID Connect provider: codes and refresh tokens for access tokens, and what the provider says
//! of the person.
//!
//! Person and memberships come from the userinfo endpoint, at sign-in and again before every change: it is asked live, may be
//! asked by several gateways at once, and knows a lost role at once. A refresh token would have to be spent for the same
//! answer, and single-use ones are spent twice by races; it is used only when the access token ends.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kit::config::Auth;
use kit::{Code, Secret};
use serde::{Deserialize, Serialize};
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use super::claims;
use super::oidc::Oidc;
use super::provider::{Claims, body, silent};
use crate::config::Section;
use crate::problem::Problem;

/// Without `expires_in` an access token is renewed after this long.
const USUAL_LIFE_SECONDS: i64 = 300;

/// Our registration at the provider.
pub(super) struct Client {
    pub(super) id: String,
    /// Empty = a public client.
    secret: Secret,
    pub(super) scopes: String,
    pub(super) redirect_uri: String,
}

impl Client {
    pub(super) fn of(auth: &Auth, section: &Section) -> Option<Self> {
        (!auth.client_id.is_empty()).then(|| Self {
            id: auth.client_id.clone(),
            secret: auth.client_secret.clone(),
            scopes: auth.scopes.join(" "),
            redirect_uri: section.sign_in_uri(),
        })
    }
}

/// The provider's answer to a call that proves something.
pub(super) enum Trouble {
    /// It says no: what we sent is not, or no longer, good.
    Refused,
    /// It says nothing that counts.
    Silent,
}

impl From<anyhow::Error> for Trouble {
    fn from(error: anyhow::Error) -> Self {
        tracing::warn!(%error, "the OpenID Connect provider did not answer");
        Self::Silent
    }
}

impl From<Problem> for Trouble {
    fn from(_: Problem) -> Self {
        Self::Silent
    }
}

impl From<Trouble> for Problem {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Refused => Self::new(Code::Unauthenticated, "the provider did not confirm the sign-in"),
            Trouble::Silent => silent(),
        }
    }
}

/// The provider's tokens of one browser.
#[derive(Clone)]
pub(super) struct Credential {
    pub(super) access_token: Secret,
    /// May be empty.
    pub(super) refresh_token: Secret,
    pub(super) access_ends_at_ms: i64,
}

#[derive(Serialize)]
struct Written<'a> {
    access: &'a str,
    refresh: &'a str,
    ends: i64,
}

#[derive(Deserialize)]
struct Read {
    access: Secret,
    refresh: Secret,
    ends: i64,
}

impl Credential {
    /// For sealing.
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let written = Written {
            access: self.access_token.expose(),
            refresh: self.refresh_token.expose(),
            ends: self.access_ends_at_ms,
        };
        Zeroizing::new(serde_json::to_vec(&written).unwrap_or_default())
    }

    /// The reverse of [`Credential::encode`].
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let read: Read = serde_json::from_slice(bytes).ok()?;
        Some(Self {
            access_token: read.access,
            refresh_token: read.refresh,
            access_ends_at_ms: read.ends,
        })
    }
}

/// A token reply. No `Debug`.
#[derive(Deserialize)]
struct Reply {
    access_token: Secret,
    #[serde(default)]
    token_type: String,
    #[serde(default)]
    expires_in: Option<f64>,
    #[serde(default)]
    refresh_token: Secret,
    #[serde(default)]
    id_token: Secret,
}

impl Oidc {
    /// Trades a code: the tokens, and the ID token for checking.
    pub(super) async fn trade(&self, code: &str, verifier: &str) -> Result<(Credential, Secret), Trouble> {
        let client = self.client.as_ref().ok_or(Trouble::Silent)?;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &client.redirect_uri),
            ("code_verifier", verifier),
        ];
        self.token(&form).await
    }

    /// Spends a refresh token. Where the provider sends no new one, the old one stays good.
    pub(super) async fn renew(&self, old: &Credential) -> Result<Credential, Trouble> {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", old.refresh_token.expose()),
        ];
        let (mut new, _) = self.token(&form).await?;
        if new.refresh_token.is_empty() {
            new.refresh_token = old.refresh_token.clone();
        }
        Ok(new)
    }

    async fn token(&self, form: &[(&str, &str)]) -> Result<(Credential, Secret), Trouble> {
        let asked_at_ms = self.provider.clock.now_ms();
        let endpoint = self.provider.endpoints().await?.token_endpoint.clone();
        let response = self.as_client(&endpoint, form).await?.send().await;
        let response = response.map_err(|error| anyhow::Error::from(error.without_url()))?;
        let status = response.status();
        let body = Zeroizing::new(body(response).await?);
        if matches!(status.as_u16(), 400 | 401 | 403) {
            let error = serde_json::from_slice::<Claims>(&body).unwrap_or_default();
            let error = error.get("error").and_then(|error| error.as_str()).unwrap_or_default();
            if error == "invalid_client" {
                tracing::error!("the OpenID Connect provider refuses auth.client_id and auth.client_secret");
                return Err(Trouble::Silent);
            }
            return Err(Trouble::Refused);
        }
        // The parse error would show the reply.
        let reply = serde_json::from_slice::<Reply>(&body)
            .ok()
            .filter(|_| status.is_success());
        let reply =
            reply.filter(|reply| !reply.access_token.is_empty() && reply.token_type.eq_ignore_ascii_case("bearer"));
        let Some(reply) = reply else {
            tracing::warn!(%status, "the OpenID Connect provider sent no token reply");
            return Err(Trouble::Silent);
        };
        #[allow(clippy::cast_possible_truncation, reason = "a life of a token fits")]
        let life = reply.expires_in.map_or(USUAL_LIFE_SECONDS, |seconds| seconds as i64);
        let credential = Credential {
            access_token: reply.access_token,
            refresh_token: reply.refresh_token,
            access_ends_at_ms: asked_at_ms.saturating_add(life.clamp(0, 86_400 * 365) * 1000),
        };
        Ok((credential, reply.id_token))
    }

    /// A form, sent as this client.
    async fn as_client(&self, endpoint: &str, form: &[(&str, &str)]) -> Result<reqwest::RequestBuilder, Trouble> {
        let (Some(client), false) = (&self.client, endpoint.is_empty()) else {
            return Err(Trouble::Silent);
        };
        let methods = &self.provider.endpoints().await?.token_endpoint_auth_methods_supported;
        let takes = |method: &str| methods.iter().any(|known| known == method);
        let mut form = form.to_vec();
        let mut request = self.provider.http.post(endpoint);
        if client.secret.is_empty() {
            form.push(("client_id", &client.id));
        } else if methods.is_empty() || takes("client_secret_basic") || !takes("client_secret_post") {
            let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let pair = Zeroizing::new(format!("{}:{}", encoded(&client.id), encoded(client.secret.expose())));
            request = request.header("authorization", format!("Basic {}", STANDARD.encode(pair.as_bytes())));
        } else {
            form.push(("client_id", &client.id));
            form.push(("client_secret", client.secret.expose()));
        }
        Ok(request.form(&form))
    }

    /// What the provider says now of the person `subject`.
    pub(super) async fn person(&self, credential: &Credential, subject: &str) -> Result<Claims, Trouble> {
        let endpoint = self.provider.endpoints().await?.userinfo_endpoint.clone();
        if endpoint.is_empty() {
            tracing::error!("the OpenID Connect provider has no userinfo endpoint: memberships cannot be confirmed");
            return Err(Trouble::Silent);
        }
        let request = self
            .provider
            .http
            .get(endpoint)
            .bearer_auth(credential.access_token.expose());
        let response = request.header("accept", "application/json").send().await;
        let response = response.map_err(|error| anyhow::Error::from(error.without_url()))?;
        if matches!(response.status().as_u16(), 400 | 401 | 403) {
            return Err(Trouble::Refused);
        }
        if !response.status().is_success() {
            return Err(anyhow::anyhow!("userinfo answered {}", response.status()).into());
        }
        let claims: Claims = serde_json::from_slice(&body(response).await?).map_err(anyhow::Error::from)?;
        // OpenID Connect Core 5.3.2: another subject's answer must not be used.
        if claims::subject(&claims) == Some(subject) {
            Ok(claims)
        } else {
            Err(Trouble::Refused)
        }
    }

    /// Gives a refresh token back, where the provider takes it. Nothing depends on it.
    pub(super) async fn revoke(&self, credential: &Credential) {
        let Ok(endpoints) = self.provider.endpoints().await else {
            return;
        };
        let token = if credential.refresh_token.is_empty() {
            &credential.access_token
        } else {
            &credential.refresh_token
        };
        if let Ok(request) = self
            .as_client(&endpoints.revocation_endpoint, &[("token", token.expose())])
            .await
        {
            let _ = request.send().await;
        }
    }
}
