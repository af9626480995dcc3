//! A workspace's event stream (SSE), read as a page reads it.

use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tokio::time::timeout;

use crate::Api;

const DEADLINE: Duration = Duration::from_secs(20);

/// One event.
#[derive(Debug, Clone)]
pub struct Event {
    /// For `Last-Event-ID`.
    pub id: String,
    /// `account.connected`, …
    pub name: String,
    /// Its document.
    pub data: Value,
}

/// An open stream.
pub struct Events {
    stream: BoxStream<'static, reqwest::Result<Bytes>>,
    read: String,
}

impl Api {
    /// Opens the stream; `after` resumes behind an event.
    pub async fn events(&self, after: Option<&str>) -> anyhow::Result<Events> {
        let mut request = self
            .request(Method::GET, "events")
            .header("Accept", "text/event-stream");
        if let Some(id) = after {
            request = request.header("Last-Event-ID", id);
        }
        Events::open(request).await
    }

    /// Opens the stream behind an event as a page does at first, which cannot send a header.
    pub async fn events_begun(&self, after: &str) -> anyhow::Result<Events> {
        Events::open(self.request(Method::GET, &format!("events?after={after}"))).await
    }
}

impl Events {
    async fn open(request: RequestBuilder) -> anyhow::Result<Self> {
        let answer = request.send().await?;
        ensure!(answer.status().is_success(), "events: {}", answer.status());
        Ok(Self {
            stream: answer.bytes_stream().boxed(),
            read: String::new(),
        })
    }

    /// The next event of any kind; heartbeats are passed over.
    pub async fn next(&mut self) -> anyhow::Result<Event> {
        loop {
            while let Some(end) = self.read.find("\n\n") {
                let event = parse(&self.read[..end]);
                self.read.drain(..end + 2);
                if let Some(event) = event {
                    return Ok(event);
                }
            }
            let piece = self.stream.next().await.context("the event stream ended")??;
            self.read.push_str(&String::from_utf8_lossy(&piece).replace('\r', ""));
        }
    }

    /// The next event of this name, within 20 s; others are passed over.
    pub async fn named(&mut self, name: &str) -> anyhow::Result<Event> {
        let find = async {
            loop {
                let event = self.next().await?;
                if event.name == name {
                    return Ok(event);
                }
            }
        };
        timeout(DEADLINE, find)
            .await
            .with_context(|| format!("no event {name}"))?
    }

    /// Everything that arrives until an event of this name has; that one included.
    pub async fn until(&mut self, name: &str) -> anyhow::Result<Vec<Event>> {
        let collect = async {
            let mut seen = Vec::new();
            loop {
                let event = self.next().await?;
                let last = event.name == name;
                seen.push(event);
                if last {
                    return Ok(seen);
                }
            }
        };
        timeout(DEADLINE, collect)
            .await
            .with_context(|| format!("no event {name}"))?
    }
}

fn parse(block: &str) -> Option<Event> {
    let field = |name: &str| {
        let prefix = format!("{name}:");
        let lines = block.lines().filter_map(|line| line.strip_prefix(&prefix));
        let values: Vec<&str> = lines.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect();
        (!values.is_empty()).then(|| values.join("\n"))
    };
    let data = serde_json::from_str(&field("data")?).unwrap_or(Value::Null);
    Some(Event {
        id: field("id").unwrap_or_default(),
        name: field("event").unwrap_or_default(),
        data,
    })
}
