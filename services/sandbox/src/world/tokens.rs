//! Grants, tokens and authorization codes. A grant is what a person allowed an app; tokens and codes hang on it and
//! take their scopes from it. Every token that comes into being, is rotated or ends is written to the log.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rand::Rng as _;
use serde::Serialize;

use super::World;
use super::log::{Event, TokenEvent, TokenRef};
use crate::crypto;
use crate::platform::Platform;

/// Why a token no longer works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Death {
    Expired,
    /// The person removed the app, or the app gave the grant back.
    Revoked,
    PasswordChanged,
    Checkpoint,
    LoggedOut,
    /// The person lost the role at the Page the token is for.
    RoleLost,
    /// A newer refresh token took its place.
    Rotated,
    /// LinkedIn: the person consented to another set of scopes.
    ScopesChanged,
    /// A rotated refresh token of the same grant was used.
    FamilyRevoked,
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Meta's token of the first hour.
    Short,
    /// Meta's token of 60 days.
    Long,
    /// Facebook: one Page.
    Page,
    Access,
    Refresh,
}

/// A token that was issued.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) id: u64,
    pub(crate) value: String,
    pub(crate) kind: Kind,
    pub(crate) platform: Platform,
    pub(crate) person: String,
    pub(crate) grant: u64,
    pub(crate) parent: Option<u64>,
    /// The Page of a Page token.
    pub(crate) destination: Option<String>,
    pub(crate) issued_at_ms: i64,
    /// None: no end.
    pub(crate) expires_at_ms: Option<i64>,
    pub(crate) ended: Option<Death>,
    pub(crate) ended_at_ms: i64,
}

impl Token {
    /// The name in the log and in the truth.
    pub(crate) fn label(id: u64) -> String {
        format!("tok_{id}")
    }

    /// Seconds left, rounded up so that a new token has its full life, 0 when over; `None`: no end.
    pub(crate) fn seconds_left(&self, now_ms: i64) -> Option<i64> {
        self.expires_at_ms.map(|end| ((end - now_ms + 999) / 1000).max(0))
    }
}

/// What `World::issue` needs.
pub(crate) struct NewToken {
    pub(crate) kind: Kind,
    pub(crate) grant: u64,
    pub(crate) prefix: &'static str,
    /// Random characters after the prefix.
    pub(crate) length: usize,
    /// None: no end.
    pub(crate) seconds: Option<i64>,
    pub(crate) parent: Option<u64>,
    pub(crate) destination: Option<String>,
}

/// What one person allowed the app of one platform.
#[derive(Clone)]
pub(crate) struct Grant {
    pub(crate) id: u64,
    pub(crate) platform: Platform,
    pub(crate) person: String,
    pub(crate) scopes: BTreeSet<String>,
    /// Asked for and not allowed.
    pub(crate) declined: BTreeSet<String>,
    /// Facebook: the Pages that were ticked.
    pub(crate) destinations: BTreeSet<String>,
    pub(crate) granted_at_ms: i64,
    pub(crate) ended: bool,
}

impl Grant {
    pub(crate) fn has(&self, scope: &str) -> bool {
        self.scopes.contains(scope)
    }

    pub(crate) fn has_all(&self, scopes: &[&str]) -> bool {
        scopes.iter().all(|scope| self.has(scope))
    }
}

/// An authorization code.
#[derive(Clone)]
pub(crate) struct Code {
    pub(crate) platform: Platform,
    pub(crate) grant: u64,
    pub(crate) person: String,
    pub(crate) redirect_uri: String,
    /// Method and challenge, as they were sent.
    pub(crate) challenge: Option<(String, String)>,
    pub(crate) issued_at_ms: i64,
    pub(crate) used: bool,
}

/// Why a code is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodeProblem {
    Unknown,
    Used,
    Late,
}

impl CodeProblem {
    pub(crate) fn outcome(self) -> &'static str {
        match self {
            Self::Unknown => "code unknown",
            Self::Used => "code used",
            Self::Late => "code late",
        }
    }
}

/// Everything that was issued.
#[derive(Default)]
pub(crate) struct Issued {
    tokens: BTreeMap<u64, Token>,
    by_value: HashMap<String, u64>,
    pub(crate) grants: BTreeMap<u64, Grant>,
    codes: HashMap<String, Code>,
    last: u64,
}

impl Issued {
    fn next_id(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

/// Letters and digits nobody can guess.
pub(crate) fn random(length: usize) -> String {
    rand::rng()
        .sample_iter(rand::distr::Alphanumeric)
        .take(length)
        .map(char::from)
        .collect()
}

impl World {
    pub(crate) fn token(&self, value: &str) -> Option<&Token> {
        self.issued
            .by_value
            .get(value)
            .and_then(|id| self.issued.tokens.get(id))
    }

    pub(crate) fn token_ref(&self, value: &str) -> TokenRef {
        TokenRef {
            id: self.token(value).map(|token| Token::label(token.id)),
            fingerprint: crypto::fingerprint(value),
        }
    }

    pub(crate) fn tokens_of(&self, grant: u64) -> impl Iterator<Item = &Token> {
        self.issued.tokens.values().filter(move |token| token.grant == grant)
    }

    pub(crate) fn grant(&self, id: u64) -> Option<&Grant> {
        self.issued.grants.get(&id)
    }

    pub(crate) fn grants(&self) -> impl Iterator<Item = &Grant> {
        self.issued.grants.values()
    }

    pub(crate) fn grant_mut(&mut self, id: u64) -> Option<&mut Grant> {
        self.issued.grants.get_mut(&id)
    }

    /// The newest grant of a person at a platform, ended or not.
    pub(crate) fn grant_of(&self, platform: Platform, person: &str) -> Option<&Grant> {
        self.issued
            .grants
            .values()
            .rev()
            .find(|grant| grant.platform == platform && grant.person == person)
    }

    /// Whether a token works now, and if not, why.
    pub(crate) fn check(&self, token: &Token) -> Result<(), Death> {
        if let Some(death) = token.ended {
            return Err(death);
        }
        let meta = matches!(token.platform, Platform::Facebook | Platform::Instagram);
        if meta && self.person(&token.person).is_some_and(|person| person.checkpoint) {
            return Err(Death::Checkpoint);
        }
        match token.expires_at_ms {
            Some(end) if end <= self.now_ms() => Err(Death::Expired),
            _ => Ok(()),
        }
    }

    /// Stores a grant under a new number, or over `replaces`.
    pub(crate) fn store_grant(&mut self, mut grant: Grant, replaces: Option<u64>) -> u64 {
        grant.id = replaces.unwrap_or_else(|| self.issued.next_id());
        let id = grant.id;
        self.log_grant(&grant, "consented");
        self.issued.grants.insert(id, grant);
        id
    }

    pub(crate) fn log_grant(&mut self, grant: &Grant, change: &str) {
        let event = Event::Grant {
            platform: grant.platform,
            person: grant.person.clone(),
            grant: grant.id,
            scopes: grant.scopes.iter().cloned().collect(),
            change: change.to_owned(),
        };
        self.record(event);
    }

    pub(crate) fn issue(&mut self, new: NewToken) -> Token {
        let now = self.now_ms();
        let grant = self.issued.grants.get(&new.grant);
        let (platform, person) = grant.map_or((Platform::X, String::new()), |grant| {
            (grant.platform, grant.person.clone())
        });
        let token = Token {
            id: self.issued.next_id(),
            value: format!("{}{}", new.prefix, random(new.length)),
            kind: new.kind,
            platform,
            person,
            grant: new.grant,
            parent: new.parent,
            destination: new.destination,
            issued_at_ms: now,
            expires_at_ms: new.seconds.map(|seconds| now + seconds * 1000),
            ended: None,
            ended_at_ms: 0,
        };
        self.issued.by_value.insert(token.value.clone(), token.id);
        self.issued.tokens.insert(token.id, token.clone());
        self.log_token(&token, TokenEvent::Issued);
        token
    }

    /// Ends a token; one that has ended keeps its first reason.
    pub(crate) fn end_token(&mut self, id: u64, death: Death) {
        let now = self.now_ms();
        let Some(token) = self.issued.tokens.get_mut(&id).filter(|token| token.ended.is_none()) else {
            return;
        };
        token.ended = Some(death);
        token.ended_at_ms = now;
        let token = token.clone();
        let event = if death == Death::Rotated {
            TokenEvent::Rotated
        } else {
            TokenEvent::Ended
        };
        self.log_token(&token, event);
    }

    /// Ends the tokens of a grant that `which` picks.
    pub(crate) fn end_tokens(&mut self, grant: u64, death: Death, which: impl Fn(&Token) -> bool) {
        let ids: Vec<u64> = self
            .tokens_of(grant)
            .filter(|token| which(token))
            .map(|token| token.id)
            .collect();
        for id in ids {
            self.end_token(id, death);
        }
    }

    /// Ends a grant and all its tokens.
    pub(crate) fn end_grant(&mut self, id: u64, death: Death) {
        let Some(grant) = self.issued.grants.get_mut(&id) else {
            return;
        };
        grant.ended = true;
        let grant = grant.clone();
        self.log_grant(&grant, "ended");
        self.end_tokens(id, death, |_| true);
    }

    /// Moves the end of a token that is renewed in place.
    pub(crate) fn extend_token(&mut self, id: u64, seconds: i64) {
        let now = self.now_ms();
        let Some(token) = self.issued.tokens.get_mut(&id) else {
            return;
        };
        token.issued_at_ms = now;
        token.expires_at_ms = Some(now + seconds * 1000);
        let token = token.clone();
        self.log_token(&token, TokenEvent::Extended);
    }

    /// Moves the end of the tokens that `which` picks to some seconds from now.
    pub(crate) fn expire_tokens(&mut self, grant: u64, in_seconds: i64, which: impl Fn(&Token) -> bool) {
        let end = self.now_ms() + in_seconds * 1000;
        let chosen = self
            .issued
            .tokens
            .values_mut()
            .filter(|token| token.grant == grant && which(token));
        chosen.for_each(|token| token.expires_at_ms = Some(end));
    }

    fn log_token(&mut self, token: &Token, event: TokenEvent) {
        let entry = Event::Token {
            event,
            id: Token::label(token.id),
            fingerprint: crypto::fingerprint(&token.value),
            token_kind: token.kind,
            platform: token.platform,
            person: token.person.clone(),
            grant: token.grant,
            parent: token.parent.map(Token::label),
            destination: token.destination.clone(),
            expires_at_ms: token.expires_at_ms,
            reason: token.ended,
            request: self.request,
        };
        self.record(entry);
    }

    pub(crate) fn store_code(&mut self, value: &str, code: Code) {
        self.issued.codes.insert(value.to_owned(), code);
    }

    pub(crate) fn code_person(&self, value: &str) -> Option<&str> {
        self.issued.codes.get(value).map(|code| code.person.as_str())
    }

    /// Looks a code up without using it.
    pub(crate) fn code(&self, platform: Platform, value: &str, life_seconds: i64) -> Result<Code, CodeProblem> {
        let code = self.issued.codes.get(value).filter(|code| code.platform == platform);
        let code = code.ok_or(CodeProblem::Unknown)?;
        if code.used {
            return Err(CodeProblem::Used);
        }
        if self.now_ms() >= code.issued_at_ms + life_seconds * 1000 {
            return Err(CodeProblem::Late);
        }
        Ok(code.clone())
    }

    pub(crate) fn use_code(&mut self, value: &str) {
        if let Some(code) = self.issued.codes.get_mut(value) {
            code.used = true;
        }
    }
}
