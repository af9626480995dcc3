//! A real OpenID Connect provider (`tests/provider`, oidc-provider on Node) and a browser that signs in at it by its pages.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::process::Stdio;

use anyhow::{Context, bail, ensure};
use reqwest::{Method, StatusCode, Url};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::Answer;

const PORT: u16 = 9000;
/// More redirects than any sign-in has.
const MOST: usize = 20;

/// A running provider; it ends with its standard input.
pub struct Provider {
    issuer: String,
    _child: Child,
}

impl Provider {
    /// The issuer that a provider at this address will have.
    pub fn issuer(address: Ipv4Addr) -> String {
        format!("http://{address}:{PORT}")
    }

    /// True where tests/run found Node and installed the provider; it says so when it did not.
    pub fn available() -> bool {
        folder().is_some()
    }

    /// Starts it for one client, which comes back to `redirect_uri`.
    pub async fn start(address: Ipv4Addr, redirect_uri: &str) -> anyhow::Result<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/provider/provider.mjs");
        let folder = folder().context("TEST_OIDC_PROVIDER names no folder")?;
        let mut child = Command::new("node")
            .args([script, &folder, &address.to_string(), &PORT.to_string(), redirect_uri])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("node cannot be started")?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let issuer = Self::issuer(address);
        while let Some(line) = lines.next_line().await? {
            if line == issuer {
                return Ok(Self { issuer, _child: child });
            }
        }
        bail!("the provider ended before it listened")
    }

    /// Makes somebody a member of these workspaces; without any, the provider knows nobody of this name.
    pub async fn person(&self, sub: &str, workspaces: Option<Value>) -> anyhow::Result<()> {
        let told = json!({"sub": sub, "workspaces": workspaces});
        let request = reqwest::Client::builder()
            .no_proxy()
            .build()?
            .post(format!("{}/control", self.issuer));
        let answer = request.body(told.to_string()).send().await?;
        ensure!(answer.status().is_success(), "control: {}", answer.status());
        Ok(())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how tests/run tells the tests where the provider is"
)]
fn folder() -> Option<String> {
    std::env::var("TEST_OIDC_PROVIDER").ok()
}

/// A browser: follows redirects, keeps cookies by host, fills in the provider's forms.
#[derive(Clone)]
pub struct Browser {
    http: reqwest::Client,
    cookies: BTreeMap<(String, String), String>,
}

impl Browser {
    /// One without cookies.
    pub fn new() -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        let cookies = BTreeMap::new();
        Ok(Self { http, cookies })
    }

    /// The cookies that a host gets.
    pub fn cookie(&self, url: &Url) -> String {
        let host = url.authority();
        let own = self.cookies.iter().filter(|((of, _), _)| of == host);
        own.map(|((_, name), value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join("; ")
    }

    /// One request, as a click on the page it belongs to.
    pub async fn request(&mut self, method: Method, url: &Url, form: &[(&str, &str)]) -> anyhow::Result<Answer> {
        let mut request = self
            .http
            .request(method.clone(), url.clone())
            .header("cookie", self.cookie(url))
            .header("accept", "text/html,*/*")
            .header("sec-fetch-site", "same-origin");
        if method == Method::POST {
            request = request.form(form);
        }
        let answer = Answer::read(request.send().await?).await?;
        for line in answer.headers.get_all("set-cookie") {
            self.keep(url.authority(), line.to_str()?);
        }
        Ok(answer)
    }

    /// A stream, as soon as it has begun.
    pub async fn stream(&self, url: &Url) -> anyhow::Result<reqwest::Response> {
        let answer = self
            .http
            .get(url.clone())
            .header("cookie", self.cookie(url))
            .send()
            .await?;
        ensure!(answer.status().is_success(), "{url}: {}", answer.status());
        Ok(answer)
    }

    fn keep(&mut self, host: &str, line: &str) {
        let Some((name, value)) = line.split(';').next().and_then(|pair| pair.split_once('=')) else {
            return;
        };
        let key = (host.to_owned(), name.to_owned());
        let lower = line.to_lowercase();
        if value.is_empty() || lower.contains("max-age=0") || lower.contains("expires=thu, 01 jan 1970") {
            self.cookies.remove(&key);
        } else {
            self.cookies.insert(key, value.to_owned());
        }
    }

    /// Opens a page, signing in as `person` wherever it is asked to, until a page without such a form; where and what it is.
    pub async fn open(&mut self, url: &str, person: &str) -> anyhow::Result<(Url, Answer)> {
        let mut url = Url::parse(url)?;
        let mut answer = self.request(Method::GET, &url, &[]).await?;
        for _ in 0..MOST {
            if answer.status.is_redirection() {
                url = url.join(answer.header("location"))?;
                answer = self.request(Method::GET, &url, &[]).await?;
            } else if let (StatusCode::OK, Some(prompt)) = (answer.status, prompt(&answer.text)) {
                // Its pages come back to the address that they are at.
                let form = [("prompt", prompt), ("login", person), ("password", "any")];
                answer = self.request(Method::POST, &url, &form).await?;
            } else {
                return Ok((url, answer));
            }
        }
        bail!("the sign-in goes round in circles at {url}")
    }
}

/// `login` or `consent`: which of the provider's forms a page is.
fn prompt(page: &str) -> Option<&'static str> {
    let asks = |name: &str| page.contains(&format!("name=\"prompt\" value=\"{name}\""));
    ["login", "consent"].into_iter().find(|name| asks(name))
}
