//! Lists, entity tags, verbs, paths and bodies of the API.

use http::{Method, StatusCode};
use proto::accounts::v1::{DisconnectRequest, DisconnectResponse, ListAccountsRequest};
use serde_json::json;

use crate::support::{Gateway, OWNER, samples};

const ACCOUNTS: &str = "/api/v1/workspaces/acme/accounts";
const ACCOUNT: &str = "/api/v1/workspaces/acme/accounts/acc_1";

async fn gateway() -> Gateway {
    let gateway = Gateway::start().await;
    samples::one_account(&gateway.answers);
    gateway
}

#[tokio::test]
async fn an_account_has_the_documented_shape() {
    let gateway = gateway().await;
    let account = gateway.get(ACCOUNT).by(OWNER).send().await.json();
    assert_eq!(account["connected_at"], "2026-08-12T09:00:00Z");
    assert_eq!(account["connected_by"], json!({"id": "usr_1", "name": "Dana"}));
    assert_eq!(account["health"]["status"], "needs_reconnect");
    assert_eq!(
        account["health"]["reasons"][0]["text"],
        "Permission missing: publish content"
    );
    assert_eq!(account["health"]["reasons"][0]["fix"], json!({"kind": "reconnect"}));
    assert_eq!(
        account["publish_capability"],
        json!({"can_publish": false, "reason": "permission_missing"})
    );
    assert_eq!(account["impact"]["scheduled_posts_at_risk"], 4);
    assert_eq!(
        account["permitted_actions"],
        json!(["create_post", "reconnect", "disconnect"])
    );
    assert_eq!(account["links"]["composer"], "/composer?social_account_id=acc_1");
    assert!(
        account["avatar_url"]
            .as_str()
            .unwrap()
            .starts_with("/media/avatars/acc_1?v=")
    );
}

#[tokio::test]
async fn a_list_comes_in_pages_with_a_link_to_the_next() {
    let gateway = gateway().await;
    let path = format!("{ACCOUNTS}?platform=x&sort=-connected_at&limit=1000000000&q=acme");
    let answer = gateway.get(&path).by(OWNER).send().await;
    assert_eq!(answer.json()["next_cursor"], "more");
    assert!(answer.header("link").contains("cursor=more") && answer.header("link").contains("rel=\"next\""));
    let asked: ListAccountsRequest = gateway.answers.last("ListAccounts");
    assert_eq!(
        (asked.limit, asked.platform.as_str(), asked.query.as_str()),
        (100, "x", "acme")
    );
}

#[tokio::test]
async fn a_query_that_is_not_ours_is_refused_with_the_parameter_named() {
    let gateway = gateway().await;
    for query in ["limit=many", "sort=up", "status=red", "colour=1"] {
        let answer = gateway.get(&format!("{ACCOUNTS}?{query}")).by(OWNER).send().await;
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::UNPROCESSABLE_ENTITY, "validation-failed".into())
        );
    }
}

#[tokio::test]
async fn who_has_the_current_tag_gets_304() {
    let gateway = gateway().await;
    for path in [ACCOUNT, ACCOUNTS, "/api/v1/me", "/api/v1/platforms"] {
        let first = gateway.get(path).by(OWNER).send().await;
        let again = gateway
            .get(path)
            .by(OWNER)
            .header("if-none-match", first.header("etag"))
            .send()
            .await;
        assert_eq!(
            (again.status, again.body.as_str()),
            (StatusCode::NOT_MODIFIED, ""),
            "{path}"
        );
        assert_eq!(again.header("etag"), first.header("etag"));
    }
}

#[tokio::test]
async fn if_match_reaches_accounts_as_a_version_and_nonsense_is_412() {
    let gateway = gateway().await;
    gateway.answers.always("Disconnect", DisconnectResponse::default());
    let tag = gateway.get(ACCOUNT).by(OWNER).send().await.header("etag").to_owned();
    let answer = gateway
        .request(Method::DELETE, ACCOUNT)
        .by(OWNER)
        .header("if-match", &tag)
        .send()
        .await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(gateway.answers.last::<DisconnectRequest>("Disconnect").if_version, 7);
    let answer = gateway
        .request(Method::DELETE, ACCOUNT)
        .by(OWNER)
        .header("if-match", "\"old\"")
        .send()
        .await;
    assert_eq!(answer.status, StatusCode::PRECONDITION_FAILED);
}

#[tokio::test]
async fn b13_verbs_that_a_path_does_not_take_are_405() {
    let gateway = gateway().await;
    for (method, path) in [
        (Method::POST, ACCOUNT),
        (Method::PATCH, ACCOUNT),
        (Method::DELETE, "/api/v1/me"),
        (Method::GET, "/api/v1/workspaces/acme/account-checks"),
        (Method::TRACE, "/api/v1/me"),
    ] {
        let answer = gateway.request(method.clone(), path).by(OWNER).send().await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert_eq!(answer.problem(), "method-not-allowed");
    }
}

#[tokio::test]
async fn d15_paths_that_are_nowhere_are_404_problems() {
    let gateway = gateway().await;
    for path in [
        "/api/v1/nothing",
        "/api",
        "/api/v1//me",
        "/api/v1/%2e%2e/me",
        "/api/v1/workspaces/acme/accounts/acc%2F1",
        "/api/v1/workspaces/acme/accounts/acc_1%00",
        "/api/v1/workspaces/acme/accounts/acc_1;x",
        "/api/v1/workspaces/acme/accounts/%FF",
    ] {
        let answer = gateway.get(path).by(OWNER).send().await;
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::NOT_FOUND, "not-found".into()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn bodies_are_read_strictly() {
    let gateway = gateway().await;
    let tour = || gateway.request(Method::PUT, "/api/v1/me/tours/connections").by(OWNER);
    let sent = [
        tour().text("application/json", "{\"status\":").send().await,
        tour()
            .text("application/json", r#"{"status":"completed","status":"dismissed"}"#)
            .send()
            .await,
        tour()
            .json(&json!({"status": "completed", "role": "owner"}))
            .send()
            .await,
        tour().json(&json!({"status": "perhaps"})).send().await,
        tour().text("text/plain", "{}").send().await,
        tour().text("application/json", &" ".repeat(16_385)).send().await,
    ];
    let statuses: Vec<u16> = sent.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses, [400, 400, 422, 422, 415, 413]);
    assert_eq!(sent[2].json()["errors"][0]["pointer"], "/role");
}

#[tokio::test]
async fn the_request_id_is_echoed_when_it_is_sane_and_made_when_not() {
    let gateway = gateway().await;
    let echoed = gateway.get("/healthz").header("x-request-id", "abc-1").send().await;
    assert_eq!(echoed.header("x-request-id"), "abc-1");
    let made = gateway
        .get("/api/v1/nothing")
        .by(OWNER)
        .header("x-request-id", "a b")
        .send()
        .await;
    assert_eq!(made.header("x-request-id"), made.json()["request_id"]);
    assert!(made.header("x-request-id").starts_with("req_"));
}
