//! 60 to 63: changes of others live, without network, with a failing server, and a layout that never jumps.

use anyhow::ensure;
use harness::{Outcome, Screen, in_browser};
use serde_json::json;

use super::steps::{PAGE, amber_page, five, green_page, live, on_card, recheck};

#[tokio::test(flavor = "multi_thread")]
async fn c60_a_change_shows_by_itself_and_takes_neither_focus_nor_place() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let ids = five(hub, "bakery").await?;
        let owner = stage.owner("bakery").await?;
        let page = owner.open(Screen::Desk, "/connections").await?;
        live(&page).await?;
        page.press(&on_card(&ids[3], ".btn"), "View details").await?;
        page.see(".panel h2", "").await?;
        page.key("Escape").await?;
        page.gone(".panel", "").await?;
        // Going back in the history brings its own place with it.
        page.until("!location.search").await?;
        page.eval("scrollTo(0, 120)").await?;
        ensure!(page.focus().await?.starts_with("View details"));
        hub.sandbox.act("tiktok", "ada", json!({"kind": "revoke"})).await?;
        recheck(hub, &owner.api, &ids[2]).await?;
        page.see(&on_card(&ids[2], ".status"), "Needs reconnect").await?;
        page.see(".head .sub", "5 accounts · 1 needs attention").await?;
        page.see(".side .nav a", "Connections 1").await?;
        ensure!(
            page.focus().await?.starts_with("View details"),
            "focus went to “{}”",
            page.focus().await?
        );
        ensure!(page.eval("scrollY").await? == 120, "the page scrolled");
        ensure!(
            page.count("#group-amber", "").await? == 0,
            "cards moved under the focus"
        );
        page.eval("document.activeElement.blur()").await?;
        page.see("#group-amber .card h3", "Ada Sandbox").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c60_what_a_team_mate_does_shows_everywhere() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let owner = stage.owner("antiques").await?;
        let page = owner.open(Screen::Desk, "/connections").await?;
        page.see(".empty", "No accounts connected yet.").await?;
        let admin = hub.api("usr_admin", "antiques", "admin");
        let id = green_page(hub, &admin).await?;
        page.see(".card h3", PAGE).await?;
        page.press(&on_card(&id, ".btn"), "View details").await?;
        page.see(".panel h2", PAGE).await?;
        admin.delete(&format!("accounts/{id}")).await?;
        page.gone(".panel", "").await?;
        page.see(".empty", "No accounts connected yet.").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c61_without_network_it_says_since_when_holds_what_needs_it_and_recovers_by_itself() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let owner = stage.owner("antiques").await?;
        let id = amber_page(hub, &owner.api).await?;
        for screen in Screen::ALL {
            let page = owner.open(screen, "/connections").await?;
            page.forgive("ERR_INTERNET_DISCONNECTED");
            page.see(&on_card(&id, ".status"), "Needs reconnect").await?;
            page.offline(true).await?;
            page.see("#offline", "Offline — showing statuses from ").await?;
            let time = page.text("#offline").await?;
            ensure!(
                time.rsplit(' ')
                    .next()
                    .is_some_and(|clock| clock.len() == 5 && clock.contains(':')),
                "{time}"
            );
            for button in ["Reconnect", "Disconnect"] {
                let held = format!("find('#card-{id} .btn', '{button}')[0]");
                ensure!(
                    page.eval(&format!("{held}.getAttribute('aria-disabled')")).await? == "true",
                    "{button}"
                );
                ensure!(
                    page.eval(&format!("{held}.getAttribute('aria-describedby')")).await? == "offline",
                    "{button}"
                );
                page.press(&on_card(&id, ".btn"), button).await?;
            }
            ensure!(page.count(".oauth, .ask", "").await? == 0, "something began");
            page.see(&on_card(&id, ".why"), "Permission missing").await?;
            page.offline(false).await?;
            page.gone("#offline", "").await?;
            page.until(&format!("!document.querySelector('#card-{id} [aria-disabled]')"))
                .await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c62_a_failing_server_leaves_the_cards_and_says_so_with_retry_and_request_id() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let owner = stage.owner("antiques").await?;
        let id = amber_page(hub, &owner.api).await?;
        let page = owner.open(Screen::Desk, "/connections").await?;
        page.see(".card", PAGE).await?;
        live(&page).await?;
        for (press, fails) in [
            ("Refresh", "*/connections/refresh*"),
            ("View details", "*/ui/accounts/*/panel"),
        ] {
            let trouble = page.refuse(fails, 503).await?;
            page.press(".btn", press).await?;
            page.see("#notes [role=alert]", "Could not load accounts.").await?;
            page.see("#notes [role=alert]", "Request id req_test").await?;
            // That the list can be read takes nothing back.
            page.eval("(window.synced = 0, document.addEventListener('sz:synced', () => window.synced += 1))")
                .await?;
            recheck(hub, &owner.api, &id).await?;
            page.until("window.synced").await?;
            page.see("#notes [role=alert]", "Could not load accounts.").await?;
            page.see(&on_card(&id, ".status"), "Needs reconnect").await?;
            ensure!(page.path().await? == "/connections", "{}", page.path().await?);
            page.recover(trouble).await?;
            page.press("#notes .btn", "Try again").await?;
            // What the new try shows comes and goes above the cards, which are to be pressed where they stay.
            page.until("!document.querySelector('[aria-busy=true], [data-checking].card, #notes .note')")
                .await?;
        }
        page.see(".panel h2", PAGE).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c62_a_page_that_cannot_be_made_says_so_with_a_way_back_and_the_request_id() -> Outcome {
    in_browser(async |stage| {
        let owner = stage.owner("antiques").await?;
        let page = owner.tab(Screen::Desk).await?;
        page.forgive("status of 404");
        page.goto("/connections/acc_none/disconnect").await?;
        page.see("h1", "").await?;
        page.see(".centre", "Request id").await?;
        page.press(".centre .btn", "Back to Connections").await?;
        page.see("h1", "Connections").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c63_the_first_paint_has_the_content_and_nothing_jumps() -> Outcome {
    in_browser(async |stage| {
        let ids = five(&stage.hub, "bakery").await?;
        let owner = stage.owner("bakery").await?;
        for screen in Screen::ALL {
            let page = owner.tab(screen).await?;
            page.before("window.moved = 0; new PerformanceObserver((list) => { for (const one of list.getEntries()) moved += one.value; }).observe({ type: 'layout-shift', buffered: true });").await?;
            for path in ["/connections", "/overview", "/notifications", &format!("/connections?account={}", ids[1])] {
                page.goto(path).await?;
                page.until("find('h1').length").await?;
                page.until("!document.querySelector('[aria-busy=true]')").await?;
                page.until("[...document.images].every((one) => one.complete || one.loading === 'lazy')").await?;
                let moved = page.eval("moved").await?.as_f64().unwrap_or(1.0);
                ensure!(moved < 0.02, "{screen:?} {path}: {moved}");
            }
            page.goto("/connections").await?;
            stage.hub.sandbox.act("tiktok", "ada", json!({"kind": "revoke"})).await?;
            recheck(&stage.hub, &owner.api, &ids[2]).await?;
            page.see("#group-amber", "").await?;
            let again = json!({"intent": "reconnect", "account_ids": [ids[2]]});
            owner.api.connect_with(&stage.hub.sandbox, "tiktok", &again, &harness::Consent::of("ada")).await?;
        }
        Ok(())
    })
    .await
}
