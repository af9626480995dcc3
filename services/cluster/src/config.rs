//! The whole configuration: one typed section per part, defaults from `deploy/default.toml`.
//!
//! Some defaults follow others: a service's URL its listening address, the public URL the gateway's, the platforms' hosts
//! the sandbox's while it is enabled.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use kit::config::{
    Auth, AuthMode, Common, Database, Error, Keys, Layers, Log, Metrics, Peers, Redis, Sections, Telemetry, Tls,
};
use kit::{Clock, wire::human};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// `deploy/default.toml`: what is documented there is what runs.
pub const DEFAULTS: &str = include_str!("../../../deploy/default.toml");

/// Everything that can be configured.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of this process as owner of attempts; empty = the host's name.
    pub instance: String,
    /// Connects a few accounts of the demo workspace at the first start, in the one-command run.
    pub demo: bool,
    /// How long running work may take after a request to stop.
    #[serde(with = "human")]
    pub drain: std::time::Duration,
    /// Fault points; only in builds for tests.
    pub faults: String,
    /// `[database]`
    pub database: Database,
    /// `[redis]`
    pub redis: Redis,
    /// `[auth]`
    pub auth: Auth,
    /// `[keys]`
    pub keys: Keys,
    /// `[tls]`
    pub tls: Tls,
    /// `[metrics]`
    pub metrics: Metrics,
    /// `[log]`
    pub log: Log,
    /// `[telemetry]`
    pub telemetry: Telemetry,
    /// `[audit]`
    pub audit: tokens::AuditSection,
    /// `[gateway]`
    pub gateway: gateway::Section,
    /// `[links]`
    pub links: gateway::Links,
    /// `[accounts]`
    pub accounts: accounts::Section,
    /// `[tokens]`
    pub tokens: tokens::Section,
    /// `[platforms]`
    pub platforms: Platforms,
    /// `[entitlements]`
    pub entitlements: entitlements::Section,
    /// `[plans]`
    pub plans: entitlements::Plans,
    /// `[sandbox]`
    pub sandbox: sandbox::Config,
}

/// `[platforms]`: where the service is, and a table per connector.
#[derive(Clone, Deserialize)]
pub struct Platforms {
    /// gRPC address.
    pub listen: SocketAddr,
    /// Where the other services find it.
    pub url: String,
    /// The connectors' apps.
    #[serde(flatten)]
    pub apps: platforms::Section,
}

impl Config {
    /// Reads file and environment for a process that listens where it is told to.
    pub fn load(file: Option<&Path>) -> Result<Self, Error> {
        Self::derived(Layers::load(DEFAULTS, file)?)
    }

    /// Reads the configuration with all defaults that follow from others.
    pub fn derived(mut layers: Layers) -> Result<Self, Error> {
        for service in ["accounts", "tokens", "platforms", "entitlements"] {
            let listen: SocketAddr = layers.peek(&format!("{service}.listen"))?;
            layers.derive(&format!("{service}.url"), format!("http://{listen}"));
        }
        let listen: SocketAddr = layers.peek("gateway.listen")?;
        layers.derive("gateway.public_url", format!("http://{listen}"));
        if layers.peek::<AuthMode>("auth.mode")? == AuthMode::Oidc {
            // Imitated platforms have no place where real people sign in.
            layers.derive("sandbox.enabled", false);
        }
        let sandbox: SocketAddr = layers.peek("sandbox.listen")?;
        if layers.peek("sandbox.enabled")? {
            for connector in platforms::connectors() {
                for base in ["dialog_base", "token_base", "api_base"] {
                    let key = format!("platforms.{connector}.{base}");
                    // Empty = another connector's, and stays so.
                    if !layers.peek::<String>(&key)?.is_empty() {
                        layers.derive(&key, format!("http://{sandbox}"));
                    }
                }
            }
        }
        check_connectors(&layers)?;
        let mut config: Self = layers.extract()?;
        if config.auth.mode == AuthMode::Oidc {
            let defaults = Layers::read(DEFAULTS, None, [])?.peek::<Platforms>("platforms")?;
            config.platforms.apps.without_sandbox(&defaults.apps);
        }
        if config.gateway.dialog_origins.is_empty() {
            config.gateway.dialog_origins = config.platforms.apps.dialog_origins();
        }
        Ok(config)
    }

    /// What all services share.
    pub fn common(&self, clock: Clock) -> Result<Common, Error> {
        let sections = Sections {
            instance: self.instance.clone(),
            database: self.database.clone(),
            redis: self.redis.clone(),
            auth: self.auth.clone(),
            keys: self.keys.clone(),
            tls: self.tls.clone(),
        };
        let peers = Peers {
            accounts: self.accounts.url.clone(),
            tokens: self.tokens.url.clone(),
            platforms: self.platforms.url.clone(),
            entitlements: self.entitlements.url.clone(),
        };
        if self.sandbox.enabled && self.auth.mode == AuthMode::Oidc {
            return Err(Error::new(
                "sandbox.enabled",
                "is true in oidc mode",
                "leave it out: imitated platforms are for dev mode",
            ));
        }
        // Everything that starts comes by here, once.
        kit::fault::arm(&self.faults)?;
        Common::build(sections, peers, self.gateway.public_url.as_str(), clock)
    }
}

/// `[platforms]` holds the service's own keys and a table per connector, so that serde cannot say which of them is unknown.
fn check_connectors(layers: &Layers) -> Result<(), Error> {
    #[allow(
        clippy::zero_sized_map_values,
        reason = "a table is read, and its keys are all that is of interest"
    )]
    let found: BTreeMap<String, IgnoredAny> = layers.peek("platforms")?;
    let known: Vec<&str> = ["listen", "url"].into_iter().chain(platforms::connectors()).collect();
    match found.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(Error::new(
            format!("platforms.{key}"),
            "is not a known key",
            format!("known here: {}", known.join(", ")),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<Config, Error> {
        let variables = variables
            .iter()
            .map(|(name, value)| (format!("SOCIALIZIOZ__{name}"), (*value).to_owned()));
        Config::derived(Layers::read(DEFAULTS, None, variables)?)
    }

    #[test]
    fn the_documented_defaults_are_the_real_ones() {
        let config = with(&[]).unwrap();
        assert_eq!(config.gateway.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.gateway.public_url.as_str(), "http://127.0.0.1:8080/");
        assert_eq!(config.tokens.url, "http://127.0.0.1:50052");
        assert_eq!(config.sandbox.listen.to_string(), "127.0.0.1:8090");
        assert!(config.common(Clock::system()).is_ok());
    }

    #[test]
    fn defaults_follow_the_addresses_they_belong_to() {
        let config = with(&[
            ("GATEWAY__LISTEN", "127.0.0.1:9000"),
            ("TOKENS__LISTEN", "127.0.0.1:9001"),
        ])
        .unwrap();
        assert_eq!(config.gateway.public_url.as_str(), "http://127.0.0.1:9000/");
        assert_eq!(config.tokens.url, "http://127.0.0.1:9001");
    }

    #[test]
    fn people_sign_in_over_https_or_on_this_machine() {
        let ring = "k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
        let oidc = |more: &[(&str, &str)]| {
            let mut all = vec![
                ("AUTH__MODE", "oidc"),
                ("AUTH__ISSUER", "https://identity.example"),
                ("AUTH__AUDIENCE", "hub"),
                ("AUTH__CLIENT_ID", "hub"),
                ("GATEWAY__PUBLIC_URL", "https://hub.example"),
                ("KEYS__RING", ring),
                ("TLS__MODE", "off"),
            ];
            all.extend(more);
            with(&all).and_then(|config| config.common(Clock::system()).map(drop))
        };
        assert!(oidc(&[]).is_ok());
        let local = [
            ("AUTH__ISSUER", "http://[::1]:1"),
            ("GATEWAY__PUBLIC_URL", "http://127.0.0.1:1"),
        ];
        assert!(oidc(&local).is_ok());
        for (name, value, key) in [
            ("AUTH__ISSUER", "http://identity.example", "auth.issuer"),
            ("AUTH__ISSUER", "", "auth.issuer"),
            ("AUTH__AUDIENCE", "", "auth.audience"),
            ("AUTH__SCOPES", "[\"profile\"]", "auth.scopes"),
            ("AUTH__SESSION_IDLE", "0s", "auth.session_idle"),
            ("AUTH__SESSION_LIFE", "10m", "auth.session_idle"),
            ("GATEWAY__PUBLIC_URL", "http://hub.example", "gateway.public_url"),
            ("SANDBOX__ENABLED", "true", "sandbox.enabled"),
        ] {
            let Err(error) = oidc(&[(name, value)]) else {
                panic!("{name}={value} was taken")
            };
            assert_eq!(error.key, key, "{name}: {error}");
        }
    }

    #[test]
    fn a_mistake_is_told_by_its_key() {
        for (name, value, key) in [
            ("GATEWAY__LISTEN", "somewhere", "gateway.listen"),
            ("GATEWAY__PUBLIC_URL", "not a url", "gateway.public_url"),
            ("DATABASE__URL", "mysql://x/y", "database.url"),
            ("REDIS__URL", "http://x", "redis.url"),
            ("TOKENS__CHECK_INTERVAL", "often", "tokens.check_interval"),
            ("TOKENS__CHEK_INTERVAL", "1h", "tokens.chek_interval"),
            ("AUTH__MODE", "none", "auth.mode"),
            ("KEYS__RING", "k1:short", "keys.ring"),
            ("PLATFORMS__X__CLIENT_IDD", "x", "platforms"),
            ("FAULTS", "after_lunch:kill", "faults"),
        ] {
            let error = with(&[(name, value)]).and_then(|config| {
                let common = config.common(Clock::system())?;
                common.key_ring().map(|_| config)
            });
            let Err(error) = error else {
                panic!("{name}={value} was taken")
            };
            assert!(error.key.starts_with(key), "{name}: {error}");
        }
    }
}
