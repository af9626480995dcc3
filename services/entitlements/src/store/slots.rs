//! Reserving, holding and giving back slots.

use kit::db::Tx;

use super::{Row, Store, again, arrange, count_reserved, release_reserved};
use crate::error::Error;

/// A connect session that asks for a slot.
#[derive(Clone, Debug)]
pub struct Reservation<'a> {
    /// Workspace of the session.
    pub workspace_id: &'a str,
    /// `cs_…`
    pub session_id: &'a str,
    /// Whose session it is.
    pub user_id: &'a str,
    /// When the reservation lapses. Unix milliseconds.
    pub expires_at_ms: i64,
}

/// A session that completes: the accounts that it connects, as (id, platform).
#[derive(Clone, Debug)]
pub struct Hold<'a> {
    /// Workspace of the session.
    pub workspace_id: &'a str,
    /// The session whose reservation is used up; may have none.
    pub session_id: &'a str,
    /// Accounts to hold a slot, with their platforms.
    pub accounts: &'a [(String, String)],
}

impl Store {
    /// Reserves a slot; asked again, extends it. False when every free slot is reserved by others' unfinished sessions: the
    /// session may then go on and compete when it completes. A person's older reservations pass to their newest session.
    pub async fn reserve(&self, wanted: &Reservation<'_>, now_ms: i64) -> Result<bool, Error> {
        again(|| async {
            let mut tx = self.db.begin().await?;
            let mut row = self.lock(&mut tx, wanted.workspace_id, now_ms).await?;
            let limit = self.catalogue.plan_or_default(&row.plan).limit();
            if row.held >= limit {
                return Err(Error::LimitReached { limit, used: row.held });
            }
            let own = "DELETE FROM slots WHERE workspace_id = $1 AND kind = 'session' AND (holder_id = $2 OR user_id = $3) \
                       RETURNING state";
            let freed: Vec<String> = sqlx::query_scalar(own)
                .bind(wanted.workspace_id)
                .bind(wanted.session_id)
                .bind(wanted.user_id)
                .fetch_all(&mut *tx)
                .await?;
            release_reserved(&mut tx, &mut row, count_reserved(&freed)).await?;
            let take = "UPDATE workspaces SET reserved = reserved + 1 WHERE id = $1 AND held + reserved < $2";
            let taken = sqlx::query(take).bind(&row.id).bind(limit).execute(&mut *tx).await?.rows_affected() == 1;
            insert_session(&mut tx, wanted, taken, now_ms).await?;
            tx.commit().await?;
            Ok(taken)
        })
        .await
    }

    /// Turns a session into slots held by its accounts: all of them or none. Accounts that have a slot cost nothing.
    pub async fn hold(&self, hold: &Hold<'_>, now_ms: i64) -> Result<proto::entitlements::v1::Workspace, Error> {
        again(|| async {
            let mut tx = self.db.begin().await?;
            let mut row = self.lock(&mut tx, hold.workspace_id, now_ms).await?;
            let plan = self.catalogue.plan_or_default(&row.plan);
            let known = super::accounts(&mut tx, hold.workspace_id).await?;
            let mut new = hold
                .accounts
                .iter()
                .filter(|(id, _)| known.iter().all(|k| k.account_id != *id))
                .collect::<Vec<_>>();
            new.sort();
            new.dedup_by(|a, b| a.0 == b.0);
            for (_, platform) in &new {
                self.check_platform(plan, platform)?;
            }
            let need = i64::try_from(new.len()).unwrap_or(i64::MAX);
            let room = make_room(&mut tx, &mut row, hold.session_id, need, plan.limit()).await?;
            // The condition on the row is what keeps the limit, whatever was computed before.
            let take = "UPDATE workspaces SET held = held + $2 WHERE id = $1 AND held <= $3";
            let most = plan.limit() - need;
            let taken = room
                && sqlx::query(take)
                    .bind(&row.id)
                    .bind(need)
                    .bind(most)
                    .execute(&mut *tx)
                    .await?
                    .rows_affected()
                    == 1;
            if !taken {
                return Err(Error::LimitReached {
                    limit: plan.limit(),
                    used: row.held,
                });
            }
            row.held += need;
            for (account_id, platform) in new {
                let insert = "INSERT INTO slots (workspace_id, holder_id, kind, platform, state, created_at_ms) \
                              VALUES ($1, $2, 'account', $3, 'held', $4)";
                sqlx::query(insert)
                    .bind(&row.id)
                    .bind(account_id)
                    .bind(platform)
                    .bind(now_ms)
                    .execute(&mut *tx)
                    .await?;
            }
            let shown = self.show(&mut tx, &row).await?;
            tx.commit().await?;
            Ok(shown)
        })
        .await
    }

    /// Gives back what a session reserved or an account holds. The oldest locked account moves into a slot that becomes free.
    pub async fn release(&self, workspace_id: &str, holder_id: &str, now_ms: i64) -> Result<(), Error> {
        again(|| async {
            let mut tx = self.db.begin().await?;
            let mut row = self.lock(&mut tx, workspace_id, now_ms).await?;
            let give_back = "DELETE FROM slots WHERE workspace_id = $1 AND holder_id = $2 RETURNING state";
            let state: Option<String> = sqlx::query_scalar(give_back)
                .bind(workspace_id)
                .bind(holder_id)
                .fetch_optional(&mut *tx)
                .await?;
            match state.as_deref() {
                Some("reserved") => release_reserved(&mut tx, &mut row, 1).await?,
                Some(state @ ("held" | "locked")) => {
                    let plan = self.catalogue.plan_or_default(&row.plan);
                    let left = row.held - i64::from(state == "held");
                    // What unfinished sessions reserved stays theirs.
                    let room = (plan.limit() - row.reserved).max(left);
                    let relocked = arrange(&mut tx, &mut row, plan, room, &[]).await?;
                    self.close(&mut tx, &mut row, relocked || state == "locked", now_ms)
                        .await?;
                }
                _ => {}
            }
            Ok(tx.commit().await?)
        })
        .await
    }

    /// Lets reservations lapse in workspaces where nobody does anything. Returns how many workspaces had some.
    pub async fn sweep(&self, now_ms: i64) -> Result<usize, Error> {
        let stale = "SELECT DISTINCT workspace_id FROM slots WHERE kind = 'session' AND expires_at_ms <= $1 LIMIT 500";
        let workspaces: Vec<String> = sqlx::query_scalar(stale).bind(now_ms).fetch_all(self.db.pool()).await?;
        for workspace in &workspaces {
            again(|| async {
                let mut tx = self.db.begin().await?;
                self.lock(&mut tx, workspace, now_ms).await?;
                Ok(tx.commit().await?)
            })
            .await?;
        }
        Ok(workspaces.len())
    }
}

async fn insert_session(tx: &mut Tx, wanted: &Reservation<'_>, taken: bool, now_ms: i64) -> Result<(), Error> {
    let insert = "INSERT INTO slots (workspace_id, holder_id, kind, state, user_id, expires_at_ms, created_at_ms) \
                  VALUES ($1, $2, 'session', $3, $4, $5, $6)";
    sqlx::query(insert)
        .bind(wanted.workspace_id)
        .bind(wanted.session_id)
        .bind(if taken { "reserved" } else { "waiting" })
        .bind(wanted.user_id)
        .bind(wanted.expires_at_ms)
        .bind(now_ms)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Uses up the session's reservation and says whether `need` more accounts fit: into what it had reserved, into what is
/// free, or into what the same person's other unfinished sessions reserved. Others' reservations are left alone.
async fn make_room(tx: &mut Tx, row: &mut Row, session_id: &str, need: i64, limit: i64) -> Result<bool, Error> {
    let own =
        "DELETE FROM slots WHERE workspace_id = $1 AND holder_id = $2 AND kind = 'session' RETURNING state, user_id";
    let own: Option<(String, String)> = sqlx::query_as(own)
        .bind(&row.id)
        .bind(session_id)
        .fetch_optional(&mut **tx)
        .await?;
    let (reserved, user_id) = own.map_or((0, String::new()), |(state, user)| {
        (i64::from(state == "reserved"), user)
    });
    release_reserved(tx, row, reserved).await?;
    while need > reserved && need > limit - row.held - row.reserved {
        let steal = "DELETE FROM slots WHERE workspace_id = $1 AND holder_id = (SELECT MIN(holder_id) FROM slots \
                     WHERE workspace_id = $1 AND state = 'reserved' AND user_id = $2 AND user_id <> '') RETURNING state";
        let stolen: Vec<String> = sqlx::query_scalar(steal)
            .bind(&row.id)
            .bind(&user_id)
            .fetch_all(&mut **tx)
            .await?;
        if stolen.is_empty() {
            return Ok(false);
        }
        release_reserved(tx, row, count_reserved(&stolen)).await?;
    }
    Ok(need <= limit - row.held)
}
