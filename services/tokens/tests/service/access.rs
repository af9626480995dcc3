//! Handing out tokens: fast, audited, and never after a disconnect.

use std::time::{Duration, Instant};

use kit::Code;
use proto::tokens::v1::{DetachRequest, GetAccessTokenRequest, RevocationState};
use tokio::sync::watch;

use crate::fake::Act;
use crate::hub::{DAY, HOUR, each};

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnect_is_felt_by_every_replica_within_a_second_without_redis() {
    each(|hub| async move {
        let (account, other) = (
            hub.connect("demo", "rotating", "ada").await.remove(0),
            hub.replica("tokens-1"),
        );
        let idle = hub.replica("tokens-2");
        assert!(other.token(&account).await.is_ok() && idle.token(&account).await.is_ok());
        // A busy reader: its entry is confirmed all the time.
        let busy = Instant::now() + Duration::from_millis(1_500);
        while Instant::now() < busy {
            assert!(other.token(&account).await.is_ok());
        }
        let request = DetachRequest {
            workspace_id: "demo".into(),
            account_id: account.clone(),
        };
        let answer = hub.client().detach(request).await.unwrap().into_inner();
        let gone = Instant::now();
        assert_eq!(answer.revocation(), RevocationState::Queued);
        assert_eq!(hub.token(&account).await.err().unwrap().code, Code::AccountNotFound);
        while other.token(&account).await.is_ok() {
            assert!(
                gone.elapsed() < Duration::from_secs(1),
                "answered a second after the disconnect"
            );
        }
        // One that was not asked since, and knows nothing of it.
        tokio::time::sleep_until((gone + Duration::from_secs(1)).into()).await;
        assert!(idle.token(&account).await.is_err(), "answered from an old memory");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_token_is_handed_out_without_a_look_at_the_database() {
    each(|hub| async move {
        let account = hub.connect("demo", "rotating", "ada").await.remove(0);
        let rename = async |from: &str, to: &str| {
            let sql = format!("ALTER TABLE {from} RENAME TO {to}");
            sqlx::query(sqlx::AssertSqlSafe(sql))
                .execute(hub.db.pool())
                .await
                .unwrap();
        };
        // Memory is good for a second: a machine that stands still so long between the two reads has another try.
        let mut served = false;
        for _ in 0..20 {
            hub.token(&account).await.unwrap();
            rename("attachments", "away").await;
            served = hub.token(&account).await.is_ok();
            rename("away", "attachments").await;
            if served {
                break;
            }
        }
        assert!(served, "every read asked the database");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t1_a_token_of_another_workspace_is_as_unknown_as_one_that_never_was() {
    each(|hub| async move {
        let account = hub.connect("demo", "rotating", "ada").await.remove(0);
        assert!(hub.token(&account).await.is_ok());
        let ask = async |account: &str| {
            let request = GetAccessTokenRequest {
                workspace_id: "other".into(),
                account_id: account.into(),
                min_ttl: None,
            };
            kit::Failure::from_status(&hub.client().get_access_token(request).await.err().unwrap())
        };
        let (theirs, nobodys) = (ask(&account).await, ask("acc_demo_nobody").await);
        assert_eq!(theirs, nobodys);
        assert_eq!(theirs.code, Code::AccountNotFound);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s6_without_an_audit_no_token_is_handed_out_and_with_it_again_they_are() {
    each(|hub| async move {
        let account = hub.connect("demo", "rotating", "ada").await.remove(0);
        assert!(hub.token(&account).await.is_ok());
        for sql in ["ALTER TABLE token_reads RENAME TO hidden"] {
            sqlx::query(sql).execute(hub.db.pool()).await.unwrap();
        }
        let give_up = Instant::now() + Duration::from_secs(5);
        let refused = loop {
            match hub.token(&account).await {
                Ok(_) => assert!(Instant::now() < give_up, "tokens without an audit"),
                Err(failure) => break failure,
            }
        };
        assert_eq!(refused.code, Code::Unavailable);
        sqlx::query("ALTER TABLE hidden RENAME TO token_reads")
            .execute(hub.db.pool())
            .await
            .unwrap();
        let give_up = Instant::now() + Duration::from_secs(10);
        while hub.token(&account).await.is_err() {
            assert!(Instant::now() < give_up, "the gate stayed closed");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s6_a_strict_audit_is_on_disk_before_the_answer() {
    each(|hub| async move {
        let (account, strict) = (
            hub.connect("demo", "rotating", "ada").await.remove(0),
            hub.strict_replica(),
        );
        for reads in 1..5 {
            strict.token(&account).await.unwrap();
            assert_eq!(
                hub.count("SELECT COUNT(*) FROM token_reads WHERE generation = 1").await,
                reads
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_still_valid_is_handed_out_when_its_renewal_hangs_or_fails() {
    each(|hub| async move {
        let account = hub.connect("demo", "rotating", "ada").await.remove(0);
        hub.pass(HOUR + HOUR / 2);
        hub.fake.next(Act::NotSent);
        let token = hub.tokens.token_for(&account, 3_600).await.unwrap();
        assert_eq!((token.generation, token.expires_at.is_some()), (1, true));
        hub.pass(Duration::from_secs(70));
        let (open, gate) = watch::channel(false);
        hub.fake.next(Act::RenewAfter(gate));
        let began = Instant::now();
        assert_eq!(hub.tokens.token_for(&account, 3_600).await.unwrap().generation, 1);
        assert!(began.elapsed() < Duration::from_secs(12));
        open.send(true).unwrap();
        hub.until(&account, |grant| grant.generation == 2).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_longer_than_tokens_live_renews_once_half_of_the_life_is_gone() {
    each(|hub| async move {
        let account = hub.connect("demo", "rotating", "ada").await.remove(0);
        let ask = async || hub.tokens.token_for(&account, 86_400 * 30).await.unwrap().generation;
        assert_eq!(ask().await, 1);
        hub.pass(HOUR + Duration::from_secs(1));
        assert_eq!((ask().await, ask().await), (2, 2));
        assert_eq!(hub.fake.truth().refreshes, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotating_grant_that_nobody_reads_is_proven_once_a_day_and_no_more() {
    each(|hub| async move {
        let account = hub.connect("demo", "rotating", "ada").await.remove(0);
        for day in 1..=2 {
            hub.pass(DAY + HOUR);
            hub.swept(&account, |grant| grant.generation == day + 1).await;
        }
        assert_eq!(hub.fake.calls(), (2, 0));
    })
    .await;
}
