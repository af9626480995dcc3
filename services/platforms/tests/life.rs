//! Every connector's whole life against the sandbox: consent, exchange, discovery, refresh, inspection, revocation.

mod support;

use proto::common::v1::ErrorClass;
use proto::platforms::v1::{Delivery, ListPlatformsRequest, Renewal};
use serde_json::json;
use support::{World, refused, renewed};

#[tokio::test]
async fn a_facebook_grant_reaches_pages_with_tokens_of_their_own() {
    let world = World::start().await;
    world.profile(json!({ "facebook_proof_required": true })).await;
    let ada = world.connect("facebook", json!({ "person": "ada" })).await;
    assert_eq!(ada.credential.renewal(), Renewal::Exchange);
    assert_eq!(
        (ada.found.platform_user_id.as_str(), ada.found.user_name.as_str()),
        ("900000000000001", "Ada Sandbox")
    );
    let pages: Vec<_> = ada
        .found
        .destinations
        .iter()
        .map(|page| (page.display_name.as_str(), page.can_publish))
        .collect();
    assert_eq!(pages, [("Sandbox Bakery", true), ("Sandbox Bakery Events", true)]);
    assert!(
        ada.found
            .destinations
            .iter()
            .all(|page| !page.derived_token.is_empty() && page.derived_expires_at_ms == 0)
    );
    assert!(ada.found.data_access_expires_at_ms > ada.found.access_expires_at_ms);

    let answers = world.refresh("facebook", "att_1", &ada.credential).await;
    let renewed = renewed(world.interpret("facebook", answers, Some(ada.credential.clone())).await);
    assert_ne!(renewed.access_token, ada.credential.access_token);
    world
        .lie("facebook", "refresh", json!({ "kind": "not_extended" }))
        .await;
    let answers = world.refresh("facebook", "att_2", &renewed).await;
    let refused = refused(world.interpret("facebook", answers, Some(renewed)).await);
    assert_eq!(refused.class(), ErrorClass::NotExtended);

    let revoked = world.revoke("facebook", &ada).await;
    assert!(revoked.supported && revoked.error.is_none());
    assert_eq!(
        world
            .inspect("facebook", &ada.credential, &[])
            .await
            .error
            .unwrap()
            .class(),
        ErrorClass::Revoked
    );
    assert!(
        world.revoke("facebook", &ada).await.error.is_none(),
        "revoking twice is no error"
    );
}

#[tokio::test]
async fn pages_of_businesses_and_of_many_result_pages_are_found() {
    let world = World::start().await;
    let gus = world.connect("facebook", json!({ "person": "gus" })).await;
    let names: Vec<_> = gus
        .found
        .destinations
        .iter()
        .map(|page| page.display_name.as_str())
        .collect();
    assert_eq!(names, ["Holding Hotels", "Client Coffee"]);
    let cleo = world.connect("facebook", json!({ "person": "cleo" })).await;
    assert_eq!(cleo.found.destinations.len(), 130);
    let cleo = world.connect("linkedin", json!({ "person": "cleo" })).await;
    assert_eq!(cleo.found.destinations.len(), 121);
}

#[tokio::test]
async fn h17_declined_permissions_and_lost_roles_are_told_for_each_page() {
    let world = World::start().await;
    let bo = world.connect("facebook", json!({ "person": "bo" })).await;
    assert_eq!(bo.found.destinations[0].publish_problem, "platform_role_lost");
    let choice =
        json!({ "person": "ada", "permissions": ["pages_show_list", "pages_read_engagement", "public_profile"] });
    let ada = world.connect("facebook", choice).await;
    assert!(ada.found.declined_scopes.contains(&"pages_manage_posts".to_owned()));
    assert!(
        ada.found
            .destinations
            .iter()
            .all(|page| !page.can_publish && page.publish_problem == "permission_missing")
    );
}

#[tokio::test]
async fn a_lost_role_stops_one_page_and_not_the_other() {
    let world = World::start().await;
    let ada = world.connect("facebook", json!({ "person": "ada" })).await;
    let lost = json!({ "kind": "role", "destination": "104000000000001", "tasks": [] });
    world
        .control(
            "actions",
            json!({ "platform": "facebook", "person": "ada", "action": lost }),
        )
        .await;
    let found = world
        .inspect("facebook", &ada.credential, &ada.found.destinations)
        .await;
    let page = found
        .destinations
        .iter()
        .find(|page| page.platform_account_id == "104000000000001")
        .unwrap();
    assert_eq!(
        (page.can_publish, page.publish_problem.as_str()),
        (false, "platform_role_lost")
    );
    assert!(found.destinations.iter().any(|page| page.can_publish));
}

#[tokio::test]
async fn instagram_gives_the_same_account_both_ways() {
    let world = World::start().await;
    for shape in ["flat", "data"] {
        world.profile(json!({ "instagram_shape": shape })).await;
        let login = world.connect("instagram", json!({ "person": "ada" })).await;
        assert_eq!(login.credential.renewal(), Renewal::InPlace);
        assert_eq!(login.credential.scopes.len(), 5);
        assert_eq!(login.found.platform_user_id, "25000000000000001");
        let account = &login.found.destinations[0];
        assert_eq!(
            (account.platform_account_id.as_str(), account.can_publish),
            ("17841400000000001", true)
        );
    }
    let through = world.connect("instagram_facebook", json!({ "person": "ada" })).await;
    assert_eq!(through.found.destinations[0].platform_account_id, "17841400000000001");
    assert!(through.found.destinations[0].can_publish);
    assert_eq!(
        through.found.skipped,
        ["Page “Sandbox Bakery Events” has no linked Instagram professional account"]
    );
}

#[tokio::test]
async fn an_instagram_account_of_the_older_method_cannot_publish() {
    let world = World::start().await;
    let enid = world.connect("instagram", json!({ "person": "enid" })).await;
    assert_eq!(enid.found.destinations[0].publish_problem, "publish_capability_missing");
    let enid = world
        .connect("instagram", json!({ "person": "enid", "action": "allow" }))
        .await;
    assert!(enid.found.destinations[0].can_publish);
}

#[tokio::test]
async fn h21_an_instagram_token_of_the_first_day_is_not_sent() {
    let world = World::start().await;
    let ada = world.connect("instagram", json!({ "person": "ada" })).await;
    let answers = world.refresh("instagram", "att_1", &ada.credential).await;
    assert_eq!(answers.delivery(), Delivery::HeldBack);
    assert!(answers.retry_after_ms > 23 * 3_600_000);
    assert!(world.asked("refresh").await.is_empty());
    world.control("clock", json!({ "advance_seconds": 2 * 86_400 })).await;
    let mut older = ada.credential.clone();
    older.issued_at_ms -= 2 * 86_400_000;
    older.access_expires_at_ms -= 2 * 86_400_000;
    let answers = world.refresh("instagram", "att_2", &older).await;
    let credential = renewed(world.interpret("instagram", answers, Some(older.clone())).await);
    assert!(credential.access_expires_at_ms > older.access_expires_at_ms);
    assert_eq!(credential.scopes, older.scopes);
    let revoked = world.revoke("instagram", &ada).await;
    assert!(!revoked.supported);
}

#[tokio::test]
async fn rotating_platforms_give_a_new_pair_and_end_with_both_tokens() {
    let world = World::start().await;
    for connector in ["x", "tiktok"] {
        let ada = world.connect(connector, json!({ "person": "ada" })).await;
        assert_eq!(ada.credential.renewal(), Renewal::Rotating, "{connector}");
        assert!(ada.found.destinations[0].can_publish, "{connector}");
        let answers = world
            .refresh(connector, &format!("att_{connector}_1"), &ada.credential)
            .await;
        let second = renewed(world.interpret(connector, answers, Some(ada.credential.clone())).await);
        assert_ne!(second.refresh_token, ada.credential.refresh_token);
        assert_eq!(second.scopes.len(), ada.credential.scopes.len());
        assert!(world.inspect(connector, &second, &[]).await.error.is_none());

        let answers = world
            .refresh(connector, &format!("att_{connector}_2"), &ada.credential)
            .await;
        let error = refused(world.interpret(connector, answers, Some(ada.credential.clone())).await);
        assert_eq!(error.class(), ErrorClass::Revoked, "{connector}");

        let connected = support::Connected {
            credential: second.clone(),
            found: ada.found,
        };
        assert!(world.revoke(connector, &connected).await.error.is_none());
        assert_eq!(
            world.inspect(connector, &second, &[]).await.error.unwrap().class(),
            ErrorClass::Revoked,
            "{connector}"
        );
        let expired = proto::platforms::v1::Credential {
            access_expires_at_ms: 1,
            ..second
        };
        assert_eq!(
            world.inspect(connector, &expired, &[]).await.error.unwrap().class(),
            ErrorClass::Expired,
            "{connector}"
        );
    }
}

#[tokio::test]
async fn tiktok_takes_a_hex_proof_key_when_configured() {
    let world = World::with(&[("PLATFORMS__TIKTOK__PKCE", "hex")]).await;
    let ada = world.connect("tiktok", json!({ "person": "ada" })).await;
    assert_eq!(ada.found.destinations[0].platform_account_id, "sbx-open-id-0001");
    assert_eq!(ada.found.destinations[0].username, "sandboxbakery");
}

#[tokio::test]
async fn linkedin_members_and_organisations_share_one_grant() {
    let world = World::start().await;
    let dora = world.connect("linkedin", json!({ "person": "dora" })).await;
    assert_eq!(dora.credential.renewal(), Renewal::ReconnectOnly);
    let kinds: Vec<_> = dora
        .found
        .destinations
        .iter()
        .map(|place| (place.kind.as_str(), place.can_publish))
        .collect();
    assert_eq!(kinds, [("member", true), ("organization", true)]);
    let inspected = world
        .inspect("linkedin", &dora.credential, &dora.found.destinations)
        .await;
    assert!(inspected.error.is_none() && inspected.access_expires_at_ms > 0);
    world
        .profile(json!({ "linkedin_partner": true, "linkedin_scope_separator": "space" }))
        .await;
    let ada = world.connect("linkedin", json!({ "person": "ada" })).await;
    assert_eq!(ada.credential.renewal(), Renewal::InPlace);
    let answers = world.refresh("linkedin", "att_1", &ada.credential).await;
    let second = renewed(world.interpret("linkedin", answers, Some(ada.credential.clone())).await);
    assert!(!second.refresh_token.is_empty() && second.access_expires_at_ms >= ada.credential.access_expires_at_ms);
    world
        .control(
            "actions",
            json!({ "platform": "linkedin", "person": "ada", "action": { "kind": "revoke" } }),
        )
        .await;
    assert_eq!(
        world.inspect("linkedin", &second, &[]).await.error.unwrap().class(),
        ErrorClass::Revoked
    );
    assert!(!world.revoke("linkedin", &ada).await.supported);
}

#[tokio::test]
async fn the_catalogue_says_what_every_platform_is() {
    let world = World::start().await;
    let platforms = world
        .platforms
        .clone()
        .list_platforms(ListPlatformsRequest {})
        .await
        .unwrap()
        .into_inner()
        .platforms;
    let ids: Vec<_> = platforms
        .iter()
        .map(|platform| (platform.id.as_str(), platform.connectable))
        .collect();
    assert_eq!(ids.len(), 7);
    assert_eq!(&ids[5..], [("telegram", false), ("whatsapp", false)]);
    for connector in platforms.iter().flat_map(|platform| &platform.connectors) {
        assert!(
            connector.scopes.iter().any(|scope| scope.publish && scope.required),
            "{}",
            connector.id
        );
        assert!(
            connector.scopes.iter().all(|scope| scope.label != scope.name),
            "{}: every permission asked for has words",
            connector.id
        );
    }
}
