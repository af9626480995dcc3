//! R8: whoever asks for a token may go away at any moment. Here they do, at every point at which they can.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokens::access::Wish;
use tokens::engine::Engine;
use tokio::time::Instant;

use crate::hub::{HOUR, Hub, each};

/// More often than one request for a token is ever polled.
const POLLS: usize = 12;
/// Requests that are dropped after as many polls: how many a step takes depends on what else runs.
const TIMES: usize = 4;

/// Asks for a token and drops the request as soon as it was polled `polls` times. True = it came to its end.
async fn ask(engine: &Engine, account: &str, polls: usize) -> bool {
    let wish = Wish {
        caller: &Arc::from("test"),
        workspace_id: "demo",
        account_id: account,
        min_ttl_ms: 60_000,
        deadline: Instant::now() + Duration::from_secs(20),
    };
    let mut asking = Box::pin(engine.access(&wish));
    let mut polled = 0;
    std::future::poll_fn(|context| {
        if polled == polls {
            return Poll::Ready(false);
        }
        polled += 1;
        match asking.as_mut().poll(context) {
            Poll::Pending if polled == polls => Poll::Ready(false),
            polled => polled.map(|token| {
                assert!(token.is_ok());
                true
            }),
        }
    })
    .await
}

async fn rests(hub: &Hub) {
    let patience = Instant::now() + Duration::from_secs(20);
    while hub
        .count("SELECT COUNT(*) FROM attempts WHERE state IN ('open', 'unknown')")
        .await
        > 0
    {
        assert!(Instant::now() < patience, "a refresh was stopped on its way");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_a_request_dropped_at_any_poll_never_stops_what_was_sent() {
    each(|hub| async move {
        let engine = hub.engine().await;
        let mut accounts = Vec::new();
        for user in 0..POLLS * TIMES {
            accounts.extend(hub.connect("demo", "rotating", &format!("u{user}")).await);
        }
        hub.pass(3 * HOUR);
        let mut served = 0;
        for (number, account) in accounts.iter().enumerate() {
            served += i64::from(ask(&engine, account, number % POLLS).await);
        }
        assert!(engine.tasks.drain(Duration::from_secs(20)).await);
        rests(&hub).await;
        // What the platform rotated is what we hold: every token renews once more.
        let renewed = hub.count("SELECT COUNT(*) FROM grants WHERE generation = 2").await;
        assert_eq!(hub.fake.calls(), (usize::try_from(renewed).unwrap(), 0));
        assert!(
            served > 0 && renewed > served,
            "{served} served, {renewed} renewed: none was left on its way"
        );
        hub.pass(3 * HOUR);
        for account in &accounts {
            assert!(hub.token(account).await.is_ok(), "{account}");
        }
        assert_eq!(hub.fake.calls().1, 0, "a spent token was sent");
    })
    .await;
}
