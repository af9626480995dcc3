//! What fate and people have left to do: the bounds of a search.

use std::fmt::{Display, Formatter, Result};

/// How often each thing may still happen.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Fate {
    /// Attempts in all, retries included; at most `ROWS`.
    pub attempts: u8,
    /// Refreshes that somebody wants.
    pub wants: u8,
    /// kill -9 of any process, at any step.
    pub kills: u8,
    /// Redis loses everything.
    pub flushes: u8,
    /// A connection breaks: a sent call is never seen, or an answer never arrives.
    pub cuts: u8,
    /// 5xx although the token was rotated.
    pub lies: u8,
    /// 5xx, and nothing happened.
    pub troubles: u8,
    /// `invalid_grant` although the token is good.
    pub mistakes: u8,
    pub disconnects: u8,
    pub reconnects: u8,
    /// One of several accounts is taken off.
    pub detaches: u8,
    /// The person withdraws the grant at the platform.
    pub withdrawals: u8,
    /// The access token's end passes.
    pub ends: u8,
}

impl Fate {
    /// One refresh is wanted, and its retry may be followed by another attempt. No faults.
    pub fn calm() -> Self {
        Self {
            attempts: 3,
            wants: 1,
            ..Self::default()
        }
    }
}

impl Display for Fate {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        let all = [
            (self.attempts, "attempts"),
            (self.wants, "wanted"),
            (self.kills, "kills"),
            (self.flushes, "flushes"),
            (self.cuts, "cuts"),
            (self.lies, "lies"),
            (self.troubles, "5xx"),
            (self.mistakes, "wrong refusals"),
            (self.disconnects, "disconnects"),
            (self.reconnects, "reconnects"),
            (self.detaches, "detaches"),
            (self.withdrawals, "withdrawals"),
            (self.ends, "ends"),
        ];
        let named = all
            .iter()
            .filter(|(often, _)| *often > 0)
            .map(|(often, what)| format!("{often} {what}"));
        to.write_str(&named.collect::<Vec<_>>().join(", "))
    }
}
