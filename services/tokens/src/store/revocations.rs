//! Credentials that are to be ended at their platform, each destroyed here as soon as that is done or given up.
//!
//! Where ending one ends all grants of the person (`ends_all`), it waits for the last live one over all workspaces: those two
//! statements are the only ones that look across workspaces, and nothing of what they see leaves this file but a yes or no.

use kit::db::Tx;
use proto::platforms::v1::Credential;
use proto::tokens::v1::RevocationState;
use sqlx::Row;

use super::{Store, optional, retry, text};
use crate::Error;
use crate::model::{Refusal, Traits};
use crate::vault::{Place, Vault};

/// Keeps off a lease whose statement began before the sign-in was written. Longer than the clocks of two replicas differ; where
/// they differ more, `spare` still sees that lease.
const HOLD_MS: i64 = 5_000;
/// A sign-in that began longer ago holds nothing up: waiting and a call's longest time are over, and it is known whose it is, or
/// its platform does not say and may not for hours.
const SIGN_IN_MS: i64 = 180_000;

/// Something to revoke.
pub(super) struct Queued<'a> {
    pub id: &'a str,
    pub workspace_id: &'a str,
    pub connector: &'a str,
    pub platform_user_id: &'a str,
    pub grant_id: Option<&'a str>,
    pub account_id: Option<&'a str>,
    pub credential: &'a Credential,
    pub now: i64,
}

/// A revocation that is due, with its credential.
pub struct Revocation {
    /// `rev_…`
    pub id: String,
    /// Of the grant.
    pub workspace_id: String,
    /// Which platform.
    pub connector: String,
    /// Whose.
    pub platform_user_id: String,
    /// The account that was detached, when one was.
    pub account_id: Option<String>,
    /// The grant that it was of, when there was one.
    pub grant_id: Option<String>,
    /// What to revoke.
    pub credential: Credential,
    /// How often it failed.
    pub failures: i64,
}

/// Queues a credential for revocation, where the platform can revoke and nobody else lives on it.
pub(super) async fn queue(
    tx: &mut Tx,
    vault: &Vault,
    traits: &Traits,
    item: &Queued<'_>,
) -> Result<RevocationState, Error> {
    if !traits.revocable {
        return Ok(RevocationState::Unsupported);
    }
    if traits.shared_grant && (item.platform_user_id.is_empty() || person_is_live(tx, item.platform_user_id).await?) {
        return Ok(RevocationState::Shared);
    }
    let sealed = vault.seal(Place(item.workspace_id, item.id, "credential", 0), item.credential)?;
    let sql =
        "INSERT INTO revocations (id, workspace_id, connector, platform_user_id, ends_all, grant_id, account_id, state,
            sealed_credential, last_error, failures, created_at_ms, due_at_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'queued', $8, NULL, 0, $9, $9) ON CONFLICT DO NOTHING";
    sqlx::query(sql)
        .bind(item.id)
        .bind(item.workspace_id)
        .bind(item.connector)
        .bind(item.platform_user_id)
        .bind(i64::from(traits.shared_grant))
        .bind(item.grant_id)
        .bind(item.account_id)
        .bind(sealed)
        .bind(item.now)
        .execute(&mut **tx)
        .await?;
    Ok(RevocationState::Queued)
}

/// Locks all grants of a platform's person and says whether one of them lives. Two who leave at the same time wait for each
/// other here, so that the second sees that it is the last. Deadlocks are tried again.
async fn person_is_live(tx: &mut Tx, platform_user_id: &str) -> Result<bool, Error> {
    let sql = "UPDATE grants SET version = version WHERE platform_user_id = $1 RETURNING state";
    let states: Vec<String> = sqlx::query_scalar(sql)
        .bind(platform_user_id)
        .fetch_all(&mut **tx)
        .await?;
    Ok(states.iter().any(|state| state != "revoked"))
}

impl Store {
    /// Leases revocations that are due. One that would end a live grant again is dropped instead.
    pub async fn lease_revocations(&self, now: i64, until: i64, limit: i64) -> Result<Vec<Revocation>, Error> {
        let sql = "UPDATE revocations SET state = 'dropped', sealed_credential = NULL
             WHERE state = 'queued' AND due_at_ms <= $1 AND ends_all = 1 AND (
                 EXISTS (SELECT 1 FROM grants g WHERE g.platform_user_id = revocations.platform_user_id AND g.state <> 'revoked')
                 OR EXISTS (SELECT 1 FROM exchanges e WHERE e.platform_user_id = revocations.platform_user_id
                     AND e.state IN ('exchanged', 'discovered')))";
        sqlx::query(sql).bind(now).execute(self.db.pool()).await?;
        // The same condition once more: one that was queued since the statement above was not looked at there. Who signs in
        // after this statement finds the lease, see `keep_discovered` and `hold_revocations`.
        let sql = "UPDATE revocations SET due_at_ms = $2, leased_until_ms = $2
             WHERE state = 'queued' AND due_at_ms <= $1 AND held_until_ms <= $1 AND id IN (
                 SELECT id FROM revocations r WHERE state = 'queued' AND due_at_ms <= $1 AND held_until_ms <= $1
                   AND NOT (ends_all = 1 AND (
                     EXISTS (SELECT 1 FROM grants g WHERE g.platform_user_id = r.platform_user_id AND g.state <> 'revoked')
                     OR EXISTS (SELECT 1 FROM exchanges e WHERE e.platform_user_id = r.platform_user_id
                         AND e.state IN ('exchanged', 'discovered'))
                     OR EXISTS (SELECT 1 FROM exchanges e WHERE e.workspace_id = r.workspace_id
                         AND e.state IN ('open', 'received', 'exchanged') AND e.started_at_ms > $4)))
                 ORDER BY due_at_ms LIMIT $3)
             RETURNING *";
        let rows = sqlx::query(sql)
            .bind(now)
            .bind(until)
            .bind(limit)
            .bind(now.saturating_sub(SIGN_IN_MS))
            .fetch_all(self.db.pool())
            .await?;
        rows.iter()
            .map(|row| {
                let (id, workspace_id) = (text(row, "id")?, text(row, "workspace_id")?);
                let sealed: Vec<u8> = row.try_get("sealed_credential")?;
                let credential = self
                    .vault
                    .credential(Place(&workspace_id, &id, "credential", 0), &sealed)?;
                Ok(Revocation {
                    connector: text(row, "connector")?,
                    platform_user_id: text(row, "platform_user_id")?,
                    account_id: optional(row, "account_id")?,
                    grant_id: optional(row, "grant_id")?,
                    failures: row.try_get("failures")?,
                    id,
                    workspace_id,
                    credential,
                })
            })
            .collect()
    }

    /// A sign-in of the workspace has begun, nobody knows yet whose. False when access of a person is being ended now, which
    /// the code had better not be traded beside. No lease slips in between: a later one finds the exchange, and one whose statement has begun
    /// finds its row written here, or is seen.
    pub async fn hold_revocations(&self, workspace_id: &str, now: i64) -> Result<bool, Error> {
        retry(|| async {
            let mut tx = self.db.begin().await?;
            let sql = "UPDATE revocations SET held_until_ms = $3
                 WHERE workspace_id = $1 AND ends_all = 1 AND state = 'queued' AND leased_until_ms <= $2";
            let query = sqlx::query(sql)
                .bind(workspace_id)
                .bind(now)
                .bind(now.saturating_add(HOLD_MS));
            query.execute(&mut *tx).await?;
            let sql = "SELECT COUNT(*) FROM revocations
                 WHERE workspace_id = $1 AND ends_all = 1 AND state = 'queued' AND leased_until_ms > $2";
            let query = sqlx::query_scalar(sql).bind(workspace_id).bind(now);
            let running: i64 = query.fetch_one(&mut *tx).await?;
            tx.commit().await?;
            Ok(running == 0)
        })
        .await
    }

    /// The revocation is over: `done`, `unsupported` or `given_up`. Its credential is destroyed.
    pub async fn finish_revocation(&self, revocation: &Revocation, state: &str, now: i64) -> Result<(), Error> {
        retry(|| async {
            let mut tx = self.db.begin().await?;
            let sql = "UPDATE revocations SET state = $3, sealed_credential = NULL, leased_until_ms = $4
                 WHERE id = $1 AND workspace_id = $2";
            let query = sqlx::query(sql).bind(&revocation.id).bind(&revocation.workspace_id).bind(state).bind(now);
            query.execute(&mut *tx).await?;
            if let Some(account_id) = &revocation.account_id {
                let sql = "UPDATE attachments SET revocation = $3 WHERE account_id = $1 AND workspace_id = $2 AND state = 'detached'";
                sqlx::query(sql).bind(account_id).bind(&revocation.workspace_id).bind(state).execute(&mut *tx).await?;
            }
            Ok(tx.commit().await?)
        })
        .await
    }

    /// The platform did not do it: once more at `due`.
    pub async fn postpone_revocation(
        &self,
        revocation: &Revocation,
        error: Option<&Refusal>,
        now: i64,
        due: i64,
    ) -> Result<(), Error> {
        let sql =
            "UPDATE revocations SET failures = failures + 1, last_error = $3, due_at_ms = $4, leased_until_ms = $5
             WHERE id = $1 AND workspace_id = $2";
        let error = error.map(super::to_json).transpose()?;
        let query = sqlx::query(sql)
            .bind(&revocation.id)
            .bind(&revocation.workspace_id)
            .bind(error)
            .bind(due)
            .bind(now);
        query.execute(self.db.pool()).await?;
        Ok(())
    }
}

/// A person signs in: what would end all their grants is dropped, for this one is among them. False when somebody is at ending
/// them now or was since `since`: the new credential may be ended with them. The rows are locked either way, so that a lease
/// comes before this or not at all.
pub(super) async fn spare(tx: &mut Tx, platform_user_id: &str, since: i64) -> Result<bool, Error> {
    let sql = "UPDATE revocations SET state = 'dropped', sealed_credential = NULL
         WHERE platform_user_id = $1 AND ends_all = 1 AND state = 'queued' AND leased_until_ms <= $2";
    let query = sqlx::query(sql).bind(platform_user_id).bind(since);
    query.execute(&mut **tx).await?;
    let sql = "SELECT COUNT(*) FROM revocations WHERE platform_user_id = $1 AND ends_all = 1 AND leased_until_ms > $2";
    let query = sqlx::query_scalar(sql).bind(platform_user_id).bind(since);
    let running: i64 = query.fetch_one(&mut **tx).await?;
    Ok(running == 0)
}

/// As stored with a detached account.
pub(super) fn word(state: RevocationState) -> &'static str {
    match state {
        RevocationState::Shared => "shared",
        RevocationState::Queued => "queued",
        RevocationState::Unsupported => "unsupported",
        RevocationState::Done | RevocationState::Unspecified => "done",
    }
}

/// The reverse of [`word`]; what was given up is out of our hands.
pub(super) fn state(word: &str) -> RevocationState {
    match word {
        "shared" | "dropped" => RevocationState::Shared,
        "queued" => RevocationState::Queued,
        "unsupported" | "given_up" => RevocationState::Unsupported,
        _ => RevocationState::Done,
    }
}
