//! Failures of the services as RFC 9457 problems.

use http::StatusCode;
use kit::{Code, Failure};
use proto::accounts::v1::{CheckHealthRequest, CheckHealthResponse, GetAccountRequest, GetAccountResponse};
use serde_json::json;

use crate::support::{Gateway, MEMBER, OWNER};

const ACCOUNT: &str = "/api/v1/workspaces/acme/accounts/acc_1";

async fn failing(failure: Failure) -> Gateway {
    let gateway = Gateway::start().await;
    gateway.answers.on(
        "GetAccount",
        move |_: GetAccountRequest| -> Result<GetAccountResponse, Failure> { Err(failure.clone()) },
    );
    gateway
}

#[tokio::test]
async fn every_code_becomes_its_status_and_its_type() {
    let gateway = Gateway::start().await;
    for code in Code::ALL {
        gateway.answers.on(
            "GetAccount",
            move |_: GetAccountRequest| -> Result<GetAccountResponse, Failure> { Err(Failure::new(*code, "because")) },
        );
        let answer = gateway.get(ACCOUNT).by(OWNER).send().await;
        let problem = answer.json();
        assert_eq!(answer.status.as_u16(), code.http(), "{code:?}");
        assert_eq!(problem["type"], format!("/problems/{}", code.slug()));
        assert_eq!(problem["instance"], ACCOUNT);
        assert_eq!(
            (&problem["code"], &problem["detail"]),
            (&json!(code.slug()), &json!("because"))
        );
    }
}

#[tokio::test]
async fn a_reached_limit_names_it_and_leads_the_owner_to_the_plans() {
    let failure = Failure::new(Code::AccountLimitReached, "1 of 1 accounts are used")
        .param("limit", 1)
        .param("used", 1);
    let gateway = failing(failure).await;
    let problem = gateway.get(ACCOUNT).by(OWNER).send().await.json();
    assert_eq!((&problem["limit"], &problem["used"]), (&json!(1), &json!(1)));
    assert_eq!(
        problem["action"],
        json!({"kind": "see_plans", "label": "See plans", "href": "/billing"})
    );
    let problem = gateway.get(ACCOUNT).by(MEMBER).send().await.json();
    assert_eq!(
        problem["action"],
        json!({"kind": "ask_owner", "label": "Ask the workspace owner"})
    );
}

#[tokio::test]
async fn waiting_is_told_in_whole_seconds() {
    let wait = std::time::Duration::from_millis(1500);
    let gateway = failing(Failure::new(Code::PlatformUnavailable, "down").retry_after(wait)).await;
    let answer = gateway.get(ACCOUNT).by(OWNER).send().await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (StatusCode::SERVICE_UNAVAILABLE, "2")
    );
    let gateway = failing(Failure::new(Code::RateLimited, "a moment ago")).await;
    let answer = gateway.get(ACCOUNT).by(OWNER).send().await;
    assert_eq!(answer.header("retry-after"), "5");
    assert_eq!(answer.header("ratelimit"), "\"rate-limited\";r=0;t=5");
    assert_eq!(answer.header("ratelimit-policy"), "\"rate-limited\";q=1;w=5");
}

#[tokio::test]
async fn b23_what_a_service_says_by_itself_stays_inside() {
    let gateway = Gateway::start().await;
    gateway.answers.raw("GetAccount", |_, _| {
        Err(tonic::Status::internal(
            "relation \"grants\" at 10.0.0.7 does not exist",
        ))
    });
    let answer = gateway.get(ACCOUNT).by(OWNER).send().await;
    assert_eq!(
        (answer.status, answer.problem()),
        (StatusCode::INTERNAL_SERVER_ERROR, "internal".into())
    );
    assert!(!answer.body.contains("grants") && !answer.body.contains("10.0.0.7"));
}

#[tokio::test]
async fn the_type_of_a_problem_leads_to_its_description() {
    let gateway = Gateway::start().await;
    let found = gateway.get("/problems/account-limit-reached").by(OWNER).send().await;
    assert_eq!(found.header("location"), "/api/v1/docs#problem-account-limit-reached");
    let docs = gateway.get("/api/v1/docs").send().await;
    assert!(docs.body.contains("id=\"problem-account-limit-reached\""));
}

#[tokio::test]
async fn people_get_a_page_where_programs_get_a_problem() {
    let gateway = Gateway::start().await;
    let page = gateway
        .get("/no-such-page")
        .by(OWNER)
        .header("accept", "text/html")
        .send()
        .await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.body.contains(page.header("x-request-id")));
}

#[tokio::test]
async fn a_post_that_fails_knows_its_reader_too() {
    let gateway = Gateway::start().await;
    gateway.answers.on(
        "CheckHealth",
        |_: CheckHealthRequest| -> Result<CheckHealthResponse, Failure> {
            Err(Failure::new(Code::PlanPlatformLocked, "not in your plan"))
        },
    );
    let answer = gateway
        .post("/api/v1/workspaces/acme/account-checks")
        .by(OWNER)
        .key("k")
        .send()
        .await;
    assert_eq!(answer.json()["action"]["kind"], "see_plans");
    assert_eq!(answer.json()["instance"], "/api/v1/workspaces/acme/account-checks");
}

#[tokio::test]
async fn d19_a_service_that_never_answers_knows_our_deadline_and_is_a_504() {
    let gateway = Gateway::with(&[("GATEWAY__REQUEST_TIMEOUT", "300ms")]).await;
    let told = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let heard = told.clone();
    gateway.answers.raw("ListAccounts", move |_, metadata| {
        let deadline = metadata.get("grpc-timeout").map(|value| value.to_str().unwrap());
        deadline.unwrap_or_default().clone_into(&mut heard.lock().unwrap());
        Ok(crate::support::fake::Reply::Open(Vec::new()))
    });
    let answer = gateway.get("/api/v1/workspaces/acme/accounts").by(OWNER).send().await;
    assert_eq!(
        (answer.status, answer.problem()),
        (StatusCode::GATEWAY_TIMEOUT, "deadline-exceeded".into())
    );
    assert!(!told.lock().unwrap().is_empty(), "the call had no deadline");
}
