//! Rows of `attempts` until they have an outcome: claimed, adopted, their receipts kept.

use std::sync::Arc;

use kit::db::Tx;
use proto::platforms::v1::Answers;
use sqlx::any::AnyRow;

use super::grants::lock;
use super::quarantine::WAITING;
use super::{Store, bytes, number, optional, retry, text};
use crate::Error;
use crate::model::attempt::{Owner, PROTOCOL, Unfinished};
use crate::vault::Place;

/// One try to renew a grant.
#[derive(Clone)]
pub struct Attempt {
    /// `att_…`; platforms knows the call by it.
    pub id: String,
    /// The grant's.
    pub workspace_id: String,
    /// Which grant.
    pub grant_id: String,
    /// Generation that it started from.
    pub parent_generation: i64,
    /// Who made it.
    pub owner: Owner,
    /// Version of the protocol that made it.
    pub protocol: i64,
    /// `lazy`, `schedule`, `person`, `confirm`, `retry`.
    pub why: &'static str,
    /// The attempt without an answer that it repeats.
    pub retry_of: Option<String>,
    /// Sent with this token out of quarantine.
    pub salvage_id: Option<String>,
    /// No answer came.
    pub unknown: bool,
    /// Another attempt may be in its place: an answer that renews still counts, one that refuses does not.
    pub given_up: bool,
    /// The raw answer, sealed, once there is one.
    pub sealed_receipt: Option<Vec<u8>>,
    /// When it was claimed.
    pub started_at_ms: i64,
    /// Not sent after this.
    pub deadline_at_ms: i64,
    /// The trace that it was claimed in, as a `traceparent`.
    pub trace: Arc<str>,
}

impl Attempt {
    /// As the rules of claiming see it.
    pub fn unfinished(&self, running_here: bool) -> Unfinished {
        let (owner, started_at_ms) = (self.owner.clone(), self.started_at_ms);
        Unfinished {
            owner,
            unknown: self.unknown,
            running_here,
            protocol: self.protocol,
            started_at_ms,
        }
    }

    fn place(&self) -> Place<'_> {
        Place(&self.workspace_id, &self.id, "receipt", 0)
    }
}

impl Store {
    /// Claims a refresh: a row without an outcome, of which the unique index allows one per grant; with the token out of
    /// quarantine that it is to be sent with, if there is one. `None` when somebody else has one, or when the grant is not at the
    /// parent generation any more.
    pub async fn claim(&self, attempt: Attempt) -> Result<Option<Attempt>, Error> {
        let salvage_id = retry(|| async {
            let mut tx = self.db.begin().await?;
            // The index waits for the attempt that it meets, and what was read before the wait may be of the generation that
            // this attempt has just ended.
            lock(&mut tx, &attempt.workspace_id, &attempt.grant_id).await?;
            let claimed = insert(&attempt).fetch_optional(&mut *tx).await?;
            tx.commit().await?;
            claimed.map(|row| optional(&row, "salvage_id")).transpose()
        });
        Ok(salvage_id.await?.map(|salvage_id| Attempt { salvage_id, ..attempt }))
    }

    /// The attempt of a grant that has no outcome.
    pub async fn unfinished(&self, workspace_id: &str, grant_id: &str) -> Result<Option<Attempt>, Error> {
        let sql = "SELECT * FROM attempts WHERE grant_id = $1 AND workspace_id = $2 AND state IN ('open', 'unknown')";
        let row = sqlx::query(sql)
            .bind(grant_id)
            .bind(workspace_id)
            .fetch_optional(self.db.pool())
            .await?;
        row.as_ref().map(attempt).transpose()
    }

    /// Attempts without an outcome, oldest first, for recovery.
    pub async fn all_unfinished(&self, limit: i64) -> Result<Vec<Attempt>, Error> {
        let sql = "SELECT * FROM attempts WHERE state IN ('open', 'unknown') ORDER BY started_at_ms LIMIT $1";
        sqlx::query(sql)
            .bind(limit)
            .fetch_all(self.db.pool())
            .await?
            .iter()
            .map(attempt)
            .collect()
    }

    /// Attempts that were given up and whose answer may still be of use, oldest first: ours is stored and was not read, or
    /// platforms may keep one. That is asked for while it could renew the grant, or must be ended because the grant was.
    pub async fn given_up(&self, since: i64, limit: i64) -> Result<Vec<Attempt>, Error> {
        let sql = "SELECT a.* FROM attempts a JOIN grants g ON g.id = a.grant_id AND g.workspace_id = a.workspace_id
             WHERE a.state = 'abandoned' AND (a.sealed_receipt IS NOT NULL
                 OR (a.outcome = 'no answer' AND a.started_at_ms > $1
                     AND (g.state = 'revoked' OR g.generation = a.parent_generation)))
             ORDER BY a.started_at_ms LIMIT $2";
        sqlx::query(sql)
            .bind(since)
            .bind(limit)
            .fetch_all(self.db.pool())
            .await?
            .iter()
            .map(attempt)
            .collect()
    }

    /// How many attempts have no outcome.
    pub async fn count_unfinished(&self) -> Result<i64, Error> {
        let sql = "SELECT COUNT(*) FROM attempts WHERE state IN ('open', 'unknown')";
        Ok(sqlx::query_scalar(sql).fetch_one(self.db.pool()).await?)
    }

    /// Takes an orphan over. False when somebody was quicker.
    pub async fn adopt(&self, attempt: &Attempt, me: &Owner) -> Result<bool, Error> {
        let sql = "UPDATE attempts SET owner = $4, incarnation = $5
             WHERE id = $1 AND owner = $2 AND incarnation = $3 AND state IN ('open', 'unknown')";
        let query = sqlx::query(sql)
            .bind(&attempt.id)
            .bind(&attempt.owner.name)
            .bind(&attempt.owner.incarnation);
        Ok(query
            .bind(&me.name)
            .bind(&me.incarnation)
            .execute(self.db.pool())
            .await?
            .rows_affected()
            == 1)
    }

    /// Keeps the raw answer, sealed, before anybody reads it. Also of an attempt that others have given up: late answers count.
    /// Not of one that is settled: nobody would read it, and it would outlive its use.
    pub async fn keep_receipt(&self, attempt: &Attempt, answers: &Answers, now: i64) -> Result<(), Error> {
        let sealed = self.vault.seal(attempt.place(), answers)?;
        let sql = "UPDATE attempts SET sealed_receipt = $3, received_at_ms = $4
             WHERE id = $1 AND workspace_id = $2 AND sealed_receipt IS NULL AND (state IN ('open', 'unknown')
                 OR (state = 'abandoned' AND outcome NOT IN ('reconnected', 'revoked', 'superseded')))";
        let query = sqlx::query(sql)
            .bind(&attempt.id)
            .bind(&attempt.workspace_id)
            .bind(sealed)
            .bind(now);
        query.execute(self.db.pool()).await?;
        Ok(())
    }

    /// Opens a kept answer.
    pub fn receipt(&self, attempt: &Attempt) -> Result<Option<Answers>, Error> {
        let Some(sealed) = &attempt.sealed_receipt else {
            return Ok(None);
        };
        self.vault.answers(attempt.place(), sealed).map(Some)
    }

    /// No answer came: nothing is known, and nobody else may try yet.
    pub async fn mark_unknown(&self, attempt: &Attempt) -> Result<(), Error> {
        let sql = "UPDATE attempts SET state = 'unknown' WHERE id = $1 AND workspace_id = $2 AND state = 'open'";
        sqlx::query(sql)
            .bind(&attempt.id)
            .bind(&attempt.workspace_id)
            .execute(self.db.pool())
            .await?;
        Ok(())
    }

    /// Gives an attempt up that will never have an answer. One whose answer comes all the same is still accepted by lineage.
    pub async fn abandon(&self, attempt: &Attempt, outcome: &str, now: i64) -> Result<(), Error> {
        let sql = "UPDATE attempts SET state = 'abandoned', outcome = $3, finished_at_ms = $4
             WHERE id = $1 AND workspace_id = $2 AND state IN ('open', 'unknown')";
        let query = sqlx::query(sql)
            .bind(&attempt.id)
            .bind(&attempt.workspace_id)
            .bind(outcome)
            .bind(now);
        query.execute(self.db.pool()).await?;
        Ok(())
    }

    /// Notes how the search for a late answer ended: it brought nothing, or nothing of use. A stored one is destroyed.
    pub async fn end_late(&self, attempt: &Attempt, outcome: &str) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        end_late(&mut tx, attempt, outcome).await?;
        Ok(tx.commit().await?)
    }

    /// Puts one retry in the place of an attempt without an answer. False when it is not there any more, or the grant moved on.
    pub async fn replace(&self, orphan: &Attempt, retry_attempt: &Attempt, now: i64) -> Result<bool, Error> {
        retry(|| async {
            let mut tx = self.db.begin().await?;
            lock(&mut tx, &orphan.workspace_id, &orphan.grant_id).await?;
            let sql = "UPDATE attempts SET state = 'abandoned', outcome = 'no answer', finished_at_ms = $3
                 WHERE id = $1 AND workspace_id = $2 AND state IN ('open', 'unknown')";
            let query = sqlx::query(sql).bind(&orphan.id).bind(&orphan.workspace_id).bind(now);
            if query.execute(&mut *tx).await?.rows_affected() == 0 {
                return Ok(false);
            }
            let replaced = insert(retry_attempt).fetch_optional(&mut *tx).await?.is_some();
            tx.commit().await?;
            Ok(replaced)
        })
        .await
    }

    /// Forgets attempts that ended before `before`.
    pub async fn prune_attempts(&self, before: i64) -> Result<u64, Error> {
        let sql = "DELETE FROM attempts WHERE started_at_ms < $1 AND state NOT IN ('open', 'unknown')";
        Ok(sqlx::query(sql)
            .bind(before)
            .execute(self.db.pool())
            .await?
            .rows_affected())
    }
}

/// [`Store::end_late`] inside a transaction. What was settled keeps its outcome.
pub(super) async fn end_late(tx: &mut Tx, attempt: &Attempt, outcome: &str) -> Result<(), Error> {
    let sql = "UPDATE attempts SET sealed_receipt = NULL,
             outcome = CASE WHEN outcome IN ('reconnected', 'revoked', 'superseded') THEN outcome ELSE $3 END
         WHERE id = $1 AND workspace_id = $2 AND state = 'abandoned'";
    let query = sqlx::query(sql).bind(&attempt.id).bind(&attempt.workspace_id);
    query.bind(outcome).execute(&mut **tx).await?;
    Ok(())
}

type Insert<'q> = sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments>;

/// A retry is sent with what the one before it was sent with, a new attempt with what waits in quarantine.
fn insert(attempt: &Attempt) -> Insert<'_> {
    let sql = format!(
        "INSERT INTO attempts (id, workspace_id, grant_id, parent_generation, owner, incarnation, protocol_version, why,
            retry_of, salvage_id, state, outcome, sealed_receipt, started_at_ms, deadline_at_ms, received_at_ms, finished_at_ms, trace)
         SELECT $1, g.workspace_id, g.id, g.generation, $5, $6, $7, $8, $9,
            CASE WHEN $9 IS NULL THEN ({WAITING}) ELSE $10 END, 'open', '', NULL, $11, $12, 0, 0, $13
         FROM grants g WHERE g.id = $2 AND g.workspace_id = $3 AND g.generation = $4 AND g.state IN ('active', 'suspect')
         ON CONFLICT DO NOTHING RETURNING salvage_id"
    );
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(&attempt.id)
        .bind(&attempt.grant_id)
        .bind(&attempt.workspace_id)
        .bind(attempt.parent_generation)
        .bind(&attempt.owner.name)
        .bind(&attempt.owner.incarnation)
        .bind(PROTOCOL)
        .bind(attempt.why)
        .bind(attempt.retry_of.as_deref())
        .bind(attempt.salvage_id.as_deref())
        .bind(attempt.started_at_ms)
        .bind(attempt.deadline_at_ms)
        .bind(&*attempt.trace)
}

fn attempt(row: &AnyRow) -> Result<Attempt, Error> {
    let why = match text(row, "why")?.as_str() {
        "lazy" => "lazy",
        "person" => "person",
        "confirm" => "confirm",
        "retry" => "retry",
        _ => "schedule",
    };
    Ok(Attempt {
        id: text(row, "id")?,
        workspace_id: text(row, "workspace_id")?,
        grant_id: text(row, "grant_id")?,
        parent_generation: number(row, "parent_generation")?,
        owner: Owner {
            name: text(row, "owner")?,
            incarnation: text(row, "incarnation")?,
        },
        protocol: number(row, "protocol_version")?,
        why,
        retry_of: optional(row, "retry_of")?,
        salvage_id: optional(row, "salvage_id")?,
        unknown: text(row, "state")? == "unknown",
        given_up: text(row, "state")? == "abandoned",
        sealed_receipt: bytes(row, "sealed_receipt")?,
        started_at_ms: number(row, "started_at_ms")?,
        deadline_at_ms: number(row, "deadline_at_ms")?,
        trace: text(row, "trace")?.into(),
    })
}
