//! One service as a process of its own.

use std::net::SocketAddr;

use kit::config::{AuthMode, Common, Error, check_loopback};
use kit::db::{Db, Location};
use kit::shared::Shared;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Config;

/// A service that the binary can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Accounts, connect sessions, health, events.
    Accounts,
    /// Grants and tokens.
    Tokens,
    /// The platforms' adapters.
    Platforms,
    /// Plans and slots.
    Entitlements,
    /// Page, API and callbacks.
    Gateway,
    /// Imitated platforms.
    Sandbox,
}

impl Role {
    /// All roles, in the order in which the hub starts them.
    pub const ALL: [Self; 6] = [
        Self::Gateway,
        Self::Sandbox,
        Self::Entitlements,
        Self::Platforms,
        Self::Tokens,
        Self::Accounts,
    ];

    /// Its name in configuration keys, logs and traces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Tokens => "tokens",
            Self::Platforms => "platforms",
            Self::Entitlements => "entitlements",
            Self::Gateway => "gateway",
            Self::Sandbox => "sandbox",
        }
    }

    /// Where it listens.
    pub fn listen(self, config: &Config) -> SocketAddr {
        match self {
            Self::Accounts => config.accounts.listen,
            Self::Tokens => config.tokens.listen,
            Self::Platforms => config.platforms.listen,
            Self::Entitlements => config.entitlements.listen,
            Self::Gateway => config.gateway.listen,
            Self::Sandbox => config.sandbox.listen,
        }
    }

    /// Takes its port, or says whose it is.
    pub async fn bind(self, config: &Config) -> Result<TcpListener, Error> {
        let (key, listen) = (format!("{}.listen", self.name()), self.listen(config));
        match self {
            Self::Gateway if config.auth.mode == AuthMode::Dev => {
                check_loopback(
                    &key,
                    listen,
                    "dev mode signs everybody in",
                    "set auth.mode = oidc, or listen on 127.0.0.1",
                )?;
            }
            Self::Sandbox => {
                check_loopback(
                    &key,
                    listen,
                    "imitated platforms have no password",
                    "listen on 127.0.0.1",
                )?;
            }
            _ => {}
        }
        TcpListener::bind(listen).await.map_err(|error| {
            let problem = match error.kind() {
                std::io::ErrorKind::AddrInUse => {
                    format!(
                        "port {} on {} is in use, perhaps by a hub that runs already",
                        listen.port(),
                        listen.ip()
                    )
                }
                _ => format!("cannot listen on {listen} ({error})"),
            };
            Error::new(key, problem, "stop what runs there, or choose another address")
        })
    }

    /// Tries database and Redis before anything is served, so that a wrong address is told at once and by its key.
    pub async fn preflight(self, common: &Common) -> Result<(), Error> {
        if matches!(self, Self::Accounts | Self::Tokens | Self::Entitlements) {
            let reached = tokio::time::timeout(std::time::Duration::from_secs(4), Db::ping(&common.database)).await;
            let problem = match reached {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(format!("cannot be used ({})", first_line(&format!("{error:#}")))),
                Err(_) => Some("does not answer".to_owned()),
            };
            if let Some(problem) = problem {
                let remedy = match &common.database {
                    Location::Folder(_) => "name a folder that can be written",
                    Location::Postgres(_) => "start PostgreSQL there, or correct host, port, user and database",
                };
                return Err(Error::new("database.url", problem, remedy));
            }
        }
        if !common.redis.is_empty() && !matches!(self, Self::Sandbox | Self::Entitlements) {
            let reached = tokio::time::timeout(
                std::time::Duration::from_secs(4),
                Shared::connect(&common.redis, "start"),
            )
            .await;
            if !matches!(reached, Ok(Ok(_))) {
                let remedy = "start Redis there, correct the address, or leave it empty for memory";
                return Err(Error::new("redis.url", "does not answer", remedy));
            }
        }
        if matches!(self, Self::Tokens | Self::Platforms | Self::Accounts) {
            common.key_ring()?;
        }
        Ok(())
    }

    /// Serves until `shutdown`.
    pub async fn serve(
        self,
        config: Config,
        common: Common,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let Config {
            gateway,
            links,
            accounts,
            tokens,
            audit,
            platforms,
            entitlements,
            plans,
            sandbox,
            ..
        } = config;
        let served = match self {
            Self::Accounts => {
                let (check_interval, refresh_attempts) = (tokens.check_interval, tokens.refresh_attempts);
                let config = accounts::Config {
                    common,
                    section: accounts,
                    check_interval,
                    refresh_attempts,
                };
                accounts::serve(config, listener, shutdown).await
            }
            Self::Tokens => {
                tokens::serve(
                    tokens::Config {
                        common,
                        section: tokens,
                        audit,
                    },
                    listener,
                    shutdown,
                )
                .await
            }
            Self::Platforms => {
                platforms::serve(
                    platforms::Config {
                        common,
                        section: platforms.apps,
                    },
                    listener,
                    shutdown,
                )
                .await
            }
            Self::Entitlements => {
                entitlements::serve(
                    entitlements::Config {
                        common,
                        section: entitlements,
                        plans,
                    },
                    listener,
                    shutdown,
                )
                .await
            }
            Self::Gateway => {
                gateway::serve(
                    gateway::Config {
                        common,
                        section: gateway,
                        links,
                    },
                    listener,
                    shutdown,
                )
                .await
            }
            Self::Sandbox => sandbox::serve(sandbox, listener, shutdown).await,
        };
        // What is wrong with a key says so first.
        served.map_err(|error| match error.downcast::<Error>() {
            Ok(error) => error.into(),
            Err(error) => error.context(format!("{} ended", self.name())),
        })
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
