//! 54 to 57: the sheet, pulling to refresh, coming back from a sign-in, targets that a finger meets.

use std::time::Duration;

use anyhow::ensure;
use harness::{Consent, Outcome, Screen, Stage, Tab, in_browser};

use super::steps::{PAGE, five, green_page, on_card};

/// A phone with the sheet of Enid's Page open.
async fn sheet(stage: &Stage) -> anyhow::Result<Tab> {
    let owner = stage.owner("antiques").await?;
    let id = green_page(&stage.hub, &owner.api).await?;
    let page = owner.open(Screen::Phone, "/connections").await?;
    open(&page, &id).await?;
    Ok(page)
}

async fn open(page: &Tab, id: &str) -> Outcome {
    page.press(&on_card(id, ".top"), "").await?;
    page.see(".panel h2", PAGE).await?;
    page.until("document.getAnimations().length === 0").await.map(drop)
}

async fn is_closed(page: &Tab) -> Outcome {
    page.gone(".panel", "").await?;
    page.until("location.pathname + location.search === '/connections'")
        .await
        .map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn c54_swiping_down_the_cross_the_backdrop_and_back_close_the_sheet() -> Outcome {
    in_browser(async |stage| {
        let page = sheet(stage).await?;
        let again = async || {
            page.press(".card .top", "").await?;
            page.see(".panel h2", PAGE).await?;
            page.until("document.getAnimations().length === 0").await
        };
        page.press(".panel [data-close]", "").await?;
        is_closed(&page).await?;
        again().await?;
        page.tap_at(195.0, 40.0).await?;
        is_closed(&page).await?;
        again().await?;
        page.back().await?;
        is_closed(&page).await?;
        again().await?;
        let top = page
            .eval("document.querySelector('#panel').getBoundingClientRect().top")
            .await?
            .as_f64()
            .unwrap_or(0.0);
        page.drag((195.0, top + 20.0), (195.0, top + 60.0), true).await?;
        page.see(".panel h2", PAGE).await?;
        page.drag((195.0, top + 20.0), (195.0, top + 220.0), true).await?;
        is_closed(&page).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c54_a_sheet_longer_than_the_screen_scrolls_inside_and_keeps_its_buttons_in_sight() -> Outcome {
    in_browser(async |stage| {
        let page = sheet(stage).await?;
        let content = "document.querySelector('.panel .content')";
        page.until("!document.querySelector('.panel [aria-busy=true]')").await?;
        ensure!(
            page.eval(&format!("{content}.scrollHeight > {content}.clientHeight"))
                .await?
                == true,
            "it fits"
        );
        page.drag((195.0, 600.0), (195.0, 350.0), true).await?;
        page.until(&format!("{content}.scrollTop > 0")).await?;
        page.see(".panel h2", PAGE).await?;
        ensure!(page.eval("scrollY").await? == 0, "the page behind scrolled");
        page.place(".panel footer .btn", "Disconnect").await.map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c55_pulling_down_refreshes_and_so_does_the_button() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let owner = stage.owner("antiques").await?;
        green_page(hub, &owner.api).await?;
        let page = owner.tab(Screen::Phone).await?;
        page.before("window.checks = 0; document.addEventListener('sz:event', (one) => window.checks += one.detail.type === 'check.completed')")
            .await?;
        page.goto("/connections").await?;
        page.see(".card", PAGE).await?;
        page.drag((195.0, 120.0), (195.0, 170.0), false).await?;
        page.see(".pull", "Pull to refresh").await?;
        page.lift().await?;
        page.gone(".pull", "").await?;
        ensure!(page.count("#refresh [aria-busy], #notes .note", "").await? == 0, "a short pull refreshed");
        page.drag((195.0, 120.0), (195.0, 300.0), false).await?;
        page.see(".pull", "Release to refresh").await?;
        let before = page.eval("checks").await?;
        page.lift().await?;
        page.until(&format!("checks > {before}")).await?;
        page.gone(".pull, .card[data-checking], #notes .note", "").await?;
        hub.advance(Duration::from_secs(60)).await?;
        let before = page.eval("checks").await?;
        page.press("#refresh .btn", "Refresh").await?;
        page.until(&format!("checks > {before}")).await?;
        page.gone(".card[data-checking], #refresh [aria-busy]", "").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c56_a_return_that_fails_is_explained_and_the_account_is_right_all_the_same() -> Outcome {
    in_browser(async |stage| {
        let owner = stage.owner("antiques").await?;
        // The browser comes back from the platform, and is closed before it shows anything.
        let flow = owner.api.begin("facebook", &serde_json::json!({})).await?;
        flow.consent(&stage.hub.sandbox, &Consent::of("enid")).await?;
        let page = owner.open(Screen::Phone, "/connections").await?;
        page.see(".card", PAGE).await?;
        page.goto(&format!("/oauth/return/{}", flow.id)).await?;
        page.see("#notes", "Oldfield Antiques is connected").await?;
        page.goto("/oauth/return/cs_lost").await?;
        page.see("h1", "Go back to where you started").await?;
        page.press(".btn", "Return to Socializioz").await?;
        page.see(".card", PAGE).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c57_everything_that_is_tapped_is_at_least_44_pixels_on_each_side() -> Outcome {
    in_browser(async |stage| {
        let ids = five(&stage.hub, "bakery").await?;
        let owner = stage.owner("bakery").await?;
        let page = owner.tab(Screen::Phone).await?;
        let small = "find('a, button, summary, input:not([type=hidden]), select, textarea, label:has(input)').filter((one) => {
            const inside = one.closest('label') && one.matches('input') || one.matches('.skip') || one.closest('p, .events');
            const box = one.matches('h3 a, .rows .two > a') ? one.closest('.card, li').getBoundingClientRect() : one.getBoundingClientRect();
            return !inside && (box.width < 43.9 || box.height < 43.9);
        }).map((one) => `${short(one)} ${named(one)} ${Math.round(one.getBoundingClientRect().width)}×${Math.round(one.getBoundingClientRect().height)}`)";
        let composer = format!("/composer?social_account_id={}", ids[0]);
        for path in ["/connections", "/overview", "/notifications", "/billing", "/support", &composer] {
            page.goto(path).await?;
            let found = page.eval(small).await?;
            ensure!(found == serde_json::json!([]), "{path}: {found}");
        }
        page.goto(&format!("/connections?account={}", ids[0])).await?;
        page.see(".panel h2", "").await?;
        let found = page.eval(small).await?;
        ensure!(found == serde_json::json!([]), "panel: {found}");
        page.goto("/connections").await?;
        page.press(&on_card(&ids[0], ".btn"), "Disconnect").await?;
        page.see(".ask", "").await?;
        let found = page.eval(small).await?;
        ensure!(found == serde_json::json!([]), "dialog: {found}");
        Ok(())
    })
    .await
}
