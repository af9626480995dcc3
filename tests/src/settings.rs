//! One cluster's configuration, as environment variables: the same for both forms.
//!
//! Every cluster listens on loopback addresses of its own (127.x.y.z), on the default ports: nothing is guessed, nothing
//! collides with another test or with outgoing connections, and redirect URIs are known before anything starts.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU8, Ordering};

use base64::Engine as _;

static NEXT: AtomicU8 = AtomicU8::new(0);

/// Two loopback addresses that no other cluster of a living process uses: for first and second replicas.
pub fn addresses() -> [Ipv4Addr; 2] {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let pair = NEXT.fetch_add(1, Ordering::Relaxed) % 126;
    // 127.0.x.y is left to everybody else.
    let address = |last| Ipv4Addr::new(127, 1 + high % 254, low, last);
    [address(pair * 2 + 1), address(pair * 2 + 2)]
}

/// Names and values of `SOCIALIZIOZ__…` variables; later ones win.
#[derive(Clone, Default)]
pub struct Settings(Vec<(String, String)>);

impl Settings {
    /// What every cluster needs: its addresses, one key ring, no demo accounts.
    pub fn of(addresses: [Ipv4Addr; 2]) -> Self {
        let [first, _] = addresses;
        let mut settings = Self::default();
        settings
            .set("gateway.public_url", format!("http://{first}:8080"))
            .set("gateway.listen", format!("{first}:8080"))
            .set("sandbox.listen", format!("{first}:8090"))
            .set("metrics.listen", format!("{first}:9464"))
            .set("demo", "false")
            .set("drain", "5s")
            // Tests ask more often than people do.
            .set("gateway.changes_per_minute_person", "100000")
            .set("gateway.changes_per_minute_workspace", "100000")
            .set("gateway.requests_per_minute_address", "0")
            .set(
                "keys.ring",
                format!("test:{}", base64::engine::general_purpose::STANDARD.encode([7; 32])),
            );
        for (service, port) in [
            ("accounts", 50051),
            ("tokens", 50052),
            ("platforms", 50053),
            ("entitlements", 50054),
        ] {
            settings
                .set(&format!("{service}.listen"), format!("{first}:{port}"))
                .set(&format!("{service}.url"), format!("http://{first}:{port}"));
        }
        settings
    }

    /// Sets `section.key`.
    pub fn set(&mut self, key: &str, value: impl Into<String>) -> &mut Self {
        let name = format!("SOCIALIZIOZ__{}", key.to_uppercase().replace('.', "__"));
        self.0.push((name, value.into()));
        self
    }

    /// Adds all of `more`.
    pub fn extend(&mut self, more: &[(&str, &str)]) -> &mut Self {
        for (key, value) in more {
            self.set(key, *value);
        }
        self
    }

    /// Pairs for an environment, in order.
    pub fn variables(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.0.iter().cloned()
    }
}
