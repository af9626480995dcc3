//! What the hub costs, as ratios against bare servers on the same machine in the same run: `tests/bench`.
//!
//! The hub runs as separate processes on PostgreSQL and Redis, the bare servers as processes of this same program, and
//! the load comes from this one over several connections. Rounds of hub and bare server alternate, so that both meet the
//! same machine; the best round of each counts. Ratios are printed, none is promised.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

mod bare;
mod due;
mod load;
mod loops;
mod measure;
mod refresh;

use std::time::Duration;

use anyhow::Context;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve-grpc", listen] => bare::serve_grpc(listen.parse()?).await,
        ["serve-platform", listen] => loops::serve_platform(listen.parse()?).await,
        ["serve-loops", listen] => loops::serve(listen.parse()?).await,
        ["serve-http", listen, grpc] => bare::serve_http(listen.parse()?, grpc).await,
        [] => Box::pin(measure::all(Duration::from_secs(5))).await,
        [seconds] => {
            let length = Duration::from_secs(seconds.parse().context("seconds per measurement")?);
            Box::pin(measure::all(length)).await
        }
        _ => anyhow::bail!("usage: tests/bench [seconds per measurement]"),
    }
}
