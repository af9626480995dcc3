//! Recognises the caller of a request: by the rules of `dev` mode, or by the tokens of an OpenID Connect provider.
//!
//! Only says who somebody is; what they may do is decided by the service that owns the data.

mod dev;
mod oidc;

use http::{HeaderMap, header};
use kit::{Code, Common};

pub use dev::{DemoPerson, PERSONS, WORKSPACE};
pub(crate) use dev::{is_id, session};

use crate::cookies;
use crate::problem::Problem;
use crate::session::Identity;

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
    pub fn build(common: &Common) -> anyhow::Result<Self> {
        if common.dev() {
            return Ok(Self::Dev);
        }
        Ok(Self::Oidc(Box::new(oidc::Oidc::new(common)?)))
    }

    /// True in `dev` mode.
    pub fn is_dev(&self) -> bool {
        matches!(self, Self::Dev)
    }

    /// Who sends these headers; `None` without credentials. A stale cookie counts as none, a wrong bearer token does not.
    ///
    /// # Errors
    /// `Unauthenticated` for a bearer token that is not valid, `Unavailable` when the issuer's keys cannot be had.
    pub async fn identify(&self, headers: &HeaderMap, https: bool) -> Result<Option<Identity>, Problem> {
        if let Some(token) = bearer(headers)? {
            return match self {
                Self::Dev => dev::bearer(token).map(Some).ok_or_else(invalid),
                Self::Oidc(oidc) => oidc.verify(token).await.map(Some),
            };
        }
        let cookie = cookies::read(headers, &cookies::name(cookies::SESSION, https));
        Ok(match self {
            Self::Dev => cookie.and_then(dev::cookie),
            Self::Oidc(_) => None,
        })
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
