//! What Facebook's and Instagram's Graph API share: the error envelope and versions here, field selection and paging in
//! `graph/fields.rs`.
//! Classified by `code` and `error_subcode`; `type` is `OAuthException` even for a rate limit, as at Meta.

mod fields;

pub(crate) use fields::{Field, fields, paged, select};
use serde_json::json;

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
    reply.status = status.unwrap_or(reply.status);
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
    if reply.header("x-app-usage").is_some() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_v_major_minor() {
        assert_eq!(version("v25.0"), Some(25));
        assert_eq!(version("v25"), None);
        assert_eq!(version("video"), None);
    }
}
