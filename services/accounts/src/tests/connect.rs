//! The connect flow.

use futures_util::future::join_all;
use kit::{Code, Role};
use proto::accounts::v1 as pb;
use proto::common::v1::{ErrorClass, PlatformError};
use proto::tokens::v1 as tokens;

use super::{code, everywhere};

#[tokio::test]
async fn one_destination_becomes_an_account_at_once() {
    everywhere(|world| async move {
        let account = world.connect("x").await;
        assert_eq!((account.display_name.as_str(), account.can_publish), ("acme", true));
        assert_eq!(account.connected_by_id, "usr_owner");
        assert_eq!(world.accounts().await[0].id, account.id);
        let events = world.events().await;
        assert_eq!(
            events
                .iter()
                .filter(|event| event.r#type == "account.connected")
                .count(),
            1
        );
        assert!(
            events
                .iter()
                .enumerate()
                .all(|(n, event)| event.id == i64::try_from(n).unwrap() + 1),
            "numbers have no gaps"
        );
        assert!(world.toasts().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a4_a_hundred_parallel_callbacks_are_one_exchange_and_one_account() {
    everywhere(|world| async move {
        let (_, state) = world.begin(world.wish("x")).await.unwrap();
        let all = (0..100).map(|_| world.come_back(world.callback("x", &state)));
        for session in join_all(all).await {
            assert_eq!(session.unwrap().status(), pb::SessionStatus::Completed);
        }
        assert_eq!(world.fakes.state().exchanges.len(), 1);
        assert_eq!(world.accounts().await.len(), 1);
        let connected = world
            .events()
            .await
            .into_iter()
            .filter(|event| event.r#type == "account.connected");
        assert_eq!(connected.count(), 1);
    })
    .await;
}

#[tokio::test]
async fn a5_another_browser_burns_the_session_and_nothing_is_exchanged() {
    everywhere(|world| async move {
        let (id, state) = world.begin(world.wish("x")).await.unwrap();
        let stranger = pb::CompleteConnectRequest {
            browser_hash: vec![8; 32],
            ..world.callback("x", &state)
        };
        assert_eq!(code(world.come_back(stranger).await), Code::OauthOtherBrowser);
        let session = world.hub.connect_session(&world.owner(), &id).await.unwrap();
        assert_eq!(
            (session.status(), session.problem.unwrap().code.as_str()),
            (pb::SessionStatus::Failed, "oauth-state-mismatch")
        );
        assert_eq!(
            world.come_back(world.callback("x", &state)).await.unwrap().status(),
            pb::SessionStatus::Failed
        );
        assert!(world.fakes.state().exchanges.is_empty());
        world
            .until("the slot is given back", |world| {
                world.fakes.state().released.contains(&id)
            })
            .await;
    })
    .await;
}

#[tokio::test]
async fn a6_a7_another_person_or_a_lost_role_burns_the_session() {
    everywhere(|world| async move {
        for person in [
            world.person("usr_other", Role::Owner),
            world.person("usr_owner", Role::Member),
        ] {
            let (_, state) = world.begin(world.wish("x")).await.unwrap();
            let refused = world
                .hub
                .complete_connect(&world.context(&person), world.callback("x", &state))
                .await;
            assert_eq!(code(refused), Code::ForbiddenRole);
        }
        assert!(world.fakes.state().exchanges.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a2_a11_a_late_a_foreign_and_a_misdirected_callback_exchange_nothing() {
    everywhere(|world| async move {
        let (_, state) = world.begin(world.wish("x")).await.unwrap();
        assert_eq!(
            code(world.come_back(world.callback("facebook", &state)).await),
            Code::OauthStateMismatch
        );
        assert_eq!(
            code(world.come_back(world.callback("x", "unknown")).await),
            Code::OauthStateMismatch
        );
        assert_eq!(
            code(world.come_back(world.callback("x", &"a".repeat(3000))).await),
            Code::OauthStateMismatch
        );
        world.clock.advance(std::time::Duration::from_secs(601));
        assert_eq!(
            code(world.come_back(world.callback("x", &state)).await),
            Code::ConnectSessionExpired
        );
        assert_eq!(
            code(world.come_back(world.callback("x", &state)).await),
            Code::ConnectSessionExpired,
            "and it stays over"
        );
        assert!(world.fakes.state().exchanges.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a14_a15_an_error_wins_over_a_code_and_gives_the_slot_back() {
    everywhere(|world| async move {
        let (id, state) = world.begin(world.wish("x")).await.unwrap();
        let denied = pb::CompleteConnectRequest {
            error: "access_denied".into(),
            ..world.callback("x", &state)
        };
        let session = world.come_back(denied).await.unwrap();
        assert_eq!(
            (session.status(), session.problem.unwrap().code.as_str()),
            (pb::SessionStatus::Cancelled, "oauth-denied")
        );
        assert!(world.fakes.state().exchanges.is_empty());
        world
            .until("the slot is given back", |world| {
                world.fakes.state().released.contains(&id)
            })
            .await;
    })
    .await;
}

#[tokio::test]
async fn a26_signing_in_as_somebody_else_is_refused_with_both_names_and_revoked() {
    everywhere(|world| async move {
        let account = world.connect("x").await;
        world.reach(&["bakery"]);
        let session = world.reconnect(&account).await;
        let problem = session.problem.unwrap();
        assert_eq!(problem.code, "wrong-platform-account");
        assert_eq!(
            (problem.params["expected"].as_str(), problem.params["actual"].as_str()),
            ("acme", "Dana")
        );
        world
            .until("the fresh grant is revoked", |world| {
                world.fakes.state().discarded.contains(&session.id)
            })
            .await;
        assert_eq!(world.accounts().await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a27_declined_permissions_connect_amber_and_a_reconnect_turns_green_under_the_same_id() {
    everywhere(|world| async move {
        world.fakes.state().found.granted_scopes = vec!["read".into()];
        let account = world.connect("x").await;
        let health = account.health.as_ref().unwrap();
        assert_eq!(health.reasons[0].permissions[0].label, "publish content");
        world.reach(&["acme"]);
        let session = world.reconnect(&account).await;
        assert_eq!(session.accounts[0].id, account.id);
        assert_eq!(
            world.accounts().await[0].health.as_ref().unwrap().status(),
            pb::HealthStatus::Healthy
        );
        assert_eq!(world.toasts().await, ["reconnect_required"]);
    })
    .await;
}

#[tokio::test]
async fn not_even_identified_is_a_failure_that_names_what_is_missing() {
    everywhere(|world| async move {
        world.fakes.state().found = tokens::ExchangeResponse {
            missing_scopes: vec!["read".into()],
            ..Default::default()
        };
        let session = world.sign_in(world.wish("x")).await;
        let problem = session.problem.unwrap();
        assert_eq!(
            (problem.code.as_str(), problem.params["missing"].as_str()),
            ("permissions-denied", "read")
        );
        assert!(world.accounts().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a23_a_failed_exchange_leaves_no_half_account() {
    everywhere(|world| async move {
        let error = PlatformError {
            class: ErrorClass::Transient.into(),
            ..Default::default()
        };
        world.fakes.state().found = tokens::ExchangeResponse {
            error: Some(error),
            ..Default::default()
        };
        let session = world.sign_in(world.wish("x")).await;
        assert_eq!(session.problem.unwrap().code, "platform-unavailable");
        assert!(world.accounts().await.is_empty() && world.fakes.state().attached.is_empty());
    })
    .await;
}

#[tokio::test]
async fn j2_a_connection_over_the_limit_fails_with_it_and_is_revoked() {
    everywhere(|world| async move {
        world.fakes.state().limit = Some(1);
        let first = world.connect("x").await;
        world.reach(&["bakery"]);
        let session = world.sign_in(world.wish("x")).await;
        let problem = session.problem.unwrap();
        assert_eq!(
            (problem.code.as_str(), problem.params["limit"].as_str()),
            ("account-limit-reached", "1")
        );
        world
            .until("the fresh grant is revoked", |world| {
                world.fakes.state().discarded.contains(&session.id)
            })
            .await;
        world.reach(&["acme"]);
        assert_eq!(
            world.reconnect(&first).await.status(),
            pb::SessionStatus::Completed,
            "reconnecting costs nothing"
        );
    })
    .await;
}

#[tokio::test]
async fn a22_a_redirect_uri_is_the_hubs_own_to_the_letter() {
    everywhere(|world| async move {
        for uri in [
            "https://evil.example/oauth/x/callback",
            "http://127.0.0.1:8081/oauth/x/callback",
            "http://127.0.0.1:8080/oauth/X/callback",
            "http://127.0.0.1:8080/oauth/facebook/callback",
            "http://127.0.0.1:8080/oauth/x/callback?a=b",
            "http://127.0.0.1:8080//oauth/x/callback",
            "",
        ] {
            let evil = pb::BeginConnectRequest {
                redirect_uri: uri.into(),
                ..world.wish("x")
            };
            assert_eq!(code(world.begin(evil).await), Code::ValidationFailed, "{uri}");
        }
        assert!(world.begin(world.wish("x")).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn coming_soon_and_nonsense_are_refused_before_anything_begins() {
    everywhere(|world| async move {
        assert_eq!(
            code(world.begin(world.wish("telegram")).await),
            Code::PlatformComingSoon
        );
        assert_eq!(code(world.begin(world.wish("myspace")).await), Code::ValidationFailed);
        let account_ids = vec!["acc_unknown".to_owned()];
        let unknown = pb::BeginConnectRequest {
            intent: pb::Intent::Reconnect.into(),
            account_ids,
            ..world.wish("x")
        };
        assert_eq!(code(world.begin(unknown).await), Code::AccountNotFound);
        let open = pb::BeginConnectRequest {
            return_to: "https://evil.example".into(),
            ..world.wish("x")
        };
        assert_eq!(code(world.begin(open).await), Code::ValidationFailed);
    })
    .await;
}
