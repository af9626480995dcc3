//! The gateway's own configuration: `[gateway]` and `[links]`. Defaults live in deploy/default.toml alone.

use std::net::SocketAddr;
use std::time::Duration;

use kit::Secret;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use url::Url;

/// `[gateway]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Where the page and the API listen.
    pub listen: SocketAddr,
    /// The address that browsers use; base of redirect URIs.
    #[serde(deserialize_with = "address")]
    pub public_url: Url,
    /// The link that native apps have claimed, without a trailing slash; empty = `public_url`.
    pub native_link: String,
    /// Apple's ids (`TEAM.bundle`) of the apps that have claimed the links.
    pub apple_app_ids: Vec<String>,
    /// `package=SHA-256 fingerprint` of the Android apps that have.
    pub android_apps: Vec<String>,
    /// A client that has not sent its headers after this is closed.
    #[serde(with = "kit::wire::human")]
    pub header_timeout: Duration,
    /// A body that has not arrived whole after this is refused.
    #[serde(with = "kit::wire::human")]
    pub body_timeout: Duration,
    /// A client that takes nothing of its answer for this long is closed.
    #[serde(with = "kit::wire::human")]
    pub write_timeout: Duration,
    /// A request that has no answer after this fails; streams have their own end.
    #[serde(with = "kit::wire::human")]
    pub request_timeout: Duration,
    /// Largest request body in bytes.
    pub max_body_bytes: usize,
    /// Connections at once; the next one waits.
    pub max_connections: usize,
    /// Connections at once from one address; more are closed. 0 = any number.
    pub max_connections_per_address: usize,
    /// How many proxies stand before the gateway, each adding whom it saw to X-Forwarded-For; 0 = none, the header is ignored.
    pub proxies: usize,
    /// Requests of any kind from one address in a minute, to one gateway; 0 = any number.
    pub requests_per_minute_address: u32,
    /// Live streams that one person may hold at once.
    pub streams_per_person: usize,
    /// A live stream ends after about this long; the client comes back.
    #[serde(with = "kit::wire::human")]
    pub stream_lifetime: Duration,
    /// A comment is sent on a silent live stream this often.
    #[serde(with = "kit::wire::human")]
    pub stream_heartbeat: Duration,
    /// Changes that one person may ask for in a minute; 0 = any number.
    pub changes_per_minute_person: u32,
    /// Changes that one workspace may ask for in a minute; 0 = any number.
    pub changes_per_minute_workspace: u32,
    /// Origins of the platforms' consent pages: a form of the page may lead there, and nowhere else.
    pub dialog_origins: Vec<String>,
    /// What Meta must say when it verifies a webhook; empty = no webhook can be subscribed.
    pub webhook_verify_token: Secret,
    /// Hosts that avatars may be fetched from; a leading dot means any subdomain.
    pub avatar_hosts: Vec<String>,
    /// Largest avatar in bytes.
    pub avatar_max_bytes: usize,
}

impl Section {
    /// Cookies are bound to the host, and to https where there is https.
    pub fn is_https(&self) -> bool {
        self.public_url.scheme() == "https"
    }

    /// `scheme://host[:port]` of the public address.
    pub fn origin(&self) -> String {
        self.public_url.origin().ascii_serialization()
    }

    /// The redirect URI of a platform: a constant, never an input.
    pub fn redirect_uri(&self, platform: &str) -> String {
        format!("{}/oauth/{platform}/callback", self.base())
    }

    /// Where the OpenID Connect provider sends browsers back to.
    pub fn sign_in_uri(&self) -> String {
        format!("{}/sign-in/callback", self.base())
    }

    /// The claimed link that brings a native app back.
    pub fn native_return(&self, session_id: &str) -> String {
        let base = if self.native_link.is_empty() {
            self.base()
        } else {
            self.native_link.trim_end_matches('/')
        };
        format!("{base}/oauth/return/{session_id}")
    }

    fn base(&self) -> &str {
        self.public_url.as_str().trim_end_matches('/')
    }
}

/// `[links]`: parts of the product that are not the hub's. Templates; `{account_id}` and `{code}` are filled in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Links {
    /// Where posts are written.
    pub composer: String,
    /// Where a person asks for help.
    pub support: String,
    /// Where the owner changes the plan.
    pub billing: String,
}

impl Links {
    /// Pages that the hub serves by itself.
    #[cfg(test)]
    pub(crate) fn own_pages() -> Self {
        Self {
            composer: "/composer?social_account_id={account_id}".into(),
            support: "/support?account={account_id}&problem={code}".into(),
            billing: "/billing".into(),
        }
    }

    /// The composer with an account preselected.
    pub fn composer(&self, account_id: &str) -> String {
        self.composer.replace("{account_id}", &encoded(account_id))
    }

    /// The support page with the error filled in.
    pub fn support(&self, account_id: &str, code: &str) -> String {
        self.support
            .replace("{account_id}", &encoded(account_id))
            .replace("{code}", &encoded(code))
    }

    /// Plans and billing.
    pub fn billing(&self) -> String {
        self.billing.clone()
    }
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let text = String::deserialize(deserializer)?;
    Url::parse(&text).map_err(|_| D::Error::custom("not a URL"))
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::Links;

    #[test]
    fn what_is_filled_into_a_link_is_encoded() {
        let links = Links::own_pages();
        assert_eq!(links.composer("acc_1"), "/composer?social_account_id=acc_1");
        assert_eq!(links.support("a&b", "x=y"), "/support?account=a%26b&problem=x%3Dy");
    }
}
