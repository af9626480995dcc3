//! Waiting for something to become true, with a deadline.

use std::time::Duration;

use tokio::time::{Instant, sleep};

const DEADLINE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(25);

/// Asks until `check` gives something, for 20 s at most.
pub async fn eventually<T>(what: &str, check: impl AsyncFnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    eventually_within(DEADLINE, what, check).await
}

/// As [`eventually`], with its own deadline. An error of the last try is shown when time is up.
pub async fn eventually_within<T>(
    deadline: Duration,
    what: &str,
    mut check: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let end = Instant::now() + deadline;
    loop {
        let last = match check().await {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if Instant::now() >= end {
            let why = last.map_or_else(String::new, |error| format!(": {error:#}"));
            anyhow::bail!("not within {deadline:?}: {what}{why}");
        }
        sleep(PAUSE).await;
    }
}
