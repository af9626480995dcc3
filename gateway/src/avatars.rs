//! Pictures of accounts from our own origin: fetched once from the platform's host, drawn anew, kept in memory.
//!
//! Only hosts of the configured list are asked, at public addresses ([`kit::http::outside`]), and no redirect is followed.
//! Size, time and pixels are capped. What is passed on is a PNG of our own making, never the platform's bytes: nothing that
//! hides in a file gets through. Whatever goes wrong, the answer is a picture: the initial of the name.

use std::io::Cursor;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, header};
use image::imageops::FilterType;
use image::{ImageFormat, ImageReader, Limits};
use kit::http::{Outside, Reach};
use proto::accounts::v1::{GetAccountRequest, GetConnectSessionRequest};
use tokio::sync::Semaphore;
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
/// Side of what is passed on, in pixels: twice what the page shows.
const SIDE: u32 = 96;
/// Largest side that is decoded, and memory that decoding may take.
const LARGEST_SIDE: u32 = 4096;
const DECODING_BYTES: u64 = 64 * 1024 * 1024;
/// Pictures decoded at a time: it takes processor and memory.
const DECODERS: usize = 2;
/// A picture can do nothing, even opened on its own.
const SANDBOX: &str = "default-src 'none'; sandbox";

/// Fetches and keeps pictures.
pub struct Avatars {
    http: Outside,
    hosts: Vec<String>,
    loopback: bool,
    max_bytes: usize,
    decoders: Semaphore,
    kept: moka::future::Cache<String, Bytes>,
    missed: moka::future::Cache<String, ()>,
}

impl Avatars {
    /// `loopback`: pictures of the sandbox may be fetched, over plain http.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(hosts: Vec<String>, max_bytes: usize, loopback: bool) -> anyhow::Result<Self> {
        let weight = |_: &String, picture: &Bytes| u32::try_from(picture.len()).unwrap_or(u32::MAX);
        let reach = if loopback {
            Reach::PublicOrLoopback
        } else {
            Reach::Public
        };
        Ok(Self {
            http: kit::http::outside(TIMEOUTS, reach)?,
            hosts,
            loopback,
            max_bytes,
            decoders: Semaphore::new(DECODERS),
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

    async fn picture(&self, address: &str) -> Option<Bytes> {
        let url = Url::parse(address).ok().filter(|url| self.allows(url))?;
        if let Some(kept) = self.kept.get(address).await {
            return Some(kept);
        }
        if self.missed.contains_key(address) {
            return None;
        }
        let Some(picture) = self.fetch(url).await else {
            self.missed.insert(address.to_owned(), ()).await;
            return None;
        };
        self.kept.insert(address.to_owned(), picture.clone()).await;
        Some(picture)
    }

    /// https on its own port at a listed name; addresses and anything odd are not names of a platform.
    pub(crate) fn allows(&self, url: &Url) -> bool {
        match (url.scheme(), url.host()) {
            ("https", Some(Host::Domain(host))) => {
                url.port().is_none() && self.lists(host) && self.http.check(url).is_ok()
            }
            ("http", Some(Host::Ipv4(_))) => self.loopback && self.http.check(url).is_ok(),
            _ => false,
        }
    }

    fn lists(&self, host: &str) -> bool {
        self.hosts.iter().any(|listed| match listed.strip_prefix('.') {
            Some(domain) => host == domain || host.ends_with(listed.as_str()),
            None => host == listed,
        })
    }

    async fn fetch(&self, url: Url) -> Option<Bytes> {
        let request = self.http.request(http::Method::GET, url).ok()?;
        let response = request.send().await.ok()?;
        if response.status() != http::StatusCode::OK {
            return None;
        }
        let bytes = kit::http::body(response, self.max_bytes).await?;
        let _turn = self.decoders.acquire().await.ok()?;
        tokio::task::spawn_blocking(move || redrawn(&bytes))
            .await
            .ok()
            .flatten()
    }
}

/// The same picture as a square PNG of ours. The format is what the first bytes say; the platform's header is not asked.
fn redrawn(bytes: &[u8]) -> Option<Bytes> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(LARGEST_SIDE);
    limits.max_image_height = Some(LARGEST_SIDE);
    limits.max_alloc = Some(DECODING_BYTES);
    reader.limits(limits);
    let picture = reader.decode().ok()?;
    let (width, height) = (picture.width(), picture.height());
    // The middle first: a line of pixels scaled as it is would become a picture of hundreds of megabytes.
    let side = width.min(height);
    let middle = picture.crop_imm((width - side) / 2, (height - side) / 2, side, side);
    let picture = middle.resize_exact(SIDE, SIDE, FilterType::Triangle);
    let mut drawn = Cursor::new(Vec::new());
    picture.to_rgba8().write_to(&mut drawn, ImageFormat::Png).ok()?;
    Some(drawn.into_inner().into())
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
        let answer = app.accounts().get_account(context(&app, person).request(message)).await;
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
        Some(picture) => ("image/png", picture, "private, max-age=86400"),
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

    fn strict() -> Avatars {
        Avatars::new(vec![".fbcdn.net".into(), "pbs.twimg.com".into()], 10, false).unwrap()
    }

    #[test]
    fn e4_only_https_addresses_of_listed_hosts_are_fetched() {
        let avatars = strict();
        let allows = |url: &str| Url::parse(url).is_ok_and(|url| avatars.allows(&url));
        assert!(allows("https://scontent.x.fbcdn.net/a.jpg") && allows("https://pbs.twimg.com/a.png"));
        for refused in [
            "http://pbs.twimg.com/a.png",
            "https://evilfbcdn.net/a",
            "https://pbs.twimg.com@evil.example/a",
            "https://cdn@pbs.twimg.com/a",
            "https://pbs.twimg.com:22/a",
            "https://127.0.0.1/a",
            "http://127.0.0.1/a",
            "https://[::1]/a",
            "https://2130706433/a",
            "file:///etc/passwd",
            "data:image/png;base64,AAAA",
            "https://pbs.twimg.com./a",
            // A Cyrillic letter in it.
            "https://pbs.twim\u{0433}.com/a",
        ] {
            assert!(!allows(refused), "{refused}");
        }
    }

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        image::RgbImage::new(width, height)
            .write_to(&mut file, ImageFormat::Png)
            .unwrap();
        file.into_inner()
    }

    #[test]
    fn e5_a_picture_is_drawn_anew_and_nothing_that_hides_in_the_file_comes_along() {
        let mut polyglot = png(300, 200);
        polyglot.extend_from_slice(b"<script>alert(1)</script>");
        let drawn = redrawn(&polyglot).unwrap();
        assert!(drawn.starts_with(b"\x89PNG") && !drawn.windows(8).any(|part| part == b"<script>"));
        let picture = image::load_from_memory(&drawn).unwrap();
        assert_eq!((picture.width(), picture.height()), (SIDE, SIDE));
        for odd in [
            &b"<svg onload=alert(1)>"[..],
            b"GIF89a",
            b"\x89PNG\r\n",
            b"",
            &polyglot[..60],
        ] {
            assert!(redrawn(odd).is_none());
        }
    }

    #[test]
    fn e5_a_picture_of_ten_thousand_million_pixels_is_not_decoded() {
        // Width and height stand behind the signature and the header's name; its checksum follows them.
        let mut bomb = png(1, 1);
        bomb[16..24].copy_from_slice(&[0, 1, 0x86, 0xa0, 0, 1, 0x86, 0xa0]);
        let checksum = crc32(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&checksum.to_be_bytes());
        assert!(redrawn(&bomb).is_none());
        assert!(redrawn(&png(LARGEST_SIDE + 1, 1)).is_none() && redrawn(&png(LARGEST_SIDE, 1)).is_some());
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0_u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
            })
        })
    }

    #[test]
    fn b17_a_name_cannot_write_markup_into_its_initial() {
        assert!(initial("<img src=x>").contains(">I</text>"));
        assert!(initial("<>&").contains(">?</text>"));
    }
}
