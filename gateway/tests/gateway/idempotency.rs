//! One effect and one answer per Idempotency-Key.

use std::sync::Arc;

use http::StatusCode;
use kit::{Code, Failure};
use proto::accounts::v1::{CheckHealthRequest, CheckHealthResponse};

use crate::support::fake::Reply;
use crate::support::{Gateway, OWNER};

const CHECKS: &str = "/api/v1/workspaces/acme/account-checks";

async fn gateway() -> Gateway {
    let gateway = Gateway::start().await;
    gateway.answers.always(
        "CheckHealth",
        CheckHealthResponse {
            started: true,
            check_id: "chk_1".into(),
        },
    );
    gateway
}

#[tokio::test]
async fn a_post_without_a_key_is_refused_before_anything_happens() {
    let gateway = gateway().await;
    let answer = gateway.post(CHECKS).by(OWNER).send().await;
    assert_eq!(
        (answer.status, answer.problem()),
        (StatusCode::BAD_REQUEST, "idempotency-key-missing".into())
    );
    let long = gateway.post(CHECKS).by(OWNER).key(&"k".repeat(256)).send().await;
    assert_eq!(long.status, StatusCode::BAD_REQUEST);
    assert_eq!(gateway.answers.count("CheckHealth"), 0);
}

#[tokio::test]
async fn j6_a_repetition_gets_the_same_answer_and_no_second_effect() {
    let gateway = gateway().await;
    let first = gateway.post(CHECKS).by(OWNER).key("one").send().await;
    let again = gateway.post(CHECKS).by(OWNER).key("one").send().await;
    assert_eq!(first.status, StatusCode::ACCEPTED);
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(gateway.answers.count("CheckHealth"), 1);
}

#[tokio::test]
async fn j7_the_same_key_for_another_request_is_422() {
    let gateway = gateway().await;
    gateway.post(CHECKS).by(OWNER).key("one").send().await;
    let other = gateway
        .post(CHECKS)
        .by(OWNER)
        .key("one")
        .text("text/plain", "x")
        .send()
        .await;
    assert_eq!(
        (other.status, other.problem()),
        (StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused".into())
    );
}

#[tokio::test]
async fn j7_the_same_key_while_the_first_still_runs_is_409() {
    let gateway = Gateway::start().await;
    let arrived = Arc::new(tokio::sync::Notify::new());
    let seen = arrived.clone();
    gateway.answers.raw("CheckHealth", move |_, _| {
        seen.notify_one();
        Ok(Reply::Open(Vec::new()))
    });
    let first = gateway.post(CHECKS).by(OWNER).key("one").send();
    let second = async {
        arrived.notified().await;
        gateway.post(CHECKS).by(OWNER).key("one").send().await
    };
    tokio::select! {
        answer = first => panic!("the first must still run: {answer:?}"),
        answer = second => assert_eq!((answer.status, answer.problem()), (StatusCode::CONFLICT, "idempotency-in-progress".into())),
    }
}

#[tokio::test]
async fn an_answer_that_says_later_frees_the_key() {
    let gateway = Gateway::start().await;
    gateway.answers.on(
        "CheckHealth",
        |_: CheckHealthRequest| -> Result<CheckHealthResponse, Failure> {
            Err(Failure::new(Code::Unavailable, "down"))
        },
    );
    assert_eq!(
        gateway.post(CHECKS).by(OWNER).key("one").send().await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    gateway.answers.always("CheckHealth", CheckHealthResponse::default());
    assert_eq!(
        gateway.post(CHECKS).by(OWNER).key("one").send().await.status,
        StatusCode::ACCEPTED
    );
}

#[tokio::test]
async fn a_refusal_is_kept_as_the_answer() {
    let gateway = Gateway::start().await;
    gateway.answers.on(
        "CheckHealth",
        |_: CheckHealthRequest| -> Result<CheckHealthResponse, Failure> {
            Err(Failure::new(Code::ForbiddenRole, "no"))
        },
    );
    let first = gateway.post(CHECKS).by(OWNER).key("one").send().await;
    gateway.answers.always("CheckHealth", CheckHealthResponse::default());
    let again = gateway.post(CHECKS).by(OWNER).key("one").send().await;
    assert_eq!(
        (again.status, again.problem()),
        (StatusCode::FORBIDDEN, "forbidden-role".into())
    );
    assert_eq!(again.body, first.body);
}
