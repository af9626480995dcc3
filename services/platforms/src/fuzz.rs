//! Promises about bytes that others make, one function a reader: each takes any bytes and panics when its promise is broken.
//! Called by the fuzz targets in `fuzz/`, and by tests with everything that those found. Not compiled into the service.

#![allow(clippy::expect_used, reason = "a broken promise panics")]

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proto::common::v1::ErrorClass::{AppMisconfigured, NotExtended, RateLimited, Transient};
use proto::platforms::v1::{Answers, Credential, Delivery, RawAnswer};
use serde_json::Value;

use crate::{platforms, signature};

/// What the grant holds while the bytes are read.
const OLD_ACCESS: &str = "SBXaccessBefore";
const OLD_REFRESH: &str = "SBXrefreshBefore";
/// Our app's secret, and the time, while calls are verified.
const SECRET: &str = "sandbox-app-secret-0001";
const NOW: i64 = 1_790_000_000_000;

/// What a token endpoint answers to a refresh: read by every connector, under statuses of every kind (FAULTS R10–R12).
///
/// # Panics
///
/// When a token that the answer holds is lost, when trouble is taken for a refusal, or when a text quotes a token.
pub fn token_reply(body: &[u8]) {
    let told = Told::read(body);
    for connector in platforms::adapters() {
        for status in [200, 400, 401, 403, 404, 429, 503] {
            let outcome = connector.interpret(&answers(status, body), Some(&previous()));
            match outcome.result {
                Ok(new) => renewed(status, &told, &new),
                Err(error) => {
                    let class = error.class();
                    let says_nothing = matches!(class, Transient | RateLimited | AppMisconfigured);
                    assert!(status < 429 || says_nothing, "{status} is trouble, not {class:?}");
                    // Half an answer may still hold a whole token whose end did not move: that refuses nothing.
                    let refuses = !says_nothing && class != NotExtended;
                    assert!(told.speaks || !refuses, "no words, yet {class:?} under {status}");
                    assert!(
                        told.access.is_none() || status != 200 || class == NotExtended,
                        "a token was lost: {class:?}"
                    );
                    assert!(!error.message.contains(OLD_ACCESS) && !error.message.contains(OLD_REFRESH));
                    if status == 200 && told.refresh.is_some() {
                        assert_eq!(outcome.salvaged, told.refresh, "not salvaged");
                    }
                    assert!(status == 200 || outcome.salvaged.is_none(), "{status} gives nothing");
                }
            }
        }
    }
}

fn renewed(status: u32, told: &Told, new: &Credential) {
    assert_eq!(status, 200);
    assert!(!new.access_token.trim().is_empty() && new.access_expires_at_ms > 0);
    if let Some(token) = &told.access {
        assert_eq!(&new.access_token, token);
    }
    match &told.refresh {
        Some(token) => assert_eq!(&new.refresh_token, token),
        None => assert!(!new.refresh_token.trim().is_empty(), "the one before was dropped"),
    }
}

/// What a strict reader finds, where there is something that one can read.
struct Told {
    /// It is JSON, so that it may be a refusal.
    speaks: bool,
    access: Option<String>,
    refresh: Option<String>,
}

impl Told {
    fn read(body: &[u8]) -> Self {
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| {
            json[name]
                .as_str()
                .filter(|text| !text.trim().is_empty())
                .map(str::to_owned)
        };
        Self {
            speaks: !crate::classify::parse(body).is_null(),
            access: text("access_token"),
            refresh: text("refresh_token"),
        }
    }
}

fn previous() -> Credential {
    Credential {
        access_token: OLD_ACCESS.to_owned(),
        refresh_token: OLD_REFRESH.to_owned(),
        access_expires_at_ms: 1_790_000_000_000,
        issued_at_ms: 1_780_000_000_000,
        ..Credential::default()
    }
}

fn answers(status: u32, body: &[u8]) -> Answers {
    let answer = RawAnswer {
        step: "refresh".to_owned(),
        status,
        body: body.to_owned(),
        sent_at_ms: 1_789_000_000_000,
        received_at_ms: 1_789_000_000_300,
        ..RawAnswer::default()
    };
    Answers {
        answers: vec![answer],
        delivery: Delivery::Answered.into(),
        ..Answers::default()
    }
}

/// Meta's `signed_request` (FAULTS F1, F2): believed only with a signature over these very characters, by one of our secrets,
/// and with the one algorithm.
///
/// # Panics
///
/// When a promise is broken.
pub fn signed_request(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Some(payload) = signature::signed_request([SECRET].into_iter(), &text) else {
        return;
    };
    let (given, signed) = text.split_once('.').expect("two parts");
    let ours = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), signed.as_bytes());
    let given = URL_SAFE_NO_PAD.decode(given.trim_end_matches('=')).expect("base64url");
    assert_eq!(given, ours.as_ref(), "a forged request is believed");
    let algorithm = payload["algorithm"].as_str().expect("an algorithm");
    assert!(algorithm.eq_ignore_ascii_case("HMAC-SHA256"), "{algorithm}");
}

/// TikTok's signature, a line, and the body after it (FAULTS F1, F3): believed only over these very bytes and within five minutes.
///
/// # Panics
///
/// When a promise is broken.
pub fn tiktok_signature(bytes: &[u8]) {
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (header, body) = bytes.split_at(at);
    let (header, body) = (String::from_utf8_lossy(header), body.get(1..).unwrap_or_default());
    if !signature::tiktok([SECRET].into_iter(), &header, body, NOW) {
        return;
    }
    let part = |name: &str| {
        let mut parts = header.split(',').map(str::trim);
        parts.find_map(|part| part.strip_prefix(name)).expect("both parts")
    };
    let (time, given) = (part("t="), part("s="));
    let signed = [time.as_bytes(), b".", body].concat();
    let ours = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), &signed);
    assert_eq!(
        hex::decode(given).expect("hex"),
        ours.as_ref(),
        "a forged call is believed"
    );
    let age = time.parse::<i64>().expect("a time") - NOW / 1000;
    assert!(age.abs() <= 300, "{age} seconds");
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::replay::replay;
    use super::token_reply;

    #[test]
    fn r10_r11_r12_hold_for_everything_in_the_corpus() {
        replay("token_reply", token_reply);
    }

    /// Members that a token reply has, and values that it should not have.
    fn member() -> impl Strategy<Value = String> {
        let names = prop::sample::select(vec![
            "access_token",
            "refresh_token",
            "expires_in",
            "refresh_expires_in",
            "token_type",
            "scope",
            "user_id",
            "data",
            "error",
            "error_description",
            "x",
        ]);
        let odd = prop::sample::select(vec![
            "null", "true", "0", "-5", "7200", "7200.5", "1e400", "\"7200\"", "\"\"", "\" \"", "[]", "{}",
        ]);
        let values = prop_oneof![
            odd.prop_map(str::to_owned),
            Just("[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]".to_owned()),
            Just(r#""SBX\u0041\ud83d\ude00\/""#.to_owned()),
            Just(r#"{"refresh_token":"SBXinner","code":190}"#.to_owned()),
            Just("\"invalid_grant\"".to_owned()),
            "\"[ -!#-\\[\\]-~é]{1,12}\"",
        ];
        (names, values).prop_map(|(name, value)| format!("\"{name}\":{value}"))
    }

    proptest! {
        #[test]
        fn r10_r11_r12_hold_for_any_members(
            members in prop::collection::vec(member(), 0..10), cut in prop::option::of(any::<prop::sample::Index>()),
        ) {
            let body = format!("{{{}}}", members.join(","));
            let body = body.as_bytes();
            token_reply(&body[..cut.map_or(body.len(), |cut| cut.index(body.len()))]);
        }

        #[test]
        fn r10_r11_r12_hold_for_any_bytes(body in prop::collection::vec(any::<u8>(), 0..300)) {
            token_reply(&body);
        }
    }

    #[test]
    fn f1_f2_hold_for_every_request_in_the_corpus() {
        replay("signed_request", super::signed_request);
    }

    #[test]
    fn f1_f3_hold_for_every_call_in_the_corpus() {
        replay("tiktok_signature", super::tiktok_signature);
    }
}
