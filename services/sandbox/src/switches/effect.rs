//! The effects a switch can have. JSON forms, optional members after the semicolon:
//!
//! | Effect | What happens |
//! |---|---|
//! | `{"kind": "delay", "ms": 300; "when": "before"}` | the answer is late; `after`: the work is done first |
//! | `{"kind": "hang"; "when": "before"}` | accepted, never answered |
//! | `{"kind": "drop"; "when": "before"}` | the connection ends; also `after`, `half_body` |
//! | `{"kind": "server_error"; "status": 503, "when": "before"}` | the platform's 5xx; `after` is a lie |
//! | `{"kind": "rate_limit"; "retry_after": {"seconds": 30}, "code": 17}` | the platform's 429 or Graph code; also `{"date": 30}`, `"absurd"`, `"none"` |
//! | `{"kind": "reply", "status": 200, "body": "…"; "content_type": "…", "when": "before"}` | word for word |
//! | `{"kind": "body", "with": "html"}` | `html`, `empty`, `truncated`, `huge`, `garbage`, `bom`, `plain_text`, `slow`, after the change |
//! | `{"kind": "edit_reply"; "remove": ["access_token"], "set": {"expires_in": "x"}}` | the JSON answer, changed |
//! | `{"kind": "graph_error", "code": 190; "subcode": 460, "message": "…", "status": 400}` | any row of Graph's table |
//! | `{"kind": "api_error", "status": 403, "code": "…"; "message": "…"}` | TikTok's `error.code`, X's problem type, LinkedIn's `code` |
//! | `{"kind": "wrong_secret"}`, `{"kind": "version_retired"}` | the app's own fault |
//! | `{"kind": "usage", "percent": 95}` | Meta's `X-App-Usage` |
//! | `{"kind": "deny"}`, `{"kind": "fewer_scopes", "remove": ["…"]}`, `{"kind": "old_scopes"}` | at consent |
//! | `{"kind": "lifetimes"; "access_seconds": 90, "refresh_seconds": 600}` | of tokens issued by the call |
//! | `{"kind": "not_extended"}` | Meta: 200, and the end is where it was |
//! | `{"kind": "keep_refresh_token"; "answer": "same"}` | not rotated; the answer repeats it, or `missing`, `empty` |
//! | `{"kind": "stale_pair"}` | the renewal hands out the pair it already had |
//! | `{"kind": "shrink_scopes", "remove": ["…"]}` | the grant loses scopes at renewal |
//! | `{"kind": "rotation_grace", "seconds": 60; "pair": "same"}` | a rotated refresh token still works; `new`: another pair each time |
//! | `{"kind": "family_revoke"}` | using a rotated refresh token ends the grant |

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::platform::Operation;

/// Before or after the platform did what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum When {
    #[default]
    Before,
    After,
}

/// Where a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cut {
    #[default]
    Before,
    After,
    /// After the state change, half the body, then the connection ends.
    HalfBody,
}

/// What stands in the body instead of the answer; the state change has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BodyFault {
    /// A 200 page of a firewall.
    Html,
    Empty,
    /// The first half of the answer, complete as far as HTTP can tell.
    Truncated,
    /// 32 MiB of JSON.
    Huge,
    /// Bytes that are no text.
    Garbage,
    /// The right answer behind a byte order mark.
    Bom,
    /// The right answer, called `text/plain; charset=iso-8859-1`.
    PlainText,
    /// The right answer, ten bytes a second.
    Slow,
}

/// Form of `Retry-After`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RetryAfter {
    #[default]
    None,
    Seconds(i64),
    /// An HTTP date this many seconds from now.
    Date(i64),
    /// 1 000 000 000 seconds.
    Absurd,
}

impl RetryAfter {
    /// The header's value.
    pub(crate) fn header(&self, now_ms: i64) -> Option<String> {
        match self {
            Self::None => None,
            Self::Seconds(seconds) => Some(seconds.to_string()),
            Self::Date(seconds) => Some(crate::world::clock::http_date(now_ms + seconds * 1000)),
            Self::Absurd => Some("1000000000".to_owned()),
        }
    }
}

/// A rate limit as the platform tells it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateLimit {
    #[serde(default)]
    pub(crate) retry_after: RetryAfter,
    /// Meta: 4, 17, 32, 613, 80001 … (default 4). Other platforms ignore it.
    #[serde(default)]
    pub(crate) code: Option<i64>,
}

/// What a renewal says about the refresh token that it did not rotate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kept {
    #[default]
    Same,
    Missing,
    Empty,
}

/// Whether a repeated refresh inside the grace gets the pair it missed, or another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GracePair {
    #[default]
    Same,
    New,
}

fn unavailable() -> u16 {
    503
}

/// One misbehaviour. The JSON form is `{"kind": "server_error", "status": 500, "when": "after"}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Effect {
    // Transport, at any operation.
    Delay {
        ms: u64,
        #[serde(default)]
        when: When,
    },
    Hang {
        #[serde(default)]
        when: When,
    },
    Drop {
        #[serde(default)]
        when: Cut,
    },
    // Answers.
    ServerError {
        #[serde(default = "unavailable")]
        status: u16,
        #[serde(default)]
        when: When,
    },
    RateLimit(RateLimit),
    /// An answer given word for word.
    Reply {
        status: u16,
        #[serde(default)]
        content_type: Option<String>,
        body: String,
        #[serde(default)]
        when: When,
    },
    Body {
        with: BodyFault,
    },
    /// Changes members of the JSON answer.
    EditReply {
        #[serde(default)]
        remove: Vec<String>,
        #[serde(default)]
        set: Map<String, Value>,
    },
    /// Any row of Graph's error table (Facebook, Instagram).
    GraphError {
        code: i64,
        #[serde(default)]
        subcode: Option<i64>,
        #[serde(default)]
        message: Option<String>,
        #[serde(default)]
        status: Option<u16>,
    },
    /// An error by the platform's own word: TikTok `error.code`, X problem type, LinkedIn `code`.
    ApiError {
        status: u16,
        code: String,
        #[serde(default)]
        message: Option<String>,
    },
    WrongSecret,
    VersionRetired,
    /// Meta: percent in `X-App-Usage`.
    Usage {
        percent: u8,
    },
    // Consent.
    Deny,
    FewerScopes {
        remove: Vec<String>,
    },
    /// Instagram: the grant has the scope names that stopped in January 2025.
    OldScopes,
    // Tokens.
    Lifetimes {
        #[serde(default)]
        access_seconds: Option<i64>,
        #[serde(default)]
        refresh_seconds: Option<i64>,
    },
    /// Meta: renewal answers 200 with the expiry that was there before.
    NotExtended,
    /// The refresh token stays, and the answer says so, leaves it out or leaves it empty.
    KeepRefreshToken {
        #[serde(default)]
        answer: Kept,
    },
    /// The renewal hands out the pair it already had.
    StalePair,
    ShrinkScopes {
        remove: Vec<String>,
    },
    /// A rotated refresh token still works for some seconds.
    RotationGrace {
        seconds: i64,
        #[serde(default)]
        pair: GracePair,
    },
    /// Using a rotated refresh token ends the whole grant.
    FamilyRevoke,
}

impl Effect {
    /// The `kind` of the JSON form.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Delay { .. } => "delay",
            Self::Hang { .. } => "hang",
            Self::Drop { .. } => "drop",
            Self::ServerError { .. } => "server_error",
            Self::RateLimit(_) => "rate_limit",
            Self::Reply { .. } => "reply",
            Self::Body { .. } => "body",
            Self::EditReply { .. } => "edit_reply",
            Self::GraphError { .. } => "graph_error",
            Self::ApiError { .. } => "api_error",
            Self::WrongSecret => "wrong_secret",
            Self::VersionRetired => "version_retired",
            Self::Usage { .. } => "usage",
            Self::Deny => "deny",
            Self::FewerScopes { .. } => "fewer_scopes",
            Self::OldScopes => "old_scopes",
            Self::Lifetimes { .. } => "lifetimes",
            Self::NotExtended => "not_extended",
            Self::KeepRefreshToken { .. } => "keep_refresh_token",
            Self::StalePair => "stale_pair",
            Self::ShrinkScopes { .. } => "shrink_scopes",
            Self::RotationGrace { .. } => "rotation_grace",
            Self::FamilyRevoke => "family_revoke",
        }
    }

    /// Whether the effect can show in this operation when the switch names none, so that `next` is not used up by
    /// calls it does not concern. The consent pages are spared unless they are named.
    pub(super) fn concerns(&self, operation: Operation) -> bool {
        match self {
            Self::Deny | Self::FewerScopes { .. } | Self::OldScopes => operation == Operation::Consent,
            Self::Lifetimes { .. } => matches!(operation, Operation::Exchange | Operation::Refresh),
            Self::WrongSecret => {
                matches!(
                    operation,
                    Operation::Exchange | Operation::Refresh | Operation::Revoke | Operation::Inspect
                )
            }
            Self::NotExtended
            | Self::KeepRefreshToken { .. }
            | Self::StalePair
            | Self::ShrinkScopes { .. }
            | Self::RotationGrace { .. }
            | Self::FamilyRevoke => operation == Operation::Refresh,
            _ => !matches!(operation, Operation::Dialog | Operation::Consent),
        }
    }
}
