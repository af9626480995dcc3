//! What binds a flow to the browser that started it: a random cookie, one per flow so that two tabs do not clash.
//!
//! Its name is derived from the flow's state, its value is random; accounts keeps the value's hash and compares.

use http::HeaderMap;
use kit::Code;
use url::Url;

use crate::cookies::{self, Cookie};
use crate::problem::Problem;
use crate::state::App;

/// As long as a connect session lives.
const LIFETIME_SECONDS: u32 = 600;
/// How long a finished flow's cookie stays: browsers send a callback twice, and the second finds the result of the first.
/// Not longer, so that a person who connects many accounts does not carry a cookie for each.
const LINGER_SECONDS: u32 = 120;

/// The browser's half of a flow.
#[derive(Clone)]
pub(crate) struct Transaction {
    name: String,
    /// Empty for native apps: they are bound by their bearer token.
    value: String,
}

impl Transaction {
    /// A new one. The workspace goes along, since the callback's own address does not name it.
    pub(crate) fn new(workspace_id: &str, is_native: bool) -> Self {
        let value = if is_native {
            String::new()
        } else {
            format!("{}.{workspace_id}", kit::id::secret())
        };
        Self {
            name: String::new(),
            value,
        }
    }

    /// Takes its name from the state in the authorization URL.
    pub(crate) fn of_flow(self, authorize_url: &str) -> Result<Self, Problem> {
        let url = Url::parse(authorize_url).ok();
        let state = url.and_then(|url| {
            url.query_pairs()
                .find(|(name, _)| name == "state")
                .map(|(_, state)| state.into_owned())
        });
        let state = state.ok_or_else(|| Problem::new(Code::Internal, "the authorization address has no state"))?;
        Ok(Self {
            name: cookie_name(&state),
            value: self.value,
        })
    }

    /// What accounts compares.
    pub(crate) fn browser_hash(&self) -> Vec<u8> {
        if self.value.is_empty() {
            Vec::new()
        } else {
            kit::id::sha256(self.value.as_bytes()).to_vec()
        }
    }

    /// Puts it into the browser.
    pub(crate) fn keep(&self, app: &App, headers: &mut HeaderMap) {
        if !self.value.is_empty() {
            self.cookie(app, &self.value, LIFETIME_SECONDS).set(headers);
        }
    }

    /// The browser's half, from a callback's headers.
    pub(super) fn read(app: &App, state: &str, headers: &HeaderMap) -> Option<Self> {
        let name = cookie_name(state);
        let value = cookies::read(headers, &cookies::name(&name, app.config.is_https()))?.to_owned();
        Some(Self { name, value })
    }

    /// The workspace that the flow was started in.
    pub(super) fn workspace(&self) -> Option<&str> {
        self.value.split_once('.').map(|(_, workspace)| workspace)
    }

    /// Has it end soon.
    pub(super) fn linger(&self, app: &App, headers: &mut HeaderMap) {
        self.cookie(app, &self.value, LINGER_SECONDS).set(headers);
    }

    fn cookie<'a>(&'a self, app: &App, value: &'a str, seconds: u32) -> Cookie<'a> {
        Cookie {
            plain_name: &self.name,
            value,
            https: app.config.is_https(),
            max_age_seconds: Some(seconds),
        }
    }
}

fn cookie_name(state: &str) -> String {
    format!("sz-oauth-{}", &kit::id::sha256_hex(state.as_bytes())[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o2_flows_have_cookies_of_their_own_and_native_ones_have_none() {
        let first = Transaction::new("demo", false);
        let second = Transaction::new("demo", false);
        assert_ne!(first.browser_hash(), second.browser_hash());
        let first = first.of_flow("https://p.example/auth?state=one").unwrap();
        let second = second.of_flow("https://p.example/auth?state=two").unwrap();
        assert_ne!(first.name, second.name);
        assert_eq!(first.workspace(), Some("demo"));
        assert!(Transaction::new("demo", true).browser_hash().is_empty());
        assert!(
            Transaction::new("demo", true)
                .of_flow("https://p.example/auth")
                .is_err()
        );
    }
}
