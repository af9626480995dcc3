//! What there is at one moment: the grant's row, its attempts, two tokens processes, the platform, and what fate has left to do.
//!
//! Small and comparable, so that millions fit. Two processes are alike: a world and its mirror image count as one. Time is
//! relative: of an attempt only matters whether its deadline and the takeover threshold have passed.

use std::mem::swap;

use crate::fate::Fate;
use crate::rows::{Answer, Attempt, Chain, News, ROWS, Row, Stored, Task, Token, Tokens, first};

/// Everything at one moment.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub grant: Stored,
    pub attempts: [Attempt; ROWS],
    pub tasks: [Task; 2],
    pub chains: [Chain; 2],
    pub fate: Fate,
    /// Who has the lock, where there is one.
    pub lock: Option<u8>,
    /// In the list of what is to be ended at the platform.
    pub revoking: Tokens,
    /// Whose only copy was destroyed by a death, a cut, a lie or a flush.
    pub excused: Tokens,
    /// Kept in a receipt, and that receipt was not flushed.
    pub durable: Tokens,
    /// The person has disconnected, and not reconnected since.
    pub disconnected: bool,
    /// Of a withdrawal at the platform.
    pub news: News,
    pub broken: Option<&'static str>,
    /// It would need more attempts than there is room for.
    pub beyond: bool,
}

impl World {
    pub fn new(fate: Fate) -> Self {
        let token = first(0);
        let state = tokens::model::State::Active;
        let chains = [
            Chain {
                newest: token,
                over: false,
            },
            Chain::default(),
        ];
        Self {
            grant: Stored {
                generation: 1,
                state,
                refusals: 0,
                troubled: false,
                refused_for_good: false,
                ended: false,
                token,
            },
            attempts: [Attempt::NONE; ROWS],
            tasks: [Task::Idle; 2],
            chains,
            fate,
            lock: None,
            revoking: Tokens::default(),
            excused: Tokens::default(),
            durable: Tokens::default(),
            disconnected: false,
            news: News::None,
            broken: None,
            beyond: false,
        }
    }

    /// The attempts that are in the table.
    pub fn rows(&self) -> usize {
        self.attempts.iter().filter(|attempt| attempt.row != Row::None).count()
    }

    pub fn unfinished(&self) -> Option<usize> {
        self.attempts.iter().position(Attempt::is_unfinished)
    }

    pub fn is_running(&self, who: usize, at: usize) -> bool {
        self.tasks[who].at() == Some(at)
    }

    /// Nobody does anything, nothing is on its way, and every attempt has an outcome.
    pub fn is_calm(&self) -> bool {
        let quiet = |attempt: &Attempt| !attempt.is_unfinished() && !attempt.in_flight();
        self.tasks == [Task::Idle; 2] && self.attempts.iter().all(quiet)
    }

    /// Is a copy of this token anywhere in the hub, other than in Redis?
    pub fn holds(&self, token: Token) -> bool {
        self.stores(token) || self.tasks.iter().any(|task| task.holds() == Some(token))
    }

    /// Is it in the database?
    pub fn stores(&self, token: Token) -> bool {
        self.grant.token == token
            || self
                .attempts
                .iter()
                .any(|attempt| attempt.receipt == Some(Answer::Renewed(token)))
    }

    /// Its last copy was destroyed by fate, before any receipt of it was kept.
    pub fn is_explained(&self, token: Token) -> bool {
        self.excused.has(token) && !self.durable.has(token)
    }

    pub fn break_if(&mut self, broken: bool, property: &'static str) {
        if broken && self.broken.is_none() {
            self.broken = Some(property);
        }
    }

    /// Forgets what cannot matter any more, and turns the world so that mirror images are equal.
    pub fn normalize(&mut self) {
        for at in 0..ROWS {
            let running = self.tasks.iter().any(|task| task.at() == Some(at));
            let attempt = &mut self.attempts[at];
            if attempt.row == Row::None || attempt.is_unfinished() {
                continue;
            }
            (attempt.owner, attempt.former_life) = (0, false);
            let something = attempt.in_flight() || attempt.receipt.is_some() || attempt.kept.is_some();
            if !running && !something {
                *attempt = Attempt {
                    row: Row::Gone,
                    age: 2,
                    ..Attempt::NONE
                };
            }
        }
        if self.key(1) < self.key(0) {
            let [one, other] = &mut self.tasks;
            swap(one, other);
            self.lock = self.lock.map(|who| 1 - who);
            for attempt in self.attempts.iter_mut().filter(|attempt| attempt.is_unfinished()) {
                attempt.owner = 1 - attempt.owner;
            }
        }
    }

    fn key(&self, who: u8) -> (Task, [bool; ROWS], bool) {
        let owns = self
            .attempts
            .map(|attempt| attempt.is_unfinished() && attempt.owner == who);
        (self.tasks[usize::from(who)], owns, self.lock == Some(who))
    }
}
