//! The small values that a world is made of: tokens, answers, rows and what each process is doing.

/// A refresh token (or, where the access token renews itself, that one): its lineage times `LINE`, plus its number in it.
pub type Token = u8;
/// Tokens of one lineage.
const LINE: u8 = 8;
/// Room for attempts.
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

    pub fn remove(&mut self, token: Token) {
        self.0 &= !(1 << token);
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
        if let Self::Renewed(token) = self {
            Some(token)
        } else {
            None
        }
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
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a column, a key or a fact of its own"
)]
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
    /// By platforms.
    pub kept: Option<Answer>,
    /// platforms knows that it was sent.
    pub marker: bool,
    /// Where platforms knows that: in the memory of a process that lives.
    pub in_memory: bool,
    /// … and in Redis.
    pub in_redis: bool,
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
        in_memory: false,
        in_redis: false,
        call: Call::None,
        ghost: false,
        retried: false,
    };

    pub fn is_unfinished(&self) -> bool {
        matches!(self.row, Row::Open | Row::Unknown)
    }

    /// platforms has forgotten it, unless somebody tells it again.
    pub fn forget(&mut self) {
        (self.kept, self.marker) = (None, false);
        (self.in_memory, self.in_redis) = (false, false);
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
            Self::Claimed(at) | Self::Waiting(at, _) | Self::Holding(at, _) | Self::Keeping(at, _) => {
                Some(usize::from(at))
            }
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

/// What the platform tells of a withdrawal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum News {
    None,
    OnTheWay,
    Told,
}
