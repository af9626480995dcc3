//! tokens' tables. One method is one statement or one transaction; every statement carries a workspace or an id that only the
//! engine knows. A grant is changed by locking its row, applying a rule of `model` to it, and saving it together with what is
//! to be announced.

pub mod attach;
pub mod attempts;
pub mod audit;
pub mod detach;
pub mod due;
pub mod epoch;
pub mod events;
pub mod exchanges;
pub mod grants;
pub mod keys;
pub mod outcome;
pub mod quarantine;
pub mod reseal;
pub mod revocations;

use std::future::Future;
use std::time::Duration;

use kit::db::{self, Db};
use kit::outbox;
use prost::Message;
use proto::tokens::v1 as pb;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::Error;
use crate::model::Grant;
use crate::model::change::Change;
use crate::vault::Vault;
use grants::Attached;

/// Outbox topic of grant changes, delivered to accounts.
pub const GRANT_CHANGE: &str = "grant_change";

/// How often a transaction that lost to another one is tried.
const TRIES: u32 = 8;

/// tokens' database.
#[derive(Clone)]
pub struct Store {
    db: Db,
    vault: Vault,
}

impl Store {
    /// A store over a migrated database.
    pub fn new(db: Db, vault: Vault) -> Self {
        Self { db, vault }
    }

    /// The database, for the outbox relay.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// What opens the sealed columns.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }
}

/// Runs a transaction again when it lost to another one. `work` has no effect outside the transaction.
async fn retry<T, F: Future<Output = Result<T, Error>>>(mut work: impl FnMut() -> F) -> Result<T, Error> {
    let mut tried = 0;
    loop {
        match work().await {
            Err(Error::Database(error)) if tried < TRIES && db::is_contention(&error) => {
                tried += 1;
                tokio::time::sleep(Duration::from_millis(u64::from(tried) * 7)).await;
            }
            done => return done,
        }
    }
}

/// Puts a change into the outbox, in the transaction that makes it true.
async fn announce(tx: &mut db::Tx, grant: &Grant, change: Change, now: i64) -> Result<(), Error> {
    let accounts = grants::accounts(tx, &grant.id).await?;
    announce_with(tx, grant, &accounts, change, now).await
}

/// [`announce`] with the grant's accounts, which the caller has read.
async fn announce_with(
    tx: &mut db::Tx,
    grant: &Grant,
    accounts: &[Attached],
    change: Change,
    now: i64,
) -> Result<(), Error> {
    let message = pb::GrantChange {
        change_id: format!("{}:{}", grant.id, grant.version),
        grant: Some(grant.message(accounts.iter().map(Attached::message).collect())),
        cause: change.cause.into(),
        occurred_at_ms: now,
        announce: change.announce,
        trace: kit::telemetry::current().as_deref().unwrap_or_default().to_owned(),
    };
    let payload = message.encode_to_vec();
    let item = outbox::Item {
        topic: GRANT_CHANGE,
        key: grant.id.clone(),
        seq: grant.version,
        payload,
        due_at_ms: now,
    };
    Ok(outbox::put(tx, &item).await?)
}

fn text(row: &AnyRow, column: &str) -> Result<String, Error> {
    Ok(row.try_get(column)?)
}

fn optional(row: &AnyRow, column: &str) -> Result<Option<String>, Error> {
    Ok(row.try_get(column)?)
}

fn number(row: &AnyRow, column: &str) -> Result<i64, Error> {
    Ok(row.try_get(column)?)
}

fn bytes(row: &AnyRow, column: &str) -> Result<Option<Vec<u8>>, Error> {
    Ok(row.try_get(column)?)
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|_| Error::Unreadable)
}

fn to_json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|_| Error::Unreadable)
}
