//! The live stream of a workspace.

use std::time::Duration;

use axum::body::BodyDataStream;
use futures_util::StreamExt;
use http::StatusCode;
use prost::Message;
use proto::accounts::v1::watch_events_response::Item;
use proto::accounts::v1::{
    CheckHealthRequest, CheckHealthResponse, CheckTrigger, Event, WatchEventsRequest, WatchEventsResponse,
};

use crate::support::fake::Reply;
use crate::support::{Gateway, OWNER, samples};

const EVENTS: &str = "/api/v1/workspaces/acme/events";

async fn gateway(items: Vec<Item>) -> Gateway {
    let gateway = Gateway::start().await;
    gateway.answers.always("CheckHealth", CheckHealthResponse::default());
    gateway.answers.raw("WatchEvents", move |_, _| {
        let messages = items.iter().map(|item| {
            WatchEventsResponse {
                item: Some(item.clone()),
            }
            .encode_to_vec()
        });
        Ok(Reply::Open(messages.collect()))
    });
    gateway
}

/// Reads a stream until it has said `end`.
async fn read_until(stream: &mut BodyDataStream, end: &str) -> String {
    let mut text = String::new();
    let reading = async {
        while !text.contains(end) {
            let chunk = stream.next().await.expect("the stream goes on").unwrap();
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(5), reading)
        .await
        .expect("the stream says it in time");
    text
}

fn refreshed() -> Item {
    Item::Event(Event {
        id: 42,
        r#type: "account.token_refreshed".into(),
        workspace_id: "acme".into(),
        occurred_at_ms: 1_786_525_200_000,
        account_id: "acc_1".into(),
        data: "{\"generation\":2}".into(),
        toast: "token_refreshed".into(),
        account_name: "Acme Bakery".into(),
        account: Some(samples::account()),
        ..Event::default()
    })
}

#[tokio::test]
async fn an_event_carries_its_toast_word_for_word() {
    let gateway = gateway(vec![Item::StartedAfter(41), refreshed()]).await;
    let response = gateway.get(EVENTS).by(OWNER).open().await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let text = read_until(&mut response.into_body().into_data_stream(), "\"toast\"").await;
    assert!(text.contains("retry: 3000") || text.contains("retry:3000"), "{text}");
    assert!(
        text.contains("id: 42\n") && text.contains("event: account.token_refreshed\n"),
        "{text}"
    );
    let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let event: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(event["type"], "account.token_refreshed");
    assert_eq!(event["account"]["id"], "acc_1");
    assert_eq!(event["data"]["generation"], 2);
    assert_eq!(event["toast"]["text"], "Access token refreshed for Acme Bakery");
    assert_eq!(event["toast"]["urgency"], "polite");
}

#[tokio::test]
async fn k4_a_client_goes_on_where_it_was_or_is_told_to_read_anew() {
    let gateway = gateway(vec![Item::SyncRequired(90)]).await;
    let response = gateway.get(EVENTS).by(OWNER).header("last-event-id", "7").open().await;
    let text = read_until(&mut response.into_body().into_data_stream(), "data:").await;
    assert!(text.contains("event: sync.required") && text.contains("id: 90"));
    assert_eq!(
        gateway.answers.last::<WatchEventsRequest>("WatchEvents").after_id,
        Some(7)
    );
    let garbage = gateway.get(EVENTS).by(OWNER).header("last-event-id", "x").send().await;
    assert_eq!(garbage.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_open_page_asks_for_a_check_at_once_and_every_hour() {
    let gateway = gateway(Vec::new()).await;
    let response = gateway.get(EVENTS).by(OWNER).open().await;
    let mut stream = response.into_body().into_data_stream();
    let reader = tokio::spawn(async move { while stream.next().await.is_some() {} });
    for expected in 1..=3 {
        tokio::time::timeout(Duration::from_secs(5), async {
            while gateway.answers.count("CheckHealth") < expected {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("the check is asked for");
        gateway.clock.advance(Duration::from_secs(3600));
    }
    let asked: CheckHealthRequest = gateway.answers.last("CheckHealth");
    assert_eq!(
        (asked.trigger(), asked.workspace_id.as_str()),
        (CheckTrigger::Open, "acme")
    );
    reader.abort();
}

#[tokio::test]
async fn b22_one_person_holds_only_so_many_streams() {
    let gateway = gateway(Vec::new()).await;
    let first = gateway.get(EVENTS).by(OWNER).open().await;
    let _second = gateway.get(EVENTS).by(OWNER).open().await;
    let third = gateway.get(EVENTS).by(OWNER).send().await;
    assert_eq!(
        (third.status, third.problem()),
        (StatusCode::TOO_MANY_REQUESTS, "rate-limited".into())
    );
    drop(first);
    assert_eq!(gateway.get(EVENTS).by(OWNER).open().await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_stream_ends_when_the_process_is_told_to() {
    let gateway = gateway(Vec::new()).await;
    let response = gateway.get(EVENTS).by(OWNER).open().await;
    gateway.app.shutdown.cancel();
    let mut stream = response.into_body().into_data_stream();
    let ended = async { while stream.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(5), ended)
        .await
        .expect("the stream ends");
}
