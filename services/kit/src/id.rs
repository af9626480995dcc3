//! Ids and randomness: prefixed ULIDs for rows, 256-bit secrets for states and cookies, SHA-256 for what is stored of them.

use aws_lc_rs::{digest, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::Clock;

/// A new id such as `acc_01J…`: sorts by creation time, carries 80 random bits.
pub fn new(prefix: &str, clock: &Clock) -> String {
    let time = u64::try_from(clock.now_ms()).unwrap_or(0);
    let mut random = [0_u8; 16];
    fill(&mut random);
    format!("{prefix}_{}", ulid::Ulid::from_parts(time, u128::from_be_bytes(random)))
}

/// 256 random bits as base64url: OAuth states, cookies, completion codes.
pub fn secret() -> String {
    let mut random = [0_u8; 32];
    fill(&mut random);
    URL_SAFE_NO_PAD.encode(random)
}

/// SHA-256, for storing and comparing what must not be stored in clear.
pub fn sha256(data: &[u8]) -> [u8; 32] {
    let mut hash = [0_u8; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, data).as_ref());
    hash
}

/// SHA-256 as lower-case hex.
pub fn sha256_hex(data: &[u8]) -> String {
    hex::encode(sha256(data))
}

/// Fills a buffer from the operating system's generator.
///
/// # Panics
/// When the operating system has no randomness: nothing safe can be done then.
#[allow(
    clippy::expect_used,
    reason = "without randomness no key, nonce or state may be made"
)]
pub fn fill(buffer: &mut [u8]) {
    rand::fill(buffer).expect("the operating system provides randomness");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_differ_within_a_millisecond() {
        let clock = Clock::manual(1_790_000_000_000);
        let (first, second) = (new("acc", &clock), new("acc", &clock));
        assert_ne!(first, second);
        clock.advance(std::time::Duration::from_millis(1));
        assert!(new("acc", &clock) > first);
        assert!(first.starts_with("acc_") && first.len() == 30);
    }

    #[test]
    fn secrets_have_256_bits() {
        assert_eq!(URL_SAFE_NO_PAD.decode(secret()).unwrap().len(), 32);
    }
}
