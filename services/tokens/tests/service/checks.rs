//! Checks, reports, announcements and ends: amber only on proof, and each once.

use std::time::Duration;

use proto::common::v1::ErrorClass;
use proto::platforms::v1::PlatformEvent;
use proto::platforms::v1::platform_event::Kind;
use proto::tokens::v1::{
    ApplyPlatformEventRequest, CheckGrantsRequest, GrantChangeCause as Cause, GrantState, ReportRejectedRequest,
};

use crate::fake::Act;
use crate::hub::{DAY, HOUR, Hub, NOW, each};

async fn check(hub: &Hub) -> i32 {
    let request = CheckGrantsRequest {
        workspace_id: "demo".into(),
        account_ids: Vec::new(),
        wait: true,
    };
    hub.client().check_grants(request).await.unwrap().into_inner().checked
}

async fn report(hub: &Hub, account: &str, generation: i64) -> GrantState {
    let request = ReportRejectedRequest {
        account_id: account.into(),
        generation,
        error: "401".into(),
        ..Default::default()
    };
    hub.client()
        .report_rejected(request)
        .await
        .unwrap()
        .into_inner()
        .grant
        .unwrap()
        .state()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_cannot_be_asked_only_delays_a_check() {
    each(|hub| async move {
        let account = hub.connect("demo", "shared", "meta").await.remove(0);
        for class in [
            ErrorClass::Transient,
            ErrorClass::RateLimited,
            ErrorClass::AppMisconfigured,
        ] {
            hub.fake.truth().inspection = Some(class);
            assert_eq!(check(&hub).await, 1);
            let grant = hub.grant(&account).await;
            assert_eq!((grant.state(), grant.check_delayed), (GrantState::Active, true));
        }
        hub.fake.truth().inspection = None;
        check(&hub).await;
        assert!(!hub.grant(&account).await.check_delayed);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_proves_a_withdrawal_ends_the_grant_at_once_and_says_so_once() {
    each(|hub| async move {
        let account = hub.connect("demo", "shared", "meta").await.remove(0);
        hub.fake.truth().inspection = Some(ErrorClass::PasswordChanged);
        check(&hub).await;
        check(&hub).await;
        let grant = hub.grant(&account).await;
        assert_eq!(grant.dead.as_ref().unwrap().class(), ErrorClass::PasswordChanged);
        let died = hub
            .changes(&grant.grant_id)
            .await
            .iter()
            .filter(|change| change.cause() == Cause::Died)
            .count();
        assert_eq!((died, hub.fake.truth().refreshes), (1, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h23_an_access_token_that_was_withdrawn_alone_is_healed_by_a_refresh() {
    each(|hub| async move {
        let account = hub.connect("demo", "rotating", "ada").await.remove(0);
        hub.fake.truth().inspection = Some(ErrorClass::Revoked);
        check(&hub).await;
        let grant = hub.grant(&account).await;
        assert_eq!((grant.state(), grant.generation), (GrantState::Active, 2));
        // Both withdrawn: the refresh is the proof.
        hub.fake.next(Act::Refuse(ErrorClass::Revoked));
        check(&hub).await;
        assert_eq!(hub.grant(&account).await.state(), GrantState::Dead);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_notes_which_permissions_are_left() {
    each(|hub| async move {
        let account = hub.connect("demo", "shared", "meta").await.remove(0);
        hub.fake.truth().granted = vec!["read".into()];
        check(&hub).await;
        let grant = hub.grant(&account).await;
        assert_eq!(grant.granted_scopes, ["read"]);
        let change = hub.changes(&grant.grant_id).await.pop().unwrap();
        assert_eq!(
            (change.cause(), change.change_id),
            (Cause::Checked, format!("{}:{}", grant.grant_id, grant.version))
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_grant_is_checked_once_an_hour_without_anybody_asking() {
    each(|hub| async move {
        let account = hub.connect("demo", "shared", "meta").await.remove(0);
        for hour in 1..=3 {
            hub.pass(HOUR);
            hub.swept(&account, |grant| grant.checked_at_ms >= NOW + hour * 3_500_000)
                .await;
            assert_eq!(hub.fake.truth().inspections, usize::try_from(hour).unwrap());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h15_a_reported_token_is_looked_at_and_refreshed_at_most_once() {
    each(|hub| async move {
        let account = hub.connect("demo", "rotating", "ada").await.remove(0);
        let seen = || {
            let truth = hub.fake.truth();
            (truth.inspections, truth.refreshes)
        };
        assert_eq!(
            report(&hub, &account, 7).await,
            GrantState::Active,
            "another generation than the current one"
        );
        assert_eq!(seen(), (0, 0));
        assert_eq!(
            report(&hub, &account, 1).await,
            GrantState::Active,
            "it works, the publisher may say what it wants"
        );
        assert_eq!(seen(), (1, 0));
        // Gone since. Said again at once, nobody looks again; said a little later, one refresh heals it.
        hub.fake.truth().inspection = Some(ErrorClass::Revoked);
        for _ in 0..5 {
            report(&hub, &account, 1).await;
        }
        assert_eq!(seen(), (1, 0));
        hub.pass(Duration::from_secs(3));
        report(&hub, &account, 1).await;
        assert_eq!(seen(), (2, 1));
        assert_eq!(hub.grant(&account).await.generation, 2);
        report(&hub, &account, 1).await;
        assert_eq!(seen(), (2, 1), "the report of a token that was replaced");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f4_f5_an_announced_withdrawal_counts_once_and_not_against_a_later_sign_in() {
    each(|hub| async move {
        // Within a second, of which platforms tell no more than its beginning.
        hub.pass(Duration::from_millis(425));
        let account = hub.connect("demo", "shared", "meta").await.remove(0);
        let elsewhere = hub.connect("other", "shared", "meta").await.remove(0);
        let apply = async |id: &str, at: i64| {
            let event = PlatformEvent {
                kind: Kind::Deauthorized.into(),
                event_id: id.into(),
                connectors: vec!["shared".into()],
                platform_user_id: "meta".into(),
                occurred_at_ms: at,
                detail: String::new(),
            };
            let request = ApplyPlatformEventRequest { event: Some(event) };
            hub.client()
                .apply_platform_event(request)
                .await
                .unwrap()
                .into_inner()
                .grants
        };
        assert_eq!(apply("old", NOW - 1).await, 0);
        assert_eq!((apply("new", NOW).await, apply("new", NOW).await), (2, 0));
        for account in [&account, &elsewhere] {
            assert_eq!(hub.grant(account).await.dead.unwrap().class(), ErrorClass::Revoked);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f10_a_deletion_forgets_the_persons_name_even_of_a_grant_that_ended_before() {
    each(|hub| async move {
        let account = hub.connect("demo", "shared", "meta").await.remove(0);
        assert!(!hub.grant(&account).await.user_name.is_empty());
        for kind in [Kind::Deauthorized, Kind::DataDeletion] {
            let event = PlatformEvent {
                kind: kind.into(),
                event_id: format!("{kind:?}"),
                connectors: vec!["shared".into()],
                platform_user_id: "meta".into(),
                ..PlatformEvent::default()
            };
            let request = ApplyPlatformEventRequest { event: Some(event) };
            hub.client().apply_platform_event(request).await.unwrap();
            let named = !hub.grant(&account).await.user_name.is_empty();
            assert_eq!(named, kind == Kind::Deauthorized, "{kind:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_passes_turns_a_connection_amber_that_nothing_can_renew() {
    each(|hub| async move {
        let account = hub.connect("demo", "plain", "lin").await.remove(0);
        hub.pass(59 * DAY);
        assert!(hub.token(&account).await.is_ok());
        hub.pass(DAY);
        let grant = hub.swept(&account, |grant| grant.state() == GrantState::Dead).await;
        assert_eq!(grant.dead.unwrap().class(), ErrorClass::Expired);
        let changes = hub.changes(&grant.grant_id).await;
        assert_eq!(
            changes.iter().filter(|change| change.cause() == Cause::Expired).count(),
            1
        );
        assert_eq!(hub.fake.truth().refreshes, 0);
    })
    .await;
}
