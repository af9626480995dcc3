//! How an attempt ends, each in one transaction with the grant's change and its announcement.

use kit::db::Tx;
use proto::platforms::v1::Credential;
use sqlx::Row;

use super::attempts::{Attempt, end_late};
use super::grants::{Sealing, accounts, lock, save};
use super::{Store, announce, announce_with, retry};
use crate::Error;
use crate::model::change::{Heir, Proof, Rules, is_heir};
use crate::model::{Facts, Grant, Refusal};
use crate::store::revocations::{Queued, queue};

/// What became of a new credential.
pub enum Applied {
    /// It is the grant's now.
    Renewed(Box<Grant>),
    /// The grant was disconnected: the new token is queued for revocation.
    Revoked,
    /// A sibling or a reconnect was first: ours is kept aside, theirs stays.
    Superseded,
    /// It was applied before: the answer to the commit was lost.
    Before,
}

/// Where a new credential goes when the grant was disconnected meanwhile.
pub struct Late<'a> {
    /// Id of the row of `revocations`.
    pub revocation_id: &'a str,
    /// Id of the row of `quarantine`.
    pub quarantine_id: &'a str,
}

impl Store {
    /// Stores a new credential: by lineage, whoever holds a lock by now and however late it comes. Idempotent by attempt.
    pub async fn apply(
        &self,
        attempt: &Attempt,
        new: &Credential,
        rules: Rules<'_>,
        late: Late<'_>,
    ) -> Result<Applied, Error> {
        let facts = Facts::of(new, rules.traits);
        retry(|| async {
            let mut tx = self.db.begin().await?;
            let Some(stored) = lock(&mut tx, &attempt.workspace_id, &attempt.grant_id).await? else {
                return Ok(Applied::Superseded);
            };
            let Some(Lineage {
                parent,
                state,
                outcome,
                aside,
            }) = lineage(&mut tx, attempt).await?
            else {
                return Ok(Applied::Superseded);
            };
            if state == "applied" || matches!(outcome.as_str(), "revoked" | "superseded") {
                return Ok(Applied::Before);
            }
            let mut grant = stored.grant.clone();
            let applied = match is_heir(&grant, parent) {
                Heir::Yes => {
                    let accounts = accounts(&mut tx, &grant.id).await?;
                    let derives = accounts.iter().any(|account| account.sealed_derived.is_some());
                    let change = rules.renewed(&mut grant, &facts, derives);
                    let sealed = self.seal_credential(&grant, new)?;
                    save(&mut tx, &grant, parent, &Sealing::Replace(sealed)).await?;
                    if aside > 0 {
                        sqlx::query("DELETE FROM quarantine WHERE grant_id = $1")
                            .bind(&grant.id)
                            .execute(&mut *tx)
                            .await?;
                    }
                    kit::fault::hit(kit::fault::Point::InsideApply).await;
                    announce_with(&mut tx, &grant, &accounts, change, rules.now).await?;
                    Applied::Renewed(Box::new(grant))
                }
                Heir::Revoked => {
                    self.end(&mut tx, &grant, new, late.revocation_id, rules).await?;
                    Applied::Revoked
                }
                Heir::Superseded if outcome == "reconnected" => {
                    // Worth nothing to us, and alive at the platform. Where ending one token ends the whole grant, it stays.
                    if !rules.traits.shared_grant {
                        let old = without_shared(new, self.credential(&stored)?.as_ref());
                        self.end(&mut tx, &grant, &old, late.revocation_id, rules).await?;
                    }
                    Applied::Superseded
                }
                Heir::Superseded => {
                    // Beside a sibling it may still be of use.
                    if !new.refresh_token.is_empty() {
                        self.keep_aside(
                            &mut tx,
                            attempt,
                            late.quarantine_id,
                            "sibling",
                            &new.refresh_token,
                            rules.now,
                        )
                        .await?;
                    }
                    Applied::Superseded
                }
            };
            let (state, outcome) = match &applied {
                Applied::Renewed(_) => ("applied", "renewed"),
                Applied::Revoked => ("abandoned", "revoked"),
                Applied::Superseded | Applied::Before => ("abandoned", "superseded"),
            };
            close(&mut tx, attempt, state, outcome, rules.now, true).await?;
            tx.commit().await?;
            Ok(applied)
        })
        .await
    }

    /// Queues a late credential for its end at the platform.
    async fn end(
        &self,
        tx: &mut Tx,
        grant: &Grant,
        late: &Credential,
        id: &str,
        rules: Rules<'_>,
    ) -> Result<(), Error> {
        let queued = Queued {
            id,
            workspace_id: &grant.workspace_id,
            connector: &grant.connector,
            platform_user_id: &grant.platform_user_id,
            grant_id: Some(&grant.id),
            account_id: None,
            credential: late,
            now: rules.now,
        };
        queue(tx, &self.vault, rules.traits, &queued).await?;
        Ok(())
    }

    /// Notes that the platform answered and did not renew. Only of the attempt that is still without an outcome, and only while
    /// the grant is where the attempt started: the loser of a race is not believed, and its answer goes. `None` = not believed.
    pub async fn refuse(
        &self,
        attempt: &Attempt,
        refusal: &Refusal,
        proof: Proof,
        rules: Rules<'_>,
    ) -> Result<Option<Grant>, Error> {
        self.fail(attempt, "refused", refusal, rules.now, |grant| {
            Some(rules.refused(grant, refusal.clone(), proof))
        })
        .await
    }

    /// Notes trouble that says nothing about the grant. `None` = the grant moved on.
    pub async fn trouble(
        &self,
        attempt: &Attempt,
        refusal: &Refusal,
        rules: Rules<'_>,
    ) -> Result<Option<Grant>, Error> {
        self.fail(attempt, "transient", refusal, rules.now, |grant| {
            rules.troubled(grant, refusal.clone())
        })
        .await
    }

    async fn fail(
        &self,
        attempt: &Attempt,
        state: &str,
        refusal: &Refusal,
        now: i64,
        rule: impl Fn(&mut Grant) -> Option<crate::model::change::Change>,
    ) -> Result<Option<Grant>, Error> {
        retry(|| async {
            let mut tx = self.db.begin().await?;
            let Some(stored) = lock(&mut tx, &attempt.workspace_id, &attempt.grant_id).await? else {
                return Ok(None);
            };
            let mut grant = stored.grant;
            let parent = lineage(&mut tx, attempt).await?.map(|lineage| lineage.parent);
            let outcome = format!("{} {}", crate::error::reason(refusal), refusal.code);
            let open = close(&mut tx, attempt, state, &outcome, now, false).await?;
            if !open {
                end_late(&mut tx, attempt, &outcome).await?;
            }
            let believed = open && grant.state.is_live() && parent == Some(grant.generation);
            if believed {
                let generation = grant.generation;
                let change = rule(&mut grant);
                save(&mut tx, &grant, generation, &Sealing::Keep).await?;
                if let Some(change) = change {
                    announce(&mut tx, &grant, change, now).await?;
                }
            }
            tx.commit().await?;
            Ok(believed.then_some(grant))
        })
        .await
    }
}

/// A late credential without the refresh token that the grant lives on: an answer that brings none is read with the stored one.
fn without_shared(late: &Credential, stored: Option<&Credential>) -> Credential {
    let mut late = late.clone();
    if stored.is_some_and(|stored| stored.refresh_token == late.refresh_token) {
        late.refresh_token.clear();
    }
    late
}

/// Where an attempt stands now.
struct Lineage {
    /// The generation that it belongs to: a detach moves it on.
    parent: i64,
    state: String,
    outcome: String,
    /// Tokens of its grant that are in quarantine.
    aside: i64,
}

async fn lineage(tx: &mut Tx, attempt: &Attempt) -> Result<Option<Lineage>, Error> {
    let sql =
        "SELECT parent_generation, state, outcome, (SELECT COUNT(*) FROM quarantine q WHERE q.grant_id = a.grant_id)
         FROM attempts a WHERE a.id = $1 AND a.workspace_id = $2";
    let row = sqlx::query(sql)
        .bind(&attempt.id)
        .bind(&attempt.workspace_id)
        .fetch_optional(&mut **tx)
        .await?;
    row.map(|row| {
        Ok(Lineage {
            parent: row.try_get(0)?,
            state: row.try_get(1)?,
            outcome: row.try_get(2)?,
            aside: row.try_get(3)?,
        })
    })
    .transpose()
}

/// Ends an attempt. A `late` one may have been given up before. The raw answer goes: what is of use in it has been stored.
async fn close(
    tx: &mut Tx,
    attempt: &Attempt,
    state: &str,
    outcome: &str,
    now: i64,
    late: bool,
) -> Result<bool, Error> {
    let sql = "UPDATE attempts SET state = $3, outcome = $4, finished_at_ms = $5, sealed_receipt = NULL
         WHERE id = $1 AND workspace_id = $2 AND ($6 = 1 OR state IN ('open', 'unknown'))";
    let query = sqlx::query(sql)
        .bind(&attempt.id)
        .bind(&attempt.workspace_id)
        .bind(state)
        .bind(outcome)
        .bind(now);
    Ok(query.bind(i64::from(late)).execute(&mut **tx).await?.rows_affected() == 1)
}
