//! HTTP clients: no redirects, no proxy, no referer, no decompression, time-outs set.
//!
//! [`client`] is for addresses that the configuration gives, [`outside()`] for those that strangers gave.

mod outside;

use std::time::Duration;

pub use outside::{Outside, Reach, Refused, body, is_public, outside};

/// Time-outs of a client.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Until the connection stands.
    pub connect: Duration,
    /// Until the whole answer is read.
    pub total: Duration,
}

/// A client that does exactly one request per call. A redirect is an answer, never followed: it could carry a secret elsewhere.
///
/// # Errors
/// When the TLS set-up of the machine is unusable.
pub fn client(timeouts: Timeouts) -> anyhow::Result<reqwest::Client> {
    Ok(builder(timeouts).build().map_err(reqwest::Error::without_url)?)
}

fn builder(timeouts: Timeouts) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .connect_timeout(timeouts.connect)
        .timeout(timeouts.total)
        .user_agent("socializioz-connections")
}
