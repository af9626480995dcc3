//! Profile pictures: what a platform's host may do to us, and what a browser gets all the same.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use http::StatusCode;
use proto::accounts::v1::{Account, GetAccountResponse, ListAccountsResponse};
use tokio::net::TcpListener;

use crate::support::{Answer, Gateway, OWNER, samples};

/// A host of pictures that misbehaves by path, and how often its goal was reached.
async fn host() -> (String, Arc<AtomicUsize>) {
    let reached = Arc::new(AtomicUsize::new(0));
    let goal = reached.clone();
    let endless = || async {
        let chunks = futures_util::stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(&[0x89; 4096])));
        Response::new(Body::from_stream(chunks))
    };
    let routes = Router::new()
        .route("/redirect", get(|| async { Redirect::temporary("/goal") }))
        .route(
            "/goal",
            get(move || async move {
                goal.fetch_add(1, Ordering::SeqCst);
                StatusCode::OK
            }),
        )
        .route("/endless", get(endless))
        .route("/silent", get(std::future::pending::<Response>))
        .route(
            "/script",
            get(|| async {
                (
                    [("content-type", "image/png")],
                    "<svg xmlns='…'><script>alert(1)</script></svg>",
                )
                    .into_response()
            }),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (url, reached)
}

async fn picture(gateway: &Gateway, address: String) -> Answer {
    let account = Some(Account {
        avatar_url: address,
        ..samples::account()
    });
    gateway.answers.always("GetAccount", GetAccountResponse { account });
    gateway.get("/media/avatars/acc_1").by(OWNER).send().await
}

fn is_initial(answer: &Answer) -> bool {
    answer.status == StatusCode::OK && answer.header("content-type") == "image/svg+xml"
}

#[tokio::test]
async fn e3_a_redirect_of_a_pictures_host_is_not_followed() {
    let (gateway, (host, reached)) = (Gateway::start().await, host().await);
    assert!(is_initial(&picture(&gateway, format!("{host}/redirect")).await));
    assert_eq!(reached.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn e5_an_endless_picture_and_a_script_become_the_initial_under_a_sandbox() {
    let (gateway, (host, _)) = (Gateway::start().await, host().await);
    for path in ["endless", "script"] {
        let answer = picture(&gateway, format!("{host}/{path}")).await;
        assert!(is_initial(&answer), "{path}: {answer:?}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("content-security-policy"), "default-src 'none'; sandbox");
        assert!(!answer.body.contains("script"));
    }
}

#[tokio::test]
async fn e6_a_host_that_hangs_holds_up_its_picture_alone() {
    let gateway = Gateway::with(&[("GATEWAY__REQUEST_TIMEOUT", "30s")]).await;
    let (host, _) = host().await;
    gateway.answers.always("ListAccounts", ListAccountsResponse::default());
    let hanging = picture(&gateway, format!("{host}/silent"));
    tokio::pin!(hanging);
    let list = gateway.get("/api/v1/workspaces/acme/accounts").by(OWNER).send();
    let list = tokio::select! {
        answer = &mut hanging => panic!("the host answered: {answer:?}"),
        list = list => list,
    };
    assert_eq!(list.status, StatusCode::OK);
    assert!(is_initial(&hanging.await));
}
