//! Chaos with its scoreboard: `tests/chaos [--seconds 60] [--seed 1] [--grants 60] [--logs FOLDER]`. Exit code 1 when something
//! is wrong.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use harness::chaos::{Plan, run};

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let mut plan = Plan {
        seconds: 60,
        seed: 1,
        grants: 60,
    };
    let mut logs = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{option} needs a value"))?;
        if option == "--logs" {
            logs = Some(PathBuf::from(value));
            continue;
        }
        let number = value.parse::<u64>().with_context(|| format!("{option} {value}"))?;
        match option.as_str() {
            "--seconds" => plan.seconds = number,
            "--seed" => plan.seed = number,
            "--grants" => plan.grants = usize::try_from(number)?,
            _ => anyhow::bail!("usage: tests/chaos [--seconds 60] [--seed 1] [--grants 60] [--logs FOLDER]"),
        }
    }
    let score = Box::pin(run(plan, logs.as_deref())).await?;
    print!("{score}");
    Ok(ExitCode::from(u8::from(!score.faults().is_empty())))
}
