//! Configuration: `deploy/default.toml` is compiled in and is the default, then a file, then `SOCIALIZIOZ__SECTION__KEY`.
//!
//! Read once, at start. Unknown keys are refused, and every error names its key and what to do, in one line.

mod layers;
mod sections;

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::grpc::tls::Certificates;
use crate::identity::Signer;
use crate::seal::KeyRing;
use crate::{Clock, Secret, db, id};

pub use layers::Layers;
pub use sections::{Auth, AuthMode, Database, Keys, Log, LogFormat, Metrics, Redis, Telemetry, Tls, TlsMode};

/// A configuration that cannot be used: names the key and says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}; {remedy}")]
pub struct Error {
    /// `section.key`.
    pub key: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl Error {
    /// An error for one key.
    pub fn new(key: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}

/// Where the services find each other: one `http(s)://host:port`, or several separated by commas.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    /// accounts
    pub accounts: String,
    /// tokens
    pub tokens: String,
    /// platforms
    pub platforms: String,
    /// entitlements
    pub entitlements: String,
}

/// The sections that every role has.
#[derive(Clone)]
pub struct Sections {
    /// Name of this process; empty = the host's name.
    pub instance: String,
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
}

/// What every service is given besides its own section. Cheap enough to clone.
#[derive(Clone)]
pub struct Common {
    /// Where the time comes from.
    pub clock: Clock,
    /// Name of this process as owner of attempts.
    pub instance: String,
    /// How people and services are told apart.
    pub auth: Auth,
    /// Where the data is.
    pub database: db::Location,
    /// `redis://…`, or empty for memory.
    pub redis: String,
    /// Where the others are.
    pub peers: Peers,
    /// Base of redirect URIs, without a slash at the end.
    pub public_url: String,
    /// Folder of the embedded mode.
    pub data_dir: PathBuf,
    /// Signs and verifies who a call is made for.
    pub signer: Signer,
    /// Certificates for calls between the services; `None` = off.
    pub tls: Option<Certificates>,
    /// Something else (a mesh) protects the network between the services.
    pub trust_network: bool,
    keys: Keys,
}

impl Common {
    /// Checks the shared sections and puts them together.
    pub fn build(sections: Sections, peers: Peers, public_url: &str, clock: Clock) -> Result<Self, Error> {
        let Sections {
            instance,
            database,
            redis,
            auth,
            keys,
            tls,
        } = sections;
        let (database, data_dir) = database.location()?;
        redis.check()?;
        for (key, urls) in [
            ("accounts.url", &peers.accounts),
            ("tokens.url", &peers.tokens),
            ("platforms.url", &peers.platforms),
            ("entitlements.url", &peers.entitlements),
        ] {
            for url in urls.split(',') {
                check_url(key, url.trim(), &["http", "https"])?;
            }
        }
        let public_url = public_url.trim_end_matches('/').to_owned();
        check_url("gateway.public_url", &public_url, &["http", "https"])?;
        auth.check()?;
        if auth.mode == AuthMode::Oidc {
            check_encrypted("gateway.public_url", &public_url)?;
        }
        let (certificates, trust_network) = (tls.certificates(auth.mode)?, tls.trust_network);
        let signer = Signer::new(identity_key(&auth, &keys)?, clock.clone());
        let instance = if instance.is_empty() {
            sections::host_name()
        } else {
            instance
        };
        let redis = redis.url;
        let tls = certificates;
        Ok(Self {
            clock,
            instance,
            auth,
            database,
            redis,
            peers,
            public_url,
            data_dir,
            signer,
            tls,
            trust_network,
            keys,
        })
    }

    /// True in `dev` mode: loopback only, demo persons.
    pub fn dev(&self) -> bool {
        self.auth.mode == AuthMode::Dev
    }

    /// The ring of key-encryption keys, for the roles that seal.
    pub fn key_ring(&self) -> Result<KeyRing, Error> {
        if let Some(ring) = self.keys.ring()? {
            return Ok(ring);
        }
        if !self.dev() {
            return Err(Error::new(
                "keys.ring",
                "is missing",
                "set keys.ring or keys.file to <id>:<base64 of 32 bytes>, e.g. k1:$(openssl rand -base64 32)",
            ));
        }
        let path = self.data_dir.join("keys");
        KeyRing::read_or_create(&path).map_err(|error| {
            Error::new(
                "keys.file",
                error.to_string(),
                "make the data folder writable, or set keys.ring",
            )
        })
    }
}

/// Checks a URL's form and scheme.
pub fn check_url(key: &str, url: &str, schemes: &[&str]) -> Result<(), Error> {
    let remedy = format!("write it as {}://host:port", schemes.join(":// or "));
    match url::Url::parse(url) {
        Ok(parsed) if schemes.contains(&parsed.scheme()) && parsed.has_host() => Ok(()),
        Ok(parsed) => Err(Error::new(
            key,
            format!("scheme {:?} is not usable here", parsed.scheme()),
            remedy,
        )),
        Err(error) => Err(Error::new(key, format!("is not a URL ({error})"), remedy)),
    }
}

/// Refuses plain http to anywhere but this machine: cookies and codes travel there.
pub fn check_encrypted(key: &str, url: &str) -> Result<(), Error> {
    let is_local = |host: &str| {
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    };
    match url::Url::parse(url) {
        Ok(parsed) if parsed.scheme() == "http" && !parsed.host_str().is_some_and(is_local) => Err(Error::new(
            key,
            "is plain http",
            "write it as https://host: people sign in over it",
        )),
        _ => Ok(()),
    }
}

/// Refuses to listen beyond loopback where that would be open to anybody.
pub fn check_loopback(key: &str, listen: SocketAddr, why: &str, remedy: &str) -> Result<(), Error> {
    if listen.ip().is_loopback() {
        return Ok(());
    }
    Err(Error::new(
        key,
        format!("{listen} is not a loopback address, and {why}"),
        remedy,
    ))
}

/// The key that identities are signed with: its own, or one derived from the ring, or a fixed one on loopback.
fn identity_key(auth: &Auth, keys: &Keys) -> Result<Secret, Error> {
    if !auth.identity_key.is_empty() {
        return Ok(auth.identity_key.clone());
    }
    if let Some(entry) = keys.first_entry()? {
        let material = [b"socializioz identity\0".as_slice(), entry.expose().as_bytes()].concat();
        return Ok(Secret::new(id::sha256_hex(&material)));
    }
    match auth.mode {
        // Whoever can reach loopback can also choose who to be, in this mode.
        AuthMode::Dev => Ok(Secret::new("development identities are not secret")),
        AuthMode::Oidc => Err(Error::new(
            "auth.identity_key",
            "is missing and there is no key ring to derive it from",
            "set it to the same random string for all roles",
        )),
    }
}
