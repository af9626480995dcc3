//! Refresh tokens that rotate (X, TikTok): single use, the successor at once, and the lies a switch may ask for.

use super::tokens::{Death, Kind, NewToken, Token};
use crate::platform::Cx;
use crate::switches::{Effect, GracePair, Kept};

/// How a platform's tokens look and live.
#[derive(Clone, Copy)]
pub(crate) struct Mint {
    pub(crate) access_prefix: &'static str,
    pub(crate) refresh_prefix: &'static str,
    pub(crate) length: usize,
    pub(crate) access_seconds: i64,
    pub(crate) refresh_seconds: i64,
}

/// What a token reply is made of.
pub(crate) struct Pair {
    pub(crate) access: Token,
    pub(crate) refresh: Option<Token>,
    /// What the reply says about a refresh token that stayed.
    pub(crate) kept: Option<Kept>,
}

impl Mint {
    /// The first access token of a grant, or the next one.
    pub(crate) fn access(self, cx: &mut Cx<'_>, grant: u64, parent: Option<u64>) -> Token {
        let seconds = cx.effects.access_seconds(self.access_seconds);
        cx.world.issue(NewToken {
            kind: Kind::Access,
            grant,
            prefix: self.access_prefix,
            length: self.length,
            seconds: Some(seconds),
            parent,
            destination: None,
        })
    }

    pub(crate) fn refresh(self, cx: &mut Cx<'_>, grant: u64, parent: Option<u64>) -> Token {
        let seconds = cx.effects.refresh_seconds(self.refresh_seconds);
        cx.world.issue(NewToken {
            kind: Kind::Refresh,
            grant,
            prefix: self.refresh_prefix,
            length: self.length,
            seconds: Some(seconds),
            parent,
            destination: None,
        })
    }
}

/// Uses a refresh token. The error says why it is dead.
pub(crate) fn rotate(cx: &mut Cx<'_>, token: &Token, mint: Mint) -> Result<Pair, Death> {
    if let Err(death) = cx.world.check(token) {
        return if death == Death::Rotated {
            reuse(cx, token, mint)
        } else {
            Err(death)
        };
    }
    if let Some(remove) = cx.effects.find(|effect| match effect {
        Effect::ShrinkScopes { remove } => Some(remove),
        _ => None,
    }) {
        cx.world.shrink_scopes(token.grant, remove);
    }
    if cx.effects.any(|effect| matches!(effect, Effect::StalePair))
        && let Some(access) = newest(cx, token.grant, Kind::Access)
    {
        return Ok(Pair {
            access,
            refresh: Some(token.clone()),
            kept: None,
        });
    }
    let kept = cx.effects.find(|effect| match effect {
        Effect::KeepRefreshToken { answer } => Some(*answer),
        _ => None,
    });
    let access = mint.access(cx, token.grant, Some(token.id));
    if kept.is_some() {
        return Ok(Pair {
            access,
            refresh: Some(token.clone()),
            kept,
        });
    }
    let refresh = mint.refresh(cx, token.grant, Some(token.id));
    cx.world.end_token(token.id, Death::Rotated);
    Ok(Pair {
        access,
        refresh: Some(refresh),
        kept: None,
    })
}

/// A refresh token that was rotated already is used once more.
fn reuse(cx: &mut Cx<'_>, token: &Token, mint: Mint) -> Result<Pair, Death> {
    let grace = cx.effects.find(|effect| match effect {
        Effect::RotationGrace { seconds, pair } => Some((*seconds, *pair)),
        _ => None,
    });
    if let Some((seconds, pair)) = grace
        && cx.world.now_ms() < token.ended_at_ms + seconds * 1000
    {
        return Ok(match pair {
            GracePair::Same => children(cx, token),
            GracePair::New => None,
        }
        .unwrap_or_else(|| Pair {
            access: mint.access(cx, token.grant, Some(token.id)),
            refresh: Some(mint.refresh(cx, token.grant, Some(token.id))),
            kept: None,
        }));
    }
    if cx.effects.any(|effect| matches!(effect, Effect::FamilyRevoke)) {
        cx.world.end_grant(token.grant, Death::FamilyRevoked);
    }
    Err(Death::Rotated)
}

/// The pair that the first use of a refresh token made.
fn children(cx: &Cx<'_>, token: &Token) -> Option<Pair> {
    let child = |kind: Kind| {
        let mut of_kind = cx.world.tokens_of(token.grant).filter(|other| other.kind == kind);
        of_kind.find(|other| other.parent == Some(token.id)).cloned()
    };
    Some(Pair {
        access: child(Kind::Access)?,
        refresh: child(Kind::Refresh),
        kept: None,
    })
}

fn newest(cx: &Cx<'_>, grant: u64, kind: Kind) -> Option<Token> {
    cx.world
        .tokens_of(grant)
        .filter(|token| token.kind == kind)
        .last()
        .cloned()
}

impl super::World {
    /// Takes scopes away from a grant.
    pub(crate) fn shrink_scopes(&mut self, grant: u64, remove: &[String]) {
        let Some(grant) = self.grant_mut(grant) else { return };
        for scope in remove {
            if grant.scopes.remove(scope) {
                grant.declined.insert(scope.clone());
            }
        }
        let grant = grant.clone();
        self.log_grant(&grant, "scopes shrunk");
    }
}
