//! The audit of token reads: no audit, no token.
//!
//! `buffered`: reads are queued, gathered for a moment and written in groups. Once a group has waited for a second, an answer waits
//! until its own group is durable; once one could not be written, there is none. `strict`: each answer waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kit::{Clock, id};
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::store::Store;
use crate::store::audit::{BATCH, Read};

/// Reads that may wait; more means that the database cannot keep up, which closes the gate.
const QUEUE: usize = 65_536;
/// A buffered read is on disk within this, or nothing more is handed out before it is.
const PATIENCE_US: u64 = 1_000_000;
/// How long a buffered group gathers: few commits, and far below what it may wait.
const GATHER: Duration = Duration::from_millis(50);
const AGAIN: Duration = Duration::from_millis(200);

/// When a read counts as audited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Queued; on disk within a second.
    Buffered,
    /// On disk.
    Strict,
}

struct Item {
    read: Read,
    durable: Option<oneshot::Sender<()>>,
}

/// Takes reads. Cheap to clone.
#[derive(Clone)]
pub struct Audit {
    queue: mpsc::Sender<Item>,
    mode: Mode,
    gate: Arc<Gate>,
}

/// Writes them: run it until the server has ended.
pub struct Writer {
    queue: mpsc::Receiver<Item>,
    mode: Mode,
    gate: Arc<Gate>,
    clock: Clock,
}

/// Open while reads are written in time.
struct Gate {
    start: Instant,
    failed: AtomicBool,
    /// Since when the group being written waits, in microseconds after `start`; 0 = nothing waits.
    waiting_since: AtomicU64,
}

impl Gate {
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros())
            .unwrap_or(u64::MAX)
            .max(1)
    }

    /// A group waits longer than a read may.
    fn is_late(&self) -> bool {
        let since = self.waiting_since.load(Ordering::Acquire);
        since > 0 && self.now().saturating_sub(since) >= PATIENCE_US
    }
}

/// An audit and its writer.
pub fn audit(mode: Mode, clock: Clock) -> (Audit, Writer) {
    let (sender, queue) = mpsc::channel(QUEUE);
    let gate = Arc::new(Gate {
        start: Instant::now(),
        failed: AtomicBool::new(false),
        waiting_since: AtomicU64::new(0),
    });
    (
        Audit {
            queue: sender,
            mode,
            gate: gate.clone(),
        },
        Writer {
            queue,
            mode,
            gate,
            clock,
        },
    )
}

impl Audit {
    /// Records a read before its token is handed out.
    pub async fn record(&self, read: Read) -> Result<(), Error> {
        if self.gate.failed.load(Ordering::Acquire) && self.mode == Mode::Buffered {
            return Err(Error::AuditClosed);
        }
        if self.mode == Mode::Buffered && !self.gate.is_late() {
            return self
                .queue
                .try_send(Item { read, durable: None })
                .map_err(|_| Error::AuditClosed);
        }
        let (durable, done) = oneshot::channel();
        self.queue
            .try_send(Item {
                read,
                durable: Some(durable),
            })
            .map_err(|_| Error::AuditClosed)?;
        done.await.map_err(|_| Error::AuditClosed)
    }
}

impl Writer {
    /// Writes until `stop`, and what is queued then.
    pub async fn run(mut self, store: Store, stop: CancellationToken) {
        let mut items = Vec::with_capacity(BATCH);
        loop {
            items.clear();
            tokio::select! {
                biased;
                count = self.queue.recv_many(&mut items, BATCH) => if count == 0 { return },
                () = stop.cancelled() => return,
            }
            self.gate.waiting_since.store(self.gate.now(), Ordering::Release);
            self.gather(&mut items, &stop).await;
            self.write(&store, &mut items, &stop).await;
        }
    }

    /// Waits for more to write with it, where nobody waits for it.
    async fn gather(&mut self, items: &mut Vec<Item>, stop: &CancellationToken) {
        if self.mode == Mode::Strict || items.len() >= BATCH {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(GATHER) => {}
            () = stop.cancelled() => {}
        }
        while items.len() < BATCH
            && let Ok(item) = self.queue.try_recv()
        {
            items.push(item);
        }
    }

    async fn write(&self, store: &Store, items: &mut Vec<Item>, stop: &CancellationToken) {
        let (group, mut reads, mut waiters) = (id::new("rd", &self.clock), Vec::with_capacity(items.len()), Vec::new());
        for Item { read, durable } in items.drain(..) {
            reads.push(read);
            waiters.extend(durable);
        }
        while let Err(error) = store.record_reads(&group, &reads).await {
            if !self.gate.failed.swap(true, Ordering::AcqRel) {
                tracing::error!(%error, "token reads cannot be audited: none are answered until they can");
            }
            // Nobody who waits is given a token whose audit is late.
            waiters.clear();
            if stop.is_cancelled() {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
        if self.gate.failed.swap(false, Ordering::AcqRel) {
            tracing::info!("token reads are audited again");
        }
        self.gate.waiting_since.store(0, Ordering::Release);
        for waiter in waiters {
            // A caller that went away needs no answer.
            let _ = waiter.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn read() -> Read {
        Read {
            caller: "composer".into(),
            workspace_id: "demo".into(),
            account_id: "acc_1".into(),
            grant_id: "grt_1".into(),
            generation: 1,
            read_at_ms: 0,
        }
    }

    #[tokio::test]
    async fn s6_reads_wait_for_a_group_that_is_late_and_are_refused_once_one_failed() {
        let (audit, mut writer) = audit(Mode::Buffered, Clock::system());
        audit.record(read()).await.unwrap();
        // A group is being written since more than a second.
        let start = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
        let late = Arc::new(Gate {
            start,
            failed: AtomicBool::new(false),
            waiting_since: AtomicU64::new(1),
        });
        let audit = Audit {
            gate: late.clone(),
            ..audit
        };
        let mut waiting = Box::pin(audit.record(read()));
        assert!(waiting.as_mut().now_or_never().is_none(), "handed out before its audit");
        assert!(writer.queue.recv().await.unwrap().durable.is_none());
        writer.queue.recv().await.unwrap().durable.unwrap().send(()).unwrap();
        waiting.await.unwrap();
        late.failed.store(true, Ordering::Release);
        assert!(matches!(audit.record(read()).await, Err(Error::AuditClosed)));
    }
}
