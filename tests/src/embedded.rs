//! The hub in this process, exactly as the binary without a role starts it, on a clock that tests can move.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use kit::Clock;
use kit::clock::millis;
use kit::config::Layers;
use tempfile::TempDir;
use tokio_util::task::AbortOnDropHandle;

use crate::Settings;

const TICK: Duration = Duration::from_millis(20);

pub(crate) struct Embedded {
    hub: cluster::Hub,
    clock: Clock,
    folder: TempDir,
    _ticking: AbortOnDropHandle<()>,
}

impl Embedded {
    pub(crate) async fn start(mut settings: Settings) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        settings.set("database.url", format!("sqlite:{}", folder.path().display()));
        let layers = Layers::read(cluster::DEFAULTS, None, settings.variables())?;
        let clock = Clock::manual(millis(SystemTime::UNIX_EPOCH.elapsed()?));
        let ticking = AbortOnDropHandle::new(tokio::spawn(tick(clock.clone())));
        let hub = cluster::Hub::start(cluster::Config::derived(layers)?, clock.clone()).await?;
        Ok(Self {
            hub,
            clock,
            folder,
            _ticking: ticking,
        })
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.hub.stop().await
    }
}

/// Lets the clock go at the usual pace between the jumps of a test.
async fn tick(clock: Clock) {
    let mut last = Instant::now();
    loop {
        tokio::time::sleep(TICK).await;
        clock.advance(last.elapsed());
        last = Instant::now();
    }
}
