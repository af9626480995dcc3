//! Request bodies: JSON, read strictly. What cannot be read at all is 400, what reads but is not what we ask for is 422.

use std::fmt;

use axum::body::{Body as HttpBody, Bytes};
use axum::extract::{FromRequest, Request};
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use kit::{Code, Failure};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::problem::Problem;
use crate::state::App;

/// A JSON body of this shape.
pub(crate) struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(Problem::new(
                Code::UnsupportedMediaType,
                "send the body as application/json",
            ));
        }
        let bytes = read(body, app).await?;
        parse(&bytes).map(Self)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .eq_ignore_ascii_case("application/json")
}

/// Reads a body whole: not larger than `gateway.max_body_bytes`, and not slower than `gateway.body_timeout`.
pub(crate) async fn read(body: HttpBody, app: &App) -> Result<Bytes, Problem> {
    let limit = app.config.max_body_bytes;
    match tokio::time::timeout(app.config.body_timeout, Limited::new(body, limit).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::new(
            Code::PayloadTooLarge,
            format!("the body is larger than {limit} bytes"),
        )),
        Ok(Err(_)) => Err(Problem::new(Code::BadRequest, "the body ended early")),
        Err(_) => Err(Problem::new(Code::RequestTimeout, "the body took too long to arrive")),
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let Strict(value) = serde_json::from_slice(bytes)
        .map_err(|error| Problem::new(Code::BadRequest, format!("the body is not JSON: {}", place(&error))))?;
    // serde would take a list for a struct, field by field.
    if !value.is_object() {
        return Err(Problem::invalid("", "is not an object"));
    }
    T::deserialize(&value).map_err(|error| invalid(&value, &error.to_string()))
}

/// Where, not what: the parser's own words repeat the input.
fn place(error: &serde_json::Error) -> String {
    format!("line {}, column {}", error.line(), error.column())
}

/// serde names a field that is missing or unknown in backticks, and of a value that does not fit the value: whose it is tells
/// the pointer.
fn invalid(body: &Value, message: &str) -> Problem {
    let named = message.split('`').nth(1).filter(|_| message.contains("field"));
    let field = named.or_else(|| member_of(body, message)).unwrap_or_default();
    let why = match message {
        _ if message.starts_with("unknown field") => "is not a known field",
        _ if message.starts_with("missing field") => "is missing",
        _ if message.starts_with("unknown variant") => "is not one of the choices",
        _ => "has the wrong type",
    };
    let pointer = if field.is_empty() {
        String::new()
    } else {
        format!("/{}", field.chars().take(64).collect::<String>())
    };
    Problem(Failure::new(Code::ValidationFailed, "the body is not what this call takes").field(pointer, why))
}

/// The member with the value that serde complains of; the first, when several have it.
fn member_of<'a>(body: &'a Value, message: &str) -> Option<&'a str> {
    let complains_of = |value: &Value| {
        let shown = match value {
            Value::String(text) if message.starts_with(&format!("unknown variant `{text}`")) => return true,
            Value::String(text) => format!("string {text:?}"),
            Value::Bool(value) => format!("boolean `{value}`"),
            Value::Number(number) if number.is_f64() => "floating point".to_owned(),
            Value::Number(number) => format!("integer `{number}`"),
            Value::Null => "null".to_owned(),
            Value::Array(_) => "sequence".to_owned(),
            Value::Object(_) => "map".to_owned(),
        };
        let message = message
            .strip_prefix("invalid type: ")
            .or(message.strip_prefix("invalid value: "));
        message.is_some_and(|message| message.starts_with(&shown))
    };
    let contains = |value: &Value| match value {
        Value::Array(items) => complains_of(value) || items.iter().any(complains_of),
        _ => complains_of(value),
    };
    let members = body.as_object()?.iter();
    members
        .into_iter()
        .find(|(_, value)| contains(value))
        .map(|(name, _)| name.as_str())
}

/// Any JSON value in which no key stands twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, Strict(value))) = entries.next_entry::<String, Strict>()? {
            if map.insert(key, value).is_some() {
                return Err(A::Error::custom("a key stands twice"));
            }
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[allow(dead_code, reason = "only its parsing is tested")]
        name: String,
    }

    #[test]
    fn d16_what_is_no_json_or_ambiguous_is_400() {
        let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
        for bad in [
            r#"{"name":"a","name":"b"}"#,
            r#"{"name":NaN}"#,
            "{\"name\":1e400}",
            r#"{"name":"\ud800"}"#,
            "",
            &deep,
        ] {
            let code = parse::<Sample>(bad.as_bytes()).unwrap_err().0.code;
            assert_eq!(code, Code::BadRequest, "{}", &bad[..bad.len().min(40)]);
        }
    }

    #[test]
    fn a_list_is_not_taken_for_an_object() {
        assert_eq!(parse::<Sample>(br#"["a"]"#).unwrap_err().0.code, Code::ValidationFailed);
    }

    #[test]
    fn c8_a_field_that_the_call_does_not_take_is_named() {
        let failure = parse::<Sample>(br#"{"name":"a","role":"owner"}"#).unwrap_err().0;
        assert_eq!(failure.code, Code::ValidationFailed);
        assert_eq!(
            failure.fields,
            [("/role".to_owned(), "is not a known field".to_owned())]
        );
    }

    #[test]
    fn a_field_whose_value_does_not_fit_is_named() {
        #[derive(Deserialize, Debug)]
        #[serde(rename_all = "snake_case")]
        enum Choice {
            One,
        }
        #[derive(Deserialize, Debug)]
        #[allow(dead_code, reason = "only its parsing is tested")]
        struct Choices {
            which: Choice,
            names: Vec<String>,
        }
        for (body, pointer) in [
            (r#"{"names":[],"which":"two"}"#, "/which"),
            (r#"{"names":[],"which":5}"#, "/which"),
            (r#"{"names":["a",7],"which":"one"}"#, "/names"),
            (r#"{"names":"a","which":"one"}"#, "/names"),
            (r#"{"names":[]}"#, "/which"),
            ("[]", ""),
        ] {
            let failure = parse::<Choices>(body.as_bytes()).unwrap_err().0;
            assert_eq!(failure.fields[0].0, pointer, "{body}");
        }
    }
}
