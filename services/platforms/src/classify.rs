//! From a platform's refusal to one of our error classes. `read` understands every error shape that the platforms use
//! (Graph, OAuth, Instagram's, TikTok's, X's problem+json, LinkedIn's); each platform's table of `Row`s says what its
//! codes mean. A code that no row knows is transient, counted and logged: an unknown word never disconnects anybody.
//! Texts are made safe to show and to log: no tokens, addresses or control characters.

use proto::common::v1::{ErrorClass, PlatformError};
use serde_json::Value;

/// Which kind of call was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum On {
    /// Trading an authorization code.
    Code,
    /// Renewing a token.
    Refresh,
    /// Everything that is done with a token.
    Api,
    /// What our app asks with its own token; the tables read it as `Api`.
    App,
}

/// How a row recognises the platform's code.
#[derive(Clone, Copy)]
pub(crate) enum Is {
    Any,
    Text(&'static str),
    Number(i64),
    /// One of two numbers that mean the same.
    Either(i64, i64),
    Between(i64, i64),
}

/// One line of an error table. All conditions must hold.
pub(crate) struct Row {
    on: Option<On>,
    status: Option<u32>,
    code: Is,
    subcode: Option<i64>,
    /// Found in the message, compared in lower case.
    text: &'static str,
    class: ErrorClass,
}

impl Row {
    /// A code that means the same wherever it comes.
    pub(crate) const fn new(code: Is, class: ErrorClass) -> Self {
        Self {
            on: None,
            status: None,
            code,
            subcode: None,
            text: "",
            class,
        }
    }

    /// A code in words.
    pub(crate) const fn text(code: &'static str, class: ErrorClass) -> Self {
        Self::new(Is::Text(code), class)
    }

    /// A numbered code.
    pub(crate) const fn number(code: i64, class: ErrorClass) -> Self {
        Self::new(Is::Number(code), class)
    }

    /// An HTTP status, whatever the body says.
    pub(crate) const fn status(status: u32, class: ErrorClass) -> Self {
        Self {
            status: Some(status),
            ..Self::new(Is::Any, class)
        }
    }

    pub(crate) const fn on(self, on: On) -> Self {
        Self { on: Some(on), ..self }
    }

    pub(crate) const fn subcode(self, subcode: i64) -> Self {
        Self {
            subcode: Some(subcode),
            ..self
        }
    }

    /// Only when the message has these words (lower case).
    pub(crate) const fn saying(self, text: &'static str) -> Self {
        Self { text, ..self }
    }

    fn matches(&self, on: On, said: &Said) -> bool {
        let number = said.code.parse::<i64>().ok();
        let code = match self.code {
            Is::Any => true,
            Is::Text(code) => said.code == code,
            Is::Number(code) => number == Some(code),
            Is::Either(one, other) => number == Some(one) || number == Some(other),
            Is::Between(low, high) => number.is_some_and(|number| (low..=high).contains(&number)),
        };
        code && self
            .on
            .is_none_or(|wanted| wanted == on || (wanted == On::Api && on == On::App))
            && self.status.is_none_or(|status| status == said.status)
            && self.subcode.is_none_or(|subcode| said.subcode == Some(subcode))
            && (self.text.is_empty() || said.message.to_lowercase().contains(self.text))
    }
}

/// What a platform said, out of whichever shape it used.
#[derive(Default, Clone)]
pub(crate) struct Said {
    pub(crate) status: u32,
    /// Empty when the body has none.
    pub(crate) code: String,
    pub(crate) subcode: Option<i64>,
    pub(crate) message: String,
}

/// A text member, or a number as text.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// A body as JSON, null when it is none.
pub(crate) fn parse(body: &[u8]) -> Value {
    let body = crate::json::utf8(body);
    let text = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&body);
    let text = String::from_utf8_lossy(text);
    serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap_or_default()
}

/// Reads an error body; also finds the error inside a 200.
pub(crate) fn read(status: u32, body: &Value) -> Said {
    let nested = if body["error"].is_object() {
        &body["error"]
    } else {
        &body["data"]["error"]
    };
    let (code, message) = if nested.is_object() {
        (text(&nested["code"]), text(&nested["message"]))
    } else if body["error"].as_str().is_some_and(|error| !error.is_empty()) {
        (text(&body["error"]), text(&body["error_description"]))
    } else if body["error_type"].is_string() {
        (text(&body["error_type"]), text(&body["error_message"]))
    } else if body["code"].is_string() || body["serviceErrorCode"].is_number() {
        let code = if body["code"].is_string() {
            &body["code"]
        } else {
            &body["serviceErrorCode"]
        };
        (text(code), text(&body["message"]))
    } else if body["title"].is_string() || body["errors"].is_array() {
        problem(body)
    } else {
        Default::default()
    };
    let subcode = ["error_subcode", "subcode"]
        .iter()
        .find_map(|name| nested[*name].as_i64());
    let subcode = subcode
        .or_else(|| body["serviceErrorCode"].as_i64())
        .filter(|subcode| *subcode != 0);
    Said {
        status,
        code,
        subcode,
        message,
    }
}

/// problem+json: the last segment of `type` when it says something, else the title; or the older `errors` list.
fn problem(body: &Value) -> (String, String) {
    let first = &body["errors"][0];
    let source = if body["title"].is_string() || body["type"].is_string() {
        body
    } else {
        first
    };
    let kind = source["type"]
        .as_str()
        .filter(|kind| *kind != "about:blank")
        .and_then(|kind| kind.rsplit('/').next());
    let code = match kind {
        // "reason" is finer than client-forbidden.
        Some("client-forbidden") if source["reason"].is_string() => text(&source["reason"]),
        Some(kind) => kind.to_owned(),
        None if source["title"].is_string() => text(&source["title"]),
        None => text(&source["code"]),
    };
    let message = [&source["detail"], &source["message"], &source["title"]].map(text);
    (
        code,
        message.into_iter().find(|text| !text.is_empty()).unwrap_or_default(),
    )
}

/// The class of a refusal.
pub(crate) fn classify(connector: &'static str, table: &[Row], on: On, said: &Said) -> PlatformError {
    let class = match (table.iter().find(|row| row.matches(on, said)), said.status) {
        (Some(row), _) => row.class,
        (None, 429) => ErrorClass::RateLimited,
        (None, status) => {
            if status < 500 && !said.code.is_empty() {
                metrics::counter!("platforms_unknown_errors_total", "connector" => connector).increment(1);
                tracing::warn!(
                    connector,
                    status,
                    code = safe(&said.code),
                    "a platform's error that no table knows"
                );
            }
            ErrorClass::Transient
        }
    };
    let code = match (said.code.as_str(), said.subcode) {
        ("", _) => format!("http {}", said.status),
        (code, Some(subcode)) => format!("{}/{subcode}", safe(code)),
        (code, None) => safe(code),
    };
    PlatformError {
        class: class.into(),
        code,
        message: safe(&said.message),
        retry_after_ms: None,
    }
}

/// An error that we found ourselves.
pub(crate) fn error(class: ErrorClass, code: &str, message: impl Into<String>) -> PlatformError {
    PlatformError {
        class: class.into(),
        code: code.to_owned(),
        message: message.into(),
        retry_after_ms: None,
    }
}

/// An answer that is none, whatever its status says.
pub(crate) fn unreadable() -> PlatformError {
    error(
        ErrorClass::Transient,
        "unreadable",
        "the platform's answer cannot be read",
    )
}

/// A platform's text without what could be a secret or an address, without control characters, and short.
pub(crate) fn safe(text: &str) -> String {
    const LONGEST: usize = 200;
    let mut clean = String::new();
    for word in text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
    {
        let letters = word.trim_matches(|c: char| !c.is_alphanumeric());
        let secret = letters.len() >= 16
            && letters.contains(|c: char| c.is_ascii_digit())
            && !letters.bytes().all(|byte| byte.is_ascii_digit());
        let hidden = secret || letters.len() > 80 || word.contains("://") || letters.starts_with("www.");
        if !clean.is_empty() {
            clean.push(' ');
        }
        clean.push_str(if hidden { "[…]" } else { word });
        if clean.len() > LONGEST {
            let end = (0..=LONGEST).rev().find(|at| clean.is_char_boundary(*at)).unwrap_or(0);
            clean.truncate(end);
            clean.push('…');
            break;
        }
    }
    clean
}

/// A table test: what `classify` makes of an answer.
#[cfg(test)]
pub(crate) fn class_of(table: &[Row], on: On, status: u32, body: &str) -> ErrorClass {
    let body = serde_json::from_str(body).unwrap_or_default();
    classify("test", table, on, &read(status, &body)).class()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_shape_is_read() {
        for (body, code, subcode) in [
            (
                r#"{"error":{"message":"m","type":"OAuthException","code":190,"error_subcode":463}}"#,
                "190",
                Some(463),
            ),
            (
                r#"{"data":{"error":{"code":190,"message":"m","subcode":460},"is_valid":false}}"#,
                "190",
                Some(460),
            ),
            (r#"{"error":{"message":"m","code":190,"error_subcode":0}}"#, "190", None),
            (
                r#"{"error":"invalid_grant","error_description":"m"}"#,
                "invalid_grant",
                None,
            ),
            (
                r#"{"error_type":"OAuthException","code":400,"error_message":"m"}"#,
                "OAuthException",
                None,
            ),
            (
                r#"{"data":{},"error":{"code":"access_token_invalid","message":"m"}}"#,
                "access_token_invalid",
                None,
            ),
            (r#"{"title":"m","type":"about:blank","status":401}"#, "m", None),
            (
                r#"{"title":"m","type":"https://api.twitter.com/2/problems/user-suspended"}"#,
                "user-suspended",
                None,
            ),
            (r#"{"errors":[{"code":88,"message":"m"}]}"#, "88", None),
            (
                r#"{"status":401,"serviceErrorCode":65601,"code":"REVOKED_ACCESS_TOKEN","message":"m"}"#,
                "REVOKED_ACCESS_TOKEN",
                Some(65601),
            ),
        ] {
            let said = read(400, &serde_json::from_str(body).unwrap());
            assert_eq!(
                (said.code.as_str(), said.subcode, said.message.as_str()),
                (code, subcode, "m"),
                "{body}"
            );
        }
        assert_eq!(read(200, &Value::Null).code, "");
    }

    #[test]
    fn h14_a_code_that_no_table_knows_is_transient_and_counted_for_every_connector() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let unknown = Said {
            status: 409,
            code: "brand_new".to_owned(),
            ..Said::default()
        };
        metrics::with_local_recorder(&recorder, || {
            for spec in crate::platforms::adapters().map(crate::adapter::Adapter::spec) {
                for on in [On::Code, On::Refresh, On::Api] {
                    let error = classify(spec.id, spec.errors, on, &unknown);
                    assert_eq!(error.class(), ErrorClass::Transient, "{} {on:?}", spec.id);
                }
            }
        });
        let counted = recorder.handle().render();
        for spec in crate::platforms::adapters().map(crate::adapter::Adapter::spec) {
            let line = format!("platforms_unknown_errors_total{{connector=\"{}\"}} 3", spec.id);
            assert!(counted.contains(&line), "{line} is not in {counted}");
        }
    }

    #[test]
    fn h14_an_unknown_code_is_transient() {
        assert_eq!(
            class_of(&[], On::Api, 400, r#"{"error":{"code":77777,"message":"new"}}"#),
            ErrorClass::Transient
        );
        assert_eq!(class_of(&[], On::Api, 429, ""), ErrorClass::RateLimited);
    }

    #[test]
    fn d13_a_platforms_text_is_made_safe() {
        let text = safe(
            "bad\r\nlevel=ERROR \u{1b}[31m token EAAB1234567890abcdefg at https://x.test/?a=b id 700000000000001.",
        );
        assert!(
            !text.contains(['\r', '\n', '\u{1b}']) && !text.contains("EAAB") && !text.contains("https"),
            "{text}"
        );
        assert!(text.contains("700000000000001"));
        assert!(safe(&"é ".repeat(500)).len() < 220);
    }
}
