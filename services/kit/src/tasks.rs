//! Detached, tracked tasks: work that no caller's cancellation may stop, and that a shutdown waits for.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::telemetry;

/// Keeps track of work that must finish.
#[derive(Clone, Default)]
pub struct Tasks(TaskTracker);

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task that goes on whatever becomes of the caller, in the caller's trace.
    pub fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let work = telemetry::traced(telemetry::current(), work.in_current_span());
        self.0.spawn(work)
    }

    /// Tasks that have not ended.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when no task runs.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Waits until all tasks have ended, at most `limit`. True when they have.
    pub async fn drain(&self, limit: Duration) -> bool {
        self.0.close();
        tokio::time::timeout(limit, self.0.wait()).await.is_ok()
    }
}
