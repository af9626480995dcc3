//! Pictures of accounts from our own origin: fetched once from the platform's host, checked, kept in memory.
//!
//! Only hosts of the configured list are asked, no redirect is followed, size and time are capped, and what is not a PNG, JPEG
//! or WebP by its first bytes is not passed on. Whatever goes wrong, the answer is a picture: the initial of the name.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, header};
use proto::accounts::v1::{GetAccountRequest, GetConnectSessionRequest};
use url::{Host, Url};

use crate::problem::Problem;
use crate::session::{Viewer, context};
use crate::state::App;

const TIMEOUTS: kit::http::Timeouts = kit::http::Timeouts {
    connect: Duration::from_secs(2),
    total: Duration::from_secs(5),
};
const KEPT_BYTES: u64 = 32 * 1024 * 1024;
const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);
const MISSED_FOR: Duration = Duration::from_secs(60);
/// A picture can do nothing, even opened on its own.
const SANDBOX: &str = "default-src 'none'; sandbox";

/// Fetches and keeps pictures.
pub struct Avatars {
    http: reqwest::Client,
    hosts: Vec<String>,
    loopback: bool,
    max_bytes: usize,
    kept: moka::future::Cache<String, Arc<Picture>>,
    missed: moka::future::Cache<String, ()>,
}

struct Picture {
    media_type: &'static str,
    bytes: Bytes,
}

impl Avatars {
    /// `loopback`: pictures of the sandbox may be fetched, over plain http.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(hosts: Vec<String>, max_bytes: usize, loopback: bool) -> anyhow::Result<Self> {
        let weight = |_: &String, picture: &Arc<Picture>| u32::try_from(picture.bytes.len()).unwrap_or(u32::MAX);
        Ok(Self {
            http: kit::http::client(TIMEOUTS)?,
            hosts,
            loopback,
            max_bytes,
            kept: moka::future::Cache::builder()
                .weigher(weight)
                .max_capacity(KEPT_BYTES)
                .time_to_live(KEPT_FOR)
                .build(),
            missed: moka::future::Cache::builder()
                .max_capacity(10_000)
                .time_to_live(MISSED_FOR)
                .build(),
        })
    }

    async fn picture(&self, address: &str) -> Option<Arc<Picture>> {
        let url = Url::parse(address).ok().filter(|url| self.allows(url))?;
        if let Some(kept) = self.kept.get(address).await {
            return Some(kept);
        }
        if self.missed.contains_key(address) {
            return None;
        }
        let Some(picture) = self.fetch(url).await.map(Arc::new) else {
            self.missed.insert(address.to_owned(), ()).await;
            return None;
        };
        self.kept.insert(address.to_owned(), picture.clone()).await;
        Some(picture)
    }

    fn allows(&self, url: &Url) -> bool {
        let plain = url.username().is_empty() && url.password().is_none();
        match (url.scheme(), url.host()) {
            ("https", Some(Host::Domain(host))) => plain && url.port().is_none() && self.lists(host),
            ("http", Some(Host::Ipv4(ip))) => plain && self.loopback && ip.is_loopback(),
            ("http", Some(Host::Domain("localhost"))) => plain && self.loopback,
            _ => false,
        }
    }

    fn lists(&self, host: &str) -> bool {
        self.hosts.iter().any(|listed| match listed.strip_prefix('.') {
            Some(domain) => host == domain || host.ends_with(listed.as_str()),
            None => host == listed,
        })
    }

    async fn fetch(&self, url: Url) -> Option<Picture> {
        let mut response = self
            .http
            .get(url)
            .send()
            .await
            .ok()
            .filter(|response| response.status().is_success())?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.ok()? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > self.max_bytes {
                return None;
            }
        }
        Some(Picture {
            media_type: media_type(&bytes)?,
            bytes: bytes.into(),
        })
    }
}

/// By the first bytes: what the platform's header claims is not asked.
fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xFF, 0xD8, 0xFF, ..] => Some("image/jpeg"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

/// `GET /media/avatars/{account}`
pub(crate) async fn of_account(
    State(app): State<App>,
    viewer: Viewer,
    Path(account_id): Path<String>,
) -> Result<Response, Problem> {
    for (workspace_id, _) in &viewer.identity.memberships {
        let Some(person) = viewer.identity.person_in(workspace_id) else {
            continue;
        };
        let message = GetAccountRequest {
            workspace_id: workspace_id.clone(),
            account_id: account_id.clone(),
        };
        let answer = app
            .accounts()
            .get_account(context(&app, person)?.request(message))
            .await;
        if let Some(account) = answer.ok().and_then(|answer| answer.into_inner().account) {
            return Ok(answer_with(&app, &account.avatar_url, &account.display_name).await);
        }
    }
    Err(Problem::not_found())
}

/// `GET /media/avatars/{session}/{destination}`: of something that is not an account yet.
pub(crate) async fn of_destination(
    State(app): State<App>,
    viewer: Viewer,
    Path((session_id, destination_id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let message = GetConnectSessionRequest {
        workspace_id: viewer.person.workspace_id.clone(),
        session_id,
    };
    let answer = app
        .accounts()
        .get_connect_session(viewer.context.request(message))
        .await?
        .into_inner();
    let destinations = answer.session.unwrap_or_default().destinations;
    let found = destinations
        .iter()
        .find(|one| one.id == destination_id)
        .ok_or_else(Problem::not_found)?;
    Ok(answer_with(&app, &found.avatar_url, &found.display_name).await)
}

async fn answer_with(app: &App, address: &str, name: &str) -> Response {
    let (media_type, bytes, lifetime) = match app.avatars.picture(address).await {
        Some(picture) => (picture.media_type, picture.bytes.clone(), "private, max-age=86400"),
        None => ("image/svg+xml", initial(name).into(), "private, max-age=60"),
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static(lifetime)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(SANDBOX)),
    ];
    (headers, bytes).into_response()
}

/// A round-cornered tile with the first letter of the name.
fn initial(name: &str) -> String {
    let letter = name.chars().find(|letter| letter.is_alphanumeric()).unwrap_or('?');
    let hue = name
        .bytes()
        .fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
        % 360;
    let upper = letter.to_uppercase();
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 96 96" width="96" height="96"><rect width="96" height="96" fill="hsl({hue} 45% 35%)"/><text x="48" y="50" fill="white" font-family="system-ui,sans-serif" font-size="44" text-anchor="middle" dominant-baseline="central">{upper}</text></svg>"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e4_only_https_addresses_of_listed_hosts_are_fetched() {
        let avatars = Avatars::new(vec![".fbcdn.net".into(), "pbs.twimg.com".into()], 10, false).unwrap();
        let allows = |url: &str| Url::parse(url).is_ok_and(|url| avatars.allows(&url));
        assert!(allows("https://scontent.x.fbcdn.net/a.jpg") && allows("https://pbs.twimg.com/a.png"));
        for refused in [
            "http://pbs.twimg.com/a.png",
            "https://evilfbcdn.net/a",
            "https://pbs.twimg.com@evil.example/a",
            "https://pbs.twimg.com:22/a",
            "https://127.0.0.1/a",
            "http://127.0.0.1/a",
            "https://[::1]/a",
            "https://2130706433/a",
            "file:///etc/passwd",
            "https://pbs.twimg.com./a",
        ] {
            assert!(!allows(refused), "{refused}");
        }
    }

    #[test]
    fn e5_a_picture_is_what_its_bytes_say() {
        assert_eq!(media_type(b"\x89PNG\r\n"), Some("image/png"));
        assert_eq!(media_type(b"<svg onload=alert(1)>"), None);
    }

    #[test]
    fn b17_a_name_cannot_write_markup_into_its_initial() {
        assert!(initial("<img src=x>").contains(">I</text>"));
        assert!(initial("<>&").contains(">?</text>"));
    }
}
