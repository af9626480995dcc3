//! Finding what is due among many grants against finding it among few: the sweep's own statement, over rows made by SQL.

use std::time::{Duration, Instant};

use anyhow::ensure;
use kit::db::{Db, Location};
use kit::seal::KeyRing;
use sqlx::AssertSqlSafe;
use tokens::store::Store;
use tokens::vault::Vault;

use crate::measure::ratio;

const FEW: i64 = 10_000;
const MANY: i64 = 1_000_000;
const DUE: i64 = 1_000;
/// As `tokens.sweep.batch` in the default configuration.
const BATCH: i64 = 200;
const ROUNDS: usize = 7;
/// When the rows are due; the time itself does not matter.
const NOW: i64 = 1_790_000_000_000;
const LEASE: i64 = 600_000;
const KEY: &str = "bench:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// In the database at `url`, where no process sweeps any more.
pub(crate) async fn all(url: &str) -> anyhow::Result<()> {
    static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../services/tokens/migrations");
    let db = Db::connect(&Location::Postgres(url.to_owned()), "tokens", &MIGRATOR).await?;
    let store = Store::new(db.clone(), Vault::new(KeyRing::parse([KEY])?));
    for table in ["attempts", "attachments", "quarantine", "token_reads", "grants"] {
        run(&db, format!("DELETE FROM {table}")).await?;
    }
    let begun = Instant::now();
    grants(&db, 0, FEW).await?;
    let few = best(&db, &store).await?;
    grants(&db, FEW, MANY).await?;
    println!("\n{MANY} grants were made in {:.0} s", begun.elapsed().as_secs_f64());
    let many = best(&db, &store).await?;
    let per_second = |took: Duration| f64::from(u32::try_from(DUE).unwrap_or_default()) / took.as_secs_f64();
    ratio(
        "due among 1 M and among 10 k",
        per_second(many),
        per_second(few),
        many.as_secs_f64() / few.as_secs_f64(),
        "≤1.3",
    );
    Ok(())
}

async fn run(db: &Db, sql: String) -> anyhow::Result<()> {
    // Longer than a service lets a statement run.
    let mut connection = db.pool().acquire().await?;
    sqlx::query("SET statement_timeout = 0")
        .execute(&mut *connection)
        .await?;
    sqlx::query(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    Ok(())
}

/// Rows `from` up to `to`, due much later.
async fn grants(db: &Db, from: i64, to: i64) -> anyhow::Result<()> {
    let later = NOW + 10 * LEASE;
    let sql = format!(
        "INSERT INTO grants SELECT 'grt_' || lpad(n::text, 26, '0'), 'w' || n / 4, 'x', 'person' || n, 'Ada', 1, 1, 'active',
             decode(repeat('00', 300), 'hex'), 'rotating', 1, {NOW}, {NOW}, 0, 0, '[]', NULL, NULL, 0, 0, 0, 0, {later},
             {NOW}, {later}, 0, 0, {NOW}, {later} + n
         FROM generate_series({from}, {to} - 1) AS n"
    );
    run(db, sql).await?;
    run(db, "VACUUM ANALYZE grants".to_owned()).await
}

/// Makes `DUE` of all rows due, spread over the table, then times how the sweep leases them.
async fn best(db: &Db, store: &Store) -> anyhow::Result<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let make = format!(
            "UPDATE grants SET next_due_at_ms = {NOW} - 1000 WHERE id IN (
                 SELECT 'grt_' || lpad((n * (SELECT COUNT(*) FROM grants) / {DUE})::text, 26, '0')
                 FROM generate_series(0, {DUE} - 1) AS n)"
        );
        run(db, make).await?;
        let begun = Instant::now();
        let mut found = 0;
        loop {
            let leased = store.lease_due(NOW, NOW + LEASE, BATCH, &[]).await?.len();
            found += leased;
            if leased == 0 {
                break;
            }
        }
        best = best.min(begun.elapsed());
        ensure!(found == usize::try_from(DUE)?, "{found} were due");
    }
    Ok(best)
}
