//! Promises about bytes that others make, one function a reader: each takes any bytes and panics when its promise is broken.
//! Called by the fuzz targets in `fuzz/`, and by tests with everything that those found. Not compiled into the services.

use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Duration;

use url::{Host, Url};

use crate::http::{Outside, Reach, Timeouts, is_public, outside};
use crate::seal::{Aad, KeyRing, key_id};
use crate::{Clock, Secret, identity::Signer};

static RING: LazyLock<KeyRing> = LazyLock::new(|| {
    let entry = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    KeyRing::parse([entry]).unwrap_or_else(|_| unreachable!("it is a key"))
});

static STRICT: LazyLock<Option<Outside>> = LazyLock::new(|| {
    let timeouts = Timeouts {
        connect: Duration::from_secs(1),
        total: Duration::from_secs(1),
    };
    outside(timeouts, Reach::Public).ok()
});

/// A sealed record as somebody who can write to the database leaves it: nothing of theirs opens, what was sealed opens in its
/// own place only, and no change of it goes unnoticed (FAULTS G7, G8).
///
/// # Panics
///
/// When a promise is broken.
pub fn envelope(bytes: &[u8]) {
    let place = Aad {
        workspace: "demo",
        record: "grt_1",
        field: "credential",
        generation: 1,
    };
    let _ = key_id(bytes);
    assert!(RING.open(&place, bytes).is_err(), "a forged record opens");
    let Ok(mut sealed) = RING.seal(&place, bytes) else {
        panic!("nothing can be sealed")
    };
    assert!(RING.open(&place, &sealed).is_ok_and(|plain| *plain == bytes));
    assert!(RING.open(&Aad { generation: 2, ..place }, &sealed).is_err());
    let at = bytes.iter().fold(0_usize, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(usize::from(*byte))
    });
    let at = at % sealed.len();
    sealed[at] ^= 1;
    assert!(RING.open(&place, &sealed).is_err(), "byte {at} was changed");
}

/// An address that a stranger gave (FAULTS E1, E4): what may be asked is https, names no user and, where it is a number, is a
/// public one.
///
/// # Panics
///
/// When a promise is broken.
pub fn address(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (Ok(url), Some(strict)) = (Url::parse(&text), STRICT.as_ref()) else {
        return;
    };
    if strict.check(&url).is_err() {
        return;
    }
    assert!(url.scheme() == "https" && url.username().is_empty() && url.password().is_none());
    match url.host() {
        Some(Host::Domain(name)) => assert!(name.parse::<IpAddr>().is_err(), "a number as a name: {name}"),
        Some(Host::Ipv4(ip)) => assert!(is_public(ip.into())),
        Some(Host::Ipv6(ip)) => assert!(is_public(ip.into())),
        None => panic!("no host"),
    }
}

/// A signed identity as somebody else makes it (FAULTS B1, T2): never valid.
///
/// # Panics
///
/// When a promise is broken.
pub fn identity(bytes: &[u8]) {
    let signer = Signer::new(Secret::new("a key of these promises"), Clock::manual(1_790_000_000_000));
    let text = String::from_utf8_lossy(bytes);
    assert!(signer.verify(&text).is_err(), "a forged identity is taken");
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::replay::replay;

    #[test]
    fn g7_g8_hold_for_every_record_in_the_corpus() {
        replay("envelope", super::envelope);
    }

    #[test]
    fn e1_e4_hold_for_every_address_in_the_corpus() {
        replay("address", super::address);
    }

    #[test]
    fn b1_t2_hold_for_every_identity_in_the_corpus() {
        replay("identity", super::identity);
    }
}
