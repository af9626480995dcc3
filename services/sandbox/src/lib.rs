//! Imitates Facebook, Instagram, TikTok, X and LinkedIn on their real paths, on one listener, so that the hub can be run,
//! tested and broken without any of them. Strict where the platforms are strict: a wrong parameter, separator, challenge,
//! header, code or token is refused with the platform's own error.
//!
//! One file per platform (`facebook`, `instagram`, `tiktok`, `x`, `linkedin`), each a function from `Call` to `Reply` over
//! the shared `world`. `pipeline` leads every request through switches and the log, `control` is the API under
//! `/_sandbox` that sets switches, moves the clock and reads the log. Every token begins with `SBX`.
//! Started by the cluster (never in production mode) and by tests, both through `serve`.

mod actions;
mod avatar;
mod call;
mod callbacks;
mod consent;
mod control;
mod crypto;
mod facebook;
mod graph;
mod instagram;
mod linkedin;
mod pipeline;
mod platform;
mod server;
mod switches;
mod tiktok;
mod world;
mod x;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use platform::{ALL, Operation, Platform};

/// App ids and secrets that the sandbox knows unless it is configured otherwise; the hub's defaults name the same.
pub mod defaults {
    /// Meta app id.
    pub const FACEBOOK_CLIENT_ID: &str = "700000000000001";
    /// Meta app secret.
    pub const FACEBOOK_CLIENT_SECRET: &str = "sandbox-app-secret-0001";
    /// Instagram app id; not the Meta app id.
    pub const INSTAGRAM_CLIENT_ID: &str = "800000000000001";
    /// Instagram app secret.
    pub const INSTAGRAM_CLIENT_SECRET: &str = "sandbox-app-secret-0002";
    /// TikTok client key.
    pub const TIKTOK_CLIENT_ID: &str = "sbx-tiktok-app";
    /// TikTok client secret.
    pub const TIKTOK_CLIENT_SECRET: &str = "sandbox-app-secret-0003";
    /// X OAuth 2.0 client id.
    pub const X_CLIENT_ID: &str = "sbx-x-app";
    /// X client secret.
    pub const X_CLIENT_SECRET: &str = "sandbox-app-secret-0004";
    /// LinkedIn client id.
    pub const LINKEDIN_CLIENT_ID: &str = "sbx-linkedin-app";
    /// LinkedIn client secret.
    pub const LINKEDIN_CLIENT_SECRET: &str = "sandbox-app-secret-0005";
    /// Where the sandbox listens; dialog, token and API hosts of all platforms are this one.
    pub const LISTEN: &str = "127.0.0.1:8090";
}

/// Section `[sandbox]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether the all-in-one process starts a sandbox.
    pub enabled: bool,
    /// Loopback, always: the control API has no password.
    pub listen: SocketAddr,
    /// The apps that platforms know.
    pub apps: Apps,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8090)),
            apps: Apps::default(),
        }
    }
}

/// One registered app per platform.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Apps {
    /// The Meta app.
    pub facebook: App,
    /// The Instagram app.
    pub instagram: App,
    /// The TikTok app.
    pub tiktok: App,
    /// The X app.
    pub x: App,
    /// The LinkedIn app.
    pub linkedin: App,
}

impl Default for Apps {
    fn default() -> Self {
        let app = |id: &str, secret: &str| App {
            client_id: id.to_owned(),
            client_secret: secret.to_owned(),
        };
        Self {
            facebook: app(defaults::FACEBOOK_CLIENT_ID, defaults::FACEBOOK_CLIENT_SECRET),
            instagram: app(defaults::INSTAGRAM_CLIENT_ID, defaults::INSTAGRAM_CLIENT_SECRET),
            tiktok: app(defaults::TIKTOK_CLIENT_ID, defaults::TIKTOK_CLIENT_SECRET),
            x: app(defaults::X_CLIENT_ID, defaults::X_CLIENT_SECRET),
            linkedin: app(defaults::LINKEDIN_CLIENT_ID, defaults::LINKEDIN_CLIENT_SECRET),
        }
    }
}

impl Apps {
    fn of(&self, platform: Platform) -> &App {
        match platform {
            Platform::Facebook => &self.facebook,
            Platform::Instagram => &self.instagram,
            Platform::TikTok => &self.tiktok,
            Platform::X => &self.x,
            Platform::LinkedIn => &self.linkedin,
        }
    }
}

/// A registered app.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// TikTok calls it client key.
    pub client_id: String,
    /// Shared with the app.
    pub client_secret: String,
}

impl std::fmt::Debug for App {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("App")
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// Serves until `shutdown`; requests that are told to hang end then as well.
pub async fn serve(config: Config, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30))
        .build()?;
    let sandbox = pipeline::Sandbox::new(world::World::new(config.apps), http);
    server::run(Arc::new(sandbox), listener, shutdown).await;
    Ok(())
}
