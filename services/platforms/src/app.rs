//! Our app at one platform: its credentials, hosts and pace, out of the configuration section `platforms.<connector>`.
//! Two client secrets may be valid at once, while one is replaced at the platform; the one that last worked goes first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use kit::Secret;
use kit::config::Error;
use serde::Deserialize;
use url::Url;

use crate::adapter::Adapter;
use crate::platforms;
use crate::spec::Spec;

/// Configuration section `platforms`: one table per connector.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Section(BTreeMap<String, AppSection>);

/// Configuration of one connector.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppSection {
    /// The app's id, or key, at the platform.
    pub client_id: String,
    /// The app's secret.
    pub client_secret: Secret,
    /// A second valid secret while the first is being replaced; empty otherwise.
    pub next_client_secret: Secret,
    /// Permissions to ask people for.
    pub scopes: Vec<String>,
    /// Scheme, host and port of the consent page.
    pub dialog_base: String,
    /// Scheme, host and port of the token endpoint.
    pub token_base: String,
    /// Scheme, host and port of the API.
    pub api_base: String,
    /// API version, as the platform writes it; empty where there is none.
    pub api_version: String,
    /// Whether a proof key is sent, where the platform leaves that open (TikTok).
    pub pkce: Option<ProofKey>,
    /// Calls to the platform in a minute, all replicas together.
    pub calls_per_minute: u32,
    /// Calls to the platform at a time, per process.
    pub concurrent_calls: u32,
    /// The id and secret are the sandbox's, and there is no sandbox.
    #[serde(skip)]
    is_placeholder: bool,
}

/// Whether TikTok gets a proof key; its web apps do without.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProofKey {
    /// None is sent.
    Off,
    /// SHA-256 in hexadecimal, as TikTok's desktop apps do.
    Hex,
}

/// One configured connector.
pub(crate) struct App {
    pub(crate) connector: &'static str,
    pub(crate) client_id: String,
    secrets: Vec<Secret>,
    /// Index of the secret that worked last.
    current: AtomicUsize,
    pub(crate) scopes: Vec<String>,
    pub(crate) dialog_base: String,
    pub(crate) token_base: String,
    pub(crate) api_base: String,
    pub(crate) version: String,
    pub(crate) proof_key: ProofKey,
    pub(crate) calls_per_minute: u32,
    pub(crate) concurrent_calls: u32,
    /// Registered at the platform; else nobody can be sent there.
    pub(crate) is_set_up: bool,
}

impl App {
    /// The secret that works, as far as we know.
    pub(crate) fn secret(&self) -> &str {
        self.secrets
            .get(self.current.load(Ordering::Relaxed))
            .map_or("", Secret::expose)
    }

    /// All valid secrets, for checking signatures.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(Secret::expose)
    }

    /// The platform refused our secret: tries the other one from now on. False when there is none.
    pub(crate) fn switch_secret(&self) -> bool {
        let other = (self.current.load(Ordering::Relaxed) + 1) % self.secrets.len().max(1);
        self.current.swap(other, Ordering::Relaxed) != other
    }

    fn new(spec: &Spec, section: &AppSection) -> Result<Self, Error> {
        let connector = spec.id;
        let key = |name: &str| format!("platforms.{connector}.{name}");
        let wanted = |there: bool, name: &str, remedy: &str| {
            if there {
                Ok(())
            } else {
                Err(Error::new(key(name), "is empty", remedy))
            }
        };
        let secrets = [&section.client_secret, &section.next_client_secret];
        let secrets: Vec<Secret> = secrets
            .into_iter()
            .filter(|secret| !secret.is_empty())
            .cloned()
            .collect();
        wanted(
            !section.client_id.is_empty(),
            "client_id",
            "set it to the app's id at the platform",
        )?;
        wanted(
            !secrets.is_empty(),
            "client_secret",
            "set it to the app's secret at the platform",
        )?;
        wanted(!section.scopes.is_empty(), "scopes", "name the permissions to ask for")?;
        wanted(
            !(spec.versioned && section.api_version.is_empty()),
            "api_version",
            "set it to a version of the platform's API",
        )?;
        wanted(section.calls_per_minute > 0, "calls_per_minute", "set it above 0")?;
        wanted(section.concurrent_calls > 0, "concurrent_calls", "set it above 0")?;
        let host = |name: &str, url: &str| {
            base(url).map_err(|problem| Error::new(key(name), problem, "write it as https://host"))
        };
        Ok(Self {
            connector,
            client_id: section.client_id.clone(),
            secrets,
            current: AtomicUsize::new(0),
            scopes: section.scopes.clone(),
            dialog_base: host("dialog_base", &section.dialog_base)?,
            token_base: host("token_base", &section.token_base)?,
            api_base: host("api_base", &section.api_base)?,
            version: section.api_version.clone(),
            proof_key: section.pkce.unwrap_or(ProofKey::Off),
            calls_per_minute: section.calls_per_minute,
            concurrent_calls: section.concurrent_calls,
            is_set_up: !section.is_placeholder,
        })
    }
}

/// The base without a slash at its end, when `url` is scheme, host and port and nothing else.
fn base(url: &str) -> Result<String, &'static str> {
    let parsed = Url::parse(url).map_err(|_| "is not a URL")?;
    let bare = parsed.path() == "/" && parsed.query().is_none() && parsed.username().is_empty();
    match (matches!(parsed.scheme(), "http" | "https"), bare) {
        (false, _) => Err("is not a web address"),
        (true, false) => Err("is more than scheme, host and port"),
        (true, true) => Ok(url.trim_end_matches('/').to_owned()),
    }
}

impl Section {
    /// The configured connectors; each that exists must be there, and none that does not exist may be.
    pub(crate) fn apps(&self) -> Result<Vec<App>, Error> {
        let known: BTreeSet<&str> = platforms::adapters().map(|adapter| adapter.spec().id).collect();
        if let Some(key) = self.0.keys().find(|key| !known.contains(key.as_str())) {
            let known: Vec<&str> = known.into_iter().collect();
            return Err(Error::new(
                format!("platforms.{key}"),
                "is not a known connector",
                format!("known are {}", known.join(", ")),
            ));
        }
        platforms::adapters().map(|adapter| self.app(adapter)).collect()
    }

    fn app(&self, adapter: &'static dyn Adapter) -> Result<App, Error> {
        let connector = adapter.spec().id;
        let missing = || Error::new(format!("platforms.{connector}"), "is missing", "add the table");
        let own = self.0.get(connector).ok_or_else(missing)?;
        match adapter.shares_app_with().and_then(|other| self.0.get(other)) {
            Some(other) => App::new(adapter.spec(), &own.filled_from(other)),
            None => App::new(adapter.spec(), own),
        }
    }

    /// Without a sandbox, apps that still have its ids, those of `defaults`, are nobody's: their platforms cannot be connected.
    pub fn without_sandbox(&mut self, defaults: &Self) {
        for (connector, app) in &mut self.0 {
            let sandboxs = defaults.0.get(connector).map(|app| &app.client_id);
            app.is_placeholder = !app.client_id.is_empty() && sandboxs == Some(&app.client_id);
        }
    }

    /// Where consent pages are: `scheme://host:port` of each, once.
    pub fn dialog_origins(&self) -> Vec<String> {
        let origin = |app: &AppSection| app.dialog_base.trim_end_matches('/').to_owned();
        let origins: BTreeSet<String> = self
            .0
            .values()
            .map(origin)
            .filter(|origin| !origin.is_empty())
            .collect();
        origins.into_iter().collect()
    }
}

impl AppSection {
    /// What is empty here is taken from `other`; the credentials only together.
    fn filled_from(&self, other: &Self) -> Self {
        let mut filled = self.clone();
        if filled.client_id.is_empty() {
            filled.client_id.clone_from(&other.client_id);
            filled.client_secret = other.client_secret.clone();
            filled.next_client_secret = other.next_client_secret.clone();
            filled.is_placeholder = other.is_placeholder;
        }
        for (own, other) in [
            (&mut filled.dialog_base, &other.dialog_base),
            (&mut filled.token_base, &other.token_base),
            (&mut filled.api_base, &other.api_base),
            (&mut filled.api_version, &other.api_version),
        ] {
            if own.is_empty() {
                own.clone_from(other);
            }
        }
        filled
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An app whose three hosts differ, so that a test sees which one is called.
    pub(crate) fn app(connector: &'static str, scopes: &[&str]) -> App {
        let section = AppSection {
            client_id: "sbx-client-id".into(),
            client_secret: Secret::new("sbx-client-secret"),
            next_client_secret: Secret::new("sbx-next-secret"),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            dialog_base: "https://dialog.test".into(),
            token_base: "https://token.test".into(),
            api_base: "https://api.test".into(),
            api_version: "v25.0".into(),
            pkce: None,
            calls_per_minute: 600,
            concurrent_calls: 8,
            is_placeholder: false,
        };
        App::new(platforms::adapter(connector).unwrap().spec(), &section).unwrap()
    }

    #[test]
    fn g13_the_other_secret_is_tried_and_kept() {
        let app = app("x", &["users.read"]);
        assert_eq!(app.secret(), "sbx-client-secret");
        assert!(app.switch_secret());
        assert_eq!(app.secret(), "sbx-next-secret");
    }

    #[test]
    fn an_app_with_the_sandboxs_id_is_nobodys_where_there_is_no_sandbox() {
        let section = |id: &str| {
            let app = format!(
                "{{\"x\": {{\"client_id\": \"{id}\", \"client_secret\": \"s\", \"next_client_secret\": \"\", \"scopes\": [], \
                 \"dialog_base\": \"\", \"token_base\": \"\", \"api_base\": \"\", \"api_version\": \"\", \
                 \"calls_per_minute\": 1, \"concurrent_calls\": 1}}}}"
            );
            serde_json::from_str::<Section>(&app).unwrap()
        };
        for (id, placeholder) in [("sandboxs", true), ("our-own", false)] {
            let mut configured = section(id);
            configured.without_sandbox(&section("sandboxs"));
            assert_eq!(configured.0["x"].is_placeholder, placeholder);
        }
    }

    #[test]
    fn a_base_is_scheme_host_and_port() {
        assert_eq!(base("https://api.x.com/").unwrap(), "https://api.x.com");
        for bad in [
            "api.x.com",
            "ftp://api.x.com",
            "https://api.x.com/2",
            "https://u@api.x.com",
            "https://api.x.com?x=1",
        ] {
            assert!(base(bad).is_err(), "{bad}");
        }
    }
}
