//! Answers that come late: after a process died, after a retry took the attempt's place, after a disconnect.

use std::time::Duration;

use kit::clock::millis;
use proto::common::v1::ErrorClass;
use proto::tokens::v1::{DetachRequest, GetAccessTokenRequest, GrantState, RefreshNowRequest};
use tokio::sync::watch;

use crate::fake::Act;
use crate::hub::{HOUR, Hub, each};

/// What a takeover leaves of an attempt without an answer, its retry over and done with.
const GIVE_UP: &str =
    "UPDATE attempts SET state = 'abandoned', outcome = 'no answer' WHERE state IN ('open', 'unknown')";

async fn stale(hub: &Hub) -> String {
    let account = hub.connect("demo", "rotating", "ada").await.remove(0);
    hub.pass(3 * HOUR);
    account
}

async fn give_up(hub: &Hub) {
    sqlx::query(GIVE_UP).execute(hub.db.pool()).await.unwrap();
}

/// Somebody asks for a refresh, by button or by need; nobody waits for what comes of it.
fn ask(hub: &Hub, account: &str) {
    let (mut client, account_id) = (hub.client(), account.to_owned());
    tokio::spawn(async move {
        let button = RefreshNowRequest {
            workspace_id: "demo".into(),
            account_id: account_id.clone(),
        };
        let need = GetAccessTokenRequest {
            workspace_id: "demo".into(),
            account_id,
            min_ttl: None,
        };
        if client.refresh_now(button).await.is_err() {
            let _ = client.get_access_token(need).await;
        }
    });
}

async fn wait(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let patience = std::time::Instant::now() + Duration::from_secs(20);
    while !done().await {
        assert!(std::time::Instant::now() < patience, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The process dies while its call is at the platform, which answers once the gate is opened.
async fn die_while_calling(hub: &mut Hub, account: &str) -> watch::Sender<bool> {
    let (open, gate) = watch::channel(false);
    hub.fake.next(Act::RenewAfter(gate));
    ask(hub, account);
    wait("a call", async || hub.fake.is_calling()).await;
    hub.tokens.kill();
    open
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_a_former_lifes_call_that_may_still_run_is_not_repeated_beside_it() {
    each(|mut hub| async move {
        let account = stale(&hub).await;
        let open = die_while_calling(&mut hub, &account).await;
        hub.fake.truth().impatient = true;
        hub.tokens = hub.replica("tokens-0");
        wait("it is left alone", async || {
            hub.count("SELECT COUNT(*) FROM attempts WHERE state = 'unknown'").await == 1
        })
        .await;
        assert_eq!(hub.count("SELECT COUNT(*) FROM attempts").await, 1);
        open.send(true).unwrap();
        hub.swept(&account, |grant| grant.generation == 2).await;
        assert_eq!(hub.fake.calls(), (1, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_an_answer_that_is_kept_after_a_retry_took_its_place_is_found() {
    each(|mut hub| async move {
        let account = hub.connect("demo", "shared", "meta").await.remove(0);
        hub.pass(HOUR);
        let open = die_while_calling(&mut hub, &account).await;
        hub.fake.truth().impatient = true;
        // Also what the schedule tries while time passes.
        for _ in 0..200 {
            hub.fake.next(Act::NotSent);
        }
        hub.tokens = hub.replica("tokens-0");
        wait("a retry that comes to nothing", async || {
            hub.count("SELECT COUNT(*) FROM attempts WHERE state = 'transient'")
                .await
                >= 1
        })
        .await;
        assert_eq!(hub.grant(&account).await.generation, 1);
        open.send(true).unwrap();
        hub.swept(&account, |grant| grant.generation == 2).await;
        assert_eq!(hub.fake.calls(), (1, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_an_answer_stored_with_an_attempt_that_was_given_up_is_read_by_the_next_life() {
    each(|mut hub| async move {
        let account = stale(&hub).await;
        hub.fake.truth().reads_fail = true;
        ask(&hub, &account);
        let stored = "SELECT COUNT(*) FROM attempts WHERE sealed_receipt IS NOT NULL";
        wait("a receipt", async || hub.count(stored).await == 1).await;
        hub.tokens.kill();
        give_up(&hub).await;
        hub.fake.truth().reads_fail = false;
        hub.fake.truth().kept.clear();
        hub.tokens = hub.replica("tokens-0");
        hub.swept(&account, |grant| grant.generation == 2).await;
        assert_eq!((hub.fake.calls(), hub.count(stored).await), ((1, 0), 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r13_an_answer_kept_after_a_disconnect_is_found_and_its_token_ended() {
    each(|mut hub| async move {
        let account = stale(&hub).await;
        let open = die_while_calling(&mut hub, &account).await;
        give_up(&hub).await;
        hub.tokens = hub.replica("tokens-0");
        let (workspace_id, account_id) = ("demo".into(), account.clone());
        let request = DetachRequest {
            workspace_id,
            account_id,
        };
        hub.client().detach(request).await.unwrap();
        open.send(true).unwrap();
        wait("the late token's end", async || {
            hub.pass(Duration::from_secs(2));
            hub.fake.truth().revoked.iter().any(|token| token == "access-ada-1")
        })
        .await;
        assert_eq!(
            hub.count("SELECT COUNT(*) FROM grants WHERE sealed_credential IS NOT NULL")
                .await,
            0
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r9_a_late_refusal_counts_for_nothing_beside_a_newer_attempt() {
    each(|mut hub| async move {
        let account = stale(&hub).await;
        let open = die_while_calling(&mut hub, &account).await;
        give_up(&hub).await;
        // The platform has forgotten the token by the time it sees the call.
        hub.fake.truth().valid.clear();
        let (newer, gate) = watch::channel(false);
        hub.fake.next(Act::RenewAfter(gate));
        hub.tokens = hub.replica("tokens-0");
        ask(&hub, &account);
        let begun = "SELECT COUNT(*) FROM attempts WHERE state = 'open'";
        wait("a newer attempt", async || hub.count(begun).await == 1).await;
        open.send(true).unwrap();
        wait("the late refusal", async || {
            hub.pass(Duration::from_millis(200));
            hub.count("SELECT COUNT(*) FROM attempts WHERE outcome = 'refused late'")
                .await
                == 1
        })
        .await;
        let grant = hub.grant(&account).await;
        assert_eq!((grant.state(), grant.failed_attempts), (GrantState::Active, 0));
        assert_eq!((hub.count(begun).await, hub.fake.truth().inspections), (1, 0));
        newer.send(true).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_platforms_has_no_answer_of_is_not_asked_for_for_ever() {
    each(|hub| async move {
        let account = stale(&hub).await;
        hub.fake.next(Act::RenewInSilence);
        let (workspace_id, account_id) = ("demo".into(), account.clone());
        let request = GetAccessTokenRequest {
            workspace_id,
            account_id,
            min_ttl: None,
        };
        assert!(hub.client().get_access_token(request).await.is_err());
        let began: i64 = hub.clock.now_ms();
        hub.fake.truth().inspection = Some(ErrorClass::Transient);
        give_up(&hub).await;
        wait("an end of asking", async || {
            hub.pass(Duration::from_secs(15));
            hub.count("SELECT COUNT(*) FROM attempts WHERE outcome = 'silent'")
                .await
                == 1
        })
        .await;
        // Not before every call of it must have ended.
        assert!(hub.clock.now_ms() - began >= millis(Duration::from_secs(360)));
    })
    .await;
}
