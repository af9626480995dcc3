//! Signatures of Standard Webhooks: HMAC-SHA256 over `id.timestamp.body` under a secret that is written `whsec_<base64>`.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kit::{Secret, id};
use zeroize::Zeroizing;

const PREFIX: &str = "whsec_";

/// A new secret of 256 bits.
pub(crate) fn new_secret() -> Secret {
    let mut random = Zeroizing::new([0_u8; 32]);
    id::fill(&mut *random);
    Secret::new(format!("{PREFIX}{}", STANDARD.encode(*random)))
}

/// The header `webhook-signature`: one signature for each secret.
pub(crate) fn signatures(secrets: &[Secret], message_id: &str, timestamp: i64, body: &str) -> String {
    let signed = format!("{message_id}.{timestamp}.{body}");
    let one = |secret: &Secret| {
        let key = Zeroizing::new(
            STANDARD
                .decode(secret.expose().trim_start_matches(PREFIX))
                .unwrap_or_default(),
        );
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), signed.as_bytes());
        format!("v1,{}", STANDARD.encode(tag))
    };
    secrets.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification (Standard Webhooks 1.0.0, symmetric signatures).
    #[test]
    fn the_specifications_own_example_has_this_signature() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signature = signatures(
            &[secret],
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn while_a_secret_is_replaced_both_sign() {
        let (old, new) = (new_secret(), new_secret());
        let both = signatures(&[new.clone(), old.clone()], "msg_1", 1, "{}");
        let alone = |secret: Secret| signatures(&[secret], "msg_1", 1, "{}");
        assert_eq!(both, format!("{} {}", alone(new), alone(old)));
    }
}
