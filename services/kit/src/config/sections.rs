//! The sections that every role reads: database, redis, auth, keys, tls, metrics, log, telemetry.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::{Error, check_encrypted, check_url};
use crate::grpc::tls::{Certificates, Files};
use crate::seal::KeyRing;
use crate::{Secret, db};

/// `[database]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// `sqlite:<folder>` or `postgres://…`.
    pub url: String,
}

impl Database {
    /// Where the data is, and the folder of the embedded mode.
    pub(super) fn location(&self) -> Result<(db::Location, PathBuf), Error> {
        if let Some(folder) = self.url.strip_prefix("sqlite:") {
            let folder = folder.trim_start_matches("//");
            if folder.is_empty() {
                return Err(Error::new("database.url", "names no folder", "write sqlite:data"));
            }
            return Ok((db::Location::Folder(folder.into()), folder.into()));
        }
        if self.url.starts_with("postgres://") || self.url.starts_with("postgresql://") {
            check_url("database.url", &self.url, &["postgres", "postgresql"])?;
            return Ok((db::Location::Postgres(self.url.clone()), "data".into()));
        }
        Err(Error::new(
            "database.url",
            "is neither SQLite nor PostgreSQL",
            "write sqlite:<folder> or postgres://user@host/database",
        ))
    }
}

/// `[redis]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// `redis://…`, or empty for memory.
    pub url: String,
}

impl Redis {
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.url.is_empty() {
            Ok(())
        } else {
            check_url("redis.url", &self.url, &["redis", "rediss"])
        }
    }
}

/// How people are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// Loopback only: a browser is signed in as a demo owner.
    Dev,
    /// By an OpenID Connect provider.
    Oidc,
}

/// `[auth]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// How people are known.
    pub mode: AuthMode,
    /// Issuer URL of the OpenID Connect provider.
    pub issuer: String,
    /// Audience that access tokens must carry.
    pub audience: String,
    /// Claim that maps workspace ids to roles.
    pub workspaces_claim: String,
    /// Client of this hub at the provider, for signing browsers in; empty = browsers cannot sign in.
    pub client_id: String,
    /// Its secret; empty = a public client.
    pub client_secret: Secret,
    /// What is asked for when a browser signs in; `openid` must be among it.
    pub scopes: Vec<String>,
    /// A browser's session ends after this long without a request.
    #[serde(with = "crate::wire::human")]
    pub session_idle: Duration,
    /// A browser's session ends after this long, whatever happens.
    #[serde(with = "crate::wire::human")]
    pub session_life: Duration,
    /// Signs who a call is made for, between the services; empty = derived from the key ring.
    pub identity_key: Secret,
    /// Names of other services that may ask for access tokens and health.
    pub services: Vec<String>,
}

impl Auth {
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.mode == AuthMode::Dev {
            return Ok(());
        }
        if self.issuer.is_empty() {
            return Err(Error::new(
                "auth.issuer",
                "is missing",
                "set it to the URL of the OpenID Connect provider",
            ));
        }
        check_url("auth.issuer", &self.issuer, &["https", "http"])?;
        check_encrypted("auth.issuer", &self.issuer)?;
        if !self.client_id.is_empty() && !self.scopes.iter().any(|scope| scope == "openid") {
            return Err(Error::new(
                "auth.scopes",
                "does not hold openid",
                "add openid: without it the provider says nothing about who signed in",
            ));
        }
        if self.session_idle.is_zero() || self.session_life < self.session_idle {
            return Err(Error::new(
                "auth.session_idle",
                "is 0 or longer than auth.session_life",
                "write for example session_idle = 1h and session_life = 24h",
            ));
        }
        if self.audience.is_empty() {
            return Err(Error::new(
                "auth.audience",
                "is missing",
                "set it to the audience of your access tokens",
            ));
        }
        Ok(())
    }
}

/// `[keys]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// `<id>:<base64 of 32 bytes>`, a list or one a line; the first seals, all open.
    #[serde(deserialize_with = "lines_or_list")]
    pub ring: Secret,
    /// A file with one entry a line.
    pub file: String,
}

impl Keys {
    pub(super) fn ring(&self) -> Result<Option<KeyRing>, Error> {
        let broken = |key: &str, error: crate::seal::Error| {
            Error::new(key, error.to_string(), "write each entry as <id>:<base64 of 32 bytes>")
        };
        if !self.ring.is_empty() {
            return KeyRing::parse(self.ring.expose().lines())
                .map(Some)
                .map_err(|error| broken("keys.ring", error));
        }
        if !self.file.is_empty() {
            return KeyRing::read(Path::new(&self.file))
                .map(Some)
                .map_err(|error| broken("keys.file", error));
        }
        Ok(None)
    }

    pub(super) fn first_entry(&self) -> Result<Option<Secret>, Error> {
        let text = if !self.ring.is_empty() {
            self.ring.clone()
        } else if !self.file.is_empty() {
            Secret::new(std::fs::read_to_string(&self.file).map_err(|error| {
                Error::new(
                    "keys.file",
                    format!("cannot be read ({error})"),
                    "name a readable file, or set keys.ring",
                )
            })?)
        } else {
            return Ok(None);
        };
        Ok(text
            .expose()
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty())
            .map(Secret::new))
    }
}

/// Takes `["a", "b"]`, or one string with entries separated by line ends or commas.
fn lines_or_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Entries {
        One(String),
        Many(Vec<String>),
    }
    Ok(Secret::new(match Entries::deserialize(deserializer)? {
        Entries::One(text) => text.replace(',', "\n"),
        Entries::Many(entries) => entries.join("\n"),
    }))
}

/// Whether calls between the services are encrypted and authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsMode {
    /// `off` in `dev` mode, else `mutual`.
    Auto,
    /// Plain; loopback only unless the network is trusted.
    Off,
    /// Both sides show a certificate.
    Mutual,
}

/// `[tls]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Whether calls between the services are encrypted.
    pub mode: TlsMode,
    /// PEM file of the authority that signs the services' certificates.
    pub ca: String,
    /// PEM file of this process' certificate chain.
    pub cert: String,
    /// PEM file of its key.
    pub key: String,
    /// How long a connection may last.
    #[serde(with = "crate::wire::human")]
    pub connection_lifetime: Duration,
    /// With `off`: something else (a mesh) protects the network, so listening beyond loopback is fine.
    pub trust_network: bool,
}

impl Tls {
    pub(super) fn certificates(&self, auth: AuthMode) -> Result<Option<Certificates>, Error> {
        let mutual = match self.mode {
            TlsMode::Auto => auth == AuthMode::Oidc && !self.trust_network,
            TlsMode::Off => false,
            TlsMode::Mutual => true,
        };
        if !mutual {
            return Ok(None);
        }
        let file = |key: &str, path: &str| match path {
            "" => Err(Error::new(
                key,
                "is missing",
                "name a PEM file, or set tls.trust_network = true behind a mesh",
            )),
            path => Ok(PathBuf::from(path)),
        };
        let files = Files {
            ca: file("tls.ca", &self.ca)?,
            cert: file("tls.cert", &self.cert)?,
            key: file("tls.key", &self.key)?,
        };
        Certificates::read(files, self.connection_lifetime).map(Some)
    }
}

/// `[metrics]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Where Prometheus finds this process.
    pub listen: SocketAddr,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For machines.
    Json,
}

/// `[log]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// How log lines look.
    pub format: LogFormat,
    /// `info`, or a filter such as `info,socializioz_tokens=debug`.
    pub level: String,
}

/// `[telemetry]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// OTLP gRPC endpoint for traces; empty = none are sent.
    pub otlp_endpoint: String,
}

/// The host's name, without asking a library: Kubernetes and Linux both tell it here.
pub(super) fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"))
        .map(|name| name.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}
