//! Sessions of browsers that signed in. They belong to a person, not to a workspace: the hash of the cookie is the key.

use proto::accounts::v1 as pb;

use super::{Store, again};
use crate::error::Error;
use crate::model::session::json;

/// How exactly it is known when a session was last used: one write a minute is enough.
const SEEN_MS: i64 = 60_000;
/// How long one gateway has a session's refresh token to itself.
const LEASE_MS: i64 = 30_000;
/// Browsers that one person may be signed in with; the oldest beyond these are signed out.
const MOST: i64 = 50;

#[derive(sqlx::FromRow)]
struct Row {
    user_id: String,
    user_name: String,
    memberships: String,
    sealed_credential: Vec<u8>,
    seen_at_ms: i64,
    confirmed_at_ms: i64,
    ends_at_ms: i64,
    version: i64,
}

macro_rules! columns {
    () => {
        "user_id, user_name, memberships, sealed_credential, seen_at_ms, confirmed_at_ms, ends_at_ms, version"
    };
}

/// When sessions end.
#[derive(Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) now_ms: i64,
    pub(crate) idle_ms: i64,
}

impl Store {
    /// A new session; the one that it replaces and those beyond the person's most end.
    pub(crate) async fn create_browser(
        &self,
        id_hash: &str,
        replaces: &str,
        session: &pb::BrowserSession,
        now_ms: i64,
    ) -> Result<(), Error> {
        again(|| async {
            let mut tx = self.db.begin().await?;
            let insert = "INSERT INTO browser_sessions (id_hash, user_id, user_name, memberships, sealed_credential, \
                          created_at_ms, seen_at_ms, confirmed_at_ms, ends_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8)";
            sqlx::query(insert)
                .bind(id_hash)
                .bind(&session.user_id)
                .bind(&session.user_name)
                .bind(pairs(&session.memberships))
                .bind(&session.sealed_credential)
                .bind(now_ms)
                .bind(session.confirmed_at_ms)
                .bind(session.ends_at_ms)
                .execute(&mut *tx)
                .await?;
            let delete = "DELETE FROM browser_sessions WHERE id_hash = $1 OR (user_id = $2 AND id_hash NOT IN \
                          (SELECT id_hash FROM browser_sessions WHERE user_id = $2 ORDER BY created_at_ms DESC, id_hash LIMIT $3))";
            let delete = sqlx::query(delete).bind(replaces).bind(&session.user_id).bind(MOST);
            delete.execute(&mut *tx).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    /// A session that has not ended. `active` says that the person did something now.
    pub(crate) async fn browser(&self, id_hash: &str, active: bool, ends: Ends) -> Result<pb::BrowserSession, Error> {
        let one = concat!(
            "SELECT ",
            columns!(),
            " FROM browser_sessions WHERE id_hash = $1 AND ends_at_ms > $2 AND seen_at_ms > $3"
        );
        let row = sqlx::query_as::<_, Row>(one)
            .bind(id_hash)
            .bind(ends.now_ms)
            .bind(ends.now_ms - ends.idle_ms)
            .fetch_optional(self.db.pool())
            .await?
            .ok_or(Error::NotFound)?;
        if active && row.seen_at_ms <= ends.now_ms - SEEN_MS {
            let seen = "UPDATE browser_sessions SET seen_at_ms = $2 WHERE id_hash = $1 AND seen_at_ms < $2";
            let seen = sqlx::query(seen).bind(id_hash).bind(ends.now_ms);
            seen.execute(self.db.pool()).await?;
        }
        row.view()
    }

    /// True for one caller at a time, of this version.
    pub(crate) async fn lease_browser(&self, id_hash: &str, version: i64, now_ms: i64) -> Result<bool, Error> {
        let lease = "UPDATE browser_sessions SET leased_until_ms = $4 WHERE id_hash = $1 AND version = $2 AND leased_until_ms <= $3";
        let lease = sqlx::query(lease)
            .bind(id_hash)
            .bind(version)
            .bind(now_ms)
            .bind(now_ms + LEASE_MS);
        Ok(lease.execute(self.db.pool()).await?.rows_affected() == 1)
    }

    /// Stores what the provider said, over the version that was read. Ends the lease.
    pub(crate) async fn update_browser(&self, id_hash: &str, session: &pb::BrowserSession) -> Result<bool, Error> {
        let update = "UPDATE browser_sessions SET user_name = $3, memberships = $4, sealed_credential = $5, confirmed_at_ms = $6, \
                      version = version + 1, leased_until_ms = 0 WHERE id_hash = $1 AND version = $2 AND user_id = $7";
        let update = sqlx::query(update)
            .bind(id_hash)
            .bind(session.version)
            .bind(&session.user_name)
            .bind(pairs(&session.memberships))
            .bind(&session.sealed_credential)
            .bind(session.confirmed_at_ms)
            .bind(&session.user_id);
        Ok(update.execute(self.db.pool()).await?.rows_affected() == 1)
    }

    /// Ends a session, or all of its person. What it was.
    pub(crate) async fn end_browser(
        &self,
        id_hash: &str,
        everywhere: bool,
    ) -> Result<Option<pb::BrowserSession>, Error> {
        let take = concat!("DELETE FROM browser_sessions WHERE id_hash = $1 RETURNING ", columns!());
        let take = sqlx::query_as::<_, Row>(take)
            .bind(id_hash)
            .fetch_optional(self.db.pool());
        let Some(row) = take.await? else { return Ok(None) };
        if everywhere {
            let others = sqlx::query("DELETE FROM browser_sessions WHERE user_id = $1").bind(&row.user_id);
            others.execute(self.db.pool()).await?;
        }
        row.view().map(Some)
    }
}

impl Row {
    fn view(self) -> Result<pb::BrowserSession, Error> {
        let pairs: Vec<(String, String)> =
            serde_json::from_str(&self.memberships).map_err(|_| Error::Corrupt("memberships"))?;
        let memberships = pairs.into_iter();
        Ok(pb::BrowserSession {
            user_id: self.user_id,
            user_name: self.user_name,
            memberships: memberships
                .map(|(workspace_id, role)| pb::Membership { workspace_id, role })
                .collect(),
            sealed_credential: self.sealed_credential,
            confirmed_at_ms: self.confirmed_at_ms,
            ends_at_ms: self.ends_at_ms,
            version: self.version,
        })
    }
}

fn pairs(memberships: &[pb::Membership]) -> String {
    let pairs: Vec<_> = memberships
        .iter()
        .map(|membership| (&membership.workspace_id, &membership.role))
        .collect();
    json(&pairs)
}
