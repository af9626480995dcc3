//! Token answers that are odd and not wrong: what is kept of each, and that the grant lives on with it at the platform.

mod support;

use proto::common::v1::ErrorClass;
use proto::platforms::v1::{Credential, Delivery};
use serde_json::{Value, json};
use support::{World, refused, renewed};

/// X's access tokens live as long, and that is what is assumed when a reply does not say.
const TWO_HOURS: i64 = 7_200_000;

/// One renewal under a misbehaviour: what became of it, with the refresh token that was salvaged.
async fn under(world: &World, held: &Credential, effect: Value) -> proto::platforms::v1::InterpretResponse {
    world.lie("x", "refresh", effect.clone()).await;
    let attempt = format!("att_{}", kit::id::secret());
    let answers = world.refresh("x", &attempt, held).await;
    assert_eq!(answers.delivery(), Delivery::Answered, "{effect}");
    world.interpret("x", answers, Some(held.clone())).await
}

/// The platform takes this refresh token.
async fn lives(world: &World, held: &Credential) -> Credential {
    let attempt = format!("att_{}", kit::id::secret());
    let answers = world.refresh("x", &attempt, held).await;
    renewed(world.interpret("x", answers, Some(held.clone())).await)
}

#[tokio::test]
async fn h3_a_wait_is_honoured_in_every_form_and_none_is_longer_than_an_hour() {
    for (said, least, most) in [
        (json!({ "seconds": 30 }), 30_000, 30_000),
        (json!({ "date": 30 }), 28_000, 30_000),
        // Then it is what X says of its window.
        (json!("none"), 890_000, 900_000),
        (json!("absurd"), 3_600_000, 3_600_000),
    ] {
        let world = World::start().await;
        let ada = world.connect("x", json!({ "person": "ada" })).await;
        let limit = json!({ "kind": "rate_limit", "retry_after": said });
        let error = refused(under(&world, &ada.credential, limit).await);
        assert_eq!(error.class(), ErrorClass::RateLimited);
        let wait = error.retry_after_ms.unwrap();
        assert!((least..=most).contains(&wait), "{said}: {wait}");
        let held = world.refresh("x", "att_held", &ada.credential).await;
        assert_eq!(held.delivery(), Delivery::HeldBack);
        assert!(
            held.retry_after_ms <= most && held.retry_after_ms > least - 5_000,
            "{said}"
        );
    }
}

#[tokio::test]
async fn h4_a_storm_of_limits_reaches_the_platform_once_and_leaves_others_alone() {
    let world = World::start().await;
    let (ada, bo) = (
        world.connect("x", json!({ "person": "ada" })).await,
        world.connect("tiktok", json!({ "person": "bo" })).await,
    );
    let storm = json!({ "platform": "x", "effect": { "kind": "rate_limit", "retry_after": { "seconds": 90 } } });
    world.control("switches", storm).await;
    for account in 0..30 {
        let answers = world.refresh("x", &format!("att_{account}"), &ada.credential).await;
        let held = answers.delivery() == Delivery::HeldBack;
        assert!(held || account == 0, "{account}: {:?}", answers.delivery());
    }
    assert_eq!(world.asked("refresh").await.len(), 1);
    let answers = world.refresh("tiktok", "att_bo", &bo.credential).await;
    renewed(world.interpret("tiktok", answers, Some(bo.credential)).await);
}

#[tokio::test]
async fn h4_one_grants_limit_holds_nobody_else_back_until_it_is_a_storm() {
    let world = World::start().await;
    let (ada, bo) = (
        world.connect("x", json!({ "person": "ada" })).await,
        world.connect("x", json!({ "person": "bo" })).await,
    );
    let limit = json!({ "kind": "rate_limit", "retry_after": "absurd" });
    refused(under(&world, &ada.credential, limit.clone()).await);
    let bo = lives(&world, &bo.credential).await;
    // Another sign-in, which is of nobody yet.
    world.connect("x", json!({ "person": "ada", "action": "allow" })).await;
    // Many at a time: that is us.
    let storm = json!({ "platform": "x", "operation": "refresh", "effect": limit });
    world.control("switches", storm).await;
    let before = world.asked("refresh").await.len();
    for number in 0..10 {
        let other = Credential {
            refresh_token: format!("SBXr{number}"),
            ..bo.clone()
        };
        world.refresh("x", &format!("att_{number}"), &other).await;
    }
    let sent = world.asked("refresh").await.len() - before;
    assert!((1..=3).contains(&sent), "{sent} of 10 were sent");
    let held = world.refresh("x", "att_bo", &bo).await;
    assert_eq!(held.delivery(), Delivery::HeldBack);
    assert!(
        held.retry_after_ms <= 60_000,
        "the app is held for a minute, not for an hour"
    );
}

#[tokio::test]
async fn h11_an_odd_life_does_not_cost_the_token_that_comes_with_it() {
    let world = World::start().await;
    let mut held = world.connect("x", json!({ "person": "ada" })).await.credential;
    for life in [
        json!("7200"),
        json!(7200.9),
        json!("7200.5"),
        json!(-5),
        json!(0),
        json!(1_000_000_000_000_000_000_i64),
        json!("soon"),
        json!(null),
        json!([]),
    ] {
        let effect = json!({ "kind": "edit_reply", "set": { "expires_in": life } });
        let new = renewed(under(&world, &held, effect).await);
        assert_ne!(new.refresh_token, held.refresh_token, "{life}");
        assert_eq!(new.access_expires_at_ms - new.issued_at_ms, TWO_HOURS, "{life}");
        held = new;
    }
    lives(&world, &held).await;
}

#[tokio::test]
async fn h11_without_an_access_token_the_refresh_token_is_salvaged_and_works() {
    let world = World::start().await;
    let mut held = world.connect("x", json!({ "person": "ada" })).await.credential;
    for effect in [
        json!({ "kind": "edit_reply", "remove": ["access_token"] }),
        json!({ "kind": "edit_reply", "set": { "access_token": null } }),
        json!({ "kind": "edit_reply", "set": { "access_token": "" } }),
        json!({ "kind": "edit_reply", "set": { "access_token": 5 } }),
    ] {
        let read = under(&world, &held, effect.clone()).await;
        assert_ne!(read.salvaged_refresh_token, held.refresh_token, "{effect}");
        held.refresh_token.clone_from(&read.salvaged_refresh_token);
        assert_eq!(refused(read).class(), ErrorClass::Transient, "{effect}");
    }
    let twice = r#"{"access_token":"SBXa1","access_token":"SBXa2","refresh_token":"SBXr2","refresh_token":""}"#;
    let reply = json!({ "kind": "reply", "status": 200, "body": twice });
    let new = renewed(under(&world, &held, reply).await);
    assert_eq!(
        (new.access_token.as_str(), new.refresh_token.as_str()),
        ("SBXa2", "SBXr2")
    );
    lives(&world, &held).await;
}

#[tokio::test]
async fn h12_a_refresh_token_that_is_left_out_empty_or_the_same_stays_and_works() {
    let world = World::start().await;
    let mut held = world.connect("x", json!({ "person": "ada" })).await.credential;
    for answer in ["missing", "empty", "same"] {
        let new = renewed(under(&world, &held, json!({ "kind": "keep_refresh_token", "answer": answer })).await);
        assert_eq!(new.refresh_token, held.refresh_token, "{answer}");
        assert_ne!(new.access_token, held.access_token, "{answer}");
        held = new;
    }
    assert_ne!(lives(&world, &held).await.refresh_token, held.refresh_token);
    assert!(world.asked("refresh").await.iter().all(|outcome| outcome == "ok"));
}

#[tokio::test]
async fn h17_scopes_that_shrink_at_a_renewal_are_told() {
    let world = World::start().await;
    for (connector, scope) in [("x", "tweet.write"), ("tiktok", "video.publish")] {
        let ada = world.connect(connector, json!({ "person": "ada" })).await;
        assert!(
            ada.credential.scopes.iter().any(|granted| granted == scope),
            "{connector}"
        );
        world
            .lie(
                connector,
                "refresh",
                json!({ "kind": "shrink_scopes", "remove": [scope] }),
            )
            .await;
        let answers = world
            .refresh(connector, &format!("att_{connector}"), &ada.credential)
            .await;
        let new = renewed(world.interpret(connector, answers, Some(ada.credential.clone())).await);
        assert!(!new.scopes.iter().any(|granted| granted == scope), "{connector}");
        assert_eq!(new.scopes.len(), ada.credential.scopes.len() - 1, "{connector}");
    }
}

#[tokio::test]
async fn h18_an_old_pair_called_new_and_another_pair_for_each_caller_keep_the_grant_alive() {
    let world = World::start().await;
    let first = world.connect("x", json!({ "person": "ada" })).await.credential;
    let stale = renewed(under(&world, &first, json!({ "kind": "stale_pair" })).await);
    assert_eq!(
        (&stale.access_token, &stale.refresh_token),
        (&first.access_token, &first.refresh_token)
    );
    let grace = json!({ "platform": "x", "effect": { "kind": "rotation_grace", "seconds": 60, "pair": "new" } });
    world.control("switches", grace).await;
    let (one, other) = (lives(&world, &stale).await, lives(&world, &stale).await);
    assert_ne!(one.refresh_token, other.refresh_token);
    for pair in [one, other] {
        assert!(world.inspect("x", &pair, &[]).await.error.is_none());
        lives(&world, &pair).await;
    }
}

#[tokio::test]
async fn h20_a_strange_token_is_kept_to_the_letter_and_never_becomes_a_header() {
    let world = World::start().await;
    let mut held = world.connect("x", json!({ "person": "ada" })).await.credential;
    for token in [
        "SBX".repeat(5500),
        " SBX é😀 ".to_owned(),
        "SBX\r\nx-evil: 1\n".to_owned(),
    ] {
        let effect = json!({ "kind": "edit_reply", "set": { "access_token": token } });
        let new = renewed(under(&world, &held, effect).await);
        assert_eq!(new.access_token, token);
        held = new;
    }
    let before = world.asked("identity").await.len();
    let error = world.inspect("x", &held, &[]).await.error.unwrap();
    assert_eq!(
        (error.class(), error.code.as_str()),
        (ErrorClass::Transient, "not_sent")
    );
    assert_eq!(world.asked("identity").await.len(), before, "it was sent");
    // In a form it is a value like any other: the platform gets what it gave.
    let strange = Credential {
        refresh_token: "SBX&grant_type=x\r\n é%00".to_owned(),
        ..held.clone()
    };
    let answers = world.refresh("x", "att_strange", &strange).await;
    let error = refused(world.interpret("x", answers, Some(strange)).await);
    assert_eq!(error.class(), ErrorClass::Revoked);
    lives(&world, &held).await;
}
