//! Hashes and signatures that the platforms use, each in the exact form its documents give.
//! The tests at the bottom are the vectors every adapter of the hub is checked with as well.

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// SHA-256 of a text.
pub(crate) fn sha256(text: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, text.as_bytes()).as_ref().to_vec()
}

/// The first 12 hex digits of a token's SHA-256: names a token without showing it.
pub(crate) fn fingerprint(token: &str) -> String {
    hex::encode(&sha256(token)[..6])
}

fn hmac_sha256(secret: &str, message: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hmac::sign(&key, message).as_ref().to_vec()
}

/// Meta: `appsecret_proof`, lower-case hex of HMAC-SHA256(app secret, access token).
pub(crate) fn appsecret_proof(secret: &str, token: &str) -> String {
    hex::encode(hmac_sha256(secret, token.as_bytes()))
}

/// Meta: `signed_request`; the signature covers the encoded payload, not the JSON.
pub(crate) fn signed_request(secret: &str, payload: &str) -> String {
    let encoded = URL_SAFE_NO_PAD.encode(payload);
    let signature = URL_SAFE_NO_PAD.encode(hmac_sha256(secret, encoded.as_bytes()));
    format!("{signature}.{encoded}")
}

/// Meta: value of `X-Hub-Signature-256` for a raw body.
pub(crate) fn hub_signature(secret: &str, body: &[u8]) -> String {
    format!("sha256={}", hex::encode(hmac_sha256(secret, body)))
}

/// TikTok: value of `TikTok-Signature`, HMAC-SHA256 over `{t}.{raw body}`.
pub(crate) fn tiktok_signature(secret: &str, at_seconds: i64, body: &str) -> String {
    let signature = hmac_sha256(secret, format!("{at_seconds}.{body}").as_bytes());
    format!("t={at_seconds},s={}", hex::encode(signature))
}

/// PKCE S256 challenge of RFC 7636: base64url without padding (X).
pub(crate) fn challenge_base64url(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(sha256(verifier))
}

/// TikTok's desktop PKCE challenge: lower-case hex instead of base64url.
pub(crate) fn challenge_hex(verifier: &str) -> String {
    hex::encode(sha256(verifier))
}

/// Value of the `Authorization` header for HTTP Basic.
pub(crate) fn basic(client_id: &str, client_secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{client_id}:{client_secret}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "sandbox-app-secret-0001";
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    #[test]
    fn meta_signatures_match_the_published_form() {
        assert_eq!(
            appsecret_proof(SECRET, "SBXEAAusertoken0001"),
            "6fea8fe4ffc8d8c647086134d09cabc91464efe297089725f55e6c4425ab809f"
        );
        assert_eq!(
            signed_request(
                SECRET,
                r#"{"user_id":"900000000000001","algorithm":"HMAC-SHA256","issued_at":1790000000}"#
            ),
            "7-y5XXA9Jim6-kKSYh5YFPIUZOWuZAAkTyFISDo7rFs.eyJ1c2VyX2lkIjoiOTAwMDAwMDAwMDAwMDAxIiwiYWxnb3JpdGhtIjoiSE1BQy1TSEEyNTYiLCJpc3N1ZWRfYXQiOjE3OTAwMDAwMDB9"
        );
        assert_eq!(
            hub_signature(SECRET, br#"{"object":"permissions","entry":[]}"#),
            "sha256=fc8fc00377496d6c98fb179e2313f5e5b8c012a582cb567cdc9d7d81d7284ecb"
        );
    }

    #[test]
    fn pkce_is_base64url_at_x_and_hex_at_tiktok() {
        assert_eq!(
            challenge_base64url(VERIFIER),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
        assert_eq!(
            challenge_hex(VERIFIER),
            "13d31e961a1ad8ec2f16b10c4c982e0876a878ad6df144566ee1894acb70f9c3"
        );
    }

    #[test]
    fn tiktok_webhook_signature_covers_time_and_raw_body() {
        assert_eq!(
            tiktok_signature(
                SECRET,
                1_790_000_000,
                r#"{"client_key":"sbx","event":"authorization.removed"}"#
            ),
            "t=1790000000,s=e1e243d285d1be98ab8181f7c04d30d9e08f8fe566039888c7d8351778052f3c"
        );
    }

    #[test]
    fn basic_header_is_id_colon_secret() {
        assert_eq!(
            basic("sbx-client-id", "sbx-client-secret"),
            "Basic c2J4LWNsaWVudC1pZDpzYngtY2xpZW50LXNlY3JldA=="
        );
    }
}
