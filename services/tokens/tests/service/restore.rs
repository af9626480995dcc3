//! R17 and the sign-in that meets a revocation: what the database says may be older than what the platform knows.

use std::time::Duration;

use proto::common::v1::ErrorClass;
use proto::tokens::v1::{AttachRequest, DetachRequest, GrantState};
use tokio::sync::watch;

use crate::hub::{Hub, each};

async fn detach(hub: &Hub, account: &str) {
    let request = DetachRequest {
        workspace_id: "demo".into(),
        account_id: account.into(),
    };
    hub.client().detach(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_after_a_restore_a_single_use_token_is_proven_before_anything_of_it_is_handed_out() {
    each(|mut hub| async move {
        let account = hub.connect("demo", "rotating", "ada").await.remove(0);
        let shared = hub.connect("demo", "shared", "meta").await.remove(0);
        assert_eq!(hub.token(&account).await.unwrap().generation, 1);
        hub.restore("2026-11-25");
        // Not the first one, which would have lived for two hours.
        let token = hub.token(&account).await.unwrap();
        assert_eq!((token.generation, hub.fake.calls()), (2, (1, 0)));
        assert_eq!(hub.grant(&account).await.state(), GrantState::Active);
        assert_eq!(
            hub.token(&shared).await.unwrap().generation,
            1,
            "it is repeatable: nothing to prove"
        );
        // Nobody reads: the sweep proves it by itself. And once entered, an epoch changes nothing.
        hub.restore("2026-12-01");
        hub.swept(&account, |grant| {
            grant.generation == 3 && grant.state() == GrantState::Active
        })
        .await;
        hub.restore("2026-12-01");
        assert_eq!(
            (hub.token(&account).await.unwrap().generation, hub.fake.calls()),
            (3, (2, 0))
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_a_restored_token_that_was_spent_leads_to_the_person_and_is_never_handed_out() {
    each(|mut hub| async move {
        let account = hub.connect("demo", "rotating", "ada").await.remove(0);
        // In the lost hour it was renewed.
        hub.fake.truth().valid.insert("ada".into(), "refresh-ada-99".into());
        hub.restore("after the restore");
        assert!(hub.token(&account).await.is_err());
        let grant = hub.swept(&account, |grant| grant.state() == GrantState::Dead).await;
        assert_eq!(grant.dead.unwrap().class(), ErrorClass::Revoked);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_an_answer_that_the_backup_waited_for_is_tried_and_not_trusted() {
    each(|mut hub| async move {
        let account = hub.connect("demo", "rotating", "ada").await.remove(0);
        hub.pass(Duration::from_secs(3 * 3_600));
        let open = hub.fake.next_unseen();
        assert!(hub.token(&account).await.is_err());
        open.send(true).unwrap();
        let kept = std::time::Instant::now() + Duration::from_secs(10);
        while hub.fake.truth().kept.len() < 2 {
            assert!(std::time::Instant::now() < kept, "no late answer");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        hub.restore("after the restore");
        // The answer's refresh token is the one that the platform takes; its access token is not believed.
        hub.swept(&account, |grant| grant.state() == GrantState::Active).await;
        assert_eq!(
            (hub.fake.calls(), hub.token(&account).await.unwrap().access_token),
            ((2, 0), "access-ada-2".into())
        );
    })
    .await;
}

/// All of Meta's accounts were detached, and the platform is being asked to end their access; it does once the gate is opened.
async fn revoking(hub: &Hub) -> watch::Sender<bool> {
    let (open, gate) = watch::channel(false);
    hub.fake.truth().revoke_gate = Some(gate);
    for account in hub.connect("demo", "shared", "meta").await {
        detach(hub, &account).await;
    }
    let running = "SELECT COUNT(*) FROM revocations WHERE state = 'queued' AND due_at_ms > created_at_ms";
    let patience = std::time::Instant::now() + Duration::from_secs(10);
    while hub.count(running).await == 0 {
        assert!(std::time::Instant::now() < patience, "nobody ends it");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    open
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_in_the_same_workspace_waits_until_the_former_access_is_ended() {
    each(|hub| async move {
        let open = revoking(&hub).await;
        let before = hub.fake.truth().exchanges;
        let (found, ()) = tokio::join!(hub.exchange("demo", "shared", "meta", "cs_back"), async {
            let begun = "SELECT COUNT(*) FROM exchanges WHERE session_id = 'cs_back'";
            while hub.count(begun).await == 0 {
                tokio::task::yield_now().await;
            }
            assert_eq!(hub.fake.truth().exchanges, before, "the code was traded beside it");
            open.send(true).unwrap();
        });
        assert!(found.error.is_none(), "{:?}", found.error);
        assert_eq!(hub.fake.truth().revoked.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_while_the_persons_grants_are_being_ended_is_not_attached_to_what_ends_with_them() {
    each(|hub| async move {
        let open = revoking(&hub).await;
        let patience = std::time::Instant::now() + Duration::from_secs(10);
        // In another workspace they come back before the platform has done it: their new token works, and will not for long.
        let early = hub.exchange("other", "shared", "meta", "cs_early").await;
        assert_eq!(early.error.unwrap().class(), ErrorClass::Transient);
        let attach = AttachRequest {
            workspace_id: "other".into(),
            session_id: "cs_early".into(),
            attachments: Vec::new(),
        };
        assert!(hub.client().attach(attach).await.is_err());
        open.send(true).unwrap();
        while hub.count("SELECT COUNT(*) FROM revocations WHERE state = 'done'").await == 0 {
            assert!(
                std::time::Instant::now() < patience + Duration::from_secs(10),
                "it was not ended"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let ended = hub.exchange("other", "shared", "meta", "cs_early").await;
        assert_eq!(
            ended.error.unwrap().class(),
            ErrorClass::Revoked,
            "it was ended with the others"
        );
        let late = hub.connect("demo", "shared", "meta").await.remove(0);
        assert_eq!(hub.grant(&late).await.state(), GrantState::Active);
        assert_eq!(hub.fake.truth().revoked.len(), 1);
    })
    .await;
}
