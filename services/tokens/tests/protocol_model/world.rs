//! What there is at one moment: the grant's row, its attempts, two tokens processes, the platform, and what fate has left to do.
//!
//! Small and comparable, so that millions fit. Two processes are alike: a world and its mirror image count as one. Time is
//! relative: of an attempt only matters whether its deadline and the takeover threshold have passed.

use std::mem::swap;

/// A refresh token (or, where the access token renews itself, that one): its lineage times `LINE`, plus its number in it.
pub type Token = u8;
/// Tokens of one lineage.
const LINE: u8 = 8;
/// Attempts in one run, retries included. What would need more is cut off and counted.
pub const ROWS: usize = 4;

/// The first token of a lineage; lineage 0 is the first sign-in, 1 the reconnect.
pub fn first(lineage: usize) -> Token {
    u8::try_from(lineage).unwrap() * LINE + 1
}

/// Which sign-in a token comes from.
pub fn lineage(token: Token) -> usize {
    usize::from(token / LINE)
}

/// A set of tokens.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Tokens(u16);

impl Tokens {
    pub fn add(&mut self, token: Token) {
        self.0 |= 1 << token;
    }

    pub fn has(self, token: Token) -> bool {
        self.0 & (1 << token) != 0
    }

    pub fn clear(&mut self) {
        self.0 = 0;
    }
}

/// What the platform says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Answer {
    Renewed(Token),
    /// `invalid_grant`.
    Refused,
    /// A 5xx.
    Trouble,
}

impl Answer {
    pub fn token(self) -> Option<Token> {
        if let Self::Renewed(token) = self { Some(token) } else { None }
    }
}

/// As in the table of attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Row {
    /// There is none yet.
    None,
    Open,
    Unknown,
    Applied,
    /// Refused or transient.
    Closed,
    Abandoned,
    Reconnected,
    /// Closed, and nothing of it is left anywhere.
    Gone,
}

/// The platforms service's call for an attempt, while that process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Call {
    None,
    /// Sent; the platform has not looked at it yet.
    Sent,
    /// The platform has answered; on the wire or in the memory of the platforms service.
    Answered(Answer),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Attempt {
    pub row: Row,
    pub parent: u8,
    pub owner: u8,
    /// The owner has been restarted since.
    pub former_life: bool,
    /// 0, 1 = the deadline has passed, 2 = it may be taken over.
    pub age: u8,
    /// What it spends.
    pub token: Token,
    /// In the database.
    pub receipt: Option<Answer>,
    /// In Redis.
    pub kept: Option<Answer>,
    /// In Redis: it was sent.
    pub marker: bool,
    pub call: Call,
    /// Sent by a platforms process that has died: the platform may still see it, nobody hears the answer.
    pub ghost: bool,
    /// Given up by the rules: a second call beside it is the retry that the promise speaks of.
    pub retried: bool,
}

impl Attempt {
    pub const NONE: Self = Self {
        row: Row::None,
        parent: 0,
        owner: 0,
        former_life: false,
        age: 0,
        token: 0,
        receipt: None,
        kept: None,
        marker: false,
        call: Call::None,
        ghost: false,
        retried: false,
    };

    pub fn is_unfinished(&self) -> bool {
        matches!(self.row, Row::Open | Row::Unknown)
    }

    pub fn in_flight(&self) -> bool {
        self.ghost || self.call != Call::None
    }
}

/// Who waits for an answer, and what it does without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Asking {
    /// It made the attempt: without an answer the attempt is unknown.
    Own,
    /// It adopted the attempt: without an answer it makes one retry.
    Adopted,
}

/// What a tokens process is doing. One that is stopped simply does not step while others and time do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Task {
    Killed,
    Idle,
    /// The row is there; nothing was sent.
    Claimed(u8),
    Waiting(u8, Asking),
    /// The answer is in memory only.
    Holding(u8, Answer),
    /// The answer is in the database; nobody has read it.
    Keeping(u8, Answer),
}

impl Task {
    pub fn at(self) -> Option<usize> {
        match self {
            Self::Killed | Self::Idle => None,
            Self::Claimed(at) | Self::Waiting(at, _) | Self::Holding(at, _) | Self::Keeping(at, _) => Some(usize::from(at)),
        }
    }

    pub fn holds(self) -> Option<Token> {
        match self {
            Self::Holding(_, answer) | Self::Keeping(_, answer) => answer.token(),
            _ => None,
        }
    }
}

/// The grant's row, as far as it decides anything here.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stored {
    pub generation: u8,
    pub state: tokens::model::State,
    pub refusals: u8,
    pub troubled: bool,
    pub refused_for_good: bool,
    /// The access token's end has passed.
    pub ended: bool,
    /// 0 = destroyed.
    pub token: Token,
}

/// One lineage at the platform.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Chain {
    /// 0 = never begun.
    pub newest: Token,
    /// Withdrawn by the person, or revoked because a spent token came again.
    pub over: bool,
}

/// How often each thing may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fate {
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
    pub disconnects: u8,
    pub reconnects: u8,
    /// One of several accounts is taken off.
    pub detaches: u8,
    /// The person withdraws the grant at the platform.
    pub withdrawals: u8,
    /// The access token's end passes.
    pub ends: u8,
}

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
    pub broken: Option<&'static str>,
    /// It would need more attempts than there is room for.
    pub beyond: bool,
}

impl World {
    pub fn new(fate: Fate) -> Self {
        let token = first(0);
        let state = tokens::model::State::Active;
        let chains = [Chain { newest: token, over: false }, Chain::default()];
        Self {
            grant: Stored { generation: 1, state, refusals: 0, troubled: false, refused_for_good: false, ended: false, token },
            attempts: [Attempt::NONE; ROWS],
            tasks: [Task::Idle; 2],
            chains,
            fate,
            lock: None,
            revoking: Tokens::default(),
            excused: Tokens::default(),
            durable: Tokens::default(),
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
        let receipt = |attempt: &Attempt| attempt.receipt == Some(Answer::Renewed(token));
        self.tasks.iter().any(|task| task.holds() == Some(token)) || self.attempts.iter().any(receipt)
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
                *attempt = Attempt { row: Row::Gone, age: 2, ..Attempt::NONE };
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
        let owns = self.attempts.map(|attempt| attempt.is_unfinished() && attempt.owner == who);
        (self.tasks[usize::from(who)], owns, self.lock == Some(who))
    }
}
