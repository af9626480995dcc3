//! Answers in place of the hub's, for what a page does when the server fails.

use std::time::Duration;

use serde_json::json;
use tokio_util::task::AbortOnDropHandle;

use super::tab::Tab;

const PAUSE: Duration = Duration::from_millis(20);

/// While it lives, requests of the tab that match are answered with an error.
pub struct Trouble(#[expect(dead_code, reason = "ends when dropped")] AbortOnDropHandle<()>);

impl Tab {
    /// Requests for `pattern` (with `*`) are answered with `status` and the request id `req_test`.
    pub async fn refuse(&self, pattern: &str, status: u16) -> anyhow::Result<Trouble> {
        self.forgive(&format!("status of {status}"));
        let patterns = json!({"patterns": [{"urlPattern": pattern}]});
        self.call("Fetch.enable", patterns).await?;
        let tab = self.clone();
        Ok(Trouble(AbortOnDropHandle::new(tokio::spawn(async move {
            tab.answer(status).await;
        }))))
    }

    /// Requests reach the hub again.
    pub async fn recover(&self, trouble: Trouble) -> anyhow::Result<()> {
        drop(trouble);
        self.call("Fetch.disable", json!({})).await.map(drop)
    }

    async fn answer(&self, status: u16) {
        let mut answered = self.told("Fetch.requestPaused").len();
        loop {
            for paused in self.told("Fetch.requestPaused").into_iter().skip(answered) {
                answered += 1;
                let headers = json!([{"name": "X-Request-Id", "value": "req_test"}]);
                let reply =
                    json!({"requestId": paused["requestId"], "responseCode": status, "responseHeaders": headers});
                // A page that is gone waits for nothing.
                let _ = self.call("Fetch.fulfillRequest", reply).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
