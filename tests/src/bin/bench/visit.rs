//! The page in a real browser, cold: when its largest part is painted, how much of it moves, and how long an event takes to be seen.

use anyhow::Context as _;
use harness::{Outcome, Screen, Stage, Tab, in_browser};
use serde_json::json;

const WORKSPACE: &str = "bench";
/// Accounts of several people, a dozen together.
const PEOPLE: [(&str, &str); 8] = [
    ("facebook", "ada"),
    ("facebook", "enid"),
    ("instagram", "ada"),
    ("tiktok", "ada"),
    ("tiktok", "bo"),
    ("x", "ada"),
    ("x", "bo"),
    ("linkedin", "ada"),
];
/// Events whose way to the screen is measured.
const EVENTS: usize = 5;

/// Runs before the page's own scripts: keeps what the browser tells of painting and moving.
const WATCH: &str = "
window.seen = {painted: 0, moved: 0};
new PerformanceObserver((list) => list.getEntries().forEach((one) => seen.painted = one.startTime))
    .observe({type: 'largest-contentful-paint', buffered: true});
new PerformanceObserver((list) => list.getEntries().forEach((one) => seen.moved += one.hadRecentInput ? 0 : one.value))
    .observe({type: 'layout-shift', buffered: true});";

/// Prints the rows.
pub(crate) async fn all() -> Outcome {
    println!(
        "\n{:<44}{:>14}{:>10}",
        "the page in a browser, 12 accounts, cold", "", "budget"
    );
    in_browser(async |stage| {
        stage.hub.plan(WORKSPACE, "professional").await?;
        let owner = stage.owner(WORKSPACE).await?;
        for (platform, person) in PEOPLE {
            owner.api.connect(&stage.hub.sandbox, platform, person).await?;
        }
        for (screen, name, budget) in [
            (Screen::Desk, "desktop", 600),
            (Screen::Phone, "phone, throttled", 1500),
        ] {
            let visitor = stage.visitor("usr_bench", WORKSPACE, "owner").await?;
            let tab = visitor.tab(screen).await?;
            if screen == Screen::Phone {
                slow_down(&tab).await?;
            }
            first_visit(&tab, name, budget).await?;
        }
        events(stage).await
    })
    .await
}

/// A slow phone on a slow network.
async fn slow_down(tab: &Tab) -> Outcome {
    let network = json!({"offline": false, "latency": 150, "downloadThroughput": 204_800, "uploadThroughput": 96_000});
    tab.call("Network.emulateNetworkConditions", network).await?;
    tab.call("Emulation.setCPUThrottlingRate", json!({"rate": 4})).await?;
    Ok(())
}

async fn first_visit(tab: &Tab, name: &str, budget: u32) -> Outcome {
    let headers = json!({"headers": {"Accept-Encoding": "br"}});
    tab.call("Network.setExtraHTTPHeaders", headers).await?;
    tab.before(WATCH).await?;
    tab.goto("/connections").await?;
    tab.until("document.readyState === 'complete' && seen.painted > 0")
        .await?;
    let seen = tab.eval("seen").await?;
    let painted = seen["painted"].as_f64().context("no paint")?;
    let moved = seen["moved"].as_f64().context("no layout")?;
    println!(
        "{:<44}{painted:>11.0} ms{budget:>7} ms",
        format!("largest paint, {name}")
    );
    println!("{:<44}{moved:>14.3}{:>10}", format!("layout shift, {name}"), 0.02);
    Ok(())
}

/// From the API's caller to the screen.
async fn events(stage: &Stage) -> Outcome {
    let owner = stage.owner(WORKSPACE).await?;
    let tab = owner.open(Screen::Desk, "/connections").await?;
    let accounts = owner.api.accounts().await?;
    let mut slowest = 0;
    for account in accounts.iter().take(EVENTS) {
        let id = account["id"].as_str().context("no id")?;
        let gone = format!(
            "window.gone = 0, new MutationObserver((_, watch) => document.querySelector('[data-account=\"{id}\"]') || (watch.disconnect(),
                requestAnimationFrame(() => gone = Date.now()))).observe(document.body, {{childList: true, subtree: true}})"
        );
        tab.eval(&gone).await?;
        let before = jiff::Timestamp::now().as_millisecond();
        owner.api.delete(&format!("accounts/{id}")).await?;
        let at = tab.until("gone").await?.as_i64().context("not seen")?;
        slowest = slowest.max(at - before);
    }
    println!(
        "{:<44}{slowest:>11} ms{:>7} ms",
        "disconnected by the API, gone from the page", 500
    );
    Ok(())
}
