//! Reads a token endpoint's answer, whatever it looks like. Lenient and total: no bytes make it panic, odd types and
//! shapes are understood where they can be, and a refresh token anywhere in a 2xx body is found (FAULTS R10–R12 are
//! properties of this file and of `interpret`). Called on raw answers only, long after they were stored.

use proto::platforms::v1::RawAnswer;

use crate::json::{self, Json};

/// Lives longer than this are nonsense and count as not told.
const LONGEST_LIFE_SECONDS: i64 = 10 * 366 * 86_400;

/// What a token reply says. Everything is optional; an empty text counts as missing.
#[derive(Clone, Default)]
pub(crate) struct TokenReply {
    pub(crate) access_token: Option<String>,
    pub(crate) refresh_token: Option<String>,
    pub(crate) token_type: Option<String>,
    /// Seconds, above zero.
    pub(crate) expires_in: Option<i64>,
    pub(crate) refresh_expires_in: Option<i64>,
    /// TikTok's `open_id`, Instagram's app-scoped `user_id`.
    pub(crate) user_id: Option<String>,
    /// `None` when the reply does not tell; an empty list is told, too.
    pub(crate) scopes: Option<Vec<String>>,
}

/// Whether the platform accepted the call, as far as HTTP says.
pub(crate) fn accepted(answer: &RawAnswer) -> bool {
    (200..300).contains(&answer.status)
}

impl TokenReply {
    /// Reads a body.
    pub(crate) fn read(body: &[u8]) -> Self {
        let Some(root) = json::read(body) else {
            return Self::default();
        };
        // Instagram wraps its reply in `data`, as a list or an object.
        let inner = match root.member("data") {
            Some(Json::List(list)) => list.first(),
            other => other,
        };
        let member = |name: &str| root.member(name).or_else(|| inner.and_then(|inner| inner.member(name)));
        let string = |name: &str| {
            let found = root.string(name).or_else(|| inner.and_then(|inner| inner.string(name)));
            found.map(str::to_owned)
        };
        let id = |name: &str| member(name).and_then(Json::text).map(str::to_owned);
        let seconds = |name: &str| member(name).and_then(seconds);
        Self {
            access_token: string("access_token"),
            refresh_token: string("refresh_token"),
            token_type: string("token_type"),
            expires_in: seconds("expires_in"),
            refresh_expires_in: seconds("refresh_token_expires_in").or_else(|| seconds("refresh_expires_in")),
            user_id: id("open_id").or_else(|| id("user_id")),
            scopes: member("scope").or_else(|| member("permissions")).and_then(scopes),
        }
    }
}

/// A life in whole seconds out of a number, a float or a text; nonsense is `None`.
fn seconds(value: &Json) -> Option<i64> {
    let text = value.text()?.trim();
    let whole = text.parse::<i64>().ok().or_else(|| {
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite())?;
        #[allow(clippy::cast_possible_truncation, reason = "float to integer casts saturate")]
        Some(number as i64)
    })?;
    (1..=LONGEST_LIFE_SECONDS).contains(&whole).then_some(whole)
}

fn scopes(value: &Json) -> Option<Vec<String>> {
    match value {
        Json::Text(text) => Some(split_scopes(text)),
        Json::List(list) => Some(list.iter().filter_map(Json::text).flat_map(split_scopes).collect()),
        _ => None,
    }
}

/// Scopes come separated by commas, spaces or both, whatever the platform asks us to send.
pub(crate) fn split_scopes(text: &str) -> Vec<String> {
    text.split([',', ' ', '+', '\n'])
        .filter(|scope| !scope.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A refresh token anywhere in a body that could not be read otherwise.
pub(crate) fn salvage(body: &[u8]) -> Option<String> {
    if let Some(token) = TokenReply::read(body).refresh_token {
        return Some(token);
    }
    let body = json::utf8(body);
    let text = String::from_utf8_lossy(&body);
    text.match_indices("refresh_token")
        .find_map(|(at, name)| value_after(&text[at + name.len()..]))
}

/// The value in `": "value"`, `\":\"value\"`, `='value'` or `=value&`; one that the end of the text may have cut is none.
fn value_after(rest: &str) -> Option<String> {
    let rest = rest.trim_start_matches(['"', '\'', '\\']).trim_start();
    let encoded = rest.starts_with('=');
    let value = rest.strip_prefix([':', '='])?.trim_start();
    let value = if let Some(quoted) = value.strip_prefix('"') {
        json::string(quoted)?
    } else if let Some(inner) = value.strip_prefix("\\\"") {
        // JSON as text inside JSON. With more escapes in it than those of its quotes it is anybody's guess.
        let (token, end) = inner.split_once('\\')?;
        end.starts_with('"').then(|| token.to_owned())?
    } else if let Some(quoted) = value.strip_prefix('\'') {
        quoted.split_once('\'')?.0.to_owned()
    } else {
        let end = value.find(['&', ' ', '<', '"', '\'', ',', '}', '\n', '\r', ';'])?;
        let bare = &value[..end];
        if encoded { form_decoded(bare) } else { bare.to_owned() }
    };
    (!value.trim().is_empty() && value != "null").then_some(value)
}

/// A value of a form without its percent signs.
fn form_decoded(value: &str) -> String {
    url::form_urlencoded::parse(format!("={value}").as_bytes())
        .map(|(_, value)| value.into_owned())
        .next()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn h11_odd_lives_count_as_not_told() {
        let life = |text: &str| TokenReply::read(format!("{{\"expires_in\":{text}}}").as_bytes()).expires_in;
        assert_eq!(life("7200"), Some(7200));
        assert_eq!(life("\"7200\""), Some(7200));
        assert_eq!(life("7200.9"), Some(7200));
        for nonsense in [
            "-5",
            "0",
            "1000000000000000000",
            "\"x\"",
            "null",
            "[]",
            "1e400",
            "{}",
            "true",
        ] {
            assert_eq!(life(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn instagram_replies_of_both_shapes_say_the_same() {
        let flat = br#"{"access_token":"SBXIGshort1","user_id":25000000000000001,"permissions":["a","b"]}"#;
        let listed = br#"{"data":[{"access_token":"SBXIGshort1","user_id":"25000000000000001","permissions":"a,b"}]}"#;
        for body in [flat.as_slice(), listed] {
            let reply = TokenReply::read(body);
            assert_eq!(reply.access_token.as_deref(), Some("SBXIGshort1"));
            assert_eq!(reply.user_id.as_deref(), Some("25000000000000001"));
            assert_eq!(reply.scopes, Some(vec!["a".to_owned(), "b".to_owned()]));
        }
    }

    #[test]
    fn h12_an_empty_or_null_token_is_missing() {
        let reply = TokenReply::read(br#"{"access_token":null,"refresh_token":" ","token_type":5}"#);
        assert!(reply.access_token.is_none() && reply.refresh_token.is_none() && reply.token_type.is_none());
    }

    #[test]
    fn r11_a_refresh_token_is_found_in_any_wrapping() {
        for body in [
            r#"{"refresh_token":"SBXr1"}"#,
            r#"<html>{"refresh_token" : "SBXr1""#,
            r#"{"wrapped":"{\"refresh_token\":\"SBXr1\"}"}"#,
            "access_token=a&refresh_token=SBXr1&x=y",
            r#"{"a":[[[{"refresh_token":"SBXr1"}]],"#,
            "refresh_token='SBXr1'",
            "refresh_token=SBX%721&x=y",
            r#"{"a":?,"refresh_token":"SBX\u0072\u0031"}"#,
        ] {
            assert_eq!(salvage(body.as_bytes()).as_deref(), Some("SBXr1"), "{body}");
        }
        for body in [
            r#"{"refresh_token":"SBXr1"#,
            "refresh_token",
            r#"{"refresh_token":null}"#,
            "refresh_token=SBX",
            r#"{"wrapped":"{\"refresh_token\":\"SBX\\u0072"#,
            r#"refresh_token="SBX\u00"#,
        ] {
            assert_eq!(salvage(body.as_bytes()), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn r10_no_bytes_make_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (TokenReply::read(&body), salvage(&body));
        }

        #[test]
        fn r10_no_near_json_makes_the_reader_panic(body in r#"[{}\[\]":,\\u0-9a-f eE.+-]{0,120}"#) {
            let _ = (TokenReply::read(body.as_bytes()), salvage(body.as_bytes()));
        }

        #[test]
        fn r11_a_complete_refresh_token_survives_any_tail(token in "[A-Za-z0-9._-]{1,40}", tail in any::<Vec<u8>>()) {
            let mut body = format!("{{\"refresh_token\":\"{token}\"").into_bytes();
            body.extend(b", ");
            body.extend(&tail);
            // The tail may hold another member of that name; anything else must not hide this one.
            prop_assume!(!String::from_utf8_lossy(&tail).contains("refresh_token"));
            prop_assert_eq!(salvage(&body), Some(token));
        }
    }
}
