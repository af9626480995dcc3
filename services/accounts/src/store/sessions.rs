//! Connect sessions. Every step is one conditional statement, so that whoever loses a race sees the winner's result.

use super::{Change, Store};
use crate::error::Error;
use crate::model::session::{Place, Problem, Session, json};

macro_rules! columns {
    () => {
        "id, workspace_id, state_hash, browser_hash, user_id, user_name, intent, platform, connector, account_ids, channel, \
         return_to, redirect_uri, sealed_verifier, status, created_at_ms, expires_at_ms, step, completion_until_ms, destinations, picks, skipped, results, problem, discard_due, release_due"
    };
}

/// How a session ends, and what has to be given back for it.
pub(crate) struct End<'a> {
    /// `completed`, `failed`, `cancelled` or `expired`.
    pub(crate) status: &'static str,
    pub(crate) problem: Option<Problem>,
    /// Accounts that it connected.
    pub(crate) results: &'a [String],
    /// What was exchanged leads nowhere and is revoked.
    pub(crate) discard: bool,
    /// Its reservation is given back.
    pub(crate) release: bool,
}

impl Store {
    /// Writes a new session.
    pub(crate) async fn begin_session(&self, session: &Session) -> Result<(), Error> {
        let insert = "INSERT INTO sessions (id, workspace_id, state_hash, browser_hash, user_id, user_name, intent, platform, \
                      connector, account_ids, channel, return_to, redirect_uri, sealed_verifier, status, created_at_ms, \
                      expires_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 'pending', $15, $16)";
        sqlx::query(insert)
            .bind(&session.id)
            .bind(&session.workspace_id)
            .bind(&session.state_hash)
            .bind(&session.browser_hash)
            .bind(&session.user_id)
            .bind(&session.user_name)
            .bind(&session.intent)
            .bind(&session.platform)
            .bind(&session.connector)
            .bind(&session.account_ids)
            .bind(&session.channel)
            .bind(&session.return_to)
            .bind(&session.redirect_uri)
            .bind(&session.sealed_verifier)
            .bind(session.created_at_ms)
            .bind(session.expires_at_ms)
            .execute(self.db.pool())
            .await?;
        Ok(())
    }

    /// The session of an OAuth state. The state is the key here: a callback knows no workspace.
    pub(crate) async fn session_of_state(&self, state_hash: &str) -> Result<Option<Session>, Error> {
        let one = concat!("SELECT ", columns!(), " FROM sessions WHERE state_hash = $1");
        Ok(sqlx::query_as(one)
            .bind(state_hash)
            .fetch_optional(self.db.pool())
            .await?)
    }

    /// A session of one person.
    pub(crate) async fn session(&self, workspace_id: &str, id: &str) -> Result<Session, Error> {
        let one = concat!(
            "SELECT ",
            columns!(),
            " FROM sessions WHERE workspace_id = $1 AND id = $2"
        );
        let session = sqlx::query_as(one)
            .bind(workspace_id)
            .bind(id)
            .fetch_optional(self.db.pool())
            .await?;
        session.ok_or(Error::NotFound)
    }

    /// Consumes the state: exactly one caller gets the session, to exchange its code.
    pub(crate) async fn consume(
        &self,
        state_hash: &str,
        worker: &str,
        now_ms: i64,
        lease_ms: i64,
    ) -> Result<Option<Session>, Error> {
        let take = concat!(
            "UPDATE sessions SET status = 'authorizing', step = 'exchange', worker = $2, leased_until_ms = $4 \
             WHERE state_hash = $1 AND status = 'pending' AND expires_at_ms > $3 RETURNING ",
            columns!()
        );
        let take = sqlx::query_as(take)
            .bind(state_hash)
            .bind(worker)
            .bind(now_ms)
            .bind(now_ms + lease_ms);
        Ok(take.fetch_optional(self.db.pool()).await?)
    }

    /// Parks a native session until its app brings the completion code.
    pub(crate) async fn park(&self, session: &Session, completion_hash: &str, until_ms: i64) -> Result<bool, Error> {
        let park = "UPDATE sessions SET step = 'parked', completion_hash = $3, completion_until_ms = $4 \
                    WHERE workspace_id = $1 AND id = $2 AND status = 'authorizing' AND step = 'exchange'";
        let park = sqlx::query(park)
            .bind(&session.workspace_id)
            .bind(&session.id)
            .bind(completion_hash)
            .bind(until_ms);
        Ok(park.execute(self.db.pool()).await?.rows_affected() == 1)
    }

    /// Uses up a completion code: exactly one caller gets the session, to finish it.
    pub(crate) async fn unpark(
        &self,
        session: &Session,
        completion_hash: &str,
        worker: &str,
        now_ms: i64,
        lease_ms: i64,
    ) -> Result<bool, Error> {
        let take = "UPDATE sessions SET step = 'exchange', completion_hash = '', worker = $5, leased_until_ms = $6 \
                    WHERE workspace_id = $1 AND id = $2 AND status = 'authorizing' AND step = 'parked' \
                    AND completion_hash = $3 AND completion_until_ms > $4";
        let take = sqlx::query(take)
            .bind(&session.workspace_id)
            .bind(&session.id)
            .bind(completion_hash)
            .bind(now_ms)
            .bind(worker)
            .bind(now_ms + lease_ms);
        Ok(take.execute(self.db.pool()).await?.rows_affected() == 1)
    }

    /// Sessions whose worker is gone: leased to this one, to be resumed. With `own`, those that this instance left behind.
    pub(crate) async fn adopt(
        &self,
        worker: &str,
        own: bool,
        now_ms: i64,
        lease_ms: i64,
    ) -> Result<Vec<Session>, Error> {
        let sql = concat!(
            "UPDATE sessions SET worker = $1, leased_until_ms = $3 WHERE status = 'authorizing' AND step <> 'parked' \
             AND (leased_until_ms <= $2 OR (worker = $1 AND 1 = $4)) RETURNING ",
            columns!()
        );
        let adopt = sqlx::query_as(sql)
            .bind(worker)
            .bind(now_ms)
            .bind(now_ms + lease_ms)
            .bind(i64::from(own));
        Ok(adopt.fetch_all(self.db.pool()).await?)
    }

    /// Open sessions whose time is over: pending and choosing ones, and parked ones whose app did not come.
    pub(crate) async fn overdue(&self, now_ms: i64) -> Result<Vec<Session>, Error> {
        let due = concat!(
            "SELECT ",
            columns!(),
            " FROM sessions WHERE (status IN ('pending', 'choosing') AND expires_at_ms <= $1) \
             OR (status = 'authorizing' AND step = 'parked' AND completion_until_ms <= $1) LIMIT 100"
        );
        Ok(sqlx::query_as(due).bind(now_ms).fetch_all(self.db.pool()).await?)
    }

    /// Ended sessions that still have to give something back, and are due for another try.
    pub(crate) async fn unsettled(&self, now_ms: i64) -> Result<Vec<Session>, Error> {
        let due = concat!(
            "SELECT ",
            columns!(),
            " FROM sessions WHERE discard_due + release_due > 0 AND cleanup_at_ms <= $1 \
             ORDER BY cleanup_at_ms LIMIT 50"
        );
        Ok(sqlx::query_as(due).bind(now_ms).fetch_all(self.db.pool()).await?)
    }

    /// What an ended session gave back, and when to try the rest again.
    pub(crate) async fn settle_session(
        &self,
        session: &Session,
        discarded: bool,
        released: bool,
        again_at_ms: i64,
    ) -> Result<(), Error> {
        let set = "UPDATE sessions SET discard_due = CASE WHEN $3 = 1 THEN 0 ELSE discard_due END, \
                   release_due = CASE WHEN $4 = 1 THEN 0 ELSE release_due END, cleanup_at_ms = $5 \
                   WHERE workspace_id = $1 AND id = $2";
        sqlx::query(set)
            .bind(&session.workspace_id)
            .bind(&session.id)
            .bind(i64::from(discarded))
            .bind(i64::from(released))
            .bind(again_at_ms)
            .execute(self.db.pool())
            .await?;
        Ok(())
    }
}

impl Change {
    /// Ends an open session. `from` lists the states that it may be in; false when it is in another by now.
    pub(crate) async fn end_session(&mut self, session: &Session, from: &[&str], end: &End<'_>) -> Result<bool, Error> {
        let set = "UPDATE sessions SET status = $3, problem = $4, results = $5, discard_due = $6, release_due = $7, \
                   cleanup_at_ms = $8, completion_hash = '', step = '' WHERE workspace_id = $1 AND id = $2 AND status = $9";
        for status in from {
            let set = sqlx::query(set)
                .bind(&self.workspace_id)
                .bind(&session.id)
                .bind(end.status)
                .bind(end.problem.as_ref().map(json).unwrap_or_default())
                .bind(json(end.results))
                .bind(i64::from(end.discard))
                .bind(i64::from(end.release))
                .bind(self.now_ms)
                .bind(*status);
            if set.execute(&mut *self.tx).await?.rows_affected() == 1 {
                self.session_event(&session.id, end.status).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Offers the places to the person.
    pub(crate) async fn offer(
        &mut self,
        session: &Session,
        places: &[Place],
        skipped: &[String],
        until_ms: i64,
    ) -> Result<bool, Error> {
        let set = "UPDATE sessions SET status = 'choosing', step = '', destinations = $3, skipped = $4, picks = '[]', \
                   expires_at_ms = $5 WHERE workspace_id = $1 AND id = $2 AND status = 'authorizing'";
        let set = sqlx::query(set)
            .bind(&self.workspace_id)
            .bind(&session.id)
            .bind(json(places))
            .bind(json(skipped))
            .bind(until_ms);
        let offered = set.execute(&mut *self.tx).await?.rows_affected() == 1;
        if offered {
            self.session_event(&session.id, "choosing").await?;
        }
        Ok(offered)
    }

    /// Takes the person's choice: exactly one caller gets to attach it.
    pub(crate) async fn pick(
        &mut self,
        session: &Session,
        picks: &[String],
        worker: &str,
        lease_ms: i64,
    ) -> Result<bool, Error> {
        let set = "UPDATE sessions SET status = 'authorizing', step = 'attach', picks = $3, worker = $4, leased_until_ms = $5 \
                   WHERE workspace_id = $1 AND id = $2 AND status = 'choosing' AND expires_at_ms > $6";
        let set = sqlx::query(set)
            .bind(&self.workspace_id)
            .bind(&session.id)
            .bind(json(picks))
            .bind(worker)
            .bind(self.now_ms + lease_ms)
            .bind(self.now_ms);
        Ok(set.execute(&mut *self.tx).await?.rows_affected() == 1)
    }

    /// Remembers what the sign-in reaches, for a session that goes on without a choice.
    pub(crate) async fn note_places(
        &mut self,
        session: &Session,
        places: &[Place],
        skipped: &[String],
    ) -> Result<(), Error> {
        let picks = places.iter().map(|place| place.id.as_str()).collect::<Vec<_>>();
        let set = "UPDATE sessions SET step = 'attach', destinations = $3, skipped = $4, picks = $5 \
                   WHERE workspace_id = $1 AND id = $2 AND status = 'authorizing'";
        let set = sqlx::query(set)
            .bind(&self.workspace_id)
            .bind(&session.id)
            .bind(json(places))
            .bind(json(skipped))
            .bind(json(&picks));
        set.execute(&mut *self.tx).await?;
        Ok(())
    }
}
