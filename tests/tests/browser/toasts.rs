//! 15 to 21: automatic refresh as a person sees it, and the messages that tell of it.

use std::time::Duration;

use anyhow::{Context, ensure};
use harness::{Consent, Outcome, Screen, Tab, eventually, in_browser};
use serde_json::json;

use super::steps::{PAGE, five, green_page, live, next_refresh, on_card, recheck};

/// Holds the page's long timers in `slow` instead of letting them run, so that a test ends them.
const SLOW_TIMERS: &str = r"
    window.slow = new Map();
    const start = window.setTimeout.bind(window), stop = window.clearTimeout.bind(window);
    let next = -1;
    window.setTimeout = (act, delay, ...more) => {
        if (delay < 8000) return start(act, delay, ...more);
        slow.set(--next, act);
        return next;
    };
    window.clearTimeout = (id) => slow.delete(id) || stop(id);
";

/// Keeps every text that ever stood in a toast, in order.
const ALL_TOASTS: &str = r"
    window.toasts = [];
    new MutationObserver((changes) => {
        for (const change of changes) for (const node of change.addedNodes) {
            if (node instanceof Element && node.matches('.toast')) toasts.push(node.querySelector('p').textContent);
        }
    }).observe(document, { childList: true, subtree: true });
";

async fn said(page: &Tab) -> anyhow::Result<Vec<String>> {
    Ok(serde_json::from_value(page.eval("window.toasts").await?)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn c15_c16_c20_a_refresh_is_told_live_once_in_every_tab_and_the_card_stays_green() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let id = green_page(hub, &hub.owner("antiques")).await?;
        let owner = stage.owner("antiques").await?;
        let mut tabs = Vec::new();
        for path in ["/connections", "/overview"] {
            let tab = owner.tab(Screen::Desk).await?;
            tab.before(ALL_TOASTS).await?;
            tab.goto(path).await?;
            live(&tab).await?;
            tabs.push(tab);
        }
        tabs[0].press(&on_card(&id, ".btn"), "View details").await?;
        tabs[0].see(".panel .facts-list", "Last token refresh").await?;
        let before = tabs[0].text(".panel .facts-list").await?;
        next_refresh(hub, &owner.api, &id).await?;
        for tab in &tabs {
            tab.see(".toast", "Access token refreshed for Oldfield Antiques")
                .await?;
            let said = said(tab).await?;
            ensure!(said == ["Access token refreshed for Oldfield Antiques"], "{said:?}");
        }
        tabs[0].gone(".panel .facts-list", &before).await?;
        tabs[0].see(".panel .events", "Access token refreshed").await?;
        tabs[0].see(".panel .status", "Healthy").await?;
        ensure!(tabs[0].count(".card.amber", "").await? == 0);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c20_messages_come_in_an_open_panel_and_after_it_was_read_anew() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let owner = stage.owner("antiques").await?;
        let id = green_page(hub, &owner.api).await?;
        let page = owner.tab(Screen::Desk).await?;
        page.before(ALL_TOASTS).await?;
        page.goto(&format!("/connections?account={id}")).await?;
        live(&page).await?;
        let connect = json!({"intent": "reconnect", "account_ids": [id]});
        for count in 1..=2 {
            page.see(".panel .status", "Healthy").await?;
            let change = json!({"kind": "password_changed"});
            hub.sandbox.act("facebook", "enid", change).await?;
            recheck(hub, &owner.api, &id).await?;
            page.see(".panel .status", "Needs reconnect").await?;
            let asked = "toasts.filter((one) => one === 'Please reconnect Oldfield Antiques').length";
            page.until(&format!("{asked} === {count}")).await?;
            page.see(".panel .toast", "Please reconnect Oldfield Antiques").await?;
            let consent = Consent::of("enid");
            let done = owner.api.connect_with(&hub.sandbox, "facebook", &connect, &consent);
            done.await?;
        }
        page.key("Escape").await?;
        page.gone(".panel", "").await?;
        page.see("sz-toasts .toast", "Please reconnect").await
    })
    .await
}

/// Lets no tab read the stream until `go()`.
const NO_STREAM_YET: &str = r"
    const request = navigator.locks.request.bind(navigator.locks);
    navigator.locks.request = (...all) => new Promise((go) => (window.go = go)).then(() => request(...all));
";

#[tokio::test(flavor = "multi_thread")]
async fn c20_what_happened_between_a_page_and_its_stream_is_told_too() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let ids = five(hub, "bakery").await?;
        let owner = stage.owner("bakery").await?;
        let first = owner.tab(Screen::Desk).await?;
        first.before(ALL_TOASTS).await?;
        first.before(NO_STREAM_YET).await?;
        first.goto("/connections").await?;
        first.until("!!window.go").await?;
        hub.sandbox.act("tiktok", "ada", json!({"kind": "revoke"})).await?;
        recheck(hub, &owner.api, &ids[2]).await?;
        eventually("it is known", async || {
            Ok((owner.api.health(&ids[2]).await? != "healthy").then_some(()))
        })
        .await?;
        first.eval("go()").await?;
        first.see(".toast", "Please reconnect Ada Sandbox").await?;
        // A tab that was away for a moment hears it from the one that reads for all, and that one not again.
        let second = owner.tab(Screen::Desk).await?;
        second.before(ALL_TOASTS).await?;
        second.goto("/overview").await?;
        live(&second).await?;
        second.eval("document.querySelector('sz-events').stop()").await?;
        hub.sandbox.act("x", "ada", json!({"kind": "revoke"})).await?;
        recheck(hub, &owner.api, &ids[3]).await?;
        first.until("toasts.length === 2").await?;
        let early = said(&second).await?;
        ensure!(early.is_empty(), "it was not away: {early:?}");
        second.eval("document.querySelector('sz-events').start()").await?;
        second.see(".toast", "Please reconnect Ada Sandbox").await?;
        let all = (said(&first).await?, said(&second).await?);
        ensure!(all.0.len() == 2 && all.1.len() == 1, "{all:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c17_after_three_failed_attempts_it_asks_to_reconnect_and_the_first_two_leave_it_green() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let refuse = json!({"platform": "facebook", "operation": "refresh", "effect": {"kind": "not_extended"}});
        hub.sandbox.switch(&refuse).await?;
        let id = green_page(hub, &hub.owner("antiques")).await?;
        let owner = stage.owner("antiques").await?;
        let page = owner.tab(Screen::Desk).await?;
        page.before(ALL_TOASTS).await?;
        page.goto("/connections").await?;
        live(&page).await?;
        for attempt in 1..=2 {
            next_refresh(hub, &owner.api, &id).await?;
            page.see(
                &on_card(&id, ".facts"),
                &format!("Refresh attempt {attempt} of 3 failed."),
            )
            .await?;
            page.see(&on_card(&id, ".status"), "Healthy").await?;
            ensure!(said(&page).await?.is_empty());
        }
        next_refresh(hub, &owner.api, &id).await?;
        page.see(".toast", "Please reconnect Oldfield Antiques").await?;
        page.see(&on_card(&id, ".status"), "Needs reconnect").await?;
        page.see(&on_card(&id, ".why"), "Automatic refresh failed 3 times (last:")
            .await?;
        page.see("#group-amber", PAGE).await?;
        ensure!(said(&page).await? == ["Please reconnect Oldfield Antiques"]);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c18_c19_linkedin_says_only_that_it_expired_and_x_is_renewed_in_silence() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        hub.plan("bakery", "professional").await?;
        let short = json!({"kind": "lifetimes", "access_seconds": 3600});
        for platform in ["linkedin", "x"] {
            hub.sandbox
                .switch(&json!({"platform": platform, "operation": "exchange", "effect": short}))
                .await?;
        }
        let owner = stage.owner("bakery").await?;
        let linkedin = owner.api.connect_one(&hub.sandbox, "linkedin", "finn").await?;
        let x = owner.api.connect_one(&hub.sandbox, "x", "ada").await?;
        let page = owner.tab(Screen::Desk).await?;
        page.before(ALL_TOASTS).await?;
        page.goto("/connections").await?;
        live(&page).await?;
        let name = page.text(&on_card(&linkedin, "h3")).await?;
        hub.advance(Duration::from_secs(3700)).await?;
        let wanted = proto::tokens::v1::GetAccessTokenRequest {
            workspace_id: "bakery".into(),
            account_id: x.clone(),
            min_ttl: None,
        };
        hub.tokens(0)?.get_access_token(wanted).await?;
        let expired = format!("{name} expired. Please reconnect.");
        harness::eventually("the end is noticed", async || {
            hub.advance(Duration::from_secs(30)).await?;
            Ok((page.count(".toast", &expired).await? == 1).then_some(()))
        })
        .await?;
        page.see(&on_card(&linkedin, ".status"), "Needs reconnect").await?;
        page.see(&on_card(&linkedin, ".why"), "Token expired").await?;
        page.see(&on_card(&x, ".status"), "Healthy").await?;
        ensure!(
            !hub.sandbox.requests("x", "refresh").await?.is_empty(),
            "X was not renewed"
        );
        ensure!(said(&page).await? == [format!("{name} expired. Please reconnect.")]);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c21_what_needs_a_person_stays_with_a_button_until_dismissed() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let owner = stage.owner("antiques").await?;
        let id = green_page(hub, &owner.api).await?;
        for screen in Screen::ALL {
            let page = owner.tab(screen).await?;
            page.before(SLOW_TIMERS).await?;
            page.goto("/connections").await?;
            live(&page).await?;
            page.see(&on_card(&id, ".status"), "Healthy").await?;
            hub.sandbox
                .act("facebook", "enid", json!({"kind": "password_changed"}))
                .await?;
            recheck(hub, &owner.api, &id).await?;
            page.see(".toast", "Please reconnect Oldfield Antiques").await?;
            page.place(".toast .btn", "Reconnect Oldfield Antiques").await?;
            ensure!(page.eval("slow.size").await? == 0, "it would leave by itself");
            page.press(".toast .btn", "Dismiss").await?;
            page.gone(".toast", "").await?;
            let list = owner.open(screen, "/notifications").await?;
            list.see(".rows", "Please reconnect Oldfield Antiques").await?;
            let again = json!({"intent": "reconnect", "account_ids": [id]});
            owner
                .api
                .connect_with(&hub.sandbox, "facebook", &again, &harness::Consent::of("enid"))
                .await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c21_good_news_leaves_after_eight_seconds_but_not_while_looked_at() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let owner = stage.owner("antiques").await?;
        let id = green_page(hub, &owner.api).await?;
        let page = owner.tab(Screen::Desk).await?;
        page.before(SLOW_TIMERS).await?;
        page.goto("/connections").await?;
        live(&page).await?;
        owner
            .api
            .post(&format!("accounts/{id}/token-refreshes"), json!({}))
            .await?
            .ok()?;
        page.see(".toast", "Access token refreshed").await?;
        ensure!(page.eval("slow.size").await? == 1, "it has no timer");
        page.hover(".toast p", "").await?;
        page.until("slow.size === 0").await?;
        page.mouse_to(400.0, 40.0).await?;
        page.until("slow.size === 1").await?;
        page.key("F6").await?;
        page.until("slow.size === 0").await.context("focus does not hold it")?;
        ensure!(page.focus().await? == "Dismiss", "F6 does not reach it");
        page.key("Shift+Tab").await?;
        page.until("slow.size === 1").await?;
        page.eval("[...slow.values()].forEach((act) => act())").await?;
        page.gone(".toast", "").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c21_the_button_of_a_toast_reconnects_and_a_member_asks_instead() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let owner = stage.owner("antiques").await?;
        let id = green_page(hub, &owner.api).await?;
        let page = owner.open(Screen::Desk, "/connections").await?;
        let member = stage.visitor("usr_member", "antiques", "member").await?;
        let theirs = member.open(Screen::Desk, "/connections").await?;
        live(&page).await?;
        live(&theirs).await?;
        hub.sandbox.act("facebook", "enid", json!({"kind": "revoke"})).await?;
        recheck(hub, &owner.api, &id).await?;
        theirs.see(".toast", "Please reconnect Oldfield Antiques").await?;
        theirs.press(".toast .btn", "Ask an admin to reconnect").await?;
        theirs
            .see(".note", "Owners and admins have been asked to reconnect.")
            .await?;
        page.press(".toast .btn", "Reconnect Oldfield Antiques").await?;
        super::steps::allow(&page.popup(0).await?, "enid", &[]).await?;
        page.see(&on_card(&id, ".status"), "Healthy").await?;
        page.see("#notes", "Oldfield Antiques is reconnected").await?;
        Ok(())
    })
    .await
}
