//! Every page and state on both screens, in light and dark: axe finds nothing, and a picture of each is in `target/browser` for
//! people to look at. In `as-it-is.txt` and `throttled.txt` beside them is what the page feels like on this machine, and on a
//! slower one far away: largest paint, shifts of layout, and the time from an event to its paint.

use anyhow::ensure;
use harness::{Outcome, Screen, Stage, Tab, in_browser};
use serde_json::json;

use super::steps::{amber_page, live, on_card, recheck, schedule};

const WATCH: &str = r"
    window.largest = 0; window.moved = 0;
    new PerformanceObserver((list) => { for (const one of list.getEntries()) largest = one.startTime; }).observe({ type: 'largest-contentful-paint', buffered: true });
    new PerformanceObserver((list) => { for (const one of list.getEntries()) moved += one.value; }).observe({ type: 'layout-shift', buffered: true });
    document.addEventListener('sz:event', (event) => {
        if (event.detail.type !== 'account.reconnect_required') return;
        const from = performance.now();
        new MutationObserver((_, watch) => {
            if (!document.querySelector('.card.amber')) return;
            watch.disconnect();
            requestAnimationFrame(() => setTimeout(() => window.painted = performance.now() - from));
        }).observe(document.querySelector('#live'), { subtree: true, childList: true, attributes: true });
    });
";

/// A workspace with something of everything.
async fn furnish(stage: &Stage) -> anyhow::Result<String> {
    let hub = &stage.hub;
    hub.plan("agency", "professional").await?;
    let owner = hub.owner("agency");
    let amber = amber_page(hub, &owner).await?;
    schedule(hub, "agency", &amber, 4, hub.now_ms()? + 86_400_000).await?;
    for (platform, person) in [
        ("facebook", "ada"),
        ("instagram", "ada"),
        ("tiktok", "ada"),
        ("x", "gus"),
        ("linkedin", "finn"),
        ("x", "dora"),
        ("instagram", "bo"),
    ] {
        owner.connect(&hub.sandbox, platform, person).await?;
    }
    Ok(amber)
}

/// A picture of what is there now, once it is at rest, and axe over it.
async fn look(tab: &Tab, name: &str) -> Outcome {
    tab.until("!document.querySelector('[aria-busy=true]:not(.gallery *)')")
        .await?;
    tab.until("document.getAnimations().every((one) => one.effect.getComputedTiming().iterations > 1)")
        .await?;
    tab.photograph(name).await?;
    tab.is_accessible(name).await
}

async fn pages(tab: &Tab, amber: &str, name: &str) -> Outcome {
    for (what, path) in [
        ("connections", "/connections".to_owned()),
        ("details", format!("/connections?account={amber}")),
        ("overview", "/overview".into()),
        ("composer-empty", "/composer".into()),
        ("composer", format!("/composer?social_account_id={amber}")),
        ("notifications", "/notifications".into()),
        ("plans", "/billing".into()),
        (
            "support",
            format!("/support?account={amber}&problem=permission_missing"),
        ),
        ("api", "/api/v1/docs".into()),
        ("expired", "/oauth/return/none".into()),
        ("not-found", "/connections/none".into()),
        ("no-match", "/connections?q=nothing".into()),
        ("gallery", "/gallery".into()),
        ("gallery-arabic", "/gallery?locale=ar".into()),
    ] {
        tab.goto(&path).await?;
        look(tab, &format!("{name}/{what}")).await?;
        if what.starts_with("gallery") || what == "connections" {
            tab.photograph_all(&format!("{name}/{what}-whole")).await?;
        }
    }
    Ok(())
}

async fn dialogs(tab: &Tab, amber: &str, name: &str) -> Outcome {
    tab.goto("/connections").await?;
    for (what, css, text) in [
        ("disconnect", on_card(amber, ".btn"), "Disconnect"),
        ("instagram", ".tile .btn".into(), "Connect Instagram"),
    ] {
        tab.press(&css, text).await?;
        tab.see(".ask h2", "").await?;
        look(tab, &format!("{name}/{what}")).await?;
        tab.key("Escape").await?;
        tab.gone(".ask", "").await?;
    }
    let menu = if tab.screen() == Screen::Desk {
        ".foot summary"
    } else {
        ".tabs summary"
    };
    tab.press(menu, "").await?;
    look(tab, &format!("{name}/menu")).await
}

/// Everything on one screen in one scheme.
async fn everything(screen: Screen, scheme: &str) -> Outcome {
    in_browser(async |stage| {
        let amber = furnish(stage).await?;
        let name = format!("{screen:?}-{scheme}").to_lowercase();
        let tab = stage.owner("agency").await?.tab(screen).await?;
        tab.forgive("status of 404");
        tab.prefers(&[("prefers-color-scheme", scheme)]).await?;
        pages(&tab, &amber, &name).await?;
        dialogs(&tab, &amber, &name).await?;
        let small = stage.owner("small").await?.tab(screen).await?;
        small.prefers(&[("prefers-color-scheme", scheme)]).await?;
        small.goto("/connections").await?;
        look(&small, &format!("{name}/empty")).await?;
        small.press(".tile .btn", "Connect TikTok").await?;
        small.see(".ask h2", "").await?;
        look(&small, &format!("{name}/plan-prompt")).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c64_axe_finds_nothing_on_a_desk_in_light() -> Outcome {
    everything(Screen::Desk, "light").await
}

#[tokio::test(flavor = "multi_thread")]
async fn c64_axe_finds_nothing_on_a_desk_in_dark() -> Outcome {
    everything(Screen::Desk, "dark").await
}

#[tokio::test(flavor = "multi_thread")]
async fn c64_axe_finds_nothing_on_a_phone_in_light() -> Outcome {
    everything(Screen::Phone, "light").await
}

#[tokio::test(flavor = "multi_thread")]
async fn c64_axe_finds_nothing_on_a_phone_in_dark() -> Outcome {
    everything(Screen::Phone, "dark").await
}

/// What one page is like: largest paint, shift of layout, time from an event to its paint.
async fn feel(stage: &Stage, amber: &str, screen: Screen, throttled: bool) -> Outcome {
    let owner = stage.owner("agency").await?;
    let page = owner.tab(screen).await?;
    page.before(WATCH).await?;
    // Over plain http a browser does not offer brotli, which every visit of a real installation has.
    let headers = json!({"headers": {"Accept-Encoding": "br"}});
    page.call("Network.setExtraHTTPHeaders", headers).await?;
    if throttled {
        page.throttle().await?;
    }
    page.goto("/connections").await?;
    page.see(&on_card(amber, ".status"), "Needs reconnect").await?;
    live(&page).await?;
    let seen = page.until("window.largest && [Math.round(largest), moved]").await?;
    ensure!(seen[1].as_f64().is_some_and(|moved| moved < 0.02), "{seen}");
    let connect = json!({"intent": "reconnect", "account_ids": [amber]});
    let consent = harness::Consent::of("enid");
    let (api, sandbox) = (&owner.api, &stage.hub.sandbox);
    api.connect_with(sandbox, "facebook", &connect, &consent).await?;
    page.gone(".card.amber", "").await?;
    sandbox
        .act("facebook", "enid", json!({"kind": "password_changed"}))
        .await?;
    recheck(&stage.hub, api, amber).await?;
    let painted = page.until("window.painted").await?;
    let picture = page
        .photograph(&format!("{screen:?}-light/attention").to_lowercase())
        .await?;
    let numbers = format!(
        "largest paint {} ms, layout shift {}, event to paint {painted:.0} ms\n",
        seen[0], seen[1]
    );
    let file = if throttled { "throttled.txt" } else { "as-it-is.txt" };
    Ok(std::fs::write(picture.with_file_name(file), numbers)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_page_feels_like_is_measured() -> Outcome {
    in_browser(async |stage| {
        let amber = furnish(stage).await?;
        for screen in Screen::ALL {
            for throttled in [false, true] {
                feel(stage, &amber, screen, throttled).await?;
            }
        }
        Ok(())
    })
    .await
}
