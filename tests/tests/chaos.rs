//! A short run of chaos with a fixed seed; `tests/chaos` runs longer ones.

use anyhow::ensure;
use harness::chaos::{Plan, run};
use harness::{Outcome, separate_processes_wanted};

#[tokio::test(flavor = "multi_thread")]
async fn r7_chaos_loses_no_token_without_a_reason_and_doubles_no_call() -> Outcome {
    if !separate_processes_wanted() {
        return Ok(());
    }
    let plan = Plan {
        seconds: 12,
        seed: 1,
        grants: 24,
    };
    let score = Box::pin(run(plan, None)).await?;
    ensure!(score.faults().is_empty(), "{score}");
    ensure!(score.refreshes > 20, "next to nothing was refreshed\n{score}");
    Ok(())
}
