//! The whole hub in one process: all services over real gRPC on loopback.
//!
//! Ports are taken before anything starts, so that a second hub fails at once and nothing races.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use kit::config::{Common, Error};
use kit::db::Location;
use kit::{Clock, telemetry};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{Config, Role, demo, readiness};

/// A running hub.
pub struct Hub {
    /// Where each role listens.
    pub addresses: Vec<(Role, SocketAddr)>,
    /// As it was started.
    pub config: Config,
    /// What the services share.
    pub common: Common,
    services: JoinSet<anyhow::Result<()>>,
    shutdown: CancellationToken,
    _lock: Option<std::fs::File>,
}

impl Hub {
    /// Starts everything. Returns when all ports are taken and all services run.
    pub async fn start(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let mut listeners = Vec::new();
        for role in Role::ALL {
            if role != Role::Sandbox || config.sandbox.enabled {
                listeners.push((role, role.bind(&config).await?));
            }
        }
        let common = config.common(clock)?;
        let lock = lock(&common)?;
        for (role, _) in &listeners {
            role.preflight(&common).await?;
        }

        let shutdown = CancellationToken::new();
        let mut services = JoinSet::new();
        services.spawn(telemetry::serve_metrics(config.metrics.listen, shutdown.clone()));
        let mut addresses = Vec::new();
        for (role, listener) in listeners {
            addresses.push((role, listener.local_addr()?));
            services.spawn(role.serve(config.clone(), common.clone(), listener, shutdown.clone()));
        }
        if config.sandbox.enabled && common.dev() && config.demo {
            services.spawn(demo::seed(config.clone(), common.clone(), shutdown.clone()));
        }
        Ok(Self {
            addresses,
            config,
            common,
            services,
            shutdown,
            _lock: lock,
        })
    }

    /// Where a role listens.
    pub fn address(&self, role: Role) -> Option<SocketAddr> {
        self.addresses
            .iter()
            .find(|(known, _)| *known == role)
            .map(|(_, address)| *address)
    }

    /// Waits until all of it answers. The failure of a service that cannot start with this configuration comes back instead.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        let gateway = self.address(Role::Gateway).context("no gateway")?;
        let answers = readiness::wait(format!("http://{gateway}"));
        tokio::pin!(answers);
        loop {
            tokio::select! {
                answered = &mut answers => return answered,
                ended = self.services.join_next() => match ended {
                    Some(ended) => ended??,
                    None => anyhow::bail!("everything ended by itself"),
                },
            }
        }
    }

    /// Waits until a service ends by itself, which is a failure, or until `stop`.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                ended = self.services.join_next() => match ended {
                    // The demo's seeding ends well; a service does not.
                    Some(Ok(Ok(()))) => {}
                    Some(Ok(Err(error))) => {
                        let _ = self.stop().await;
                        return Err(error);
                    }
                    Some(Err(panic)) => {
                        let _ = self.stop().await;
                        return Err(panic.into());
                    }
                    None => break,
                },
            }
        }
        self.stop().await
    }

    /// Stops taking work, lets what runs end, at most as long as `drain` says.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        let drain = self.config.drain;
        let drained = async {
            while let Some(ended) = self.services.join_next().await {
                ended??;
            }
            Ok(())
        };
        tokio::time::timeout(drain, drained).await.unwrap_or_else(|_| {
            tracing::warn!("some work did not end in time");
            Ok(())
        })
    }
}

/// Two hubs on one data folder would refresh the same grants from two sides.
fn lock(common: &Common) -> Result<Option<std::fs::File>, Error> {
    let Location::Folder(folder) = &common.database else {
        return Ok(None);
    };
    let path: PathBuf = folder.join("lock");
    let failed = |error: &dyn std::fmt::Display| {
        Error::new(
            "database.url",
            format!("{} cannot be used ({error})", folder.display()),
            "name a folder that can be written",
        )
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    let file = std::fs::File::create(&path).map_err(|error| failed(&error))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::new(
            "database.url",
            format!("{} belongs to a hub that runs already", folder.display()),
            "stop it, or name another folder",
        )),
        Err(std::fs::TryLockError::Error(error)) => Err(failed(&error)),
    }
}
