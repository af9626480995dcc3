//! 64: by screen reader, by keyboard, without motion, in the system's colours, enlarged.

use anyhow::ensure;
use harness::{Outcome, Screen, Tab, in_browser};
use serde_json::json;

use super::steps::{PAGE, allow, amber_page, card, five, green_page, on_card, recheck};

#[tokio::test(flavor = "multi_thread")]
async fn c64_axe_finds_nothing_in_what_comes_and_goes() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let id = green_page(hub, &hub.owner("antiques")).await?;
        for (user, screen) in [("usr_one", Screen::Desk), ("usr_two", Screen::Phone)] {
            let newcomer = stage.newcomer(user, "antiques", "owner").await?;
            let page = newcomer.open(screen, "/connections").await?;
            page.forgive("ERR_INTERNET_DISCONNECTED");
            page.see(".tour", "").await?;
            page.is_accessible("tour").await?;
            page.key("Escape").await?;
            hub.sandbox
                .act("facebook", "enid", json!({"kind": "password_changed"}))
                .await?;
            recheck(hub, &newcomer.api, &id).await?;
            page.see(".toast", "Please reconnect").await?;
            page.see(&on_card(&id, ".status"), "Needs reconnect").await?;
            page.is_accessible("toast").await?;
            page.offline(true).await?;
            page.see("#offline", "Offline").await?;
            page.is_accessible("offline").await?;
            page.offline(false).await?;
            page.gone("#offline", "").await?;
            let again = json!({"intent": "reconnect", "account_ids": [id]});
            newcomer
                .api
                .connect_with(&hub.sandbox, "facebook", &again, &harness::Consent::of("enid"))
                .await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c64_everything_is_reached_and_done_by_keyboard() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let owner = stage.owner("antiques").await?;
        let id = amber_page(hub, &owner.api).await?;
        let page = owner.open(Screen::Desk, "/connections").await?;
        page.key("Tab").await?;
        ensure!(page.focus().await? == "Skip to accounts", "{}", page.focus().await?);
        page.key("Enter").await?;
        page.until("document.activeElement.id === 'accounts'").await?;
        page.tab_to(&on_card(&id, ".btn"), "View details").await?;
        page.key("Enter").await?;
        page.see(".panel h2", PAGE).await?;
        // The focus stays in the panel, however often Tab is pressed.
        let passed = page.tab_to(".panel footer .btn", "Disconnect").await?;
        ensure!(passed.iter().any(|one| one.starts_with("Create a post")), "{passed:?}");
        page.key("Enter").await?;
        page.see(".ask h2", "Disconnect").await?;
        ensure!(
            page.eval("document.activeElement.closest('#ask') !== null").await? == true,
            "the dialog has no focus"
        );
        page.tab_to(".ask .btn", "Cancel").await?;
        page.key("Enter").await?;
        page.gone(".ask", "").await?;
        ensure!(page.focus().await?.starts_with("Disconnect"), "{}", page.focus().await?);
        page.key("Escape").await?;
        page.gone(".panel", "").await?;
        ensure!(
            page.focus().await?.starts_with("View details"),
            "{}",
            page.focus().await?
        );
        page.key("Shift+Tab").await?;
        page.tab_to(&on_card(&id, ".btn"), "Reconnect").await?;
        page.key("Enter").await?;
        allow(&page.popup(0).await?, "enid", &[]).await?;
        page.see(&on_card(&id, ".status"), "Healthy").await?;
        ensure!(
            page.eval("document.activeElement !== document.body").await? == true,
            "the focus is lost"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c64_live_regions_are_there_from_the_start_and_empty() -> Outcome {
    in_browser(async |stage| {
        let owner = stage.owner("antiques").await?;
        green_page(&stage.hub, &owner.api).await?;
        let page = owner.tab(Screen::Desk).await?;
        page.without_scripts().await?;
        page.goto("/connections").await?;
        let regions = "['[data-said][role=status]', '[data-polite][role=status]', '[data-alert][role=alert]', '#notes[aria-live=polite]'].every((css) => document.querySelector(css)?.textContent.trim() === '')";
        ensure!(page.eval(regions).await? == true, "a live region is missing or speaks at once");
        for landmark in ["main", "nav[aria-label]", "h1"] {
            ensure!(page.eval(&format!("document.querySelectorAll('{landmark}').length > 0")).await? == true, "{landmark}");
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c64_motion_is_left_out_and_forced_colours_keep_the_dots_where_asked() -> Outcome {
    in_browser(async |stage| {
        let owner = stage.owner("antiques").await?;
        let id = amber_page(&stage.hub, &owner.api).await?;
        let page = owner.open(Screen::Desk, "/connections").await?;
        page.prefers(&[("prefers-reduced-motion", "reduce")]).await?;
        page.press(&on_card(&id, ".btn"), "View details").await?;
        page.see(".panel h2", PAGE).await?;
        page.key("Escape").await?;
        page.press("#refresh .btn", "").await?;
        ensure!(
            page.eval("document.getAnimations().length").await? == 0,
            "something moves"
        );
        page.prefers(&[("forced-colors", "active")]).await?;
        let style = |css: &str, name: &str| format!("getComputedStyle(document.querySelector('{css}')).{name}");
        page.until(&format!("{} === '3px'", style(".card.amber", "borderTopWidth")))
            .await?;
        ensure!(page.eval(&style(".dot.amber", "backgroundColor")).await? == "rgb(245, 158, 11)");
        ensure!(page.eval(&style(".dot.amber", "forcedColorAdjust")).await? == "none");
        page.see(&on_card(&id, ".status"), "Needs reconnect").await
    })
    .await
}

/// Nothing is wider than the screen, and the actions of a card are where a finger or a mouse meets them.
async fn fits(page: &Tab, id: &str, what: &str) -> Outcome {
    page.see(&card(id), "").await?;
    let wide = "find('main *').filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.filters, .sr')).map(short)";
    let found = page.eval(wide).await?;
    ensure!(found == json!([]), "{what}: {found}");
    ensure!(
        page.eval("document.documentElement.scrollWidth <= innerWidth").await? == true,
        "{what}: it scrolls sideways"
    );
    for action in ["Create post", "View details", "Reconnect", "Disconnect"] {
        page.place(&on_card(id, ".btn"), action).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn c64_at_200_percent_and_at_320_pixels_nothing_is_lost() -> Outcome {
    in_browser(async |stage| {
        let ids = five(&stage.hub, "bakery").await?;
        let owner = stage.owner("bakery").await?;
        let desk = owner.open(Screen::Desk, "/connections").await?;
        let phone = owner.open(Screen::Phone, "/connections").await?;
        // Finn's name is as long as names get.
        for (page, width, height, zoom) in [(&desk, 640, 400, 2.0), (&desk, 320, 640, 1.0), (&phone, 320, 640, 2.0)] {
            page.resize(width, height, zoom).await?;
            fits(page, &ids[4], &format!("{width}×{height}")).await?;
            ensure!(
                page.eval("new Set(find('.card').map((card) => card.getBoundingClientRect().left)).size")
                    .await?
                    == 1
            );
            page.press(&on_card(&ids[4], ".btn"), "View details").await?;
            page.see(".panel h2", "Finn").await?;
            page.place(".panel footer .btn", "Disconnect").await?;
            page.press(".panel [data-close]", "").await?;
            page.gone(".panel", "").await?;
        }
        Ok(())
    })
    .await
}
