//! What goes wrong on the way, one case each: answers of every kind, lost answers, limits, a replaced secret.

mod support;

use proto::common::v1::ErrorClass;
use proto::platforms::v1::{Answers, Credential, Delivery};
use serde_json::{Value, json};
use support::{Connected, World, refused, renewed};

async fn lied_to(world: &World, ada: &Connected, effect: Value) -> Answers {
    world.lie("x", "refresh", effect.clone()).await;
    world.refresh("x", &format!("att_{effect}"), &ada.credential).await
}

async fn on_x(settings: &[(&str, &str)]) -> (World, Connected) {
    let world = World::with(settings).await;
    let ada = world.connect("x", json!({ "person": "ada" })).await;
    (world, ada)
}

fn class_of(response: proto::platforms::v1::InterpretResponse) -> ErrorClass {
    refused(response).class()
}

#[tokio::test]
async fn h1_trouble_before_the_rotation_is_transient() {
    let (world, ada) = on_x(&[]).await;
    for status in [500, 502, 503] {
        let answers = lied_to(&world, &ada, json!({ "kind": "server_error", "status": status })).await;
        assert_eq!(answers.delivery(), Delivery::Answered);
        assert_eq!(
            class_of(world.interpret("x", answers, Some(ada.credential.clone())).await),
            ErrorClass::Transient
        );
    }
    let answers = world.refresh("x", "att_then", &ada.credential).await;
    renewed(world.interpret("x", answers, Some(ada.credential)).await);
}

#[tokio::test]
async fn h10_odd_bodies_are_read_where_they_can_be() {
    for (with, token) in [
        ("bom", true),
        ("plain_text", true),
        ("html", false),
        ("empty", false),
        ("garbage", false),
    ] {
        let (world, ada) = on_x(&[]).await;
        let answers = lied_to(&world, &ada, json!({ "kind": "body", "with": with })).await;
        assert_eq!(answers.delivery(), Delivery::Answered, "{with}");
        let response = world.interpret("x", answers, Some(ada.credential.clone())).await;
        if token {
            assert_ne!(renewed(response).refresh_token, ada.credential.refresh_token, "{with}");
        } else {
            assert_eq!(class_of(response), ErrorClass::Transient, "{with}");
        }
    }
}

#[tokio::test]
async fn h8_half_a_body_is_salvaged_or_unknown_and_never_refused() {
    let (world, ada) = on_x(&[]).await;
    let answers = lied_to(&world, &ada, json!({ "kind": "drop", "when": "half_body" })).await;
    let told = world
        .interpret("x", answers.clone(), Some(ada.credential.clone()))
        .await;
    match answers.delivery() {
        Delivery::Unknown => assert_eq!(class_of(told), ErrorClass::Transient),
        Delivery::Answered => drop(renewed(told)),
        other => panic!("{other:?}"),
    }
    assert!(answers.answers[0].truncated);
}

#[tokio::test]
async fn h9_a_huge_body_is_cut_at_64_kib() {
    let (world, ada) = on_x(&[]).await;
    let answers = lied_to(&world, &ada, json!({ "kind": "body", "with": "huge" })).await;
    assert_eq!(answers.answers[0].body.len(), 64 * 1024);
    assert!(answers.answers[0].truncated);
}

#[tokio::test]
async fn h6_a_lost_answer_is_unknown_and_the_same_attempt_is_not_sent_again() {
    let (world, ada) = on_x(&[]).await;
    world
        .lie("x", "refresh", json!({ "kind": "drop", "when": "after" }))
        .await;
    for _ in 0..3 {
        assert_eq!(
            world.refresh("x", "att_1", &ada.credential).await.delivery(),
            Delivery::Unknown
        );
    }
    assert_eq!(world.asked("refresh").await.len(), 1);
    let again = world.refresh("x", "att_2", &ada.credential).await;
    assert_eq!(
        class_of(world.interpret("x", again, Some(ada.credential)).await),
        ErrorClass::Revoked
    );
}

#[tokio::test]
async fn r2_the_same_attempt_is_one_call_however_often_and_at_once_it_is_asked_for() {
    let (world, ada) = on_x(&[]).await;
    world.lie("x", "refresh", json!({ "kind": "delay", "ms": 200 })).await;
    let all = futures_util::future::join_all((0..20).map(|_| world.refresh("x", "att_1", &ada.credential))).await;
    assert!(
        all.iter()
            .all(|answers| answers.answers[0].body == all[0].answers[0].body)
    );
    assert_eq!(world.asked("refresh").await.len(), 1);
}

#[tokio::test]
async fn o1_a_code_is_seen_by_the_platform_once() {
    let world = World::start().await;
    let request = world.consent("x", "ses_1", json!({ "person": "ada" })).await;
    let all = futures_util::future::join_all((0..10).map(|_| world.exchange(request.clone()))).await;
    assert!(
        all.iter()
            .all(|answers| answers.answers[0].body == all[0].answers[0].body)
    );
    assert_eq!(world.asked("exchange").await, ["ok"]);
    world
        .platforms
        .clone()
        .acknowledge(proto::platforms::v1::AcknowledgeRequest { id: "ses_1".into() })
        .await
        .unwrap();
    let late = world.exchange(request).await;
    assert_eq!(class_of(world.interpret("x", late, None).await), ErrorClass::BadCode);
}

#[tokio::test]
async fn a_proof_key_sealed_for_one_session_opens_in_no_other() {
    let world = World::start().await;
    let mut request = world.consent("x", "ses_1", json!({ "person": "ada" })).await;
    request.session_id = "ses_2".into();
    assert!(world.platforms.clone().exchange(request).await.is_err());
    assert!(world.asked("exchange").await.is_empty());
}

#[tokio::test]
async fn g13_the_second_secret_is_used_when_the_first_is_refused() {
    let (world, ada) = on_x(&[
        ("PLATFORMS__X__CLIENT_SECRET", "no longer valid"),
        ("PLATFORMS__X__NEXT_CLIENT_SECRET", sandbox::defaults::X_CLIENT_SECRET),
    ])
    .await;
    let answers = world.refresh("x", "att_1", &ada.credential).await;
    renewed(world.interpret("x", answers, Some(ada.credential)).await);
    assert_eq!(world.asked("refresh").await, ["ok"], "the one that worked goes first");
}

#[tokio::test]
async fn g14_a_refused_app_says_nothing_about_the_grant() {
    let (world, ada) = on_x(&[]).await;
    let answers = lied_to(&world, &ada, json!({ "kind": "wrong_secret" })).await;
    assert_eq!(
        class_of(world.interpret("x", answers, Some(ada.credential)).await),
        ErrorClass::AppMisconfigured
    );
}

#[tokio::test]
async fn h3_a_rate_limit_holds_the_next_call_back() {
    let (world, ada) = on_x(&[]).await;
    let limit = json!({ "kind": "rate_limit", "retry_after": "absurd" });
    let answers = lied_to(&world, &ada, limit).await;
    let error = refused(world.interpret("x", answers, Some(ada.credential.clone())).await);
    assert_eq!(
        (error.class(), error.retry_after_ms),
        (ErrorClass::RateLimited, Some(3_600_000))
    );
    let held = world.refresh("x", "att_2", &ada.credential).await;
    assert_eq!(held.delivery(), Delivery::HeldBack);
    assert!(held.retry_after_ms > 3_000_000);
    assert_eq!(
        class_of(world.interpret("x", held, Some(ada.credential)).await),
        ErrorClass::RateLimited
    );
    assert_eq!(world.asked("refresh").await.len(), 1);
    let bo = world.connect("tiktok", json!({ "person": "bo" })).await;
    assert!(!bo.found.destinations.is_empty(), "another platform goes on");
}

#[tokio::test]
async fn h5_nobody_listening_is_not_sent() {
    let (world, ada) = on_x(&[("PLATFORMS__LINKEDIN__TOKEN_BASE", "http://127.0.0.1:1")]).await;
    let credential = Credential {
        refresh_token: "SBXLIr".into(),
        ..ada.credential
    };
    let answers = world.refresh("linkedin", "att_1", &credential).await;
    assert_eq!(answers.delivery(), Delivery::NotSent);
    assert!(
        !answers.reason.contains("http") && !answers.reason.contains("SBX"),
        "{}",
        answers.reason
    );
}

#[tokio::test]
async fn e9_a_redirect_of_the_token_endpoint_is_not_followed() {
    let (world, ada) = on_x(&[]).await;
    let answers = lied_to(&world, &ada, json!({ "kind": "reply", "status": 307, "body": "" })).await;
    assert_eq!(answers.answers[0].status, 307);
    assert_eq!(
        class_of(world.interpret("x", answers, Some(ada.credential)).await),
        ErrorClass::Transient
    );
}

#[tokio::test]
async fn h21_facebooks_expired_token_is_not_sent_and_says_so() {
    let world = World::start().await;
    let ada = world.connect("facebook", json!({ "person": "ada" })).await;
    let expired = Credential {
        access_expires_at_ms: 1,
        ..ada.credential
    };
    let answers = world.refresh("facebook", "att_1", &expired).await;
    assert_eq!(answers.delivery(), Delivery::NotSent);
    assert_eq!(
        class_of(world.interpret("facebook", answers, Some(expired)).await),
        ErrorClass::Expired
    );
}

#[tokio::test]
async fn when_metas_second_exchange_fails_the_first_token_is_kept() {
    let world = World::start().await;
    let request = world.consent("facebook", "ses_1", json!({ "person": "ada" })).await;
    world.control("switches", json!({ "platform": "facebook", "operation": "exchange", "next": 1, "effect": { "kind": "delay", "ms": 1 } })).await;
    world.control("switches", json!({ "platform": "facebook", "operation": "exchange", "effect": { "kind": "edit_reply", "set": { "expires_in": "3600.5" } } })).await;
    let answers = world.exchange(request).await;
    assert_eq!(answers.answers.len(), 2);
    let credential = renewed(world.interpret("facebook", answers.clone(), None).await);
    assert_eq!(
        credential.access_expires_at_ms,
        answers.answers[1].sent_at_ms + 3_600_000
    );
}

#[tokio::test]
async fn g14_what_meta_says_against_our_own_app_token_is_not_said_of_the_person() {
    let world = World::with(&[]).await;
    let ada = world.connect("facebook", json!({ "person": "ada" })).await;
    for (code, class) in [
        (190, ErrorClass::AppMisconfigured),
        (102, ErrorClass::AppMisconfigured),
        (2, ErrorClass::Transient),
    ] {
        let refusal = json!({"error": {"message": "Invalid OAuth access token signature.", "type": "OAuthException", "code": code}});
        world
            .lie(
                "facebook",
                "inspect",
                json!({"kind": "reply", "status": 400, "body": refusal.to_string()}),
            )
            .await;
        let seen = world
            .inspect("facebook", &ada.credential, &ada.found.destinations)
            .await;
        assert_eq!(seen.error.unwrap().class(), class, "{code}");
    }
    // In the body of a 200 it is the person's token.
    let bad = json!({"data": {"error": {"code": 190, "message": "Error validating access token", "subcode": 460}, "is_valid": false, "scopes": []}});
    world
        .lie(
            "facebook",
            "inspect",
            json!({"kind": "reply", "status": 200, "body": bad.to_string()}),
        )
        .await;
    let seen = world
        .inspect("facebook", &ada.credential, &ada.found.destinations)
        .await;
    assert_eq!(seen.error.unwrap().class(), ErrorClass::PasswordChanged);
}

#[tokio::test]
async fn h10_r10_a_page_of_a_firewall_in_a_check_says_nothing_about_permissions() {
    let world = World::with(&[]).await;
    for (platform, operation) in [("facebook", "identity"), ("x", "identity"), ("facebook", "inspect")] {
        let ada = world.connect(platform, json!({ "person": "ada" })).await;
        for body in ["<html>x</html>", "{}", ""] {
            world
                .lie(
                    platform,
                    operation,
                    json!({"kind": "reply", "status": 200, "body": body}),
                )
                .await;
            let seen = world.inspect(platform, &ada.credential, &ada.found.destinations).await;
            assert_eq!(
                seen.error.unwrap().class(),
                ErrorClass::Transient,
                "{platform} {operation} {body}"
            );
        }
    }
}
