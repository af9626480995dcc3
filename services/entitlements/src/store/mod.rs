//! Workspaces and slots in the database: one method = one transaction.
//!
//! Every transaction that changes slots first updates the workspace's row (`lock`), which makes writers of one workspace
//! wait for each other on both engines; the counters are then moved by conditional updates, so that no committed state has
//! more accounts than the plan allows. A change of plan or locks is put in the outbox in the same transaction.

mod slots;

use std::future::Future;
use std::sync::Arc;

use kit::db::{self, Cause, Db, Tx};
use kit::outbox;
use prost::Message;
use proto::entitlements::v1 as pb;

pub use slots::{Hold, Reservation};

use crate::error::Error;
use crate::model::{self, AccountSlot, Catalogue, Plan};

/// Outbox topic of changes of plan or locks.
pub const PLAN_CHANGE: &str = "plan_change";

/// How often a transaction is tried when it loses to others.
const ATTEMPTS: u32 = 20;

/// The database of this service.
#[derive(Clone)]
pub struct Store {
    db: Db,
    catalogue: Arc<Catalogue>,
}

/// A workspace's row.
#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    plan: String,
    held: i64,
    reserved: i64,
    version: i64,
}

#[derive(sqlx::FromRow)]
struct SlotRow {
    holder_id: String,
    platform: String,
    state: String,
    created_at_ms: i64,
}

impl Store {
    /// A store over a migrated database.
    pub fn new(db: Db, catalogue: Arc<Catalogue>) -> Self {
        Self { db, catalogue }
    }

    /// The plans.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Plan, usage and availability. A workspace that is not known yet comes into being with the default plan.
    pub async fn workspace(&self, id: &str, now_ms: i64) -> Result<pb::Workspace, Error> {
        let known = sqlx::query_as::<_, Row>("SELECT id, plan, held, reserved, version FROM workspaces WHERE id = $1")
            .bind(id)
            .fetch_optional(self.db.pool())
            .await?;
        let Some(mut row) = known else {
            return again(|| async {
                let mut tx = self.db.begin().await?;
                let row = self.lock(&mut tx, id, now_ms).await?;
                let shown = self.show(&mut tx, &row).await?;
                tx.commit().await?;
                Ok(shown)
            })
            .await;
        };
        let reserved =
            "SELECT COUNT(*) FROM slots WHERE workspace_id = $1 AND state = 'reserved' AND expires_at_ms > $2";
        row.reserved = sqlx::query_scalar(reserved)
            .bind(id)
            .bind(now_ms)
            .fetch_one(self.db.pool())
            .await?;
        let locked = sqlx::query_scalar(LOCKED).bind(id).fetch_all(self.db.pool()).await?;
        Ok(self.describe(&row, locked))
    }

    /// What changes whenever anything that [`Store::workspace`] shows does.
    pub async fn version(&self, id: &str, now_ms: i64) -> Result<pb::WorkspaceVersion, Error> {
        let one = "SELECT version, held, (SELECT COUNT(*) FROM slots WHERE workspace_id = $1 AND state = 'reserved' \
                   AND expires_at_ms > $2) FROM workspaces WHERE id = $1";
        let row: Option<(i64, i64, i64)> = sqlx::query_as(one)
            .bind(id)
            .bind(now_ms)
            .fetch_optional(self.db.pool())
            .await?;
        let (version, used, reserved) = row.unwrap_or_default();
        Ok(pb::WorkspaceVersion {
            version,
            used,
            reserved,
        })
    }

    /// Changes the plan: locks what it does not cover, unlocks what it covers again.
    pub async fn set_plan(&self, id: &str, plan: &str, now_ms: i64) -> Result<pb::Workspace, Error> {
        let plan = self.catalogue.find(plan).ok_or(Error::UnknownPlan)?;
        again(|| async {
            let mut tx = self.db.begin().await?;
            let mut row = self.lock(&mut tx, id, now_ms).await?;
            let moved = row.plan != plan.name;
            row.plan.clone_from(&plan.name);
            let relocked = arrange(&mut tx, &mut row, plan, plan.limit(), &[]).await?;
            let shown = self.close(&mut tx, &mut row, moved || relocked, now_ms).await?;
            tx.commit().await?;
            Ok(shown)
        })
        .await
    }

    /// Makes the named accounts the ones that stay active; what room is left goes to the others, oldest first.
    pub async fn set_active(&self, id: &str, account_ids: &[String], now_ms: i64) -> Result<pb::Workspace, Error> {
        again(|| async {
            let mut tx = self.db.begin().await?;
            let mut row = self.lock(&mut tx, id, now_ms).await?;
            let plan = self.catalogue.plan_or_default(&row.plan);
            let accounts = accounts(&mut tx, id).await?;
            for account_id in account_ids {
                let account = accounts.iter().find(|account| account.account_id == *account_id);
                let account = account.ok_or(Error::AccountNotFound)?;
                self.check_platform(plan, &account.platform)?;
            }
            if i64::try_from(account_ids.len()).unwrap_or(i64::MAX) > plan.limit() {
                return Err(Error::LimitReached {
                    limit: plan.limit(),
                    used: row.held,
                });
            }
            let relocked = arrange(&mut tx, &mut row, plan, plan.limit(), account_ids).await?;
            let shown = self.close(&mut tx, &mut row, relocked, now_ms).await?;
            tx.commit().await?;
            Ok(shown)
        })
        .await
    }

    /// Fails when the workspace's plan does not have the platform now.
    pub async fn check(&self, id: &str, platform: &str) -> Result<(), Error> {
        let plan: Option<String> = sqlx::query_scalar("SELECT plan FROM workspaces WHERE id = $1")
            .bind(id)
            .fetch_optional(self.db.pool())
            .await?;
        let default = self.catalogue.default_plan();
        self.check_platform(
            plan.map_or(default, |plan| self.catalogue.plan_or_default(&plan)),
            platform,
        )
    }

    fn check_platform(&self, plan: &Plan, platform: &str) -> Result<(), Error> {
        self.catalogue.check(plan, platform).map_err(|refusal| match refusal {
            model::Refusal::Unknown => Error::UnknownPlatform,
            model::Refusal::ComingSoon => Error::ComingSoon(platform.to_owned()),
            model::Refusal::Locked(required_plan) => Error::PlatformLocked {
                platform: platform.to_owned(),
                required_plan,
            },
        })
    }

    /// Locks the workspace's row for this transaction, making it if need be, and lets lapsed reservations go.
    async fn lock(&self, tx: &mut Tx, id: &str, now_ms: i64) -> Result<Row, Error> {
        let make = "INSERT INTO workspaces (id, plan, created_at_ms, updated_at_ms) VALUES ($1, $2, $3, $3) \
                    ON CONFLICT (id) DO NOTHING";
        let default = &self.catalogue.default_plan().name;
        sqlx::query(make)
            .bind(id)
            .bind(default)
            .bind(now_ms)
            .execute(&mut **tx)
            .await?;
        let lock = "UPDATE workspaces SET updated_at_ms = $2 WHERE id = $1 RETURNING id, plan, held, reserved, version";
        let mut row = sqlx::query_as::<_, Row>(lock)
            .bind(id)
            .bind(now_ms)
            .fetch_one(&mut **tx)
            .await?;
        let lapse =
            "DELETE FROM slots WHERE workspace_id = $1 AND kind = 'session' AND expires_at_ms <= $2 RETURNING state";
        let lapsed: Vec<String> = sqlx::query_scalar(lapse)
            .bind(id)
            .bind(now_ms)
            .fetch_all(&mut **tx)
            .await?;
        release_reserved(tx, &mut row, count_reserved(&lapsed)).await?;
        Ok(row)
    }

    /// Writes plan and version of a changed workspace with its outbox row, and shows it.
    async fn close(&self, tx: &mut Tx, row: &mut Row, changed: bool, now_ms: i64) -> Result<pb::Workspace, Error> {
        if !changed {
            return self.show(tx, row).await;
        }
        let write = "UPDATE workspaces SET plan = $2, version = version + 1 WHERE id = $1 RETURNING version";
        row.version = sqlx::query_scalar(write)
            .bind(&row.id)
            .bind(&row.plan)
            .fetch_one(&mut **tx)
            .await?;
        let shown = self.show(tx, row).await?;
        let item = outbox::Item {
            topic: PLAN_CHANGE,
            key: row.id.clone(),
            seq: row.version,
            payload: shown.encode_to_vec(),
            due_at_ms: now_ms,
        };
        outbox::put(tx, &item).await?;
        Ok(shown)
    }

    async fn show(&self, tx: &mut Tx, row: &Row) -> Result<pb::Workspace, Error> {
        let locked = sqlx::query_scalar(LOCKED).bind(&row.id).fetch_all(&mut **tx).await?;
        Ok(self.describe(row, locked))
    }

    fn describe(&self, row: &Row, locked_account_ids: Vec<String>) -> pb::Workspace {
        let plan = self.catalogue.plan_or_default(&row.plan);
        pb::Workspace {
            workspace_id: row.id.clone(),
            plan: Some(plan.to_proto()),
            used: row.held,
            reserved: row.reserved,
            platforms: self.catalogue.availability(plan),
            locked_account_ids,
            version: row.version,
        }
    }
}

const LOCKED: &str =
    "SELECT holder_id FROM slots WHERE workspace_id = $1 AND state = 'locked' ORDER BY created_at_ms, holder_id";

/// The accounts that have a slot.
async fn accounts(tx: &mut Tx, id: &str) -> Result<Vec<AccountSlot>, Error> {
    let all =
        "SELECT holder_id, platform, state, created_at_ms FROM slots WHERE workspace_id = $1 AND kind = 'account'";
    let rows = sqlx::query_as::<_, SlotRow>(all).bind(id).fetch_all(&mut **tx).await?;
    let slot = |row: SlotRow| AccountSlot {
        account_id: row.holder_id,
        platform: row.platform,
        since_ms: row.created_at_ms,
        locked: row.state == "locked",
    };
    Ok(rows.into_iter().map(slot).collect())
}

/// Locks and unlocks accounts as the plan has room for them. True when anything moved.
async fn arrange(tx: &mut Tx, row: &mut Row, plan: &Plan, room: i64, preferred: &[String]) -> Result<bool, Error> {
    let accounts = accounts(tx, &row.id).await?;
    let locked = model::locked(plan, room, &accounts, preferred);
    let mut moved = false;
    for account in &accounts {
        let lock = locked.contains(&account.account_id);
        if lock != account.locked {
            let set = "UPDATE slots SET state = $3 WHERE workspace_id = $1 AND holder_id = $2";
            let state = if lock { "locked" } else { "held" };
            sqlx::query(set)
                .bind(&row.id)
                .bind(&account.account_id)
                .bind(state)
                .execute(&mut **tx)
                .await?;
            moved = true;
        }
    }
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    row.held = count(accounts.len()) - count(locked.len());
    let set = "UPDATE workspaces SET held = $2 WHERE id = $1";
    sqlx::query(set).bind(&row.id).bind(row.held).execute(&mut **tx).await?;
    Ok(moved)
}

/// Takes `count` off the workspace's reservations.
async fn release_reserved(tx: &mut Tx, row: &mut Row, count: i64) -> Result<(), Error> {
    if count > 0 {
        row.reserved -= count;
        let set = "UPDATE workspaces SET reserved = reserved - $2 WHERE id = $1";
        sqlx::query(set).bind(&row.id).bind(count).execute(&mut **tx).await?;
    }
    Ok(())
}

fn count_reserved(states: &[String]) -> i64 {
    i64::try_from(states.iter().filter(|state| *state == "reserved").count()).unwrap_or(i64::MAX)
}

/// Runs a whole transaction again while it loses to others. `work` must begin and commit it, and have no other effect.
async fn again<T, F: Future<Output = Result<T, Error>>>(work: impl Fn() -> F) -> Result<T, Error> {
    for attempt in 1.. {
        match work().await {
            Err(error) if attempt < ATTEMPTS && error.database().is_some_and(db::is_contention) => {
                tokio::time::sleep(std::time::Duration::from_millis(u64::from(attempt) * 5)).await;
            }
            done => return done,
        }
    }
    unreachable!("the last attempt returns")
}
