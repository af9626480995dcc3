//! Codes traded once, grants attached, shared and ended.

use std::time::Duration;

use kit::Code;
use proto::tokens::v1::*;
use tokio::sync::watch;

use crate::hub::{Hub, each};

async fn detach(hub: &Hub, workspace: &str, account: &str) -> RevocationState {
    let request = DetachRequest {
        workspace_id: workspace.into(),
        account_id: account.into(),
    };
    hub.client().detach(request).await.unwrap().into_inner().revocation()
}

async fn revoked(hub: &Hub, count: usize) -> Vec<String> {
    let give_up = std::time::Instant::now() + Duration::from_secs(15);
    while hub.fake.truth().revoked.len() < count {
        assert!(
            std::time::Instant::now() < give_up,
            "revoked only {:?}",
            hub.fake.truth().revoked
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    hub.fake.truth().revoked.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a4_a_code_is_traded_once_however_often_it_is_asked_for() {
    each(|hub| async move {
        let asked = (0..20).map(|_| hub.exchange("demo", "rotating", "ada", "cs_1"));
        let found = futures_util::future::join_all(asked).await;
        assert!(
            found
                .iter()
                .all(|found| found.platform_user_id == "ada" && found.missing_scopes.is_empty())
        );
        assert_eq!(hub.fake.truth().exchanges, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a24_an_exchange_whose_process_died_is_resumed_and_not_repeated() {
    each(|mut hub| async move {
        let (open, gate) = watch::channel(false);
        hub.fake.truth().exchange_gate = Some(gate);
        let mut client = hub.client();
        let request = ExchangeRequest {
            workspace_id: "demo".into(),
            session_id: "cs_1".into(),
            connector: "rotating".into(),
            code: "ada".into(),
            ..ExchangeRequest::default()
        };
        let asking = tokio::spawn(async move { client.exchange(request).await.is_ok() });
        while hub.fake.truth().exchanges == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        hub.tokens.kill();
        asking.abort();
        open.send(true).unwrap();
        hub.tokens = hub.replica("tokens-0");
        let found = hub.exchange("demo", "rotating", "ada", "cs_1").await;
        assert_eq!(
            (found.platform_user_id.as_str(), hub.fake.truth().exchanges),
            ("ada", 1)
        );
        assert_eq!(
            hub.count("SELECT COUNT(*) FROM exchanges WHERE sealed_request IS NOT NULL")
                .await,
            0
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_others_are_told_of_an_exchange_holds_a_token() {
    each(|hub| async move {
        let found = hub.exchange("demo", "shared", "meta", "cs_1").await;
        assert_eq!(found.destinations.len(), 2);
        assert!(
            found
                .destinations
                .iter()
                .all(|destination| destination.derived_token.is_empty())
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attaching_twice_is_attaching_once_and_more_accounts_may_follow() {
    each(|hub| async move {
        hub.exchange("demo", "shared", "meta", "cs_1").await;
        let attach = async |pages: &[&str]| {
            let attachments = pages.iter().map(|page| Attachment {
                account_id: format!("acc_demo_{page}"),
                platform_account_id: (*page).to_owned(),
            });
            let attachments = attachments.collect();
            let request = AttachRequest {
                workspace_id: "demo".into(),
                session_id: "cs_1".into(),
                attachments,
            };
            hub.client()
                .attach(request)
                .await
                .map(|answer| answer.into_inner().grant.unwrap())
        };
        let (first, again) = (attach(&["p1"]).await.unwrap(), attach(&["p1"]).await.unwrap());
        assert_eq!(
            (first.grant_id, first.generation),
            (again.grant_id.clone(), again.generation)
        );
        let more = attach(&["p2"]).await.unwrap();
        assert_eq!((more.grant_id, more.accounts.len()), (again.grant_id, 2));
        let refused = kit::Failure::from_status(&attach(&["p9"]).await.unwrap_err());
        assert_eq!(refused.code, Code::ValidationFailed);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_others_use_is_not_revoked_until_the_last_has_left_in_any_workspace() {
    each(|hub| async move {
        let here = hub.connect("demo", "shared", "meta").await;
        let there = hub.connect("other", "shared", "meta").await;
        assert_eq!(detach(&hub, "demo", &here[0]).await, RevocationState::Shared);
        assert!(hub.token(&here[1]).await.is_ok(), "the other page stays");
        assert_eq!(detach(&hub, "demo", &here[1]).await, RevocationState::Shared);
        assert!(hub.token(&there[0]).await.is_ok(), "the other workspace stays");
        assert_eq!(detach(&hub, "other", &there[0]).await, RevocationState::Shared);
        assert_eq!(detach(&hub, "other", &there[1]).await, RevocationState::Queued);
        assert_eq!(revoked(&hub, 1).await, ["access-meta-1002"]);
        hub.until_done("other", &there[1]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_one_persons_own_is_revoked_at_once_and_a_platform_without_a_way_says_so() {
    each(|hub| async move {
        let own = hub.connect("demo", "rotating", "ada").await.remove(0);
        hub.connect("other", "rotating", "ada").await;
        assert_eq!(detach(&hub, "demo", &own).await, RevocationState::Queued);
        assert_eq!(revoked(&hub, 1).await, ["access-ada-1001"]);
        let plain = hub.connect("demo", "plain", "lin").await.remove(0);
        assert_eq!(detach(&hub, "demo", &plain).await, RevocationState::Unsupported);
        assert_eq!(
            detach(&hub, "demo", &plain).await,
            RevocationState::Unsupported,
            "asked again"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_sign_in_is_revoked_unless_that_would_end_somebody_elses() {
    each(|hub| async move {
        let discard = async |session: &str| {
            let request = DiscardRequest {
                workspace_id: "demo".into(),
                session_id: session.into(),
            };
            hub.client().discard(request).await.unwrap();
        };
        hub.exchange("demo", "rotating", "ada", "cs_1").await;
        discard("cs_1").await;
        assert_eq!(revoked(&hub, 1).await, ["access-ada-1001"]);
        let account = hub.connect("other", "shared", "meta").await.remove(0);
        hub.exchange("demo", "shared", "meta", "cs_2").await;
        discard("cs_2").await;
        assert_eq!(
            hub.count("SELECT COUNT(*) FROM revocations WHERE state = 'queued'")
                .await,
            0
        );
        assert_eq!(
            hub.count("SELECT COUNT(*) FROM exchanges WHERE sealed_credential IS NOT NULL")
                .await,
            0
        );
        assert!(hub.token(&account).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reconnect_keeps_the_account_raises_the_generation_and_revives_the_dead() {
    each(|hub| async move {
        let account = hub.connect("demo", "plain", "lin").await.remove(0);
        let grant = hub.grant(&account).await;
        detach(&hub, "demo", &account).await;
        assert_eq!(
            hub.connect("demo", "plain", "lin").await,
            std::slice::from_ref(&account)
        );
        let again = hub.grant(&account).await;
        assert_eq!((&again.grant_id, again.state()), (&grant.grant_id, GrantState::Active));
        assert!(again.generation > grant.generation && again.version > grant.version);
    })
    .await;
}

impl Hub {
    /// Waits until a detached account's revocation is over.
    async fn until_done(&self, workspace: &str, account: &str) {
        let give_up = std::time::Instant::now() + Duration::from_secs(15);
        while detach(self, workspace, account).await != RevocationState::Done {
            assert!(std::time::Instant::now() < give_up, "the revocation stayed queued");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
