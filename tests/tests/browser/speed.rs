//! The budget: what a first visit loads and from where, what a second one does, and how many streams a browser holds.

use anyhow::{Context, ensure};
use harness::{Outcome, Screen, Tab, eventually, in_browser};
use serde_json::{Value, json};

use super::steps::{five, recheck};

/// Requests of a tab so far, oldest first.
fn requests(page: &Tab) -> Vec<Value> {
    page.told("Network.requestWillBeSent")
}

/// Bytes that came over the network so far, profile pictures left out: their size is the platforms'.
fn bytes(page: &Tab) -> f64 {
    let is_picture = |one: &Value| one["response"]["url"].to_string().contains("/media/avatars/");
    let pictures: Vec<Value> = page
        .told("Network.responseReceived")
        .into_iter()
        .filter(is_picture)
        .collect();
    let done = page.told("Network.loadingFinished");
    let counted = done
        .iter()
        .filter(|one| !pictures.iter().any(|picture| picture["requestId"] == one["requestId"]));
    counted.filter_map(|one| one["encodedDataLength"].as_f64()).sum()
}

fn streams(page: &Tab) -> usize {
    requests(page).iter().filter(|one| one["type"] == "EventSource").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_visit_is_light_and_asks_nobody_else() -> Outcome {
    in_browser(async |stage| {
        five(&stage.hub, "bakery").await?;
        let owner = stage.owner("bakery").await?;
        let page = owner.tab(Screen::Desk).await?;
        // Over plain http a browser does not offer brotli, which every visit of a real installation has.
        let headers = json!({"headers": {"Accept-Encoding": "br"}});
        page.call("Network.setExtraHTTPHeaders", headers).await?;
        page.goto("/connections").await?;
        page.until("[...document.images].every((one) => one.complete)").await?;
        let ours = stage.hub.url();
        for request in requests(&page) {
            let url = request["request"]["url"].as_str().unwrap_or_default();
            ensure!(url.starts_with(&ours) || url.starts_with("data:"), "a request to {url}");
        }
        ensure!(bytes(&page) < 50.0 * 1024.0, "{} bytes", bytes(&page));
        let before = bytes(&page);
        page.reload().await?;
        page.until("[...document.images].every((one) => one.complete)").await?;
        ensure!(
            bytes(&page) - before < 15.0 * 1024.0,
            "a second visit loads {} bytes",
            bytes(&page) - before
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_forbid_inline_scripts_and_styles_and_use_none() -> Outcome {
    in_browser(async |stage| {
        let owner = stage.owner("bakery").await?;
        let page = owner.tab(Screen::Desk).await?;
        for path in ["/connections", "/overview", "/composer", "/gallery", "/api/v1/docs"] {
            page.goto(path).await?;
            let answers = page.told("Network.responseReceived");
            let document = answers
                .iter()
                .rev()
                .find(|one| one["type"] == "Document")
                .context("no document")?;
            let headers = document["response"]["headers"].as_object().context("no headers")?;
            let policy = headers
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case("content-security-policy"));
            let policy = policy.and_then(|(_, value)| value.as_str()).unwrap_or_default();
            ensure!(
                policy.contains("default-src 'none'") && !policy.contains("unsafe"),
                "{path}: {policy}"
            );
            ensure!(
                page.eval("document.querySelectorAll('[style], style, script:not([src])').length")
                    .await?
                    == 0,
                "{path}"
            );
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_goes_back_to_the_page_as_it_was_and_it_is_live_again() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let owner = stage.owner("antiques").await?;
        let id = super::steps::green_page(hub, &owner.api).await?;
        let page = owner.open(Screen::Desk, "/connections").await?;
        page.until("performance.getEntriesByType('resource').length > 0")
            .await?;
        page.eval("window.stayed = true, addEventListener('pageshow', (event) => window.restored = event.persisted)")
            .await?;
        page.press(".side .nav a", "Overview").await?;
        page.see("h1", "Overview").await?;
        hub.sandbox
            .act("facebook", "enid", json!({"kind": "password_changed"}))
            .await?;
        recheck(hub, &owner.api, &id).await?;
        page.back().await?;
        page.see("h1", "Connections").await?;
        let not_used = page.told("Page.backForwardCacheNotUsed");
        ensure!(
            page.eval("window.stayed && window.restored").await? == true,
            "not from the cache: {not_used:?}"
        );
        page.see(&super::steps::on_card(&id, ".status"), "Needs reconnect")
            .await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_holds_one_stream_however_many_tabs_and_another_takes_over() -> Outcome {
    in_browser(async |stage| {
        let owner = stage.owner("antiques").await?;
        let mut tabs = Vec::new();
        for path in ["/connections", "/overview", "/notifications", "/billing"] {
            tabs.push(owner.open(Screen::Desk, path).await?);
        }
        eventually("one tab reads the stream", async || {
            Ok((streams(&tabs[0]) == 1).then_some(()))
        })
        .await?;
        super::steps::green_page(&stage.hub, &owner.api).await?;
        for tab in &tabs[..2] {
            tab.see("main", "Oldfield Antiques").await?;
        }
        ensure!(tabs.iter().map(streams).sum::<usize>() == 1, "more than one stream");
        tabs[0].close().await?;
        eventually("another tab reads it", async || {
            Ok((tabs[1..].iter().map(streams).sum::<usize>() == 1).then_some(()))
        })
        .await?;
        stage
            .hub
            .sandbox
            .act("facebook", "enid", json!({"kind": "password_changed"}))
            .await?;
        let id = owner.api.accounts().await?[0]["id"]
            .as_str()
            .context("no id")?
            .to_owned();
        recheck(&stage.hub, &owner.api, &id).await?;
        tabs[1].see(".rows", "Needs reconnect").await?;
        tabs[2].see(".rows", "Please reconnect Oldfield Antiques").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_accounts_come_in_pages_and_are_searched() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        hub.plan("agency", "professional").await?;
        hub.sandbox.profile(&json!({"facebook_page_limit": 200})).await?;
        let owner = stage.owner("agency").await?;
        let all = owner.api.connect(&hub.sandbox, "facebook", "hana").await?.len();
        ensure!(all == 500, "{all}");
        let page = owner.open(Screen::Desk, "/connections").await?;
        page.see(".head .sub", &format!("{all} accounts")).await?;
        ensure!(page.texts(".card h3").await?.len() == 60);
        page.press("#accounts > p .btn", "Show more accounts").await?;
        page.see(".card h3", "Hana's Branch 061").await?;
        page.press("#q", "").await?;
        page.write("branch 007").await?;
        page.gone(".card h3", "Hana's Branch 061").await?;
        ensure!(page.texts(".card h3").await? == ["Hana's Branch 007"]);
        ensure!(page.path().await? == "/connections?q=branch+007");
        ensure!(
            page.eval("document.activeElement.id").await? == "q",
            "typing lost the field"
        );
        Ok(())
    })
    .await
}
