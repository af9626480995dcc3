//! `oidc` mode: access tokens of one issuer, and browsers that signed in there.

use kit::Common;

use super::claims;
use super::client::Client;
use super::provider::{Claims, Provider};
use crate::config::Section;
use crate::problem::Problem;
use crate::session::{How, Identity};

/// One issuer, and this hub as its client.
pub struct Oidc {
    pub(super) provider: Provider,
    audience: String,
    pub(super) workspaces_claim: String,
    /// `None` = browsers cannot sign in.
    pub(super) client: Option<Client>,
}

impl Oidc {
    pub(super) fn new(common: &Common, section: &Section) -> anyhow::Result<Self> {
        let client = Client::of(&common.auth, section);
        if client.is_none() {
            tracing::warn!("auth.client_id is empty: browsers cannot sign in, only bearer tokens are let in");
        }
        Ok(Self {
            provider: Provider::new(common)?,
            audience: common.auth.audience.clone(),
            workspaces_claim: common.auth.workspaces_claim.clone(),
            client,
        })
    }

    /// Who sends this access token.
    pub(super) async fn verify(&self, token: &str) -> Result<Identity, Problem> {
        let claims = self.provider.claims(token, &self.audience).await?;
        let now = self.provider.clock.now_ms() / 1000;
        person_of(&claims, &self.workspaces_claim, now).ok_or_else(super::invalid)
    }
}

/// Who an access token with these claims is of; `None` when it lets nobody in.
pub(crate) fn person_of(claims: &Claims, workspaces_claim: &str, now: i64) -> Option<Identity> {
    let expires = claims::end_of(claims, now)?;
    if claims::is_id_token(claims) {
        return None;
    }
    Some(Identity {
        user_id: claims::subject(claims)?.to_owned(),
        name: claims::name(claims),
        memberships: claims::memberships(claims.get(workspaces_claim)),
        how: How::Bearer,
        expires_at_ms: Some(expires.saturating_mul(1000)),
        browser: None,
    })
}
