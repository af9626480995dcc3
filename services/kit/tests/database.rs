//! The portable subset and the outbox, on SQLite and, where `TEST_POSTGRES_URL` names one, on PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::sync::Mutex;
use std::time::Duration;

use kit::db::{Db, Error, Location};
use kit::outbox::{self, Delivery, Item, Relay, Retry};
use kit::{Clock, id};
use sqlx::Row;
use tempfile::TempDir;

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("tests/migrations");

/// Both engines, each empty.
#[allow(
    clippy::disallowed_methods,
    reason = "tests learn from the environment where PostgreSQL is"
)]
async fn databases() -> Vec<(Db, Option<TempDir>)> {
    let folder = TempDir::new().unwrap();
    let sqlite = Db::connect(&Location::Folder(folder.path().into()), "things", &MIGRATOR)
        .await
        .unwrap();
    let mut databases = vec![(sqlite, Some(folder))];
    if let Ok(url) = std::env::var("TEST_POSTGRES_URL") {
        let schema: &'static str = format!("t{}", id::new("x", &Clock::system()).to_lowercase()).leak();
        databases.push((
            Db::connect(&Location::Postgres(url), schema, &MIGRATOR).await.unwrap(),
            None,
        ));
    }
    databases
}

#[tokio::test]
async fn bytes_text_numbers_and_nothing_come_back_as_they_went_in() {
    for (db, _folder) in databases().await {
        let insert = "INSERT INTO things (id, sealed, note, count, at_ms) VALUES ($1, $2, $3, $4, $5) RETURNING *";
        let row = sqlx::query(insert)
            .bind("one")
            .bind(Some(vec![0_u8, 255, 7]))
            .bind(None::<String>)
            .bind(5_i64)
            .bind(None::<i64>)
            .fetch_one(db.pool())
            .await
            .unwrap();
        assert_eq!(row.get::<Option<Vec<u8>>, _>("sealed"), Some(vec![0, 255, 7]));
        assert_eq!(row.get::<Option<String>, _>("note"), None);
        assert_eq!(row.get::<i64, _>("count"), 5);
        assert_eq!(row.get::<Option<i64>, _>("at_ms"), None);
        let empty = sqlx::query(insert)
            .bind("two")
            .bind(None::<Vec<u8>>)
            .bind("x")
            .bind(0_i64)
            .bind(1_i64);
        assert_eq!(
            empty
                .fetch_one(db.pool())
                .await
                .unwrap()
                .get::<Option<Vec<u8>>, _>("sealed"),
            None
        );
        let duplicate = sqlx::query("INSERT INTO things (id) VALUES ('one')")
            .execute(db.pool())
            .await
            .unwrap_err();
        assert!(kit::db::is_duplicate(&duplicate));
    }
}

#[tokio::test]
async fn counting_up_in_parallel_transactions_loses_nothing() {
    for (db, _folder) in databases().await {
        sqlx::query("INSERT INTO things (id) VALUES ('counter')")
            .execute(db.pool())
            .await
            .unwrap();
        let workers = (0..16).map(|_| {
            let db = db.clone();
            tokio::spawn(async move {
                for _ in 0..5 {
                    db.transaction(|tx| {
                        Box::pin(async move {
                            let count = sqlx::query("UPDATE things SET at_ms = 1 WHERE id = 'counter' RETURNING count")
                                .fetch_one(&mut **tx)
                                .await?
                                .try_get::<i64, _>(0)?;
                            sqlx::query("UPDATE things SET count = $1 WHERE id = 'counter'")
                                .bind(count + 1)
                                .execute(&mut **tx)
                                .await?;
                            Ok::<_, Error>(())
                        })
                    })
                    .await
                    .unwrap();
                }
            })
        });
        futures_util::future::try_join_all(workers).await.unwrap();
        let count = sqlx::query("SELECT count FROM things")
            .fetch_one(db.pool())
            .await
            .unwrap();
        assert_eq!(count.get::<i64, _>(0), 80);
    }
}

fn item(key: &str, seq: i64) -> Item {
    Item {
        topic: "change",
        key: key.into(),
        seq,
        payload: seq.to_be_bytes().to_vec(),
        due_at_ms: 0,
    }
}

async fn put(db: &Db, items: &[Item]) {
    let mut tx = db.begin().await.unwrap();
    for item in items {
        outbox::put(&mut tx, item).await.unwrap();
    }
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn e1_items_arrive_in_order_per_key_and_a_failed_one_holds_back_its_own_key_only() {
    for (db, _folder) in databases().await {
        let clock = Clock::manual(1_000_000);
        let relay = Relay::new(db.clone(), clock.clone(), "change");
        put(&db, &[item("a", 1), item("a", 2), item("b", 1), item("a", 1)]).await;
        let seen = Mutex::new(Vec::new());
        let refuse_a1 = |delivery: Delivery| {
            let refused = delivery.key == "a" && delivery.failures == 0 && delivery.seq == 1;
            seen.lock().unwrap().push((delivery.key, delivery.seq));
            async move { if refused { Err(Retry::default()) } else { Ok(()) } }
        };
        assert_eq!(relay.deliver(&refuse_a1).await.unwrap(), 2);
        assert_eq!(
            relay.deliver(&refuse_a1).await.unwrap(),
            0,
            "a waits for its back-off, b is done"
        );
        clock.advance(Duration::from_secs(1));
        assert_eq!(relay.deliver(&refuse_a1).await.unwrap(), 1);
        assert_eq!(relay.deliver(&refuse_a1).await.unwrap(), 1);
        assert_eq!(relay.deliver(&refuse_a1).await.unwrap(), 0);
        let of_a = seen
            .lock()
            .unwrap()
            .iter()
            .filter(|(key, _)| key == "a")
            .map(|(_, seq)| *seq)
            .collect::<Vec<_>>();
        assert_eq!(of_a, [1, 1, 2]);
    }
}

#[tokio::test]
async fn e2_a_transaction_that_is_rolled_back_announces_nothing() {
    for (db, _folder) in databases().await {
        let mut tx = db.begin().await.unwrap();
        outbox::put(&mut tx, &item("a", 1)).await.unwrap();
        tx.rollback().await.unwrap();
        let relay = Relay::new(db.clone(), Clock::system(), "change");
        assert_eq!(relay.deliver(&|_| async { Ok(()) }).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn k1_an_item_whose_deliverer_died_is_delivered_again_after_its_lease() {
    for (db, _folder) in databases().await {
        let clock = Clock::manual(1_000_000);
        let relay = Relay::new(db.clone(), clock.clone(), "change");
        put(&db, &[item("a", 1)]).await;
        let dies = relay.clone();
        let dead = tokio::spawn(async move { dies.deliver(&|_| std::future::pending()).await });
        while leased(&db).await == 0 {
            tokio::task::yield_now().await;
        }
        dead.abort();
        assert_eq!(relay.deliver(&|_| async { Ok(()) }).await.unwrap(), 0, "still leased");
        clock.advance(Duration::from_secs(31));
        assert_eq!(relay.deliver(&|_| async { Ok(()) }).await.unwrap(), 1);
    }
}

async fn leased(db: &Db) -> i64 {
    let row = sqlx::query("SELECT leased_until_ms FROM outbox")
        .fetch_one(db.pool())
        .await
        .unwrap();
    row.get(0)
}
