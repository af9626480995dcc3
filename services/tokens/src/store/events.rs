//! Platforms' announcements that were applied, and what an operator is shown.

use proto::tokens::v1 as pb;

use super::grants::{Sealing, Stored, lock, save, stored};
use super::{Store, announce, number, retry};
use crate::Error;
use crate::model::change::Rules;
use crate::model::{Grant, Refusal};

impl Store {
    /// Was this announcement applied before?
    pub async fn is_applied(&self, event_id: &str) -> Result<bool, Error> {
        let sql = "SELECT COUNT(*) FROM platform_events WHERE event_id = $1";
        let count: i64 = sqlx::query_scalar(sql).bind(event_id).fetch_one(self.db.pool()).await?;
        Ok(count > 0)
    }

    /// Notes that an announcement was applied: after its effects, which are idempotent.
    pub async fn note_applied(&self, event_id: &str, now: i64) -> Result<(), Error> {
        let sql = "INSERT INTO platform_events (event_id, applied_at_ms) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        sqlx::query(sql)
            .bind(event_id)
            .bind(now)
            .execute(self.db.pool())
            .await?;
        Ok(())
    }

    /// The person withdrew a grant at the platform: it is dead, and its credential, worth nothing any more, is destroyed. One
    /// that was dead before is not announced again, but what is on its way cannot revive it any more. Where the person wants their
    /// data gone (`erases`), their name goes too. True = it was news.
    pub async fn withdraw(&self, of: &Grant, refusal: &Refusal, erases: bool, rules: Rules<'_>) -> Result<bool, Error> {
        retry(|| async {
            let mut tx = self.db.begin().await?;
            let Some(Stored { mut grant, .. }) = lock(&mut tx, &of.workspace_id, &of.id).await? else {
                return Ok(false);
            };
            let generation = grant.generation;
            // A reconnect that happened meanwhile is newer than what was announced.
            if generation != of.generation {
                return Ok(false);
            }
            let change = rules.withdrawn(&mut grant, refusal.clone());
            if erases {
                grant.user_name.clear();
            } else if grant.generation == generation {
                return Ok(false);
            }
            save(&mut tx, &grant, generation, &Sealing::Destroy).await?;
            let news = change.is_some();
            if let Some(change) = change {
                announce(&mut tx, &grant, change, rules.now).await?;
            }
            tx.commit().await?;
            Ok(news)
        })
        .await
    }

    /// Grants that are stuck: without an answer since `before`, refused, suspect, or due for long. With the reason.
    pub async fn stuck(&self, before: i64, limit: i64) -> Result<Vec<pb::StuckGrant>, Error> {
        let sql = "SELECT g.*, COALESCE(a.started_at_ms, 0) AS open_since_ms
             FROM grants g LEFT JOIN attempts a ON a.grant_id = g.id AND a.state IN ('open', 'unknown')
             WHERE g.state IN ('active', 'suspect')
               AND (a.started_at_ms < $1 OR g.refusals > 0 OR g.troubles > 2 OR g.state = 'suspect' OR g.next_due_at_ms < $1)
             ORDER BY g.next_due_at_ms LIMIT $2";
        let rows = sqlx::query(sql)
            .bind(before)
            .bind(limit)
            .fetch_all(self.db.pool())
            .await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let (grant, open_since) = (stored(row)?.grant, number(row, "open_since_ms")?);
            let (reason, since_ms) = why_stuck(&grant, open_since, before);
            found.push(pb::StuckGrant {
                grant: Some(self.message(&grant.workspace_id, &grant).await?),
                reason,
                since_ms,
            });
        }
        Ok(found)
    }
}

/// A fresh attempt at a grant that has been in trouble for long is not what is wrong with it.
fn why_stuck(grant: &Grant, open_since: i64, before: i64) -> (String, i64) {
    let last = grant.last_error.as_ref().map_or_else(String::new, |error| {
        format!(", last: {} {}", crate::error::reason(error), error.code)
    });
    if open_since > 0 && open_since < before {
        ("open attempt without an answer".to_owned(), open_since)
    } else if grant.refusals > 0 {
        (format!("{} refusals{last}", grant.refusals), grant.last_attempt_at_ms)
    } else if grant.troubles > 0 {
        (
            format!("{} tries in trouble{last}", grant.troubles),
            grant.last_attempt_at_ms,
        )
    } else {
        (
            format!("due and not looked at{last}"),
            grant.next_due_at_ms.unwrap_or(0),
        )
    }
}
