//! The hub in this process, exactly as the binary without a role starts it.

use std::path::Path;

use kit::Clock;
use kit::config::Layers;
use tempfile::TempDir;

use crate::Settings;

pub(crate) struct Embedded {
    hub: cluster::Hub,
    folder: TempDir,
}

impl Embedded {
    pub(crate) async fn start(mut settings: Settings) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        settings.set("database.url", format!("sqlite:{}", folder.path().display()));
        let layers = Layers::read(cluster::DEFAULTS, None, settings.variables())?;
        let hub = cluster::Hub::start(cluster::Config::derived(layers)?, Clock::system()).await?;
        Ok(Self { hub, folder })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.hub.stop().await
    }
}
