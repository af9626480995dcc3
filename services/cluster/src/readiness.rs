//! When a hub answers: its gateway says so as soon as all services do.

use std::time::Duration;

use kit::http::{Timeouts, client};

const LOOK: Duration = Duration::from_millis(20);

/// Waits until the gateway at `base` is ready.
pub(crate) async fn wait(base: String) -> anyhow::Result<()> {
    let second = Duration::from_secs(1);
    let http = client(Timeouts {
        connect: second,
        total: second * 5,
    })?;
    loop {
        let answer = http.get(format!("{base}/readyz")).send().await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}
