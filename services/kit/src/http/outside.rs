//! Requests to addresses that strangers gave: profile pictures, webhook endpoints.
//!
//! What is checked is the address that is connected to: names are resolved here, once, and an answer with any address
//! inside (private, loopback, link-local, special) is refused as a whole. A name that points elsewhere a moment later gains
//! nothing, and redirects are not followed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Method, RequestBuilder, Response};
use tokio::net::lookup_host;
use url::{Host, Url};

use super::{Timeouts, builder};

/// Where a client may connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Public addresses, by https.
    Public,
    /// Those, and this machine by plain http: `dev` mode, where the sandbox and tests listen.
    PublicOrLoopback,
}

/// The address must not be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not https, or with a user in it, or without a host.
    #[error("it must be an https address without user and password")]
    Form,
    /// Its host is not in public.
    #[error("it must be a public address")]
    Inside,
}

/// A client that reaches the outside only.
#[derive(Clone)]
pub struct Outside {
    http: reqwest::Client,
    reach: Reach,
}

/// A client for addresses from outside.
///
/// # Errors
/// When the TLS set-up of the machine is unusable.
pub fn outside(timeouts: Timeouts, reach: Reach) -> anyhow::Result<Outside> {
    Outside::resolving(timeouts, reach, Arc::new(System))
}

impl Outside {
    fn resolving(timeouts: Timeouts, reach: Reach, names: Arc<dyn Resolve>) -> anyhow::Result<Self> {
        let http = builder(timeouts)
            .dns_resolver(Arc::new(Checked { names, reach }))
            // A kept connection was checked when it was made; none are kept for long all the same.
            .pool_idle_timeout(std::time::Duration::from_secs(10))
            .build()
            .map_err(reqwest::Error::without_url)?;
        Ok(Self { http, reach })
    }

    /// Whether the address may be asked at all; names are looked at again when they are resolved.
    ///
    /// # Errors
    /// When it may not.
    pub fn check(&self, url: &Url) -> Result<(), Refused> {
        let host = url.host().ok_or(Refused::Form)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::Form);
        }
        let address = match host {
            Host::Ipv4(ip) => Some(IpAddr::from(ip)),
            Host::Ipv6(ip) => Some(IpAddr::from(ip)),
            Host::Domain(_) => None,
        };
        match (url.scheme(), address) {
            ("https", None) => Ok(()),
            ("https", Some(ip)) if self.reach.allows(ip) => Ok(()),
            ("https", Some(_)) => Err(Refused::Inside),
            ("http", Some(ip)) if self.reach == Reach::PublicOrLoopback && ip.is_loopback() => Ok(()),
            _ => Err(Refused::Form),
        }
    }

    /// A request to a checked address.
    ///
    /// # Errors
    /// As [`Outside::check`].
    pub fn request(&self, method: Method, url: Url) -> Result<RequestBuilder, Refused> {
        self.check(&url)?;
        Ok(self.http.request(method, url))
    }
}

/// The body, unless it is longer than `limit` or breaks off.
pub async fn body(mut response: Response, limit: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if bytes.len() + chunk.len() > limit {
            return None;
        }
        bytes.extend_from_slice(&chunk);
    }
    Some(bytes)
}

impl Reach {
    fn allows(self, ip: IpAddr) -> bool {
        is_public(ip) || (self == Self::PublicOrLoopback && ip.is_loopback())
    }
}

/// Resolves as the machine does.
struct System;

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Passes on what all of is reachable, and nothing else.
struct Checked {
    names: Arc<dyn Resolve>,
    reach: Reach,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let (resolving, reach) = (self.names.resolve(name), self.reach);
        Box::pin(async move {
            let found: Vec<SocketAddr> = resolving.await?.collect();
            if found.is_empty() || !found.iter().all(|address| reach.allows(address.ip())) {
                return Err(Refused::Inside.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// True for addresses of the public internet, by the registries of special addresses (RFC 6890). Addresses that stand for
/// others (mapped, 6to4, Teredo, NAT64) are not.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !SPECIAL_V4.iter().any(|(net, bits)| within_v4(ip, *net, *bits)),
        // 2000::/3 is all that is given out; within it, what is special.
        IpAddr::V6(ip) => {
            within_v6(ip, [0x2000, 0], 3) && !SPECIAL_V6.iter().any(|(net, bits)| within_v6(ip, *net, *bits))
        }
    }
}

const SPECIAL_V4: &[([u8; 4], u32)] = &[
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 31, 196, 0], 24),
    ([192, 52, 193, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([192, 175, 48, 0], 24),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 3),
];

/// By their first two groups.
const SPECIAL_V6: &[([u16; 2], u32)] = &[
    // Protocol assignments: Teredo, ORCHID, benchmarking.
    ([0x2001, 0], 23),
    // Documentation.
    ([0x2001, 0xdb8], 32),
    ([0x3fff, 0], 20),
    // 6to4
    ([0x2002, 0], 16),
];

fn within_v4(ip: Ipv4Addr, net: [u8; 4], bits: u32) -> bool {
    (ip.to_bits() ^ u32::from_be_bytes(net)) >> (32 - bits) == 0
}

fn within_v6(ip: Ipv6Addr, net: [u16; 2], bits: u32) -> bool {
    let [first, second, ..] = ip.segments();
    let (ip, net) = (
        u32::from(first) << 16 | u32::from(second),
        u32::from(net[0]) << 16 | u32::from(net[1]),
    );
    (ip ^ net) >> (32 - bits) == 0
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;

    const TIMEOUTS: Timeouts = Timeouts {
        connect: Duration::from_secs(2),
        total: Duration::from_secs(5),
    };

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn e1_no_address_inside_is_public_in_any_notation() {
        for inside in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:8.8.8.8",
            "::10.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:a00:1::1",
            "3fff::1",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
        for public in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "223.255.255.254",
            "2606:4700::1111",
            "2a00:1450::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn e1_e4_an_address_that_is_not_plainly_https_and_outside_is_not_asked() {
        let strict = outside(TIMEOUTS, Reach::Public).unwrap();
        for refused in [
            "http://example.com/",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:a00:1]/",
            "https://user@example.com/",
            "https://cdn:x@example.com/",
            "http://127.0.0.1/",
            "ftp://example.com/",
            "file:///etc/passwd",
            "gopher://example.com/",
            "data:text/plain,x",
            "https://169.254.169.254/latest/meta-data",
        ] {
            assert!(strict.check(&url(refused)).is_err(), "{refused}");
        }
        strict.check(&url("https://example.com:8443/hook")).unwrap();
        let dev = outside(TIMEOUTS, Reach::PublicOrLoopback).unwrap();
        dev.check(&url("http://127.0.0.1:9/hook")).unwrap();
        for refused in ["http://10.0.0.1/", "http://example.com/", "https://10.0.0.1/"] {
            assert!(dev.check(&url(refused)).is_err(), "{refused}");
        }
    }

    /// Tells an address once each, in this order.
    struct Told(Mutex<VecDeque<Vec<SocketAddr>>>);

    impl Resolve for Told {
        fn resolve(&self, _: Name) -> Resolving {
            let next = self.0.lock().unwrap().pop_front().unwrap_or_default();
            Box::pin(async move { Ok(Box::new(next.into_iter()) as Addrs) })
        }
    }

    #[tokio::test]
    async fn e2_a_name_that_leads_inside_is_not_connected_to_whatever_it_led_to_before() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let inside = listener.local_addr().unwrap();
        let public: SocketAddr = "1.1.1.1:443".parse().unwrap();
        for answer in [vec![inside], vec![public, inside], vec![]] {
            let names = Arc::new(Told(Mutex::new([answer.clone()].into())));
            let client = Outside::resolving(TIMEOUTS, Reach::Public, names).unwrap();
            let address = url(&format!("https://rebinds.example:{}/", inside.port()));
            let sent = client.request(Method::GET, address).unwrap().send().await;
            assert!(sent.is_err_and(|error| error.is_connect()), "{answer:?}");
        }
        assert!(listener.accept().is_err(), "somebody connected");
    }
}
