//! Disconnecting and coming back, and the posts that stay.

use kit::Code;
use proto::accounts::v1 as pb;
use proto::common::v1::ErrorClass;
use proto::platforms::v1::Post;
use proto::tokens::v1::{GrantChangeCause as Cause, RevocationState};

use super::life::dead;
use super::{World, code, everywhere};

fn disconnect(world: &World, id: &str) -> pb::DisconnectRequest {
    pb::DisconnectRequest {
        workspace_id: world.workspace.clone(),
        account_id: id.into(),
        if_version: 0,
    }
}

#[tokio::test]
async fn a_disconnect_destroys_tokens_before_it_answers_and_the_account_returns_under_its_id() {
    everywhere(|world| async move {
        let account = world.connect("facebook").await;
        let post = Post {
            platform_post_id: "p1".into(),
            published_at_ms: 1,
            ..Default::default()
        };
        world
            .hub
            .store
            .remember(&world.workspace, &account.id, &[post])
            .await
            .unwrap();
        let gone = world
            .hub
            .disconnect(&world.owner(), &disconnect(&world, &account.id))
            .await
            .unwrap();
        assert_eq!(
            (gone.status(), gone.revocation()),
            (pb::AccountStatus::Disconnected, RevocationState::Queued)
        );
        assert_eq!(world.fakes.state().detached, [account.id.as_str()]);
        assert!(world.fakes.state().held.is_empty() && world.accounts().await.is_empty());
        world
            .hub
            .disconnect(&world.owner(), &disconnect(&world, &account.id))
            .await
            .unwrap();
        assert_eq!(world.fakes.state().detached.len(), 1, "twice is once");
        let request = pb::ListRecentPostsRequest {
            workspace_id: world.workspace.clone(),
            account_id: account.id.clone(),
            ..Default::default()
        };
        let posts = world
            .hub
            .recent_posts(&world.context(&world.owner()), &request)
            .await
            .unwrap();
        assert_eq!((posts.posts.len(), posts.remembered), (1, true), "posts stay readable");
        assert_eq!(world.connect("facebook").await.id, account.id);
    })
    .await;
}

#[tokio::test]
async fn a_disconnect_that_tokens_cannot_finish_says_so_and_is_finished_later() {
    everywhere(|world| async move {
        let account = world.connect("facebook").await;
        world.fakes.state().down = true;
        assert_eq!(
            code(
                world
                    .hub
                    .disconnect(&world.owner(), &disconnect(&world, &account.id))
                    .await
            ),
            Code::Unavailable
        );
        assert!(world.accounts().await.is_empty(), "it is disconnected all the same");
        world.fakes.state().down = false;
        world.clock.advance(std::time::Duration::from_secs(10));
        world.hub.tidy().await.unwrap();
        assert_eq!(world.fakes.state().detached, [account.id.as_str()]);
        assert!(world.fakes.state().released.contains(&account.id));
    })
    .await;
}

#[tokio::test]
async fn a_disconnect_of_an_older_version_is_refused() {
    everywhere(|world| async move {
        let account = world.connect("facebook").await;
        let stale = pb::DisconnectRequest {
            if_version: account.version + 7,
            ..disconnect(&world, &account.id)
        };
        assert_eq!(
            code(world.hub.disconnect(&world.owner(), &stale).await),
            Code::PreconditionFailed
        );
        let known = pb::DisconnectRequest {
            if_version: account.version,
            ..disconnect(&world, &account.id)
        };
        assert!(world.hub.disconnect(&world.owner(), &known).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn posts_are_asked_at_the_platform_and_remembered_for_when_it_is_down() {
    everywhere(|world| async move {
        let account = world.connect("facebook").await;
        let post = |n: i64| Post {
            platform_post_id: format!("p{n}"),
            published_at_ms: n,
            ..Default::default()
        };
        world.fakes.state().posts = (1..=3).map(post).collect();
        let context = world.context(&world.owner());
        let mut request = pb::ListRecentPostsRequest {
            workspace_id: world.workspace.clone(),
            account_id: account.id,
            limit: 2,
            cursor: String::new(),
        };
        assert!(!world.hub.recent_posts(&context, &request).await.unwrap().remembered);
        world.fakes.state().down = true;
        let page = world.hub.recent_posts(&context, &request).await.unwrap();
        assert_eq!((page.remembered, page.posts[0].platform_post_id.as_str()), (true, "p3"));
        request.cursor = page.next_cursor;
        assert_eq!(
            world.hub.recent_posts(&context, &request).await.unwrap().posts[0].platform_post_id,
            "p1"
        );
        request.account_id = world.connect("x").await.id;
        request.cursor = String::new();
        assert_eq!(
            code(world.hub.recent_posts(&context, &request).await),
            Code::CapabilityNotSupported
        );
    })
    .await;
}

#[tokio::test]
async fn publishing_needs_an_account_that_can() {
    everywhere(|world| async move {
        let account = world.connect("x").await;
        let context = world.context(&world.owner());
        let request = pb::CreatePostRequest {
            workspace_id: world.workspace.clone(),
            account_id: account.id.clone(),
            text: "Hello".into(),
            image_url: String::new(),
        };
        assert_eq!(
            world
                .hub
                .create_post(&context, &request)
                .await
                .unwrap()
                .platform_post_id,
            "p_new"
        );
        assert_eq!(
            world
                .hub
                .store
                .posts(&world.workspace, &account.id, None, 9)
                .await
                .unwrap()
                .len(),
            1
        );
        let empty = pb::CreatePostRequest {
            text: " ".into(),
            ..request.clone()
        };
        assert_eq!(
            code(world.hub.create_post(&context, &empty).await),
            Code::ValidationFailed
        );
        world.change(&account, Cause::Died, dead(ErrorClass::Revoked)).await;
        assert_eq!(
            code(world.hub.create_post(&context, &request).await),
            Code::TokenUnavailable
        );
    })
    .await;
}
