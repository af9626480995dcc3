//! Signatures: of our calls to Meta, and of the platforms' calls to us. Verification runs on raw bytes in constant time.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// A TikTok signature may be this old, or this far ahead.
const WINDOW_SECONDS: i64 = 300;

fn key(secret: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())
}

/// Proves to Meta that a token is used by its own app: lower-case hex of HMAC-SHA256(secret, token).
pub(crate) fn appsecret_proof(secret: &str, token: &str) -> String {
    hex::encode(hmac::sign(&key(secret), token.as_bytes()))
}

/// The payload of Meta's `signed_request` when one of the secrets made it.
pub(crate) fn signed_request<'a>(mut secrets: impl Iterator<Item = &'a str>, request: &str) -> Option<Value> {
    let (signature, payload) = request.split_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature.trim_end_matches('=')).ok()?;
    if !secrets.any(|secret| hmac::verify(&key(secret), payload.as_bytes(), &signature).is_ok()) {
        return None;
    }
    let payload: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?).ok()?;
    payload["algorithm"]
        .as_str()?
        .eq_ignore_ascii_case("HMAC-SHA256")
        .then_some(payload)
}

/// Meta's `X-Hub-Signature-256` over the raw body.
pub(crate) fn hub<'a>(mut secrets: impl Iterator<Item = &'a str>, header: &str, body: &[u8]) -> bool {
    let Some(Ok(signature)) = header.trim().strip_prefix("sha256=").map(hex::decode) else {
        return false;
    };
    secrets.any(|secret| hmac::verify(&key(secret), body, &signature).is_ok())
}

/// `TikTok-Signature: t=…,s=…` over `{t}.{raw body}`, not older than five minutes.
pub(crate) fn tiktok<'a>(mut secrets: impl Iterator<Item = &'a str>, header: &str, body: &[u8], now_ms: i64) -> bool {
    let part = |name: &str| {
        header
            .split(',')
            .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
    };
    let (Some(at), Some(Ok(signature))) = (part("t"), part("s").map(hex::decode)) else {
        return false;
    };
    let fresh = at
        .parse::<i64>()
        .is_ok_and(|at| (now_ms / 1000).abs_diff(at) <= WINDOW_SECONDS.unsigned_abs());
    let signed = [at.as_bytes(), b".", body].concat();
    fresh && secrets.any(|secret| hmac::verify(&key(secret), &signed, &signature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "sandbox-app-secret-0001";
    const NOW: i64 = 1_790_000_000_000;

    fn secrets() -> impl Iterator<Item = &'static str> {
        ["another-secret", SECRET].into_iter()
    }

    #[test]
    fn the_proof_matches_the_vector() {
        assert_eq!(
            appsecret_proof(SECRET, "SBXEAAusertoken0001"),
            "6fea8fe4ffc8d8c647086134d09cabc91464efe297089725f55e6c4425ab809f"
        );
    }

    #[test]
    fn a_signed_request_is_taken_only_with_its_signature_and_algorithm() {
        let request = "7-y5XXA9Jim6-kKSYh5YFPIUZOWuZAAkTyFISDo7rFs.eyJ1c2VyX2lkIjoiOTAwMDAwMDAwMDAwMDAxIiwiYWxnb3JpdGhtIjoiSE1BQy1TSEEyNTYiLCJpc3N1ZWRfYXQiOjE3OTAwMDAwMDB9";
        assert_eq!(
            signed_request(secrets(), request).unwrap()["user_id"],
            "900000000000001"
        );
        assert!(signed_request(["wrong"].into_iter(), request).is_none());
        assert!(signed_request(secrets(), &request.replace("eyJ1", "eyJ2")).is_none());
        let payload = URL_SAFE_NO_PAD.encode(r#"{"user_id":"1","algorithm":"none"}"#);
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key(SECRET), payload.as_bytes()));
        assert!(signed_request(secrets(), &format!("{signature}.{payload}")).is_none());
    }

    #[test]
    fn the_hub_signature_covers_the_raw_body() {
        let header = "sha256=fc8fc00377496d6c98fb179e2313f5e5b8c012a582cb567cdc9d7d81d7284ecb";
        assert!(hub(secrets(), header, br#"{"object":"permissions","entry":[]}"#));
        assert!(!hub(secrets(), header, br#"{"object": "permissions","entry":[]}"#));
        assert!(!hub(secrets(), "sha1=00", b""));
    }

    #[test]
    fn a_tiktok_signature_ends_after_five_minutes() {
        let header = "t=1790000000,s=e1e243d285d1be98ab8181f7c04d30d9e08f8fe566039888c7d8351778052f3c";
        let body = br#"{"client_key":"sbx","event":"authorization.removed"}"#;
        assert!(tiktok(secrets(), header, body, NOW));
        assert!(tiktok(secrets(), header, body, NOW + 300_000));
        assert!(!tiktok(secrets(), header, body, NOW + 301_000));
        assert!(!tiktok(secrets(), header, body, NOW - 301_000));
        assert!(!tiktok(
            secrets(),
            &header.replace("1790000000", "1790000001"),
            body,
            NOW
        ));
        assert!(!tiktok(secrets(), "t=1790000000", body, NOW));
    }
}
