//! How the platforms behave where their documents leave a choice or disagree. Unlike a switch, a choice here is not a
//! fault: an adapter must work with every value. Changed by `PATCH /_sandbox/profile`, back to default at reset.

use serde::{Deserialize, Serialize};

/// TikTok's lifetimes: 24 h and 365 d, or the 2 h and 180 d of the pages of November 2026.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TikTokLives {
    #[serde(rename = "classic")]
    Classic,
    #[serde(rename = "2026-11")]
    November2026,
}

/// Instagram's replies: one object, or the `data` list of the documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Shape {
    Flat,
    Data,
}

/// Separator of LinkedIn's granted scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Separator {
    Comma,
    Space,
}

/// Whether TikTok insists on PKCE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pkce {
    Optional,
    Required,
}

/// What an Instagram refresh hands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Renewal {
    /// Another token; the old one goes on to its own end.
    New,
    /// The same token with a new end.
    Same,
}

/// Name of the organisation in LinkedIn's role list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum AclKey {
    Organization,
    OrganizationTarget,
    OrganizationalTarget,
}

impl AclKey {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::OrganizationTarget => "organizationTarget",
            Self::OrganizationalTarget => "organizationalTarget",
        }
    }
}

/// All choices.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Profile {
    pub(crate) tiktok_lives: TikTokLives,
    /// 200 or 400 for errors of TikTok's token endpoint.
    pub(crate) tiktok_token_error_status: u16,
    pub(crate) tiktok_pkce: Pkce,
    pub(crate) instagram_shape: Shape,
    /// Graph error code for refreshing a token that is younger than 24 h.
    pub(crate) instagram_young_refresh_code: i64,
    pub(crate) instagram_refresh: Renewal,
    /// LinkedIn gives refresh tokens.
    pub(crate) linkedin_partner: bool,
    pub(crate) linkedin_scope_separator: Separator,
    pub(crate) linkedin_acl_key: AclKey,
    /// Facebook refuses calls without `appsecret_proof`.
    pub(crate) facebook_proof_required: bool,
    /// Most items on one page of `/me/accounts` and its relatives.
    pub(crate) facebook_page_limit: usize,
    /// A post that equals the newest one of the same author is refused (Facebook 506, X 403).
    pub(crate) refuse_duplicates: bool,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            tiktok_lives: TikTokLives::Classic,
            tiktok_token_error_status: 200,
            tiktok_pkce: Pkce::Optional,
            instagram_shape: Shape::Flat,
            instagram_young_refresh_code: 10,
            instagram_refresh: Renewal::New,
            linkedin_partner: false,
            linkedin_scope_separator: Separator::Comma,
            linkedin_acl_key: AclKey::Organization,
            facebook_proof_required: false,
            facebook_page_limit: 50,
            refuse_duplicates: false,
        }
    }
}
