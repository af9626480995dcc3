//! What the hub remembers of persons, and idempotency keys of the HTTP API.

use std::collections::HashMap;

use prost::Message;
use proto::accounts::v1 as pb;

use super::{Store, again};
use crate::error::Error;
use crate::model::session::json;

/// A request that has not answered for this long died: its key may be claimed again.
const ABANDONED_MS: i64 = 120_000;
/// How long answers are kept.
pub(crate) const ANSWERS_KEPT_MS: i64 = 24 * 3600 * 1000;

#[derive(sqlx::FromRow, Default)]
struct PreferencesRow {
    locale: String,
    timezone: String,
    tours: String,
}

/// What claiming an idempotency key came to.
pub(crate) enum Claim {
    /// Run it.
    Claimed,
    /// It ran; this was the answer.
    Replay(pb::StoredAnswer),
    /// It runs now.
    InProgress,
    /// The key was used for something else.
    Mismatch,
}

impl Store {
    /// A person's preferences.
    pub(crate) async fn preferences(&self, user_id: &str) -> Result<pb::Preferences, Error> {
        let one = "SELECT locale, timezone, tours FROM preferences WHERE user_id = $1";
        let row = sqlx::query_as::<_, PreferencesRow>(one)
            .bind(user_id)
            .fetch_optional(self.db.pool())
            .await?
            .unwrap_or_default();
        let tours: HashMap<String, String> = serde_json::from_str(&row.tours).unwrap_or_default();
        Ok(pb::Preferences {
            locale: row.locale,
            timezone: row.timezone,
            tours,
        })
    }

    /// Replaces what is set and merges tours.
    pub(crate) async fn set_preferences(&self, user_id: &str, new: &pb::Preferences) -> Result<pb::Preferences, Error> {
        again(|| async {
            let mut tx = self.db.begin().await?;
            let make = "INSERT INTO preferences (user_id) VALUES ($1) ON CONFLICT (user_id) DO NOTHING";
            sqlx::query(make).bind(user_id).execute(&mut *tx).await?;
            let lock = "UPDATE preferences SET locale = CASE WHEN $2 = '' THEN locale ELSE $2 END, \
                        timezone = CASE WHEN $3 = '' THEN timezone ELSE $3 END WHERE user_id = $1 RETURNING locale, timezone, tours";
            let row = sqlx::query_as::<_, PreferencesRow>(lock).bind(user_id).bind(&new.locale).bind(&new.timezone);
            let row = row.fetch_one(&mut *tx).await?;
            let mut tours: HashMap<String, String> = serde_json::from_str(&row.tours).unwrap_or_default();
            tours.extend(new.tours.clone());
            let set = sqlx::query("UPDATE preferences SET tours = $2 WHERE user_id = $1").bind(user_id).bind(json(&tours));
            set.execute(&mut *tx).await?;
            tx.commit().await?;
            Ok(pb::Preferences { locale: row.locale, timezone: row.timezone, tours })
        })
        .await
    }

    /// Claims an idempotency key: of parallel twins exactly one runs.
    pub(crate) async fn claim(&self, workspace_id: &str, key: &str, hash: &str, now_ms: i64) -> Result<Claim, Error> {
        let insert = "INSERT INTO requests (workspace_id, key, request_hash, claimed_at_ms, answer) VALUES ($1, $2, $3, $4, $5) \
                      ON CONFLICT (workspace_id, key) DO UPDATE SET claimed_at_ms = excluded.claimed_at_ms, \
                      request_hash = excluded.request_hash, answer = excluded.answer WHERE requests.claimed_at_ms <= $6 \
                      OR (requests.request_hash = excluded.request_hash AND requests.claimed_at_ms <= $7 AND length(requests.answer) = 0)";
        let insert = sqlx::query(insert)
            .bind(workspace_id)
            .bind(key)
            .bind(hash)
            .bind(now_ms)
            .bind(Vec::<u8>::new())
            .bind(now_ms - ANSWERS_KEPT_MS)
            .bind(now_ms - ABANDONED_MS);
        if insert.execute(self.db.pool()).await?.rows_affected() == 1 {
            return Ok(Claim::Claimed);
        }
        let one = "SELECT request_hash, answer FROM requests WHERE workspace_id = $1 AND key = $2";
        let known: Option<(String, Vec<u8>)> = sqlx::query_as(one)
            .bind(workspace_id)
            .bind(key)
            .fetch_optional(self.db.pool())
            .await?;
        Ok(match known {
            // Released between the two statements: whoever asks again gets it.
            None => Claim::InProgress,
            Some((known, _)) if known != hash => Claim::Mismatch,
            Some((_, answer)) if answer.is_empty() => Claim::InProgress,
            Some((_, answer)) => {
                Claim::Replay(pb::StoredAnswer::decode(answer.as_slice()).map_err(|_| Error::Corrupt("answer"))?)
            }
        })
    }

    /// Stores the answer of a claimed key, or gives the key back.
    pub(crate) async fn finish(
        &self,
        workspace_id: &str,
        key: &str,
        answer: Option<&pb::StoredAnswer>,
    ) -> Result<(), Error> {
        let (sql, stored) = match answer {
            Some(answer) => (
                "UPDATE requests SET answer = $3 WHERE workspace_id = $1 AND key = $2 AND length(answer) = 0",
                Some(answer.encode_to_vec()),
            ),
            None => (
                "DELETE FROM requests WHERE workspace_id = $1 AND key = $2 AND length(answer) = 0",
                None,
            ),
        };
        let query = sqlx::query(sql).bind(workspace_id).bind(key);
        let query = if let Some(stored) = stored {
            query.bind(stored)
        } else {
            query
        };
        query.execute(self.db.pool()).await?;
        Ok(())
    }
}
