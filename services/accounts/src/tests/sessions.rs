//! Sessions that take more than one step: choosing, native apps, a process that dies on the way.

use kit::{Code, Role};
use proto::accounts::v1 as pb;

use super::{code, everywhere};

#[tokio::test]
async fn a20_a21_o6_a_native_app_needs_its_completion_code_once_in_time_and_its_own_person() {
    everywhere(|world| async move {
        let wish = pb::BeginConnectRequest {
            channel: pb::Channel::Native.into(),
            browser_hash: Vec::new(),
            ..world.wish("x")
        };
        let (id, state) = world.begin(wish).await.unwrap();
        let nobody = kit::grpc::Context::background();
        let request = pb::CompleteConnectRequest {
            browser_hash: Vec::new(),
            ..world.callback("x", &state)
        };
        let (session, completion_code) = world.hub.complete_connect(&nobody, request).await.unwrap();
        assert_eq!(
            (session.status(), completion_code.is_empty()),
            (pb::SessionStatus::Authorizing, false)
        );
        let finish = |code: &str| pb::FinishNativeConnectRequest {
            workspace_id: world.workspace.clone(),
            session_id: id.clone(),
            completion_code: code.into(),
        };
        let other = world.context(&world.person("usr_other", Role::Owner));
        assert_eq!(
            code(world.hub.finish_native(&other, finish(&completion_code)).await),
            Code::ForbiddenRole
        );
        let owner = world.context(&world.owner());
        assert_eq!(
            code(world.hub.finish_native(&owner, finish("wrong")).await),
            Code::OauthStateMismatch
        );
        assert!(world.accounts().await.is_empty(), "nothing is attached before");
        let done = world.hub.finish_native(&owner, finish(&completion_code)).await.unwrap();
        assert_eq!(done.status(), pb::SessionStatus::Completed);
        assert_eq!(
            code(world.hub.finish_native(&owner, finish(&completion_code)).await),
            Code::OauthStateMismatch
        );
    })
    .await;
}

#[tokio::test]
async fn a_native_app_that_never_comes_has_its_grant_revoked() {
    everywhere(|world| async move {
        let wish = pb::BeginConnectRequest {
            channel: pb::Channel::Native.into(),
            browser_hash: Vec::new(),
            ..world.wish("x")
        };
        let (id, state) = world.begin(wish).await.unwrap();
        world.come_back(world.callback("x", &state)).await.unwrap();
        world.clock.advance(std::time::Duration::from_secs(61));
        world.hub.tidy().await.unwrap();
        world
            .until("the fresh grant is revoked", |world| {
                world.fakes.state().discarded.contains(&id)
            })
            .await;
        let session = world.hub.connect_session(&world.owner(), &id).await.unwrap();
        assert_eq!(session.status(), pb::SessionStatus::Expired);
    })
    .await;
}

#[tokio::test]
async fn a24_a_session_whose_process_died_is_resumed_by_the_next_one() {
    everywhere(|world| async move {
        let (id, state) = world.begin(world.wish("x")).await.unwrap();
        let hash = kit::id::sha256_hex(state.as_bytes());
        world
            .hub
            .store
            .consume(&hash, "test", world.clock.now_ms(), 180_000)
            .await
            .unwrap()
            .unwrap();
        world.hub.resume_own().await.unwrap();
        let session = world.come_back(world.callback("x", &state)).await.unwrap();
        assert_eq!(
            (session.id.as_str(), session.status()),
            (id.as_str(), pb::SessionStatus::Completed)
        );
        assert_eq!(world.accounts().await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn several_destinations_are_offered_and_too_many_picks_may_be_made_again() {
    everywhere(|world| async move {
        world.fakes.state().limit = Some(2);
        world.reach(&["one", "two", "three"]);
        let session = world.sign_in(world.wish("facebook")).await;
        assert_eq!(
            (session.status(), session.destinations.len()),
            (pb::SessionStatus::Choosing, 3)
        );
        let pick = |ids: &[&str]| pb::SelectDestinationsRequest {
            workspace_id: world.workspace.clone(),
            session_id: session.id.clone(),
            destination_ids: ids.iter().map(|id| format!("paid_{id}")).collect(),
        };
        let context = world.context(&world.owner());
        let refused = world
            .hub
            .select_destinations(&context, pick(&["one", "two", "three"]))
            .await;
        assert_eq!(code(refused), Code::AccountLimitReached);
        assert_eq!(
            code(world.hub.select_destinations(&context, pick(&["nine"])).await),
            Code::ValidationFailed
        );
        let done = world
            .hub
            .select_destinations(&context, pick(&["three", "one"]))
            .await
            .unwrap();
        assert_eq!((done.status(), done.accounts.len()), (pb::SessionStatus::Completed, 2));
        let again = world
            .hub
            .select_destinations(&context, pick(&["one", "three"]))
            .await
            .unwrap();
        assert_eq!(again.accounts.len(), 2, "asked again, the same answer");
        let accounts = world.accounts().await;
        assert_eq!(accounts[0].grant_group, accounts[1].grant_group);
    })
    .await;
}
