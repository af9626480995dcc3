//! Many refreshes at once, clocks that disagree, rows that nobody can read, and a long outage (cases I3, I7, I16, I23, I25, I26).

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use kit::Clock;
use proto::common::v1::ErrorClass;
use proto::tokens::v1::{DetachRequest, GrantChangeCause as Cause, GrantState, ListStuckGrantsRequest};
use tokio::sync::watch;

use crate::fake::Act;
use crate::hub::{HOUR, Hub, NOW, each};
use crate::world::worlds;

/// Users of the rotating platform whose access tokens have ended, and a gate that holds back the answers to their refreshes.
async fn many(hub: &Hub, count: usize) -> (Vec<String>, watch::Sender<bool>) {
    let (open, gate) = watch::channel(false);
    let mut accounts = Vec::new();
    for n in 0..count {
        accounts.push(hub.connect("demo", "rotating", &format!("user{n}")).await.remove(0));
        hub.fake.next(Act::RenewAfter(gate.clone()));
    }
    hub.pass(3 * HOUR);
    (accounts, open)
}

async fn wait(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let give_up = std::time::Instant::now() + Duration::from_secs(20);
    while !done().await {
        assert!(std::time::Instant::now() < give_up, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const OPEN: &str = "SELECT COUNT(*) FROM attempts WHERE state IN ('open', 'unknown')";

#[tokio::test(flavor = "multi_thread")]
async fn i3_a_process_that_is_asked_to_end_finishes_all_that_was_sent() {
    each(|mut hub| async move {
        let (accounts, open) = many(&hub, 40).await;
        let asking = join_all(accounts.iter().map(|account| hub.tokens.token(account)));
        let ending = async {
            wait("all are sent", async || hub.fake.calls_under_way() == 40).await;
            hub.tokens.terminate();
            open.send(true).unwrap();
        };
        let (_, ()) = tokio::join!(asking, ending);
        wait("all are applied", async || {
            hub.count("SELECT COUNT(*) FROM attempts WHERE state = 'applied'").await == 40
        })
        .await;
        hub.crash();
        assert_eq!(hub.count("SELECT COUNT(*) FROM grants WHERE generation = 2").await, 40);
        assert_eq!(hub.fake.calls(), (40, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_two_who_each_hold_the_lock_make_one_attempt() {
    each(|hub| async move {
        // They share no Redis: each is given its lock at once, as after a failover that forgot the first.
        let other = hub.replica("tokens-1");
        let (accounts, open) = many(&hub, 20).await;
        open.send(true).unwrap();
        let both = accounts
            .iter()
            .flat_map(|account| [hub.tokens.token(account), other.token(account)]);
        let answers: Vec<_> = join_all(both)
            .await
            .into_iter()
            .map(|answer| answer.unwrap().access_token)
            .collect();
        assert!(answers.chunks(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
        assert_eq!(hub.fake.calls(), (20, 0));
        assert_eq!(hub.count("SELECT COUNT(*) FROM attempts").await, 20);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i16_clocks_that_disagree_and_one_that_steps_refresh_once_and_end_nothing() {
    each(|hub| async move {
        let (accounts, open) = many(&hub, 1).await;
        let (now, account) = (hub.clock.now_ms(), &accounts[0]);
        let ahead = hub.replica_at("tokens-1", &Clock::manual(now + 3_600_000));
        let behind = hub.replica_at("tokens-2", &Clock::manual(now - 600_000));
        let stepping = async {
            wait("it is sent", async || hub.fake.is_calling()).await;
            // For the one ahead the attempt is long due to be taken over, and it asks for its answer.
            let (one, other) = tokio::join!(ahead.token(account), async {
                hub.pass(HOUR);
                tokio::time::sleep(Duration::from_millis(200)).await;
                open.send(true).unwrap();
                behind.token(account).await
            });
            [one.unwrap().access_token, other.unwrap().access_token]
        };
        let (answer, others) = tokio::join!(hub.token(account), stepping);
        let token = hub.token(account).await.unwrap().access_token;
        assert!(
            answer.is_ok() && others.iter().all(|other| *other == token),
            "{others:?}"
        );
        assert_eq!(hub.fake.calls(), (1, 0));
        let grant = hub.grant(account).await;
        assert_eq!((grant.generation, grant.state()), (2, GrantState::Active));
        assert_eq!(hub.count(OPEN).await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i23_a_workspace_that_leaves_during_its_refreshes_leaves_nothing_behind() {
    each(|hub| async move {
        let (accounts, open) = many(&hub, 5).await;
        let mut grants = Vec::new();
        for account in &accounts {
            grants.push(hub.grant(account).await.grant_id);
        }
        let asking = join_all(accounts.iter().map(|account| hub.tokens.token(account)));
        let leaving = async {
            wait("all are sent", async || hub.fake.calls_under_way() == 5).await;
            for account in &accounts {
                let request = DetachRequest {
                    workspace_id: "demo".into(),
                    account_id: account.clone(),
                };
                hub.client().detach(request).await.unwrap();
            }
            open.send(true).unwrap();
        };
        let (answers, ()) = tokio::join!(asking, leaving);
        assert!(answers.iter().all(Result::is_err), "a token was handed out");
        // Old and new ones of everybody are ended at the platform.
        wait("all tokens are revoked", async || hub.fake.truth().revoked.len() >= 10).await;
        assert_eq!(
            hub.count("SELECT COUNT(*) FROM grants WHERE sealed_credential IS NOT NULL")
                .await,
            0
        );
        assert_eq!(
            hub.count("SELECT COUNT(*) FROM attempts WHERE sealed_receipt IS NOT NULL")
                .await,
            0
        );
        assert_eq!(hub.count(OPEN).await, 0);
        for grant in &grants {
            let told = hub.changes(grant).await;
            assert!(told.iter().all(|change| change.cause() != Cause::Refreshed), "{told:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i25_a_row_that_nobody_can_read_holds_up_no_other_and_waits() {
    each(|hub| async move {
        let (poison, fine) = (
            hub.connect("demo", "rotating", "ada").await.remove(0),
            hub.connect("demo", "shared", "meta").await.remove(0),
        );
        let stranger = hub.connect("demo", "rotating", "bo").await.remove(0);
        for (sql, account) in [
            ("UPDATE grants SET sealed_credential = $1 WHERE id = $2", &poison),
            (
                "UPDATE grants SET connector = 'nobody', sealed_credential = $1 WHERE id = $2",
                &stranger,
            ),
        ] {
            let id = hub.grant(account).await.grant_id;
            let broken = sqlx::query(sql).bind(b"garbage".to_vec()).bind(id);
            assert_eq!(broken.execute(hub.db.pool()).await.unwrap().rows_affected(), 1);
        }
        for hour in 1..=3 {
            hub.pass(HOUR);
            hub.swept(&fine, |grant| grant.checked_at_ms >= NOW + hour * 3_500_000)
                .await;
        }
        assert!(hub.token(&poison).await.is_err() && hub.token(&fine).await.is_ok());
        wait("both wait", async || {
            let first = "SELECT COUNT(*) FROM grants WHERE connector <> 'shared' AND next_due_at_ms <= 1";
            hub.count(first).await == 0
        })
        .await;
        let due: Vec<i64> =
            sqlx::query_scalar("SELECT next_due_at_ms FROM grants WHERE platform_user_id IN ('ada', 'bo')")
                .fetch_all(hub.db.pool())
                .await
                .unwrap();
        let now = hub.clock.now_ms();
        assert!(
            due.iter().all(|due| *due > now),
            "at the head of the queue again: {due:?} at {now}"
        );
    })
    .await;
}

/// A grant's row as often as is wanted, each due a little later than the one before it, in no order.
const MANY: &str = "INSERT INTO grants SELECT 'grt_' || n.i, workspace_id, connector, 'user' || n.i, user_name, generation, version,
    state, sealed_credential, renewal, has_refresh_token, issued_at_ms, access_expires_at_ms, refresh_expires_at_ms,
    data_access_expires_at_ms, granted_scopes, dead, last_error, refusals, troubles, last_attempt_at_ms, last_refreshed_at_ms,
    next_refresh_at_ms, checked_at_ms, next_check_at_ms, check_delayed, derive_pending, connected_at_ms, 1000 + (n.i * 7919) % 100000
    FROM grants, (WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 100000) SELECT i FROM c) n";

#[tokio::test(flavor = "multi_thread")]
async fn i26_after_a_long_outage_a_hundred_thousand_are_taken_a_batch_at_a_time_the_longest_due_first() {
    for world in worlds(false).await {
        world.connect("w", "cs", 1).await;
        sqlx::query(MANY).execute(world.db.pool()).await.unwrap();
        for batch in 0..3 {
            let leased = world.store.lease_due(NOW, NOW + 600_000, 200, &[]).await.unwrap();
            assert_eq!(leased.len(), 200);
            // Due are 1000, 1001, …: one grant each.
            let (from, to) = (1000 + batch * 200, 1000 + (batch + 1) * 200);
            for (_, id, _) in leased {
                let number: i64 = id.trim_start_matches("grt_").parse().unwrap();
                let due = 1000 + (number * 7919) % 100_000;
                assert!((from..to).contains(&due), "{due} in the batch from {from}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_is_shown_what_is_stuck_since_when_and_why() {
    each(|hub| async move {
        let mut accounts = Vec::new();
        for user in ["well", "waiting", "refused", "forgotten"] {
            accounts.push(hub.connect("demo", "rotating", user).await.remove(0));
        }
        hub.pass(HOUR + HOUR / 2);
        let (open, gate) = watch::channel(false);
        hub.fake.next(Act::RenewAfter(gate));
        let looking = async {
            wait("a call", async || hub.fake.is_calling()).await;
            hub.pass(Duration::from_secs(360));
            hub.fake.next(Act::Refuse(ErrorClass::Revoked));
            assert!(hub.tokens.token_for(&accounts[2], 3_600).await.is_ok());
            let long_due = "UPDATE grants SET next_due_at_ms = 1 WHERE user_name LIKE '%forgotten%'";
            let patience = Instant::now() + Duration::from_secs(10);
            let stuck = loop {
                // The sweep may be looking at it just now, which makes it due again only later.
                sqlx::query(long_due).execute(hub.db.pool()).await.unwrap();
                let list = hub.client().list_stuck_grants(ListStuckGrantsRequest::default()).await;
                let stuck = list.unwrap().into_inner().grants;
                if stuck.len() == 3 || Instant::now() > patience {
                    break stuck;
                }
            };
            open.send(true).unwrap();
            stuck
        };
        let (_, stuck) = tokio::join!(hub.tokens.token_for(&accounts[1], 7_000), looking);
        let told = async |account: &String| {
            let id = hub.grant(account).await.grant_id;
            let found = stuck.iter().find(|one| one.grant.as_ref().unwrap().grant_id == id);
            found.map(|one| (one.reason.as_str(), one.since_ms - NOW))
        };
        assert_eq!(stuck.len(), 3, "{stuck:?}");
        assert_eq!(told(&accounts[0]).await, None);
        let asked = 90 * 60_000;
        assert_eq!(
            told(&accounts[1]).await,
            Some(("open attempt without an answer", asked))
        );
        assert_eq!(
            told(&accounts[2]).await,
            Some(("1 refusals, last: revoked code", asked + 360_000))
        );
        assert_eq!(told(&accounts[3]).await, Some(("due and not looked at", 1 - NOW)));
    })
    .await;
}
