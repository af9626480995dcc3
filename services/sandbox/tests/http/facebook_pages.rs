//! Facebook's Pages and posts, and Instagram through them.

use sandbox::defaults::FACEBOOK_CLIENT_SECRET as SECRET;
use serde_json::{Value, json};

use crate::facebook::{BAKERY, SCOPE, connect, debug, dialog, error, exchange, graph, page_token};
use crate::harness::{REDIRECT, Sandbox};

const ACCOUNT: &str = "17841400000000001";

#[tokio::test]
async fn a_person_connects_and_sees_pages_with_their_instagram() {
    let sandbox = Sandbox::start().await;
    let token = connect(&sandbox, "ada").await;
    let fields = "id,name,access_token,tasks,picture.type(square){url},instagram_business_account{id,username}";
    let list = graph(&sandbox, "me/accounts", &[("fields", fields), ("limit", "100")], &token).await;
    assert_eq!(list.json["data"].as_array().unwrap().len(), 2);
    assert_eq!(list.at("/data/0/instagram_business_account/username"), "sandbox.bakery");
    assert!(
        list.json.pointer("/data/0/instagram_business_account/name").is_none(),
        "only what was asked for"
    );
    assert!(list.json.pointer("/data/1/instagram_business_account").is_none());
    assert!(list.at("/data/0/picture/data/url").starts_with(&sandbox.base));
    assert!(list.header("x-app-usage").contains("call_count"));
    let info = debug(&sandbox, &list.at("/data/0/access_token")).await;
    assert_eq!(
        (info.at("/data/type"), info.at("/data/expires_at")),
        ("PAGE".to_owned(), "0".to_owned())
    );
    assert_eq!(info.at("/data/profile_id"), BAKERY);
}

#[tokio::test]
async fn lists_are_paged_until_next_is_absent() {
    let sandbox = Sandbox::start().await;
    let token = connect(&sandbox, "cleo").await;
    let first = graph(&sandbox, "me/accounts", &[("fields", "id"), ("limit", "100")], &token).await;
    let (mut seen, mut next) = (
        first.json["data"].as_array().unwrap().len(),
        first.json["paging"]["next"].clone(),
    );
    let mut pages = 1;
    while let Value::String(address) = next {
        let page = sandbox.send(sandbox.http.get(&address)).await;
        seen += page.json["data"].as_array().unwrap().len();
        next = page.json["paging"]["next"].clone();
        pages += 1;
    }
    assert_eq!((seen, pages), (130, 3));
}

#[tokio::test]
async fn pages_of_a_business_are_found_only_through_it() {
    let sandbox = Sandbox::start().await;
    let token = connect(&sandbox, "gus").await;
    assert_eq!(
        graph(&sandbox, "me/accounts", &[], &token).await.json,
        json!({"data": []})
    );
    let business = graph(&sandbox, "me/businesses", &[], &token).await.at("/data/0/id");
    for (edge, page) in [("owned_pages", "104000000000006"), ("client_pages", "104000000000007")] {
        let list = graph(
            &sandbox,
            &format!("{business}/{edge}"),
            &[("fields", "id,access_token")],
            &token,
        )
        .await;
        assert_eq!(list.at("/data/0/id"), page);
        assert!(list.at("/data/0/access_token").starts_with("SBXEAA"));
    }
}

#[tokio::test]
async fn a_page_that_was_not_ticked_does_not_exist() {
    let sandbox = Sandbox::start().await;
    let one = json!({"authorize_url": dialog(&sandbox, SCOPE), "person": "ada", "destinations": [BAKERY]});
    let code = sandbox.consent_as(one).await["code"].clone();
    let token = exchange(&sandbox, &code, REDIRECT, SECRET).await.at("/access_token");
    let list = graph(&sandbox, "me/accounts", &[], &token).await;
    assert_eq!(list.json["data"].as_array().unwrap().len(), 1);
    assert_eq!(
        error(&graph(&sandbox, "104000000000002", &[], &token).await),
        (400, 100, Some(33))
    );
    let info = debug(&sandbox, &token).await;
    let scopes = info.json["data"]["granular_scopes"].as_array().unwrap().clone();
    let posting = scopes
        .iter()
        .find(|scope| scope["scope"] == "pages_manage_posts")
        .unwrap();
    assert_eq!(posting["target_ids"], json!([BAKERY]));
}

#[tokio::test]
async fn posts_need_the_page_token_the_permission_and_the_task() {
    let sandbox = Sandbox::start().await;
    let token = connect(&sandbox, "ada").await;
    let page = page_token(&sandbox, &token).await;
    let path = format!("/v25.0/{BAKERY}/feed");
    let by_user = sandbox
        .form(&path, &[("message", "Bread"), ("access_token", &token)])
        .await;
    assert_eq!(error(&by_user), (403, 210, None));
    let post = sandbox
        .form(&path, &[("message", "Bread"), ("access_token", &page)])
        .await;
    assert!(post.at("/id").starts_with(&format!("{BAKERY}_")));
    let photo = [
        ("url", "https://example.test/b.jpg"),
        ("caption", "Oven"),
        ("access_token", page.as_str()),
    ];
    assert!(
        sandbox
            .form(&format!("/v25.0/{BAKERY}/photos"), &photo)
            .await
            .at("/post_id")
            .starts_with(BAKERY)
    );
    let fields = "id,message,created_time,full_picture,likes.summary(true),attachments{media_type,media}";
    let query = [("fields", fields), ("limit", "2")];
    let posts = graph(&sandbox, &format!("{BAKERY}/published_posts"), &query, &page).await;
    assert_eq!(posts.at("/data/0/message"), "Oven");
    assert_eq!(posts.at("/data/0/full_picture"), "https://example.test/b.jpg");
    assert!(posts.at("/data/0/created_time").ends_with("+0000"));
    assert_eq!(posts.at("/data/1/likes/summary/total_count"), "0");
    let readonly = page_token(&sandbox, &connect(&sandbox, "bo").await).await;
    let refused = sandbox
        .form(
            "/v25.0/104000000000003/feed",
            &[("message", "x"), ("access_token", &readonly)],
        )
        .await;
    assert_eq!(error(&refused), (403, 200, None));
}

#[tokio::test]
async fn losing_the_role_ends_the_page_token_alone() {
    let sandbox = Sandbox::start().await;
    let token = connect(&sandbox, "ada").await;
    let page = page_token(&sandbox, &token).await;
    sandbox
        .act(
            "facebook",
            "ada",
            json!({"kind": "role", "destination": BAKERY, "tasks": []}),
        )
        .await;
    assert_eq!(error(&graph(&sandbox, BAKERY, &[], &page).await), (400, 190, Some(492)));
    assert_eq!(
        graph(&sandbox, "me/accounts", &[], &token).await.json["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn instagram_is_read_and_published_with_the_page_token() {
    let sandbox = Sandbox::start().await;
    let page = page_token(&sandbox, &connect(&sandbox, "ada").await).await;
    let link = graph(&sandbox, BAKERY, &[("fields", "instagram_business_account")], &page).await;
    assert_eq!(
        link.json,
        json!({"instagram_business_account": {"id": ACCOUNT}, "id": BAKERY})
    );
    let create = [
        ("image_url", "https://example.test/1.jpg"),
        ("caption", "Rye"),
        ("access_token", page.as_str()),
    ];
    let container = sandbox
        .form(&format!("/v25.0/{ACCOUNT}/media"), &create)
        .await
        .at("/id");
    assert_eq!(
        graph(&sandbox, &container, &[("fields", "status_code")], &page)
            .await
            .at("/status_code"),
        "FINISHED"
    );
    let publish = [("creation_id", container.as_str()), ("access_token", page.as_str())];
    let path = format!("/v25.0/{ACCOUNT}/media_publish");
    assert_eq!(sandbox.form(&path, &publish).await.status, 200);
    assert_eq!(
        sandbox.form(&path, &publish).await.status,
        400,
        "a container is published once"
    );
    let media = graph(
        &sandbox,
        &format!("{ACCOUNT}/media"),
        &[("fields", "caption,media_type")],
        &page,
    )
    .await;
    assert_eq!(media.at("/data/0/caption"), "Rye");
    sandbox
        .act(
            "facebook",
            "ada",
            json!({"kind": "unlink_instagram", "destination": BAKERY}),
        )
        .await;
    assert_eq!(error(&graph(&sandbox, ACCOUNT, &[], &page).await), (400, 100, Some(33)));
}
