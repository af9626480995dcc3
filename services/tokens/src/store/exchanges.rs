//! Rows of `exchanges`: one authorization code traded, step by step, each step kept before the next begins.

use proto::platforms::v1::{self as platforms, Answers, Credential, DiscoverResponse};
use sqlx::any::AnyRow;

use super::revocations::{Queued, queue, spare};
use super::{Store, bytes, json, optional, retry, text, to_json};
use crate::Error;
use crate::model::{Refusal, Traits};
use crate::vault::Place;

/// How far an exchange is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing is known of an answer.
    Open,
    /// The raw answer is kept.
    Received,
    /// There is a credential.
    Exchanged,
    /// Identity and destinations are known.
    Discovered,
    /// A grant has it.
    Attached,
    /// It will not succeed.
    Failed,
    /// Thrown away.
    Discarded,
}

impl Step {
    const ALL: [Self; 7] = [
        Self::Open,
        Self::Received,
        Self::Exchanged,
        Self::Discovered,
        Self::Attached,
        Self::Failed,
        Self::Discarded,
    ];

    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Received => "received",
            Self::Exchanged => "exchanged",
            Self::Discovered => "discovered",
            Self::Attached => "attached",
            Self::Failed => "failed",
            Self::Discarded => "discarded",
        }
    }
}

/// A row of `exchanges`, still sealed.
pub struct Exchange {
    /// Of the connect session.
    pub session_id: String,
    /// Of the connect session.
    pub workspace_id: String,
    /// Which platform and method.
    pub connector: String,
    /// How far it is.
    pub step: Step,
    /// The grant that has it.
    pub grant_id: Option<String>,
    /// Why it failed.
    pub error: Option<Refusal>,
    request: Option<Vec<u8>>,
    receipt: Option<Vec<u8>>,
    credential: Option<Vec<u8>>,
    discovery: Option<Vec<u8>>,
}

impl Exchange {
    /// A raw answer is kept and was not read.
    pub fn has_receipt(&self) -> bool {
        self.receipt.is_some()
    }

    fn place<'a>(&'a self, field: &'a str) -> Place<'a> {
        Place(&self.workspace_id, &self.session_id, field, 0)
    }
}

impl Store {
    /// Begins an exchange, keeping what a restart needs. A second call finds the first.
    pub async fn begin_exchange(
        &self,
        workspace_id: &str,
        request: &platforms::ExchangeRequest,
        now: i64,
    ) -> Result<(), Error> {
        let sealed = self
            .vault
            .seal(Place(workspace_id, &request.session_id, "request", 0), request)?;
        let sql = "INSERT INTO exchanges (session_id, workspace_id, connector, state, platform_user_id, sealed_request,
                started_at_ms, updated_at_ms) VALUES ($1, $2, $3, 'open', '', $4, $5, $5) ON CONFLICT DO NOTHING";
        let query = sqlx::query(sql)
            .bind(&request.session_id)
            .bind(workspace_id)
            .bind(&request.connector);
        query.bind(sealed).bind(now).execute(self.db.pool()).await?;
        Ok(())
    }

    /// An exchange of a workspace.
    pub async fn exchange(&self, workspace_id: &str, session_id: &str) -> Result<Option<Exchange>, Error> {
        let sql = "SELECT * FROM exchanges WHERE session_id = $1 AND workspace_id = $2";
        let row = sqlx::query(sql)
            .bind(session_id)
            .bind(workspace_id)
            .fetch_optional(self.db.pool())
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// Exchanges that were left on the way: nobody touched them since `before`.
    pub async fn stale_exchanges(&self, before: i64, limit: i64) -> Result<Vec<Exchange>, Error> {
        let sql = "SELECT * FROM exchanges WHERE state IN ('open', 'received', 'exchanged') AND updated_at_ms < $1
             ORDER BY updated_at_ms LIMIT $2";
        sqlx::query(sql)
            .bind(before)
            .bind(limit)
            .fetch_all(self.db.pool())
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// What to ask platforms.
    pub fn exchange_request(&self, exchange: &Exchange) -> Result<Option<platforms::ExchangeRequest>, Error> {
        exchange
            .request
            .as_ref()
            .map(|sealed| self.vault.message(exchange.place("request"), sealed))
            .transpose()
    }

    /// The raw answer.
    pub fn exchange_receipt(&self, exchange: &Exchange) -> Result<Option<Answers>, Error> {
        exchange
            .receipt
            .as_ref()
            .map(|sealed| self.vault.answers(exchange.place("receipt"), sealed))
            .transpose()
    }

    /// The credential, until a grant has it.
    pub fn exchange_credential(&self, exchange: &Exchange) -> Result<Option<Credential>, Error> {
        exchange
            .credential
            .as_ref()
            .map(|sealed| self.vault.credential(exchange.place("credential"), sealed))
            .transpose()
    }

    /// What was discovered, with derived tokens.
    pub fn exchange_discovery(&self, exchange: &Exchange) -> Result<Option<DiscoverResponse>, Error> {
        exchange
            .discovery
            .as_ref()
            .map(|sealed| self.vault.discovery(exchange.place("discovery"), sealed))
            .transpose()
    }

    /// Keeps the raw answer before anybody reads it. The code has been spent, so the request goes.
    pub async fn receive_exchange(&self, exchange: &Exchange, answers: &Answers, now: i64) -> Result<(), Error> {
        let sealed = self.vault.seal(exchange.place("receipt"), answers)?;
        let sql = "UPDATE exchanges SET sealed_receipt = $3, updated_at_ms = $4, sealed_request = NULL,
                state = CASE WHEN state = 'open' THEN 'received' ELSE state END
             WHERE session_id = $1 AND workspace_id = $2 AND sealed_receipt IS NULL AND state IN ('open', 'discarded')";
        let query = sqlx::query(sql)
            .bind(&exchange.session_id)
            .bind(&exchange.workspace_id)
            .bind(sealed)
            .bind(now);
        query.execute(self.db.pool()).await?;
        Ok(())
    }

    /// Keeps the credential. One whose session was discarded meanwhile is queued for revocation instead.
    pub async fn keep_exchanged(
        &self,
        exchange: &Exchange,
        new: &Credential,
        traits: &Traits,
        revocation_id: &str,
        now: i64,
    ) -> Result<(), Error> {
        let sealed = self.vault.seal(exchange.place("credential"), new)?;
        retry(|| async {
            let mut tx = self.db.begin().await?;
            let sql = "UPDATE exchanges SET sealed_credential = $3, sealed_receipt = NULL, sealed_request = NULL, platform_user_id = $4,
                    state = 'exchanged', updated_at_ms = $5
                 WHERE session_id = $1 AND workspace_id = $2 AND state IN ('open', 'received')";
            let query = sqlx::query(sql).bind(&exchange.session_id).bind(&exchange.workspace_id).bind(&sealed);
            let kept = query.bind(&new.platform_user_id).bind(now).execute(&mut *tx).await?.rows_affected() == 1;
            if !kept {
                let sql = "UPDATE exchanges SET sealed_receipt = NULL, sealed_request = NULL
                     WHERE session_id = $1 AND workspace_id = $2 AND state = 'discarded' AND sealed_receipt IS NOT NULL";
                let query = sqlx::query(sql).bind(&exchange.session_id).bind(&exchange.workspace_id);
                if query.execute(&mut *tx).await?.rows_affected() == 1 {
                    let item = Queued {
                        id: revocation_id,
                        workspace_id: &exchange.workspace_id,
                        connector: &exchange.connector,
                        platform_user_id: &new.platform_user_id,
                        grant_id: None,
                        account_id: None,
                        credential: new,
                        now,
                    };
                    queue(&mut tx, &self.vault, traits, &item).await?;
                }
            }
            Ok(tx.commit().await?)
        })
        .await
    }

    /// Keeps what was discovered since `asked_at`. False when the person's former grants are being ended at this time: that may
    /// end this credential too, so it has to be looked at again.
    pub async fn keep_discovered(
        &self,
        exchange: &Exchange,
        found: &DiscoverResponse,
        asked_at: i64,
        now: i64,
    ) -> Result<bool, Error> {
        let sealed = self.vault.seal(exchange.place("discovery"), found)?;
        retry(|| async {
            let mut tx = self.db.begin().await?;
            if !spare(&mut tx, &found.platform_user_id, asked_at).await? {
                return Ok(false);
            }
            let sql = "UPDATE exchanges SET sealed_discovery = $3, platform_user_id = $4, state = 'discovered', updated_at_ms = $5
                 WHERE session_id = $1 AND workspace_id = $2 AND state = 'exchanged'";
            let query = sqlx::query(sql).bind(&exchange.session_id).bind(&exchange.workspace_id).bind(&sealed);
            query.bind(&found.platform_user_id).bind(now).execute(&mut *tx).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    /// It will not succeed.
    pub async fn fail_exchange(&self, exchange: &Exchange, refusal: &Refusal, now: i64) -> Result<(), Error> {
        let sql = "UPDATE exchanges SET state = 'failed', error = $3, sealed_request = NULL, sealed_receipt = NULL, updated_at_ms = $4
             WHERE session_id = $1 AND workspace_id = $2 AND state IN ('open', 'received')";
        let query = sqlx::query(sql)
            .bind(&exchange.session_id)
            .bind(&exchange.workspace_id)
            .bind(to_json(refusal)?);
        query.bind(now).execute(self.db.pool()).await?;
        Ok(())
    }

    /// There is a credential, and the platform will not say whose: the session failed, Discard ends the credential.
    pub async fn unidentified(&self, exchange: &Exchange, refusal: &Refusal, now: i64) -> Result<(), Error> {
        let sql = "UPDATE exchanges SET state = 'failed', error = $3, updated_at_ms = $4
             WHERE session_id = $1 AND workspace_id = $2 AND state = 'exchanged'";
        let query = sqlx::query(sql)
            .bind(&exchange.session_id)
            .bind(&exchange.workspace_id)
            .bind(to_json(refusal)?);
        query.bind(now).execute(self.db.pool()).await?;
        Ok(())
    }

    /// Notes that somebody is at it.
    pub async fn touch_exchange(&self, exchange: &Exchange, now: i64) -> Result<(), Error> {
        let sql = "UPDATE exchanges SET updated_at_ms = $3 WHERE session_id = $1 AND workspace_id = $2";
        sqlx::query(sql)
            .bind(&exchange.session_id)
            .bind(&exchange.workspace_id)
            .bind(now)
            .execute(self.db.pool())
            .await?;
        Ok(())
    }

    /// Throws an exchange away and queues its credential for revocation. Nothing happens once a grant has it.
    pub async fn discard(
        &self,
        exchange: &Exchange,
        traits: &Traits,
        revocation_id: &str,
        now: i64,
    ) -> Result<(), Error> {
        retry(|| async {
            let mut tx = self.db.begin().await?;
            let sql = "UPDATE exchanges SET state = 'discarded', updated_at_ms = $3
                 WHERE session_id = $1 AND workspace_id = $2 AND state NOT IN ('attached', 'discarded') RETURNING *";
            let query = sqlx::query(sql)
                .bind(&exchange.session_id)
                .bind(&exchange.workspace_id)
                .bind(now);
            let Some(row) = query.fetch_optional(&mut *tx).await? else {
                return Ok(());
            };
            let found = read(&row)?;
            if let Some(credential) = self.exchange_credential(&found)? {
                let person = text(&row, "platform_user_id")?;
                let item = Queued {
                    id: revocation_id,
                    workspace_id: &found.workspace_id,
                    connector: &found.connector,
                    platform_user_id: &person,
                    grant_id: None,
                    account_id: None,
                    credential: &credential,
                    now,
                };
                queue(&mut tx, &self.vault, traits, &item).await?;
            }
            let sql = "UPDATE exchanges SET sealed_request = NULL, sealed_credential = NULL, sealed_discovery = NULL
                 WHERE session_id = $1 AND workspace_id = $2";
            sqlx::query(sql)
                .bind(&exchange.session_id)
                .bind(&exchange.workspace_id)
                .execute(&mut *tx)
                .await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    /// Sessions that nobody finished since `before`, and finished ones that are no longer of use.
    pub async fn old_exchanges(&self, before: i64, limit: i64) -> Result<Vec<Exchange>, Error> {
        let sql = "SELECT * FROM exchanges WHERE started_at_ms < $1 ORDER BY started_at_ms LIMIT $2";
        sqlx::query(sql)
            .bind(before)
            .bind(limit)
            .fetch_all(self.db.pool())
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// Forgets an exchange.
    pub async fn forget_exchange(&self, exchange: &Exchange) -> Result<(), Error> {
        let sql = "DELETE FROM exchanges WHERE session_id = $1 AND workspace_id = $2";
        sqlx::query(sql)
            .bind(&exchange.session_id)
            .bind(&exchange.workspace_id)
            .execute(self.db.pool())
            .await?;
        Ok(())
    }
}

pub(super) fn read(row: &AnyRow) -> Result<Exchange, Error> {
    let state = text(row, "state")?;
    Ok(Exchange {
        session_id: text(row, "session_id")?,
        workspace_id: text(row, "workspace_id")?,
        connector: text(row, "connector")?,
        step: Step::ALL
            .into_iter()
            .find(|step| step.as_str() == state)
            .ok_or(Error::Unreadable)?,
        grant_id: optional(row, "grant_id")?,
        error: optional(row, "error")?.as_deref().map(json).transpose()?,
        request: bytes(row, "sealed_request")?,
        receipt: bytes(row, "sealed_receipt")?,
        credential: bytes(row, "sealed_credential")?,
        discovery: bytes(row, "sealed_discovery")?,
    })
}
