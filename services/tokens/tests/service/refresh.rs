//! The protocol of a refresh: never lost, never doubled.

use std::time::Duration;

use kit::Code;
use proto::common::v1::ErrorClass;
use proto::tokens::v1::{
    DetachRequest, GetAccessTokenRequest, GrantChangeCause as Cause, GrantState, RefreshNowRequest,
};
use tokio::sync::watch;

use crate::fake::Act;
use crate::hub::{DAY, HOUR, Hub, each};

/// A user of the rotating platform whose access token has ended.
async fn stale(hub: &Hub) -> String {
    let account = hub.connect("demo", "rotating", "ada").await.remove(0);
    hub.pass(3 * HOUR);
    account
}

#[tokio::test(flavor = "multi_thread")]
async fn i5_many_callers_of_two_replicas_without_redis_cause_one_call() {
    each(|hub| async move {
        let (account, other) = (stale(&hub).await, hub.replica("tokens-1"));
        let (open, gate) = watch::channel(false);
        hub.fake.next(Act::RenewAfter(gate));
        let callers = (0..60)
            .map(|n| if n % 2 == 0 { &hub.tokens } else { &other })
            .map(|process| process.token(&account));
        let opened = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            open.send(true).unwrap();
        };
        let (answers, ()) = tokio::join!(futures_util::future::join_all(callers), opened);
        let tokens: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().access_token).collect();
        assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
        assert_eq!(hub.fake.calls(), (1, 0));
        assert_eq!(hub.grant(&account).await.generation, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i4_a_caller_who_leaves_does_not_take_the_new_token_with_it() {
    each(|hub| async move {
        let account = stale(&hub).await;
        let (open, gate) = watch::channel(false);
        hub.fake.next(Act::RenewAfter(gate));
        let message = GetAccessTokenRequest {
            workspace_id: "demo".into(),
            account_id: account.clone(),
            min_ttl: None,
        };
        let mut request = tonic::Request::new(message);
        request.set_timeout(Duration::from_millis(100));
        assert!(hub.client().get_access_token(request).await.is_err());
        open.send(true).unwrap();
        hub.until(&account, |grant| grant.generation == 2).await;
        assert_eq!(hub.fake.truth().refreshes, 1);
        assert!(hub.token(&account).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_a_process_that_dies_while_the_platform_answers_finds_the_answer_when_it_is_back() {
    each(|mut hub| async move {
        let account = stale(&hub).await;
        let (open, gate) = watch::channel(false);
        hub.fake.next(Act::RenewAfter(gate));
        let process = hub.tokens.client.clone();
        let message = GetAccessTokenRequest {
            workspace_id: "demo".into(),
            account_id: account.clone(),
            min_ttl: None,
        };
        let asking = tokio::spawn(async move { process.clone().get_access_token(message).await.is_ok() });
        while hub.count("SELECT COUNT(*) FROM attempts WHERE state = 'open'").await == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        hub.tokens.kill();
        asking.abort();
        open.send(true).unwrap();
        hub.tokens = hub.replica("tokens-0");
        hub.until(&account, |grant| grant.generation == 2).await;
        assert_eq!(hub.fake.calls(), (1, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_an_answer_that_was_stored_and_not_read_is_applied_by_the_next_life() {
    each(|mut hub| async move {
        let account = stale(&hub).await;
        // platforms cannot read answers for a while: the receipt is stored and stays.
        hub.fake.truth().reads_fail = true;
        let process = hub.tokens.client.clone();
        let message = GetAccessTokenRequest {
            workspace_id: "demo".into(),
            account_id: account.clone(),
            min_ttl: None,
        };
        let asking = tokio::spawn(async move { process.clone().get_access_token(message).await.is_ok() });
        while hub
            .count("SELECT COUNT(*) FROM attempts WHERE sealed_receipt IS NOT NULL")
            .await
            == 0
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        hub.tokens.kill();
        asking.abort();
        hub.fake.truth().reads_fail = false;
        hub.tokens = hub.replica("tokens-0");
        hub.until(&account, |grant| grant.generation == 2).await;
        assert_eq!(hub.fake.truth().refreshes, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h6_silence_is_unknown_blocks_others_and_leads_to_one_retry_and_then_to_the_person() {
    each(|hub| async move {
        let account = stale(&hub).await;
        hub.fake.next(Act::RenewInSilence);
        hub.fake.truth().inspection = Some(ErrorClass::Revoked);
        assert!(hub.token(&account).await.is_err());
        assert_eq!(
            hub.count("SELECT COUNT(*) FROM attempts WHERE state = 'unknown'").await,
            1
        );
        // Nobody tries while an answer may still come.
        assert!(hub.token(&account).await.is_err());
        assert_eq!(hub.fake.truth().refreshes, 1);
        // Its call is over, so after its deadline one retry: the platform had rotated, the token is lost, and this is noticed.
        hub.pass(Duration::from_secs(61));
        let grant = hub.swept(&account, |grant| grant.state() == GrantState::Dead).await;
        assert_eq!(grant.dead.unwrap().class(), ErrorClass::Revoked);
        let causes: Vec<_> = hub
            .changes(&grant.grant_id)
            .await
            .iter()
            .map(proto::tokens::v1::GrantChange::cause)
            .collect();
        assert_eq!(
            causes.iter().filter(|cause| **cause == Cause::Died).count(),
            1,
            "{causes:?}"
        );
        assert_eq!(hub.token(&account).await.err().unwrap().code, Code::TokenUnavailable);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h5_what_was_not_sent_is_tried_again_and_counts_for_nothing() {
    each(|hub| async move {
        let account = stale(&hub).await;
        hub.fake.next(Act::NotSent);
        let refused = hub.token(&account).await.err().unwrap();
        assert_eq!(refused.code, Code::PlatformUnavailable);
        hub.pass(Duration::from_secs(61));
        assert!(hub.token(&account).await.is_ok());
        assert_eq!(
            (hub.grant(&account).await.failed_attempts, hub.fake.truth().reused),
            (0, 0)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h11_a_refresh_token_in_an_answer_without_an_access_token_is_kept_and_used() {
    each(|hub| async move {
        let account = stale(&hub).await;
        hub.fake.next(Act::OnlyRefreshToken);
        assert!(hub.token(&account).await.is_err());
        assert_eq!(
            hub.count("SELECT COUNT(*) FROM quarantine WHERE state = 'waiting'")
                .await,
            1
        );
        hub.pass(Duration::from_secs(61));
        assert!(hub.token(&account).await.is_ok());
        assert_eq!(hub.fake.truth().reused, 0, "the spent token was sent again");
        assert_eq!(hub.count("SELECT COUNT(*) FROM quarantine").await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h13_a_refresh_token_that_died_leaves_a_working_access_token_in_use_until_its_end() {
    each(|hub| async move {
        let account = hub.connect("demo", "rotating", "ada").await.remove(0);
        hub.pass(HOUR + HOUR / 2);
        hub.fake.next(Act::Refuse(ErrorClass::Revoked));
        let token = hub.tokens.token_for(&account, 3_600).await.unwrap();
        assert_eq!(token.generation, 1);
        assert_eq!(hub.grant(&account).await.state(), GrantState::Suspect);
        // Past its end only another attempt can tell, and it does.
        hub.pass(HOUR);
        hub.fake.next(Act::Refuse(ErrorClass::Revoked));
        assert_eq!(hub.token(&account).await.err().unwrap().code, Code::TokenUnavailable);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_refusals_over_the_window_and_only_they_end_a_grant() {
    each(|hub| async move {
        let account = hub.connect("demo", "shared", "meta").await.remove(0);
        hub.pass(54 * DAY);
        for attempt in 1..=3 {
            hub.fake.next(Act::Refuse(ErrorClass::NotExtended));
            let grant = hub.swept(&account, |grant| grant.failed_attempts == attempt).await;
            assert_eq!(grant.state() == GrantState::Dead, attempt == 3);
            assert_eq!(hub.fake.truth().refreshes, usize::try_from(attempt).unwrap());
            hub.pass(DAY);
        }
        let grant = hub.grant(&account).await;
        assert_eq!(grant.dead.unwrap().class(), ErrorClass::NotExtended);
        assert_eq!(
            hub.changes(&grant.grant_id).await.last().unwrap().cause(),
            Cause::RefreshFailed
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_until_the_end_never_turns_anything_amber_before_it() {
    each(|hub| async move {
        let account = hub.connect("demo", "shared", "meta").await.remove(0);
        hub.pass(55 * DAY);
        for _ in 0..6 {
            hub.fake.next(Act::Refuse(ErrorClass::Transient));
        }
        for tries in 1..=4 {
            hub.pass(HOUR);
            hub.swept(&account, |_| hub.fake.truth().refreshes >= tries).await;
        }
        let grant = hub.grant(&account).await;
        assert_eq!((grant.state(), grant.failed_attempts), (GrantState::Active, 0));
        assert!(hub.token(&account).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_grant_derives_the_tokens_of_its_pages_anew() {
    each(|hub| async move {
        let account = hub.connect("demo", "shared", "meta").await.remove(0);
        let before = hub.token(&account).await.unwrap().access_token;
        let request = RefreshNowRequest {
            workspace_id: "demo".into(),
            account_id: account.clone(),
        };
        let answer = hub.client().refresh_now(request).await.unwrap().into_inner();
        assert_eq!((answer.error, answer.grant.unwrap().generation), (None, 2));
        let after = hub.token(&account).await.unwrap().access_token;
        assert!(before.starts_with("page-p1-of-access-meta-1001") && after.starts_with("page-p1-of-access-meta-1"));
        assert_ne!(before, after);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_can_have_any_grant_renewed_that_its_platform_renews() {
    each(|hub| async move {
        let account = hub.connect("demo", "rotating", "ada").await.remove(0);
        let request = RefreshNowRequest {
            workspace_id: "demo".into(),
            account_id: account.clone(),
        };
        let answer = hub.client().refresh_now(request).await.unwrap().into_inner();
        assert_eq!((answer.error, answer.grant.unwrap().generation), (None, 2));
        assert_eq!(hub.fake.truth().refreshes, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i22_a_disconnect_during_a_refresh_wins_and_the_late_token_is_revoked() {
    each(|hub| async move {
        let account = stale(&hub).await;
        let (open, gate) = watch::channel(false);
        hub.fake.next(Act::RenewAfter(gate));
        let process = hub.tokens.client.clone();
        let message = GetAccessTokenRequest {
            workspace_id: "demo".into(),
            account_id: account.clone(),
            min_ttl: None,
        };
        let asking = tokio::spawn(async move { process.clone().get_access_token(message).await.map(|_| ()) });
        while hub.count("SELECT COUNT(*) FROM attempts WHERE state = 'open'").await == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let request = DetachRequest {
            workspace_id: "demo".into(),
            account_id: account.clone(),
        };
        hub.client().detach(request).await.unwrap();
        open.send(true).unwrap();
        assert!(asking.await.unwrap().is_err());
        let both = ["access-ada-1001", "access-ada-1"];
        let give_up = std::time::Instant::now() + Duration::from_secs(15);
        while !both
            .iter()
            .all(|token| hub.fake.truth().revoked.iter().any(|revoked| revoked == token))
        {
            assert!(
                std::time::Instant::now() < give_up,
                "revoked only {:?}",
                hub.fake.truth().revoked
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let kept = "SELECT COUNT(*) FROM grants WHERE sealed_credential IS NOT NULL";
        assert_eq!(hub.count(kept).await, 0);
        // Noted once the platform has answered.
        let owed = "SELECT COUNT(*) FROM revocations WHERE sealed_credential IS NOT NULL";
        while hub.count(owed).await > 0 {
            assert!(std::time::Instant::now() < give_up, "a revoked credential is kept");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i24_a_reconnect_while_a_refresh_is_unknown_wins() {
    each(|hub| async move {
        let account = stale(&hub).await;
        hub.fake.next(Act::RenewInSilence);
        assert!(hub.token(&account).await.is_err());
        hub.connect("demo", "rotating", "ada").await;
        let token = hub.token(&account).await.unwrap();
        assert_eq!((token.generation, token.access_token.as_str()), (2, "access-ada-1002"));
        assert_eq!(
            hub.count("SELECT COUNT(*) FROM attempts WHERE state IN ('open', 'unknown')")
                .await,
            0
        );
        hub.pass(3 * HOUR);
        assert!(hub.token(&account).await.is_ok(), "the new lineage renews");
        assert_eq!(hub.fake.truth().reused, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i3_a_process_that_is_asked_to_end_finishes_what_was_sent() {
    each(|mut hub| async move {
        let account = stale(&hub).await;
        let (open, gate) = watch::channel(false);
        hub.fake.next(Act::RenewAfter(gate));
        let process = hub.tokens.client.clone();
        let message = GetAccessTokenRequest {
            workspace_id: "demo".into(),
            account_id: account.clone(),
            min_ttl: None,
        };
        let asking = tokio::spawn(async move { process.clone().get_access_token(message).await.is_ok() });
        while hub.count("SELECT COUNT(*) FROM attempts WHERE state = 'open'").await == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        hub.tokens.terminate();
        open.send(true).unwrap();
        let give_up = std::time::Instant::now() + Duration::from_secs(10);
        while hub.count("SELECT COUNT(*) FROM attempts WHERE state = 'applied'").await == 0 {
            assert!(std::time::Instant::now() < give_up, "the answer was not applied");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let _ = asking.await;
        hub.crash();
        assert_eq!(hub.grant(&account).await.generation, 2);
    })
    .await;
}
