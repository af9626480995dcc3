//! `socializioz [ROLE]`: one service, or without a role the whole hub in one process.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use cluster::{Config, Hub, Role, admin, banner};
use kit::{Clock, telemetry};
use tokio_util::sync::CancellationToken;

/// The connections hub: connects social accounts and keeps their tokens working.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// A TOML file over the defaults; SOCIALIZIOZ__SECTION__KEY in the environment goes over both.
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    /// Which service to be; none = the whole hub in one process.
    role: Option<Role>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Asks a running hub.
    Admin {
        #[command(subcommand)]
        command: admin::Command,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match Box::pin(run(Arguments::parse())).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    kit::process::harden()?;
    let config = Config::load(arguments.config.as_deref())?;
    if let Some(Command::Admin { command }) = arguments.command {
        say(&admin::run(command, &config.common(Clock::system())?).await?);
        return Ok(());
    }
    let name = arguments.role.map_or("hub", Role::name);
    let _telemetry = telemetry::init(&config.log, &config.telemetry, name, &config.instance)?;
    let Some(role) = arguments.role else {
        let mut hub = Hub::start(config, Clock::system()).await?;
        tokio::select! {
            ready = hub.ready() => ready?,
            () = stop_signal() => return hub.stop().await,
        }
        say(&banner::text(&hub));
        return hub.run(stop_signal()).await;
    };
    let common = config.common(Clock::system())?;
    let listener = role.bind(&config).await?;
    role.preflight(&common).await?;
    let shutdown = CancellationToken::new();
    tokio::spawn(telemetry::serve_metrics(config.metrics.listen, shutdown.clone()));
    let serving = role.serve(config, common, listener, shutdown.clone());
    tokio::pin!(serving);
    tokio::select! {
        served = &mut serving => return served,
        () = stop_signal() => shutdown.cancel(),
    }
    serving.await
}

/// Ctrl-C, or what Kubernetes sends.
async fn stop_signal() {
    let interrupt = tokio::signal::ctrl_c();
    let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else {
        let _ = interrupt.await;
        return;
    };
    tokio::select! {
        _ = interrupt => {}
        _ = terminate.recv() => {}
    }
}

#[allow(clippy::print_stdout, reason = "this is the binary")]
fn say(text: &str) {
    print!("{text}");
}

/// One line, the key first.
#[allow(clippy::print_stderr, reason = "this is the binary")]
fn complain(error: &anyhow::Error) {
    let text = format!("{error:#}");
    eprintln!("error: {}", text.replace('\n', " "));
}
