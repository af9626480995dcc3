//! What Facebook's and Instagram's Graph API share: the error envelope, field selection, paging and versions.
//! Classified by `code` and `error_subcode`; `type` is `OAuthException` even for a rate limit, as at Meta.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::call::{Call, Reply};
use crate::platform::Cx;
use crate::switches::{Effect, RateLimit};
use crate::world::clock::session_date;
use crate::world::tokens::{Death, Token, random};

/// Newest version that exists.
const NEWEST_VERSION: u32 = 26;

/// One error of Graph's table.
#[derive(Debug, Clone)]
pub(crate) struct GraphError {
    pub(crate) code: i64,
    pub(crate) subcode: Option<i64>,
    pub(crate) message: String,
}

impl GraphError {
    pub(crate) fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            subcode: None,
            message: message.into(),
        }
    }

    pub(crate) fn sub(mut self, subcode: i64) -> Self {
        self.subcode = Some(subcode);
        self
    }

    pub(crate) fn permission(scope: &str) -> Self {
        Self::new(200, format!("(#200) Requires {scope} permission to manage the object"))
    }

    pub(crate) fn unknown_object(id: &str) -> Self {
        let message = format!(
            "Unsupported get request. Object with ID '{id}' does not exist, cannot be loaded due to missing permissions, \
             or does not support this operation. Please read the Graph API documentation"
        );
        Self::new(100, message).sub(33)
    }

    pub(crate) fn parameter(message: impl std::fmt::Display) -> Self {
        Self::new(100, format!("(#100) {message}"))
    }

    /// What is said of a token that no longer works.
    pub(crate) fn dead(death: Death, token: &Token, app_id: &str, now_ms: i64) -> Self {
        const START: &str = "Error validating access token: ";
        let (subcode, text) = match death {
            Death::Revoked | Death::Rotated | Death::ScopesChanged | Death::FamilyRevoked => {
                (458, format!("{START}The user has not authorized application {app_id}."))
            }
            Death::Checkpoint => (
                459,
                "You cannot access the app till you log in to www.facebook.com and follow the instructions given."
                    .to_owned(),
            ),
            Death::PasswordChanged => (
                460,
                format!(
                    "{START}The session has been invalidated because the user changed their password or Facebook has changed the session for security reasons."
                ),
            ),
            Death::Expired => {
                let end = session_date(token.expires_at_ms.unwrap_or(now_ms));
                (
                    463,
                    format!(
                        "{START}Session has expired on {end}. The current time is {}.",
                        session_date(now_ms)
                    ),
                )
            }
            Death::LoggedOut => (
                467,
                format!("{START}The session is invalid because the user logged out."),
            ),
            Death::RoleLost => (
                492,
                format!(
                    "{START}Session does not match current stored session. The user must be an administrator, editor, or moderator of the page in order to impersonate it."
                ),
            ),
        };
        Self::new(190, text).sub(subcode)
    }

    fn status(&self) -> u16 {
        match self.code {
            1 | 2 if self.message.contains("client secret") => 400,
            1 => 500,
            2 => 503,
            4 | 10 | 200..=299 => 403,
            _ => 400,
        }
    }

    /// The envelope, with `WWW-Authenticate` as Meta adds it.
    pub(crate) fn reply(&self) -> Reply {
        let mut error = json!({
            "message": self.message, "type": "OAuthException", "code": self.code,
            "fbtrace_id": format!("Asbx{}", random(12)),
        });
        if let Some(subcode) = self.subcode {
            error["error_subcode"] = json!(subcode);
        }
        if matches!(self.code, 1 | 2) && self.status() >= 500 {
            error["is_transient"] = json!(true);
        }
        let word = match (self.code, self.subcode) {
            (190, _) => "invalid_token",
            (100, Some(36007 | 36009)) => "invalid_code",
            _ => "invalid_request",
        };
        let header = format!(
            "OAuth \"Facebook Platform\" \"{word}\" \"{}\"",
            self.message.replace('"', "'")
        );
        let outcome = format!("{}/{}: {}", self.code, self.subcode.unwrap_or_default(), self.message);
        Reply::json(self.status(), &json!({"error": error}))
            .with("www-authenticate", &header)
            .because(outcome)
    }
}

impl From<GraphError> for Reply {
    fn from(error: GraphError) -> Self {
        error.reply()
    }
}

/// An error named by a switch; a message that is not given is the table's or a plain one.
pub(crate) fn scripted(code: i64, subcode: Option<i64>, message: Option<&str>, status: Option<u16>) -> Reply {
    let message = message.unwrap_or(match (code, subcode) {
        (190, Some(458)) => "Error validating access token: The user has not authorized application 700000000000001.",
        (190, Some(459)) => "You cannot access the app till you log in to www.facebook.com and follow the instructions given.",
        (190, Some(460)) => "Error validating access token: The session has been invalidated because the user changed their password or Facebook has changed the session for security reasons.",
        (190, Some(463 | 0)) => "Error validating access token: Session has expired on Sunday, 22-Nov-26 01:00:00 PST. The current time is Sunday, 22-Nov-26 02:10:00 PST.",
        (190, Some(464)) => "Error validating access token: Sessions for the user are not allowed because the user is not a confirmed user.",
        (190, Some(467)) => "Error validating access token: The session is invalid because the user logged out.",
        (190, _) => "Invalid OAuth access token.",
        (1, _) => "An unknown error occurred",
        (2, _) => "Service temporarily unavailable",
        (3, _) => "(#3) Application does not have the capability to make this API call.",
        (4, _) => "(#4) Application request limit reached",
        (10, _) => "(#10) Application does not have permission for this action",
        (17, _) => "(#17) User request limit reached",
        (32, _) => "(#32) Page request limit reached",
        (200..=299, _) => "(#200) The user hasn't authorized the application to perform this action",
        (341, _) => "(#341) Application limit reached",
        (368, _) => "The action attempted has been deemed abusive or is otherwise disallowed",
        (506, _) => "(#506) Duplicate status message",
        (613, _) => "Calls to this api have exceeded the rate limit.",
        (80_000..=80_999, _) => "There have been too many calls to this account. Wait a bit and try again.",
        _ => "(#100) Invalid parameter",
    });
    let mut error = GraphError::new(code, message);
    error.subcode = subcode;
    let mut reply = error.reply();
    if let Some(status) = status.and_then(|status| axum::http::StatusCode::from_u16(status).ok()) {
        reply.status = status;
    }
    reply
}

/// A rate limit: HTTP 400 or 403 with a code, and the usage header at its end.
pub(crate) fn rate_limited(limit: &RateLimit, now_ms: i64) -> Reply {
    let reply = scripted(limit.code.unwrap_or(4), None, None, None).with("x-app-usage", &usage(100));
    match limit.retry_after.header(now_ms) {
        Some(value) => reply.with("retry-after", &value),
        None => reply,
    }
}

/// A 5xx as Graph says it.
pub(crate) fn server_error(status: u16) -> Reply {
    scripted(2, None, None, Some(status))
}

fn usage(percent: u8) -> String {
    json!({"call_count": percent, "total_time": percent, "total_cputime": percent}).to_string()
}

/// Adds `X-App-Usage`.
pub(crate) fn with_usage(cx: &Cx<'_>, reply: Reply) -> Reply {
    let percent = cx.effects.find(|effect| match effect {
        Effect::Usage { percent } => Some(*percent),
        _ => None,
    });
    if reply.headers.contains_key("x-app-usage") {
        reply
    } else {
        reply.with("x-app-usage", &usage(percent.unwrap_or(1)))
    }
}

/// Path segments without `/v25.0`. Ended versions are served by the oldest living one; one that never was is an error.
pub(crate) fn unversioned(call: &Call) -> Result<Vec<&str>, GraphError> {
    let mut segments = call.segments();
    if let Some(version) = segments.first().and_then(|first| version(first)) {
        if version > NEWEST_VERSION {
            return Err(GraphError::new(
                2500,
                format!("Unknown path components: /{}", segments.join("/")),
            ));
        }
        segments.remove(0);
    }
    Ok(segments)
}

/// 25 of `v25.0`.
pub(crate) fn version(segment: &str) -> Option<u32> {
    let (major, minor) = segment.strip_prefix('v')?.split_once('.')?;
    minor.parse::<u32>().ok().and_then(|_| major.parse().ok())
}

/// One entry of a `fields` list: `name.argument(value){children}`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// Everything between the name and the braces.
    pub(crate) arguments: String,
    pub(crate) children: Vec<Field>,
}

/// Reads a `fields` list; unbalanced braces are a syntax error as at Graph.
pub(crate) fn fields(text: &str) -> Result<Vec<Field>, GraphError> {
    let syntax = || {
        GraphError::new(
            2500,
            "Syntax error \"Expected end of string instead of \"}\".\" in fields",
        )
    };
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_i32, 0);
    for (at, sign) in text.char_indices() {
        match sign {
            '{' | '(' => depth += 1,
            '}' | ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        if depth < 0 {
            return Err(syntax());
        }
    }
    if depth != 0 {
        return Err(syntax());
    }
    parts.push(&text[start..]);
    parts
        .into_iter()
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(field)
        .collect()
}

fn field(text: &str) -> Result<Field, GraphError> {
    let (head, children) = match text.split_once('{') {
        Some((head, rest)) => (head, fields(rest.strip_suffix('}').unwrap_or(rest))?),
        None => (text, Vec::new()),
    };
    let (name, arguments) = head.split_once('.').unwrap_or((head, ""));
    Ok(Field {
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        children,
    })
}

/// The members of `node` that were asked for, `id` always. A field that this kind of node never has is an error; one that
/// this node lacks is left out.
pub(crate) fn select(node: &Value, wanted: &[Field], known: &[&str], kind: &str) -> Result<Value, GraphError> {
    let mut out = Map::new();
    for field in wanted {
        if !known.contains(&field.name.as_str()) {
            let name = &field.name;
            return Err(GraphError::parameter(format!(
                "Tried accessing nonexisting field ({name}) on node type ({kind})"
            )));
        }
        match node.get(&field.name) {
            None | Some(Value::Null) => {}
            Some(value) => drop(out.insert(field.name.clone(), narrow(value, field))),
        }
    }
    if let Some(id) = node.get("id") {
        out.insert("id".to_owned(), id.clone());
    }
    Ok(Value::Object(out))
}

/// Applies the children of a field, through a `data` wrapper if there is one, and drops a summary nobody asked for.
fn narrow(value: &Value, field: &Field) -> Value {
    let Value::Object(members) = value else {
        return value.clone();
    };
    let pick = |value: &Value| -> Value {
        let Value::Object(members) = value else {
            return value.clone();
        };
        if field.children.is_empty() {
            return value.clone();
        }
        let chosen = field.children.iter().filter_map(|child| {
            let member = members.get(&child.name)?;
            Some((child.name.clone(), narrow(member, child)))
        });
        chosen
            .chain(members.get("id").map(|id| ("id".to_owned(), id.clone())))
            .collect::<Map<_, _>>()
            .into()
    };
    let Some(data) = members.get("data") else {
        return pick(value);
    };
    let mut out = members.clone();
    if !field.arguments.contains("summary") {
        out.remove("summary");
    }
    let data = match data {
        Value::Array(items) => items.iter().map(pick).collect(),
        other => pick(other),
    };
    out.insert("data".to_owned(), data);
    Value::Object(out)
}

/// Part of a list with `paging`. `limit` is what was asked, at most `most`. The next page's address carries the access
/// token, as Graph's does.
pub(crate) fn paged(call: &Call, items: Vec<Value>, usual: usize, most: usize) -> Result<Value, GraphError> {
    let limit = match call.query.first("limit") {
        None => usual,
        Some(text) => text
            .parse()
            .map_err(|_| GraphError::parameter("param limit must be an integer"))?,
    };
    let limit = limit.clamp(1, most.max(1));
    let start = call
        .query
        .first("after")
        .map_or(Some(0), |after| cursor_position(after).map(|last| last + 1));
    let start = start.ok_or_else(|| GraphError::parameter("Invalid cursor"))?;
    let total = items.len();
    let data: Vec<Value> = items.into_iter().skip(start).take(limit).collect();
    if data.is_empty() {
        return Ok(json!({"data": []}));
    }
    let last = start + data.len() - 1;
    let mut paging = json!({"cursors": {"before": cursor(start), "after": cursor(last)}});
    if last + 1 < total {
        paging["next"] = json!(next_address(call, &cursor(last)));
    }
    Ok(json!({"data": data, "paging": paging}))
}

fn next_address(call: &Call, after: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(call.query.pairs().filter(|(name, _)| *name != "after"));
    if call.query.first("access_token").is_none()
        && let Some(token) = call.bearer()
    {
        query.append_pair("access_token", token);
    }
    query.append_pair("after", after);
    format!("{}{}?{}", call.base, call.path, query.finish())
}

fn cursor(position: usize) -> String {
    format!("QVFI{}", URL_SAFE_NO_PAD.encode(format!("sbx:{position}")))
}

fn cursor_position(cursor: &str) -> Option<usize> {
    let text = URL_SAFE_NO_PAD.decode(cursor.strip_prefix("QVFI")?).ok()?;
    std::str::from_utf8(&text).ok()?.strip_prefix("sbx:")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_fields_are_selected_through_data_and_summaries_only_on_request() {
        let node = json!({"id": "1", "name": "Page", "likes": {"data": [], "summary": {"total_count": 4}},
            "picture": {"data": {"url": "u", "width": 50}}});
        let wanted = fields("name,picture.type(square){url},likes.summary(true)").unwrap();
        let known = ["id", "name", "likes", "picture"];
        let out = select(&node, &wanted, &known, "Page").unwrap();
        let expected = json!({"id": "1", "name": "Page", "picture": {"data": {"url": "u"}},
            "likes": {"data": [], "summary": {"total_count": 4}}});
        assert_eq!(out, expected);
        let bare = select(&node, &fields("likes").unwrap(), &known, "Page").unwrap();
        assert_eq!(bare, json!({"id": "1", "likes": {"data": []}}));
    }

    #[test]
    fn a_field_that_does_not_exist_and_an_open_brace_are_errors() {
        let unknown = select(&json!({"id": "1"}), &fields("nmae").unwrap(), &["name"], "Page").unwrap_err();
        assert_eq!(unknown.code, 100);
        assert_eq!(fields("a{b").unwrap_err().code, 2500);
    }

    #[test]
    fn versions_are_v_major_minor() {
        assert_eq!(version("v25.0"), Some(25));
        assert_eq!(version("v25"), None);
        assert_eq!(version("video"), None);
    }
}
