//! The HTTP client for calls to platforms: no redirects, no proxy, no referer, time-outs set.

use std::time::Duration;

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
    Ok(reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .connect_timeout(timeouts.connect)
        .timeout(timeouts.total)
        .user_agent("socializioz-connections")
        .build()
        .map_err(reqwest::Error::without_url)?)
}
