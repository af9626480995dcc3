//! What platforms do, and what a grant must be like afterwards (FAULTS H): the credential's bytes, its state, and every call.

use std::time::Duration;

use kit::Clock;
use proto::common::v1::ErrorClass;
use proto::tokens::v1::{CheckGrantsRequest, DetachRequest, GrantChangeCause as Cause, GrantState};
use tokio::sync::watch;

use crate::fake::Act;
use crate::hub::{HOUR, Hub, NOW, each};

const UNKNOWN: &str = "SELECT COUNT(*) FROM attempts WHERE state = 'unknown'";

async fn sealed(hub: &Hub, grant_id: &str) -> Vec<u8> {
    let sql = "SELECT sealed_credential FROM grants WHERE id = $1";
    let query = sqlx::query_scalar(sql).bind(grant_id);
    query.fetch_one(hub.db.pool()).await.unwrap()
}

async fn detach(hub: &Hub, account: &str) {
    let request = DetachRequest {
        workspace_id: "demo".into(),
        account_id: account.into(),
    };
    hub.client().detach(request).await.unwrap();
}

async fn check(hub: &Hub) {
    let request = CheckGrantsRequest {
        workspace_id: "demo".into(),
        account_ids: Vec::new(),
        wait: true,
    };
    hub.client().check_grants(request).await.unwrap();
}

async fn wait(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let patience = std::time::Instant::now() + Duration::from_secs(20);
    while !done().await {
        assert!(std::time::Instant::now() < patience, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn ask(hub: &Hub, account: &str) -> tokio::task::JoinHandle<bool> {
    let (mut client, account_id) = (hub.client(), account.to_owned());
    tokio::spawn(async move {
        let request = proto::tokens::v1::GetAccessTokenRequest {
            workspace_id: "demo".into(),
            account_id,
            min_ttl: None,
        };
        client.get_access_token(request).await.is_ok()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_no_answer_but_a_renewal_changes_a_byte_of_the_credential() {
    each(|hub| async move {
        let answers = [
            (Act::NotSent, GrantState::Active),
            (Act::Garbage, GrantState::Active),
            (Act::Refuse(ErrorClass::Transient), GrantState::Active),
            (Act::Refuse(ErrorClass::RateLimited), GrantState::Active),
            (Act::Refuse(ErrorClass::AppMisconfigured), GrantState::Active),
            (Act::OnlyRefreshToken, GrantState::Active),
            (Act::RenewInSilence, GrantState::Active),
            (Act::Refuse(ErrorClass::Revoked), GrantState::Suspect),
        ];
        for (number, (act, state)) in answers.into_iter().enumerate() {
            let account = hub.connect("demo", "rotating", &format!("u{number}")).await.remove(0);
            let grant_id = hub.grant(&account).await.grant_id;
            let before = sealed(&hub, &grant_id).await;
            hub.pass(HOUR + HOUR / 2);
            hub.fake.next(act);
            // It works for half an hour, and it is what a reader who wants more is given.
            assert_eq!(
                hub.tokens.token_for(&account, 3_600).await.unwrap().generation,
                1,
                "{number}"
            );
            let counted = i32::from(state == GrantState::Suspect);
            let grant = hub.grant(&account).await;
            assert_eq!((grant.state(), grant.failed_attempts), (state, counted), "{number}");
            assert!(sealed(&hub, &grant_id).await == before, "{number}: the bytes changed");
            detach(&hub, &account).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h7_an_answer_after_59_seconds_is_applied() {
    each(|hub| async move {
        let account = hub.connect("demo", "rotating", "ada").await.remove(0);
        hub.pass(3 * HOUR);
        let (open, gate) = watch::channel(false);
        hub.fake.next(Act::RenewAfter(gate));
        let asking = ask(&hub, &account);
        wait("a call", async || hub.fake.is_calling()).await;
        hub.pass(Duration::from_secs(59));
        open.send(true).unwrap();
        assert!(asking.await.unwrap());
        assert_eq!((hub.grant(&account).await.generation, hub.fake.calls()), (2, (1, 0)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h7_an_answer_after_61_seconds_is_applied_to_the_attempt_that_was_unknown() {
    each(|hub| async move {
        let account = hub.connect("demo", "rotating", "ada").await.remove(0);
        hub.pass(3 * HOUR);
        let open = hub.fake.next_unseen();
        assert!(hub.token(&account).await.is_err());
        for _ in 0..5 {
            hub.pass(Duration::from_secs(16));
            assert!(hub.token(&account).await.is_err());
        }
        assert_eq!((hub.count(UNKNOWN).await, hub.fake.calls()), (1, (0, 0)));
        open.send(true).unwrap();
        hub.swept(&account, |grant| grant.generation == 2).await;
        assert_eq!((hub.count(UNKNOWN).await, hub.fake.calls()), (0, (1, 0)));
        assert!(hub.token(&account).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h6_a_call_that_was_seen_to_end_without_an_answer_is_tried_once_more_after_its_deadline() {
    each(|hub| async move {
        let account = hub.connect("demo", "rotating", "ada").await.remove(0);
        hub.pass(HOUR + HOUR / 2);
        hub.fake.next(Act::Drop);
        assert_eq!(hub.tokens.token_for(&account, 3_600).await.unwrap().generation, 1);
        for _ in 0..3 {
            hub.pass(Duration::from_secs(16));
            assert_eq!(hub.tokens.token_for(&account, 3_600).await.unwrap().generation, 1);
        }
        assert_eq!((hub.count(UNKNOWN).await, hub.fake.calls()), (1, (0, 0)));
        // The platform never saw it: one try, and nothing was lost.
        hub.pass(Duration::from_secs(16));
        hub.swept(&account, |grant| grant.generation == 2).await;
        assert_eq!((hub.count(UNKNOWN).await, hub.fake.calls()), (0, (1, 0)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h5_a_call_that_broke_and_was_never_sent_is_tried_again_once_its_deadline_makes_that_certain() {
    each(|hub| async move {
        let account = hub.connect("demo", "rotating", "ada").await.remove(0);
        hub.pass(3 * HOUR);
        hub.fake.truth().breaks = 1;
        hub.fake.next(Act::NotSent);
        assert!(hub.token(&account).await.is_err());
        assert_eq!((hub.count(UNKNOWN).await, hub.fake.calls()), (1, (0, 0)));
        hub.pass(Duration::from_secs(45));
        assert!(hub.token(&account).await.is_err());
        assert_eq!(hub.count(UNKNOWN).await, 1, "it may still be sent");
        let began = hub.clock.now_ms();
        hub.pass(Duration::from_secs(16));
        hub.swept(&account, |grant| grant.generation == 2).await;
        assert!(hub.clock.now_ms() - began < 120_000, "it waited for the takeover");
        assert_eq!(hub.fake.calls(), (1, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_a_call_that_was_made_without_a_marker_and_broke_is_not_repeated_while_it_may_run() {
    each(|hub| async move {
        let account = hub.connect("demo", "rotating", "ada").await.remove(0);
        hub.pass(3 * HOUR);
        hub.fake.truth().unmarked = 1;
        hub.fake.truth().breaks = 1;
        assert!(hub.token(&account).await.is_err());
        assert_eq!((hub.count(UNKNOWN).await, hub.fake.calls()), (1, (0, 0)));
        // Past the deadline; a call that was sent just before it lasts up to another ninety seconds.
        for _ in 0..9 {
            hub.pass(Duration::from_secs(16));
            assert!(hub.token(&account).await.is_err());
        }
        assert_eq!((hub.count(UNKNOWN).await, hub.fake.calls()), (1, (0, 0)));
        hub.pass(Duration::from_secs(16));
        hub.swept(&account, |grant| grant.generation == 2).await;
        assert_eq!(hub.fake.calls(), (1, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v1_a_call_whose_marker_redis_does_not_take_is_made_all_the_same() {
    each(|hub| async move {
        let account = hub.connect("demo", "rotating", "ada").await.remove(0);
        hub.pass(3 * HOUR);
        hub.fake.truth().unmarked = 2;
        assert!(hub.token(&account).await.is_ok());
        assert_eq!(hub.fake.truth().unmarked, 1, "asked for a marker once");
        assert_eq!(hub.fake.calls(), (1, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h16_a_permission_that_an_inspection_lacks_refreshes_nothing_and_ends_nothing() {
    each(|hub| async move {
        let account = hub.connect("demo", "rotating", "ada").await.remove(0);
        for class in [
            ErrorClass::PermissionMissing,
            ErrorClass::AccountRestricted,
            ErrorClass::NotFound,
        ] {
            hub.fake.truth().inspection = Some(class);
            check(&hub).await;
            let grant = hub.grant(&account).await;
            assert_eq!((grant.state(), grant.failed_attempts), (GrantState::Active, 0));
        }
        assert_eq!(hub.fake.calls(), (0, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h22_lives_that_change_overnight_leave_no_reader_without_a_token() {
    each(|hub| async move {
        hub.fake.truth().lifetime_ms = 86_400_000;
        let account = hub.connect("demo", "rotating", "ada").await.remove(0);
        hub.fake.truth().lifetime_ms = 7_200_000;
        for hour in 1..=30 {
            hub.pass(HOUR);
            let token = hub.token(&account).await.unwrap();
            let end = token.expires_at.unwrap().seconds * 1000;
            assert!(end > hub.clock.now_ms(), "hour {hour}");
        }
        let (calls, reused) = hub.fake.calls();
        assert!(
            (3..=5).contains(&calls) && reused == 0,
            "{calls} calls, {reused} reused"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h23_whatever_a_person_withdraws_is_one_transition() {
    each(|hub| async move {
        let died = async |account: &str| {
            let changes = hub.changes(&hub.grant(account).await.grant_id).await;
            changes.iter().filter(|change| change.cause() == Cause::Died).count()
        };
        // The refresh token alone: the access token serves until its end, then the person is asked for.
        let account = hub.connect("demo", "rotating", "ada").await.remove(0);
        hub.pass(HOUR + HOUR / 2);
        hub.fake.truth().valid.clear();
        assert!(hub.tokens.token_for(&account, 3_600).await.is_ok());
        assert_eq!(
            (hub.grant(&account).await.state(), died(&account).await),
            (GrantState::Suspect, 0)
        );
        hub.pass(HOUR);
        for _ in 0..3 {
            assert!(hub.token(&account).await.is_err());
            hub.pass(HOUR);
        }
        assert_eq!(
            (hub.grant(&account).await.state(), died(&account).await),
            (GrantState::Dead, 1)
        );
        // Both: the first look finds it.
        let account = hub.connect("demo", "rotating", "bo").await.remove(0);
        hub.fake.truth().valid.clear();
        hub.fake.truth().inspection = Some(ErrorClass::Revoked);
        for _ in 0..3 {
            check(&hub).await;
        }
        assert_eq!(
            (hub.grant(&account).await.state(), died(&account).await),
            (GrantState::Dead, 1)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r16_a_replica_whose_clock_is_an_hour_off_neither_doubles_a_refresh_nor_ends_a_grant() {
    for skew_ms in [3_600_000, -3_600_000] {
        each(|hub| async move {
            let lasting = hub.connect("demo", "plain", "lin").await.remove(0);
            let account = hub.connect("demo", "rotating", "ada").await.remove(0);
            let off = Clock::manual(NOW + skew_ms);
            let other = hub.replica_at("tokens-1", &off);
            let pass = |time: Duration| {
                hub.pass(time);
                off.advance(time);
            };
            pass(4 * HOUR);
            let (open, gate) = watch::channel(false);
            hub.fake.next(Act::RenewAfter(gate));
            let asking = ask(&hub, &account);
            wait("a call", async || hub.fake.is_calling()).await;
            let theirs = other.token(&account);
            // Whoever looks for orphans does so now, and finds one that is an hour old by its clock.
            let opened = async {
                for _ in 0..3 {
                    pass(Duration::from_secs(16));
                    tokio::time::sleep(Duration::from_millis(150)).await;
                }
                open.send(true).unwrap();
            };
            let (theirs, ()) = tokio::join!(theirs, opened);
            assert!(asking.await.unwrap() && theirs.is_ok(), "{skew_ms}");
            assert_eq!(hub.fake.calls(), (1, 0), "{skew_ms}");
            let states = [hub.grant(&account).await.state(), hub.grant(&lasting).await.state()];
            assert_eq!(states, [GrantState::Active; 2], "{skew_ms}");
        })
        .await;
    }
}
