//! Recognises the caller of a request: by the rules of `dev` mode, or by the tokens of an OpenID Connect provider.
//!
//! Only says who somebody is; what they may do is decided by the service that owns the data.

pub(crate) mod browser;
mod claims;
mod client;
mod dev;
mod oidc;
mod provider;
pub(crate) mod sign_in;

use http::{HeaderMap, header};
use kit::{Code, Common};

#[cfg(any(test, feature = "fuzz"))]
pub(crate) use claims::check_id_token;
pub use dev::{DemoPerson, PERSONS, WORKSPACE};
pub(crate) use dev::{is_id, session};
#[cfg(any(test, feature = "fuzz"))]
pub(crate) use oidc::person_of;

use crate::config::Section;
use crate::cookies;
use crate::problem::Problem;
use crate::session::Identity;
use crate::state::App;
use browser::Look;

/// Longest bearer token that is looked at.
const MAX_TOKEN: usize = 8 * 1024;

/// How people are recognised.
pub enum Auth {
    /// Loopback only: demo persons, chosen freely.
    Dev,
    /// Access tokens of the configured issuer.
    Oidc(Box<oidc::Oidc>),
}

impl Auth {
    /// From `[auth]`.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn build(common: &Common, section: &Section) -> anyhow::Result<Self> {
        if common.dev() {
            return Ok(Self::Dev);
        }
        Ok(Self::Oidc(Box::new(oidc::Oidc::new(common, section)?)))
    }

    /// True in `dev` mode.
    pub fn is_dev(&self) -> bool {
        matches!(self, Self::Dev)
    }

    /// Who sends this request; `None` without credentials. A stale cookie counts as none, a wrong bearer token does not.
    ///
    /// # Errors
    /// `Unauthenticated` for a bearer token that is not valid, `Unavailable` when nobody can say whether it is.
    pub(crate) async fn identify(
        &self,
        app: &App,
        look: Look,
        headers: &HeaderMap,
    ) -> Result<Option<Identity>, Problem> {
        if let Some(token) = bearer(headers)? {
            return match self {
                Self::Dev => dev::bearer(token).map(Some).ok_or_else(invalid),
                Self::Oidc(oidc) => oidc.verify(token).await.map(Some),
            };
        }
        let https = app.config.is_https();
        let cookie = |name: &str| cookies::read(headers, &cookies::name(name, https));
        match (self, cookie(cookies::SESSION)) {
            (_, None) => Ok(None),
            (Self::Dev, Some(value)) => Ok(dev::cookie(value)),
            (Self::Oidc(_), Some(value)) => {
                let Some(hash) = browser::hash_of(value) else {
                    return Ok(None);
                };
                let identity = browser::identify(app, hash, look).await?;
                let chosen = cookie(cookies::WORKSPACE).unwrap_or_default();
                Ok(identity.map(|identity| identity.preferring(chosen)))
            }
        }
    }

    /// The same caller as they are now, for streams that stay open; `None` when they are signed out.
    ///
    /// # Errors
    /// `Unavailable` when nobody can say.
    pub(crate) async fn again(&self, app: &App, identity: &Identity) -> Result<Option<Identity>, Problem> {
        let is_over = identity.expires_at_ms.is_some_and(|end| end <= app.clock().now_ms());
        match identity.browser {
            _ if is_over => Ok(None),
            Some(hash) => browser::identify(app, hash, Look::Idle).await,
            None => Ok(Some(identity.clone())),
        }
    }

    pub(crate) fn oidc(&self) -> Option<&oidc::Oidc> {
        match self {
            Self::Dev => None,
            Self::Oidc(oidc) => Some(oidc),
        }
    }

    /// The person that a browser without credentials is signed in as, with the cookie's value: in `dev` mode only.
    pub fn demo(&self) -> Option<(Identity, String)> {
        match self {
            Self::Dev => Some(dev::owner()),
            Self::Oidc(_) => None,
        }
    }
}

/// The token of `Authorization: Bearer …`; another scheme, or the header twice, is refused.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let token = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, token)| {
            scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.len() <= MAX_TOKEN
        });
    match (token, values.next()) {
        (Some((_, token)), None) => Ok(Some(token.trim())),
        _ => Err(invalid()),
    }
}

fn invalid() -> Problem {
    Problem::new(Code::Unauthenticated, "the access token is not valid")
}
