//! Posts on every platform, with the token that the tokens service hands out; a refused one is reported back.

mod support;

use proto::platforms::v1::{ListPostsRequest, PublishPostRequest};
use serde_json::json;
use support::World;

const IMAGE: &str = "https://example.test/bread.jpg";

fn publishing(text: &str, image_url: &str) -> PublishPostRequest {
    PublishPostRequest {
        workspace_id: "demo".into(),
        account_id: "acc_1".into(),
        text: text.into(),
        image_url: image_url.into(),
    }
}

#[tokio::test]
async fn every_platform_publishes_and_meta_shows_it() {
    let world = World::start().await;
    for (connector, image) in [
        ("facebook", ""),
        ("facebook", IMAGE),
        ("instagram", IMAGE),
        ("instagram_facebook", IMAGE),
        ("tiktok", IMAGE),
        ("x", ""),
        ("linkedin", ""),
    ] {
        let ada = world.connect(connector, json!({ "person": "ada" })).await;
        let place = ada.found.destinations.last().unwrap();
        let place = ada
            .found
            .destinations
            .iter()
            .find(|place| place.can_publish)
            .unwrap_or(place);
        let token = if place.derived_token.is_empty() {
            &ada.credential.access_token
        } else {
            &place.derived_token
        };
        world.tokens.hand_out(connector, token, &place.platform_account_id);
        let text = format!("Fresh bread (on {connector}) #rye{image}");
        let post = world
            .platforms
            .clone()
            .publish_post(publishing(&text, image))
            .await
            .unwrap()
            .into_inner()
            .post
            .unwrap();
        assert!(!post.platform_post_id.is_empty() && post.text == text, "{connector}");
        let list = ListPostsRequest {
            workspace_id: "demo".into(),
            account_id: "acc_1".into(),
            limit: 5,
            cursor: String::new(),
        };
        let listed = world.platforms.clone().list_posts(list).await;
        if matches!(connector, "tiktok" | "x" | "linkedin") {
            assert_eq!(
                kit::Failure::from_status(&listed.unwrap_err()).code,
                kit::Code::CapabilityNotSupported
            );
        } else {
            let listed = listed.unwrap().into_inner();
            assert_eq!(
                (listed.posts[0].text.as_str(), listed.posts[0].platform_post_id.as_str()),
                (text.as_str(), post.platform_post_id.as_str())
            );
            assert!(
                listed.posts.len() == 5 && !listed.next_cursor.is_empty(),
                "{connector}: {}",
                listed.posts.len()
            );
        }
    }
    assert!(world.tokens.reported().is_empty());
}

#[tokio::test]
async fn comments_are_shown_where_they_may_be_read_and_posts_without_them_elsewhere() {
    let world = World::start().await;
    for (connector, platform) in [("instagram", "instagram"), ("instagram_facebook", "facebook")] {
        let ada = world.connect(connector, json!({ "person": "ada" })).await;
        let place = ada.found.destinations.last().unwrap();
        let token = if place.derived_token.is_empty() {
            &ada.credential.access_token
        } else {
            &place.derived_token
        };
        world.tokens.hand_out(connector, token, &place.platform_account_id);
        let said = async || {
            let list = ListPostsRequest {
                workspace_id: "demo".into(),
                account_id: "acc_1".into(),
                limit: 10,
                cursor: String::new(),
            };
            let posts = world
                .platforms
                .clone()
                .list_posts(list)
                .await
                .unwrap()
                .into_inner()
                .posts;
            assert_eq!(posts.len(), 10, "{connector}");
            posts
                .into_iter()
                .flat_map(|post| post.comment_previews)
                .collect::<Vec<_>>()
        };
        let all = said().await;
        assert!(
            all.iter()
                .any(|one| one.author == "rosa.field" && one.text == "Keep one for me!")
        );
        for code in [10, 100] {
            let refusal = json!({ "kind": "graph_error", "code": code });
            world.lie(platform, "posts", refusal).await;
            assert!(said().await.is_empty(), "{connector} {code}");
            assert_eq!(said().await, all, "the switch is used up");
        }
    }
}

#[tokio::test]
async fn h15_a_refused_token_is_reported_once_with_its_generation() {
    let world = World::start().await;
    let ada = world.connect("x", json!({ "person": "ada" })).await;
    world.tokens.hand_out(
        "x",
        &ada.credential.access_token,
        &ada.found.destinations[0].platform_account_id,
    );
    world.revoke("x", &ada).await;
    let status = world
        .platforms
        .clone()
        .publish_post(publishing("Bread", ""))
        .await
        .unwrap_err();
    let failure = kit::Failure::from_status(&status);
    assert_eq!(
        (failure.code, failure.params["class"].as_str()),
        (kit::Code::TokenUnavailable, "revoked")
    );
    assert_eq!(
        world
            .tokens
            .reported()
            .iter()
            .map(|(generation, _)| *generation)
            .collect::<Vec<_>>(),
        [7]
    );
}
