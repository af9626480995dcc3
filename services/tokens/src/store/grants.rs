//! Rows of `grants` and `attachments`, read and saved.

use kit::db::Tx;
use proto::platforms::v1::{Credential, Renewal};
use proto::tokens::v1 as pb;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::{Store, announce, bytes, json, number, optional, retry, text, to_json};
use crate::Error;
use crate::model::change::Change;
use crate::model::sight::View;
use crate::model::{Grant, State};
use crate::vault::Place;

/// A grant with its sealed credential; `None` = destroyed.
pub struct Stored {
    /// Without tokens.
    pub grant: Grant,
    /// As stored.
    pub sealed: Option<Vec<u8>>,
}

/// One account on a grant, with its sealed derived token.
pub struct Attached {
    /// `acc_…`
    pub account_id: String,
    /// At the platform.
    pub platform_account_id: String,
    /// See `platforms.v1.Destination`.
    pub kind: String,
    /// Token of this destination alone.
    pub sealed_derived: Option<Vec<u8>>,
    /// 0 = no end.
    pub derived_expires_at_ms: i64,
    /// As last seen.
    pub can_publish: bool,
    /// As last seen.
    pub problem: String,
}

/// What happens to the sealed credential when a grant is saved.
pub(super) enum Sealing {
    Keep,
    Replace(Vec<u8>),
    Destroy,
}

const JOINED: &str =
    "SELECT g.*, a.account_id, a.platform_account_id, a.kind, a.sealed_derived, a.derived_expires_at_ms,
        a.can_publish, a.problem
     FROM attachments a JOIN grants g ON g.id = a.grant_id ";

impl Store {
    /// An account with its grant.
    pub async fn account(&self, workspace_id: &str, account_id: &str) -> Result<Option<(Stored, Attached)>, Error> {
        let sql = format!("{JOINED} WHERE a.account_id = $1 AND a.workspace_id = $2 AND a.state = 'attached'");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(account_id)
            .bind(workspace_id)
            .fetch_optional(self.db.pool())
            .await?;
        row.map(|row| Ok((stored(&row)?, attached(&row)?))).transpose()
    }

    /// The workspace of an account, for callers that know only the account.
    pub async fn workspace_of(&self, account_id: &str) -> Result<Option<String>, Error> {
        let sql = "SELECT workspace_id FROM attachments WHERE account_id = $1 AND state = 'attached'";
        Ok(sqlx::query_scalar(sql)
            .bind(account_id)
            .fetch_optional(self.db.pool())
            .await?)
    }

    /// The generations and versions that accounts' tokens are of now: what process memory is confirmed by. One query for all.
    pub async fn stamps(&self, account_ids: &[String]) -> Result<Vec<(String, String, i64, i64)>, Error> {
        let sql = format!(
            "SELECT a.account_id, a.grant_id, g.generation, g.version FROM attachments a JOIN grants g ON g.id = a.grant_id
             WHERE a.account_id IN ({}) AND a.state = 'attached'",
            kit::db::placeholders(1, account_ids.len())
        );
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
        for id in account_ids {
            query = query.bind(id);
        }
        let rows = query.fetch_all(self.db.pool()).await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?)))
            .collect()
    }

    /// A grant.
    pub async fn grant(&self, workspace_id: &str, grant_id: &str) -> Result<Option<Stored>, Error> {
        let sql = "SELECT * FROM grants WHERE id = $1 AND workspace_id = $2";
        let row = sqlx::query(sql)
            .bind(grant_id)
            .bind(workspace_id)
            .fetch_optional(self.db.pool())
            .await?;
        row.as_ref().map(stored).transpose()
    }

    /// The accounts that hang on a grant.
    pub async fn attached(&self, workspace_id: &str, grant_id: &str) -> Result<Vec<Attached>, Error> {
        let sql = "SELECT * FROM attachments WHERE grant_id = $1 AND workspace_id = $2 AND state = 'attached' ORDER BY account_id";
        let rows = sqlx::query(sql)
            .bind(grant_id)
            .bind(workspace_id)
            .fetch_all(self.db.pool())
            .await?;
        rows.iter().map(attached).collect()
    }

    /// The contract's view of a grant.
    pub async fn message(&self, workspace_id: &str, grant: &Grant) -> Result<pb::Grant, Error> {
        let accounts = self.attached(workspace_id, &grant.id).await?;
        Ok(grant.message(accounts.iter().map(Attached::message).collect()))
    }

    /// Ids of a workspace's grants that live and carry accounts; of those accounts only, when there are some.
    pub async fn grants_of(&self, workspace_id: &str, account_ids: &[String]) -> Result<Vec<String>, Error> {
        let mut sql = "SELECT DISTINCT g.id FROM grants g JOIN attachments a ON a.grant_id = g.id
             WHERE g.workspace_id = $1 AND a.state = 'attached' AND g.state IN ('active', 'suspect')"
            .to_owned();
        if !account_ids.is_empty() {
            sql = format!(
                "{sql} AND a.account_id IN ({})",
                kit::db::placeholders(2, account_ids.len())
            );
        }
        let mut query = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(workspace_id);
        for id in account_ids {
            query = query.bind(id);
        }
        Ok(query.fetch_all(self.db.pool()).await?)
    }

    /// Connected grants, dead ones too, of a platform's person, of all workspaces: what an announcement of the platform is about.
    pub async fn grants_of_person(&self, connectors: &[String], platform_user_id: &str) -> Result<Vec<Stored>, Error> {
        let sql = format!(
            "SELECT * FROM grants WHERE platform_user_id = $1 AND state <> 'revoked' AND connector IN ({})",
            kit::db::placeholders(2, connectors.len())
        );
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(platform_user_id);
        for connector in connectors {
            query = query.bind(connector);
        }
        query.fetch_all(self.db.pool()).await?.iter().map(stored).collect()
    }

    /// Applies a rule to a grant. `generation` fences: nothing happens when the grant has moved on. `rule` says what to
    /// announce; the grant is saved either way. `None` = no such grant, or moved on.
    pub async fn change(
        &self,
        key: (&str, &str),
        generation: Option<i64>,
        now: i64,
        rule: impl Fn(&mut Grant) -> Option<Change>,
    ) -> Result<Option<Grant>, Error> {
        retry(|| async {
            let mut tx = self.db.begin().await?;
            let Some(Stored { mut grant, .. }) = lock(&mut tx, key.0, key.1).await? else {
                return Ok(None);
            };
            let before = grant.generation;
            if generation.is_some_and(|expected| expected != before) {
                return Ok(None);
            }
            let change = rule(&mut grant);
            save(&mut tx, &grant, before, &Sealing::Keep).await?;
            if let Some(change) = change {
                announce(&mut tx, &grant, change, now).await?;
            }
            tx.commit().await?;
            Ok(Some(grant))
        })
        .await
    }

    /// Stores what an inspection showed, of the grant and of its accounts.
    pub async fn observe(
        &self,
        key: (&str, &str),
        generation: i64,
        now: i64,
        view: &View,
        rule: impl Fn(&mut Grant) -> Change,
    ) -> Result<Option<Grant>, Error> {
        retry(|| async {
            let mut tx = self.db.begin().await?;
            let Some(Stored { mut grant, .. }) = lock(&mut tx, key.0, key.1).await? else {
                return Ok(None);
            };
            if grant.generation != generation {
                return Ok(None);
            }
            let change = rule(&mut grant);
            save(&mut tx, &grant, generation, &Sealing::Keep).await?;
            for (platform_account_id, can_publish, problem) in &view.destinations {
                let sql = "UPDATE attachments SET can_publish = $3, problem = $4
                     WHERE grant_id = $1 AND platform_account_id = $2 AND state = 'attached'";
                let query = sqlx::query(sql).bind(&grant.id).bind(platform_account_id);
                query
                    .bind(i64::from(*can_publish))
                    .bind(problem)
                    .execute(&mut *tx)
                    .await?;
            }
            announce(&mut tx, &grant, change, now).await?;
            tx.commit().await?;
            Ok(Some(grant))
        })
        .await
    }

    /// Opens a grant's credential; `None` = destroyed.
    pub fn credential(&self, stored: &Stored) -> Result<Option<Credential>, Error> {
        let Some(sealed) = &stored.sealed else { return Ok(None) };
        self.vault.credential(place(&stored.grant), sealed).map(Some)
    }

    pub(super) fn seal_credential(&self, grant: &Grant, credential: &Credential) -> Result<Vec<u8>, Error> {
        self.vault.seal(place(grant), credential)
    }
}

/// Where a grant's credential is sealed for: its generation is part of it.
fn place(grant: &Grant) -> Place<'_> {
    Place(&grant.workspace_id, &grant.id, "credential", grant.generation)
}

/// Locks a grant's row until the transaction ends and reads it.
pub(super) async fn lock(tx: &mut Tx, workspace_id: &str, grant_id: &str) -> Result<Option<Stored>, Error> {
    let sql = "UPDATE grants SET version = version WHERE id = $1 AND workspace_id = $2 RETURNING *";
    let row = sqlx::query(sql)
        .bind(grant_id)
        .bind(workspace_id)
        .fetch_optional(&mut **tx)
        .await?;
    row.as_ref().map(stored).transpose()
}

/// Saves a grant over the generation it was read at: the compare-and-set that everything rests on.
pub(super) async fn save(tx: &mut Tx, grant: &Grant, over: i64, sealing: &Sealing) -> Result<(), Error> {
    let (keep, sealed) = match sealing {
        Sealing::Keep => (1_i64, None),
        Sealing::Replace(sealed) => (0, Some(sealed.clone())),
        Sealing::Destroy => (0, None),
    };
    let sql = "UPDATE grants SET user_name = $4, generation = $5, version = $6, state = $7,
            sealed_credential = CASE WHEN $8 = 1 THEN sealed_credential ELSE $9 END,
            renewal = $10, has_refresh_token = $11, issued_at_ms = $12, access_expires_at_ms = $13, refresh_expires_at_ms = $14,
            data_access_expires_at_ms = $15, granted_scopes = $16, dead = $17, last_error = $18, refusals = $19, troubles = $20,
            last_attempt_at_ms = $21, last_refreshed_at_ms = $22, next_refresh_at_ms = $23, checked_at_ms = $24,
            next_check_at_ms = $25, check_delayed = $26, derive_pending = $27, connected_at_ms = $28, next_due_at_ms = $29
         WHERE id = $1 AND workspace_id = $2 AND generation = $3";
    let done = sqlx::query(sql)
        .bind(&grant.id)
        .bind(&grant.workspace_id)
        .bind(over)
        .bind(&grant.user_name)
        .bind(grant.generation)
        .bind(grant.version)
        .bind(grant.state.as_str())
        .bind(keep)
        .bind(sealed)
        .bind(grant.renewal.as_str_name())
        .bind(i64::from(grant.has_refresh_token))
        .bind(grant.issued_at_ms)
        .bind(grant.access_expires_at_ms)
        .bind(grant.refresh_expires_at_ms)
        .bind(grant.data_access_expires_at_ms)
        .bind(to_json(&grant.granted_scopes)?)
        .bind(grant.dead.as_ref().map(to_json).transpose()?)
        .bind(grant.last_error.as_ref().map(to_json).transpose()?)
        .bind(grant.refusals)
        .bind(grant.troubles)
        .bind(grant.last_attempt_at_ms)
        .bind(grant.last_refreshed_at_ms)
        .bind(grant.next_refresh_at_ms)
        .bind(grant.checked_at_ms)
        .bind(grant.next_check_at_ms)
        .bind(i64::from(grant.check_delayed))
        .bind(i64::from(grant.derive_pending))
        .bind(grant.connected_at_ms)
        .bind(grant.next_due_at_ms)
        .execute(&mut **tx)
        .await?;
    // The row is locked and was read in this transaction: only a bug can get here.
    if done.rows_affected() == 1 {
        Ok(())
    } else {
        Err(Error::Unreadable)
    }
}

/// The accounts of a grant.
pub(super) async fn accounts(tx: &mut Tx, grant_id: &str) -> Result<Vec<Attached>, Error> {
    let sql = "SELECT * FROM attachments WHERE grant_id = $1 AND state = 'attached' ORDER BY account_id";
    let rows = sqlx::query(sql).bind(grant_id).fetch_all(&mut **tx).await?;
    rows.iter().map(attached).collect()
}

impl Attached {
    pub(super) fn message(&self) -> pb::GrantAccount {
        pb::GrantAccount {
            account_id: self.account_id.clone(),
            platform_account_id: self.platform_account_id.clone(),
            can_publish: self.can_publish,
            publish_problem: self.problem.clone(),
        }
    }
}

fn attached(row: &AnyRow) -> Result<Attached, Error> {
    Ok(Attached {
        account_id: text(row, "account_id")?,
        platform_account_id: text(row, "platform_account_id")?,
        kind: text(row, "kind")?,
        sealed_derived: bytes(row, "sealed_derived")?,
        derived_expires_at_ms: number(row, "derived_expires_at_ms")?,
        can_publish: number(row, "can_publish")? != 0,
        problem: text(row, "problem")?,
    })
}

pub(super) fn stored(row: &AnyRow) -> Result<Stored, Error> {
    let grant = Grant {
        id: text(row, "id")?,
        workspace_id: text(row, "workspace_id")?,
        connector: text(row, "connector")?,
        platform_user_id: text(row, "platform_user_id")?,
        user_name: text(row, "user_name")?,
        generation: number(row, "generation")?,
        version: number(row, "version")?,
        state: State::parse(&text(row, "state")?).ok_or(Error::Unreadable)?,
        renewal: Renewal::from_str_name(&text(row, "renewal")?).ok_or(Error::Unreadable)?,
        has_refresh_token: number(row, "has_refresh_token")? != 0,
        issued_at_ms: number(row, "issued_at_ms")?,
        access_expires_at_ms: number(row, "access_expires_at_ms")?,
        refresh_expires_at_ms: number(row, "refresh_expires_at_ms")?,
        data_access_expires_at_ms: number(row, "data_access_expires_at_ms")?,
        granted_scopes: json(&text(row, "granted_scopes")?)?,
        dead: optional(row, "dead")?.as_deref().map(json).transpose()?,
        last_error: optional(row, "last_error")?.as_deref().map(json).transpose()?,
        refusals: number(row, "refusals")?,
        troubles: number(row, "troubles")?,
        last_attempt_at_ms: number(row, "last_attempt_at_ms")?,
        last_refreshed_at_ms: number(row, "last_refreshed_at_ms")?,
        next_refresh_at_ms: number(row, "next_refresh_at_ms")?,
        checked_at_ms: number(row, "checked_at_ms")?,
        next_check_at_ms: number(row, "next_check_at_ms")?,
        check_delayed: number(row, "check_delayed")? != 0,
        derive_pending: number(row, "derive_pending")? != 0,
        connected_at_ms: number(row, "connected_at_ms")?,
        next_due_at_ms: row.try_get("next_due_at_ms")?,
    };
    Ok(Stored {
        grant,
        sealed: bytes(row, "sealed_credential")?,
    })
}
