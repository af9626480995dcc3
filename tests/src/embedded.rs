//! The hub in this process, exactly as the binary without a role starts it.

use std::path::Path;

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
        let hub = cluster::start(cluster::Config::parse(None, settings.variables())?).await?;
        Ok(Self { hub, folder })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.hub.stop().await
    }
}
