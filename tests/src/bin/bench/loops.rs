//! The least that a refresh could be: a call to a platform, and two commits of one row each.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::post;
use kit::db::{Db, Location};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::refresh::{GRANTS, PLATFORM};

const REPLY: &str = r#"{"token_type":"bearer","expires_in":7200,"access_token":"a","refresh_token":"b","scope":"c"}"#;

/// A platform that thinks for a moment and answers.
pub(crate) async fn serve_platform(listen: SocketAddr) -> anyhow::Result<()> {
    let answer = async || {
        tokio::time::sleep(PLATFORM).await;
        REPLY
    };
    let listener = TcpListener::bind(listen).await?;
    Ok(axum::serve(listener, Router::new().route("/", post(answer))).await?)
}

/// Runs loops for whoever sends `<platform> <database> <seconds>`, and answers how often they went round.
pub(crate) async fn serve(listen: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let mut stream = BufReader::new(stream);
        let mut order = String::new();
        stream.read_line(&mut order).await?;
        // Somebody who only looks whether we listen.
        if let [platform, database, seconds] = order.split_whitespace().collect::<Vec<_>>()[..] {
            let length = Duration::from_secs_f64(seconds.parse()?);
            let done = run(format!("http://{platform}/"), database, length).await?;
            stream.write_all(done.to_string().as_bytes()).await?;
        }
    }
}

async fn run(platform: String, database: &str, length: Duration) -> anyhow::Result<u32> {
    static NOTHING: sqlx::migrate::Migrator = sqlx::migrate!("src/bin/bench/migrations");
    let db = Db::connect(&Location::Postgres(database.to_owned()), "bench", &NOTHING).await?;
    let timeouts = kit::http::Timeouts {
        connect: Duration::from_secs(1),
        total: Duration::from_secs(10),
    };
    let http = kit::http::client(timeouts)?;
    let begun = Instant::now();
    let mut loops = JoinSet::new();
    for row in 0..i64::try_from(GRANTS)? {
        let (db, http, platform) = (db.clone(), http.clone(), platform.clone());
        loops.spawn(async move {
            let mut done = 0;
            while begun.elapsed() < length {
                commit(&db, row).await?;
                http.post(&platform)
                    .body("grant_type=refresh_token")
                    .send()
                    .await?
                    .bytes()
                    .await?;
                commit(&db, row).await?;
                done += 1;
            }
            anyhow::Ok(done)
        });
    }
    let mut done = 0;
    while let Some(one) = loops.join_next().await {
        done += one??;
    }
    db.close().await;
    Ok(done)
}

async fn commit(db: &Db, row: i64) -> anyhow::Result<()> {
    let sql = "INSERT INTO rows (id, times) VALUES ($1, 1) ON CONFLICT (id) DO UPDATE SET times = rows.times + 1";
    sqlx::query(sql).bind(row).execute(db.pool()).await?;
    Ok(())
}
