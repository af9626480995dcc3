//! The log of everything the sandbox was asked and everything it issued: the truth that a history checker compares
//! with. Entries are numbered without gaps; a reader keeps the number of the last one it saw. It holds fingerprints,
//! never a token.

use std::collections::VecDeque;

use serde::Serialize;

use super::tokens::{Death, Kind};
use crate::platform::{Operation, Platform};

/// Entries kept; older ones go first.
const CAPACITY: usize = 200_000;

/// A token as the log names it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TokenRef {
    /// `tok_12`; absent when the sandbox never issued it.
    pub(crate) id: Option<String>,
    pub(crate) fingerprint: String,
}

/// What was known of a request when it arrived.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Arrival {
    pub(crate) request: u64,
    pub(crate) platform: Platform,
    pub(crate) operation: Operation,
    pub(crate) method: String,
    /// Without the query.
    pub(crate) path: String,
    pub(crate) person: Option<String>,
    /// The access token, refresh token or token to exchange that was sent.
    pub(crate) token: Option<TokenRef>,
    /// Requests with the same token and operation that were unanswered at arrival, this one included.
    pub(crate) in_flight: usize,
    /// Whether the token that was sent could no longer be used at arrival.
    pub(crate) token_was_dead: bool,
    /// Switches that this call is under.
    pub(crate) switches: Vec<&'static str>,
}

/// Something that happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Event {
    /// A request arrived; its `Request` entry follows when it was dealt with.
    Received {
        #[serde(flatten)]
        arrival: Arrival,
    },
    /// A request was dealt with. `outcome`: `ok`, a refusal, `hung`, `dropped`; `status` as sent, 0 when nothing was.
    Request {
        #[serde(flatten)]
        arrival: Arrival,
        arrived_at_ms: i64,
        status: u16,
        outcome: String,
    },
    /// A token was issued, `rotated` (a successor took its place), extended or ended.
    Token {
        event: TokenEvent,
        id: String,
        fingerprint: String,
        token_kind: Kind,
        platform: Platform,
        person: String,
        grant: u64,
        parent: Option<String>,
        destination: Option<String>,
        expires_at_ms: Option<i64>,
        reason: Option<Death>,
        /// The request that caused it; absent for actions of the control API.
        request: Option<u64>,
    },
    /// A person answered the consent page, or their grant changed by an action.
    Grant {
        platform: Platform,
        person: String,
        grant: u64,
        scopes: Vec<String>,
        change: String,
    },
    /// A deauthorize callback or webhook was sent.
    Callback {
        platform: Platform,
        person: String,
        what: String,
        status: Option<u16>,
    },
    /// Everything before this entry is history of an earlier world.
    Reset,
}

/// What happened to a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TokenEvent {
    Issued,
    Rotated,
    Extended,
    Ended,
}

/// One numbered entry.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Entry {
    pub(crate) seq: u64,
    /// By the sandbox's clock.
    pub(crate) at_ms: i64,
    #[serde(flatten)]
    pub(crate) event: Event,
}

/// The log.
#[derive(Default)]
pub(crate) struct Log {
    entries: VecDeque<Entry>,
    last: u64,
}

impl Log {
    pub(crate) fn add(&mut self, at_ms: i64, event: Event) {
        self.last += 1;
        if self.entries.len() == CAPACITY {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry {
            seq: self.last,
            at_ms,
            event,
        });
    }

    /// At most `limit` entries with a number above `after`.
    pub(crate) fn after(&self, after: u64, limit: usize) -> Vec<Entry> {
        let first = self.entries.front().map_or(0, |entry| entry.seq);
        let skip = usize::try_from((after + 1).saturating_sub(first)).unwrap_or(usize::MAX);
        self.entries.iter().skip(skip).take(limit).cloned().collect()
    }

    /// Number of the newest entry.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Forgets the entries, keeps counting.
    pub(crate) fn reset(&mut self, at_ms: i64) {
        self.entries.clear();
        self.add(at_ms, Event::Reset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_sees_each_entry_once_and_survives_a_reset() {
        let mut log = Log::default();
        log.add(1, Event::Reset);
        log.add(2, Event::Reset);
        let seen: Vec<u64> = log.after(1, 10).iter().map(|entry| entry.seq).collect();
        assert_eq!(seen, [2]);
        log.reset(3);
        let seen: Vec<u64> = log.after(2, 10).iter().map(|entry| entry.seq).collect();
        assert_eq!(seen, [3]);
        assert!(log.after(3, 10).is_empty());
    }
}
