//! The database: SQLite for the one-command run, PostgreSQL in production, the same SQL on both through sqlx's `Any`.
//!
//! Portable subset: TEXT, BIGINT and BYTEA columns, `$1` parameters, `ON CONFLICT`, `RETURNING`, partial unique indexes.
//! A row is locked by updating it first in its transaction; there is no `FOR UPDATE` and no `SKIP LOCKED`.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::migrate::{MigrateError, Migration, Migrator};
use sqlx::{Any, AnyPool, Executor, Transaction};

const ACQUIRE: Duration = Duration::from_secs(3);
const ATTEMPTS: u32 = 8;
/// How often a start waits for the migrations of others.
const TURNS: u32 = 24;

/// Why the database did not do what was asked.
pub type Error = sqlx::Error;

/// A transaction on either engine.
pub type Tx = Transaction<'static, Any>;

/// What a service's error must tell so that [`Db::transaction`] knows whether trying again helps.
pub trait Cause {
    /// The database error behind it, if that is what it is.
    fn database(&self) -> Option<&Error>;
}

impl Cause for Error {
    fn database(&self) -> Option<&Error> {
        Some(self)
    }
}

/// Which engine is behind a [`Db`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// One file per service.
    Sqlite,
    /// One schema per service.
    Postgres,
}

/// Where the data is.
#[derive(Clone, Debug)]
pub enum Location {
    /// Folder of SQLite files.
    Folder(PathBuf),
    /// `postgres://…` URL.
    Postgres(String),
}

/// One service's database.
#[derive(Clone)]
pub struct Db {
    pool: AnyPool,
    engine: Engine,
}

impl Db {
    /// Connects, makes the service's file or schema, and migrates it.
    pub async fn connect(location: &Location, service: &'static str, migrator: &Migrator) -> anyhow::Result<Self> {
        sqlx::any::install_default_drivers();
        let db = match location {
            Location::Folder(folder) => Self::sqlite(folder, service).await?,
            Location::Postgres(url) => Self::postgres(url, service).await?,
        };
        db.migrate(migrator).await?;
        Ok(db)
    }

    /// Checks that the database can be reached at all, without migrating anything.
    pub async fn ping(location: &Location) -> anyhow::Result<()> {
        sqlx::any::install_default_drivers();
        match location {
            Location::Folder(folder) => {
                std::fs::create_dir_all(folder)?;
                let probe = folder.join(".write-probe");
                std::fs::write(&probe, b"")?;
                Ok(std::fs::remove_file(probe)?)
            }
            Location::Postgres(url) => {
                let pool = AnyPoolOptions::new()
                    .max_connections(1)
                    .acquire_timeout(ACQUIRE)
                    .connect(url)
                    .await?;
                pool.close().await;
                Ok(())
            }
        }
    }

    async fn sqlite(folder: &Path, service: &str) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let url = format!("sqlite://{}?mode=rwc", folder.join(format!("{service}.db")).display());
        let pool = AnyPoolOptions::new()
            .max_connections(8)
            .acquire_timeout(Duration::from_secs(30))
            .test_before_acquire(false)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    // FULL: a commit is on the disk before it is answered.
                    for pragma in [
                        "PRAGMA busy_timeout = 20000",
                        "PRAGMA journal_mode = WAL",
                        "PRAGMA synchronous = FULL",
                        "PRAGMA foreign_keys = ON",
                        "PRAGMA secure_delete = ON",
                    ] {
                        connection.execute(pragma).await?;
                    }
                    Ok(())
                })
            })
            .connect(&url)
            .await?;
        Ok(Self {
            pool,
            engine: Engine::Sqlite,
        })
    }

    async fn postgres(url: &str, service: &'static str) -> anyhow::Result<Self> {
        let pool = AnyPoolOptions::new()
            .max_connections(16)
            .acquire_timeout(ACQUIRE)
            .idle_timeout(Duration::from_secs(300))
            // A ping on every acquire costs a third of a point read; a broken connection fails its query and is dropped.
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    let set = format!(
                        "SET search_path TO {service}; SET statement_timeout = '10s'; \
                         SET idle_in_transaction_session_timeout = '30s'; SET lock_timeout = '5s'"
                    );
                    connection.execute(sqlx::AssertSqlSafe(set)).await?;
                    Ok(())
                })
            })
            .connect(url)
            .await?;
        let make = format!("CREATE SCHEMA IF NOT EXISTS {service}");
        if let Err(error) = pool.execute(sqlx::AssertSqlSafe(make)).await {
            // Two replicas that start together race here; the loser finds the schema made.
            let found = sqlx::query("SELECT 1 FROM information_schema.schemata WHERE schema_name = $1")
                .bind(service)
                .fetch_optional(&pool)
                .await?;
            if found.is_none() {
                return Err(error.into());
            }
        }
        Ok(Self {
            pool,
            engine: Engine::Postgres,
        })
    }

    async fn migrate(&self, migrator: &Migrator) -> anyhow::Result<()> {
        let migrations = migrator
            .iter()
            .map(|migration| self.portable(migration))
            .collect::<Vec<_>>();
        let migrator = Migrator::with_migrations(migrations);
        // All services of a database take turns, and each waits only as long as `lock_timeout` says.
        for _ in 1..TURNS {
            match migrator.run(&self.pool).await {
                Err(MigrateError::Execute(error)) if is_lock_timeout(&error) => {}
                Err(MigrateError::ExecuteMigration(error, _)) if is_lock_timeout(&error) => {}
                done => return Ok(done?),
            }
        }
        Ok(migrator.run(&self.pool).await?)
    }

    /// Sealed columns are written BYTEA; SQLite's word for them is BLOB.
    fn portable(&self, migration: &Migration) -> Migration {
        let mut migration = migration.clone();
        if self.engine == Engine::Sqlite {
            let sql = migration.sql.as_str().replace("BYTEA", "BLOB");
            migration = Migration::new(
                migration.version,
                migration.description.clone(),
                migration.migration_type,
                sqlx::SqlSafeStr::into_sql_str(sqlx::AssertSqlSafe(sql)),
                migration.no_tx,
            );
        }
        migration
    }

    /// The pool, for single statements.
    pub fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Which engine this is; for tests and for start-up output, not for queries.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// The rows of a JSON array of arrays that is the first parameter, as `value`, whose columns are `value->>0` and so on: a
    /// statement with any number of rows that is the same text, so that it is prepared once.
    pub fn rows(&self) -> &'static str {
        match self.engine {
            Engine::Sqlite => "json_each($1)",
            Engine::Postgres => "jsonb_array_elements($1::jsonb) AS rows (value)",
        }
    }

    /// A transaction that may write: on SQLite it takes the write lock at once, so that it cannot fail to upgrade later.
    pub async fn begin(&self) -> Result<Tx, Error> {
        match self.engine {
            Engine::Sqlite => self.pool.begin_with("BEGIN IMMEDIATE").await,
            Engine::Postgres => self.pool.begin().await,
        }
    }

    /// Runs a transaction, again when it lost to another one (deadlock, serialization, busy). `work` must have no effect
    /// outside the transaction and must not commit: `db.transaction(|tx| Box::pin(async move { … }))`.
    pub async fn transaction<T, E, F>(&self, mut work: F) -> Result<T, E>
    where
        E: From<Error> + Cause,
        F: for<'tx> FnMut(&'tx mut Tx) -> Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'tx>>,
    {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let done = async {
                let mut tx = self.begin().await?;
                let value = work(&mut tx).await?;
                tx.commit().await?;
                Ok::<T, E>(value)
            }
            .await;
            match done {
                Err(error) if attempt < ATTEMPTS && error.database().is_some_and(is_contention) => {
                    backoff(attempt).await;
                }
                done => return done,
            }
        }
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

fn backoff(attempt: u32) -> impl Future<Output = ()> {
    let mut random = [0_u8; 1];
    crate::id::fill(&mut random);
    tokio::time::sleep(Duration::from_millis(
        u64::from(attempt) * 5 + u64::from(random[0]) / 16,
    ))
}

/// True when the transaction lost to another one and may be tried again as a whole.
pub fn is_contention(error: &Error) -> bool {
    let Some(code) = error.as_database_error().and_then(sqlx::error::DatabaseError::code) else {
        return false;
    };
    // PostgreSQL: serialization_failure, deadlock_detected, lock_not_available. SQLite: BUSY and its extended codes, LOCKED.
    matches!(&*code, "40001" | "40P01" | "55P03" | "5" | "261" | "517" | "6" | "262")
}

/// Somebody else held a lock longer than we wait.
fn is_lock_timeout(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.code().is_some_and(|code| code == "55P03"))
}

/// True when a unique index refused a row.
pub fn is_duplicate(error: &Error) -> bool {
    error
        .as_database_error()
        .is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

/// True when the database could not be reached or had no connection free: nothing is known about the statement's effect.
pub fn is_unreachable(error: &Error) -> bool {
    matches!(
        error,
        Error::Io(_)
            | Error::PoolTimedOut
            | Error::PoolClosed
            | Error::Tls(_)
            | Error::WorkerCrashed
            | Error::Protocol(_)
    ) || error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| {
            // PostgreSQL: connection exceptions, too many connections, shutting down, starting up, read-only.
            code.starts_with("08") || matches!(&*code, "53300" | "57P01" | "57P02" | "57P03" | "25006" | "53100")
        })
}

/// `$4, $5, $6` for `placeholders(4, 3)`: lists in `IN (…)`, which are not portable as arrays.
pub fn placeholders(start: usize, count: usize) -> String {
    (start..start + count)
        .map(|n| format!("${n}"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_count_on() {
        assert_eq!(placeholders(4, 3), "$4, $5, $6");
    }
}
