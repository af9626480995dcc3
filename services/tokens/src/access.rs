//! Handing out access tokens: from memory when the token is fresh and was confirmed within the second, else from the database,
//! renewed first where it does not live long enough.
//!
//! A refresh that fails or takes too long does not take away a token that is still valid. A dead grant hands out nothing.

pub mod memory;

use std::sync::Arc;
use std::time::Duration;

use kit::Secret;
use kit::telemetry::Once;
use metrics::Counter;
use proto::common::v1::ErrorClass;
use tokio::time::Instant;

use crate::Error;
use crate::engine::{Engine, FORGET};
use crate::model::schedule::{end, is_pausing_for_reader, may_refresh, too_short};
use crate::model::{Grant, Refusal, State};
use crate::refresh::Why;
use crate::store::audit::Read;
use crate::store::grants::{Attached, Stored};
use crate::vault::Place;
use memory::Entry;

/// Problem of a destination that the person has lost.
const ROLE_LOST: &str = "platform_role_lost";
/// Longest that a reader waits for a renewal while the stored token is still valid.
const PATIENCE: Duration = Duration::from_secs(5);
/// Kept back of the caller's time for the way home.
const MARGIN: Duration = Duration::from_millis(200);

static FROM_MEMORY: Once<Counter> = Once::new(|| metrics::counter!("tokens_read_total", "source" => "memory"));
static FROM_DATABASE: Once<Counter> = Once::new(|| metrics::counter!("tokens_read_total", "source" => "database"));

/// Who asks for which token.
pub struct Wish<'a> {
    /// Name of the calling service.
    pub caller: &'a Arc<str>,
    /// Whose account.
    pub workspace_id: &'a str,
    /// Which account.
    pub account_id: &'a str,
    /// The token should live at least so long.
    pub min_ttl_ms: i64,
    /// When the answer is no longer wanted.
    pub deadline: Instant,
}

impl Engine {
    /// A working token for one account, its release audited.
    pub async fn access(&self, wish: &Wish<'_>) -> Result<Arc<Entry>, Error> {
        let now = self.now();
        let remembered = self.memory.fresh(wish.account_id);
        let served =
            remembered.filter(|entry| *entry.workspace_id == *wish.workspace_id && entry.serves(wish.min_ttl_ms, now));
        let (entry, reads) = match served {
            Some(entry) => (entry, &FROM_MEMORY),
            None => (self.fetch(wish).await?, &FROM_DATABASE),
        };
        let read = Read {
            caller: wish.caller.clone(),
            workspace_id: entry.workspace_id.clone(),
            account_id: entry.account_id.clone(),
            grant_id: entry.grant_id.clone(),
            generation: entry.generation,
            read_at_ms: now,
        };
        self.audit.record(read).await?;
        reads.get().increment(1);
        Ok(entry)
    }

    async fn fetch(&self, wish: &Wish<'_>) -> Result<Arc<Entry>, Error> {
        let (entry, grant) = self.load(wish).await?;
        let now = self.now();
        let traits = self.platforms.traits(&grant.connector).await?;
        let ended = entry.expires_at_ms > 0 && entry.expires_at_ms <= now;
        if ended && entry.own {
            // The destination's own token has an end and it passed: the grant makes a new one.
            self.derive(&grant).await?;
            return self.best_after(wish, false).await;
        }
        let short = entry.renewable && too_short(&grant, wish.min_ttl_ms, now);
        if short && may_refresh(&grant, &traits, now) && !is_pausing_for_reader(&grant, now) {
            let patience = if grant.access_ended(now) {
                Duration::MAX
            } else {
                PATIENCE
            };
            let left = wish
                .deadline
                .saturating_duration_since(Instant::now())
                .saturating_sub(MARGIN);
            // The refresh goes on when this wait ends.
            let waited = tokio::time::timeout(left.min(patience), self.refresh(&grant, Why::Lazy)).await;
            return self.best_after(wish, waited.is_err()).await;
        }
        if ended { Err(no_token(&grant)) } else { Ok(entry) }
    }

    /// The best there is after a renewal was tried.
    async fn best_after(&self, wish: &Wish<'_>, too_slow: bool) -> Result<Arc<Entry>, Error> {
        let (entry, grant) = self.load(wish).await?;
        match entry.expires_at_ms == 0 || entry.expires_at_ms > self.now() {
            true => Ok(entry),
            false if too_slow => Err(Error::TooSlow),
            false => Err(no_token(&grant)),
        }
    }

    /// Reads the account's token from the database and remembers it.
    async fn load(&self, wish: &Wish<'_>) -> Result<(Arc<Entry>, Grant), Error> {
        let asked_at = self.memory.moment();
        let found = self.store.account(wish.workspace_id, wish.account_id).await?;
        let (stored, account) = found.ok_or(Error::NoSuchAccount)?;
        let grant = &stored.grant;
        match grant.state {
            State::Active | State::Suspect => {}
            State::Dead => return Err(Error::Dead(grant.dead.clone().unwrap_or_else(expired))),
            State::Revoked => return Err(Error::NoSuchAccount),
        }
        if end(grant).is_some_and(|end| end <= self.now()) {
            return Err(Error::Dead(expired()));
        }
        // What remains would be the person's token: nothing of the destination is done with that.
        if account.sealed_derived.is_none() && account.problem == ROLE_LOST {
            let why = "the person has no role there any more";
            return Err(Error::Dead(Refusal::new(ErrorClass::RoleLost, ROLE_LOST, why)));
        }
        let entry = Arc::new(self.entry(wish, &stored, &account, asked_at)?);
        self.memory.keep(&entry);
        Ok((entry, stored.grant))
    }

    fn entry(&self, wish: &Wish<'_>, stored: &Stored, account: &Attached, asked_at: u64) -> Result<Entry, Error> {
        let grant = &stored.grant;
        let credential = self.store.credential(stored)?.ok_or(Error::NoSuchAccount)?;
        // The destination's own token when it has one: a Page publishes as itself.
        let (token, expires_at_ms, own) = match &account.sealed_derived {
            Some(sealed) => {
                let place = Place(&grant.workspace_id, &account.account_id, "derived", 0);
                (
                    self.store.vault().token(place, sealed)?,
                    account.derived_expires_at_ms,
                    true,
                )
            }
            None => (Secret::new(credential.access_token), grant.access_expires_at_ms, false),
        };
        Ok(Entry {
            workspace_id: wish.workspace_id.into(),
            account_id: wish.account_id.into(),
            grant_id: grant.id.as_str().into(),
            token,
            token_type: if credential.token_type.is_empty() {
                "Bearer".to_owned()
            } else {
                credential.token_type
            },
            expires_at_ms,
            issued_at_ms: grant.issued_at_ms,
            own,
            renewable: !own && grant.next_refresh_at_ms > 0,
            generation: grant.generation,
            version: grant.version,
            scopes: grant.granted_scopes.clone(),
            connector: grant.connector.clone(),
            platform_account_id: account.platform_account_id.clone(),
            life: self.memory.life(&grant.id, asked_at),
        })
    }

    /// Forgets what other replicas changed, sooner than the second that it would last otherwise.
    pub async fn listen(&self) {
        while !self.draining() {
            if let Ok(mut wakeups) = self.shared.subscribe(FORGET).await {
                loop {
                    tokio::select! {
                        () = self.shutdown.cancelled() => return,
                        grant_id = wakeups.recv() => self.memory.forget_grant(&String::from_utf8_lossy(&grant_id)),
                    }
                }
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

fn expired() -> Refusal {
    Refusal::new(ErrorClass::Expired, "expired", "the token's end passed")
}

/// There is none now: for good, or until the platform can be reached.
fn no_token(grant: &Grant) -> Error {
    match (&grant.dead, grant.state.is_live() && grant.next_refresh_at_ms > 0) {
        (Some(dead), _) => Error::Dead(dead.clone()),
        (None, true) => Error::NoTokenNow(grant.last_error.clone()),
        (None, false) => Error::Dead(expired()),
    }
}
