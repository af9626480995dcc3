//! 36 to 43: connecting and reconnecting by the platforms' consent pages, and everything that may go wrong on the way.

use anyhow::ensure;
use harness::{Outcome, Screen, Tab, Visitor, in_browser};
use serde_json::json;

use super::steps::{PAGE, allow, amber_page, green_page, on_card, schedule};

const BLOCKED: &str = "Your browser may be blocking pop-ups. Allow pop-ups for Socializioz and try again.";

#[tokio::test(flavor = "multi_thread")]
async fn c36_c37_c43_a_popup_reconnects_and_the_card_turns_green_without_reload() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        // The plan's only slot is taken: reconnecting does not count against it.
        let id = amber_page(hub, &hub.owner("antiques")).await?;
        schedule(hub, "antiques", &id, 4, hub.now_ms()? + 86_400_000).await?;
        let owner = stage.owner("antiques").await?;
        let page = owner.open(Screen::Desk, "/connections").await?;
        page.see(&on_card(&id, ".impact"), "4 scheduled posts at risk · next")
            .await?;
        page.see(".banner", "4 scheduled posts will fail if nothing changes")
            .await?;
        page.eval("window.stayed = true").await?;
        page.press(&on_card(&id, ".btn"), "Reconnect").await?;
        page.see(&on_card(&id, ".oauth"), "Waiting for Facebook…").await?;
        page.see(&on_card(&id, ".oauth .btn"), "Open the window again").await?;
        page.see(&on_card(&id, ".status"), "Needs reconnect").await?;
        let popup = page.popup(0).await?;
        allow(&popup, "enid", &[]).await?;
        popup.closed().await?;
        page.see(&on_card(&id, ".status"), "Healthy").await?;
        page.see("#notes .note.green", "Oldfield Antiques is reconnected")
            .await?;
        page.see("#notes .note.green", "4 posts are safe again").await?;
        page.see("#group-green", PAGE).await?;
        page.gone("#group-amber", "").await?;
        page.gone(".oauth", "").await?;
        ensure!(page.eval("window.stayed").await? == true, "the page was loaded anew");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c36_a_phone_signs_in_in_the_browser_and_comes_back() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let id = amber_page(hub, &hub.owner("antiques")).await?;
        let owner = stage.owner("antiques").await?;
        let page = owner.open(Screen::Phone, "/connections").await?;
        page.press(&on_card(&id, ".btn"), "Reconnect").await?;
        allow(&page, "enid", &[]).await?;
        page.see("h1", "Connections").await?;
        page.see("#notes", "Oldfield Antiques is reconnected").await?;
        page.see(&on_card(&id, ".status"), "Healthy").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c38_a_permission_that_stays_off_keeps_it_amber_and_is_named() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let id = amber_page(hub, &hub.owner("antiques")).await?;
        let owner = stage.owner("antiques").await?;
        let page = owner.open(Screen::Desk, "/connections").await?;
        page.press(&on_card(&id, ".btn"), "Reconnect").await?;
        allow(&page.popup(0).await?, "enid", &["pages_manage_posts"]).await?;
        page.see("#notes .note", "publish to the Page").await?;
        page.see(&on_card(&id, ".status"), "Needs reconnect").await?;
        page.see(&on_card(&id, ".why"), "Permission missing: publish to the Page")
            .await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c39_a_blocked_popup_is_explained_and_the_sign_in_goes_on_in_the_same_tab() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let id = amber_page(hub, &hub.owner("antiques")).await?;
        let owner = stage.owner("antiques").await?;
        let page = owner.tab(Screen::Desk).await?;
        page.before("window.open = () => null").await?;
        page.goto("/connections").await?;
        page.press(&on_card(&id, ".btn"), "Reconnect").await?;
        page.see(&on_card(&id, ".oauth"), BLOCKED).await?;
        allow(&page, "enid", &[]).await?;
        page.see("#notes", "Oldfield Antiques is reconnected").await?;
        page.see("#notes", BLOCKED).await?;
        page.see(&on_card(&id, ".status"), "Healthy").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c40_a_window_that_is_closed_early_changes_nothing_and_offers_another_try() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let id = amber_page(hub, &hub.owner("antiques")).await?;
        let owner = stage.owner("antiques").await?;
        let page = owner.open(Screen::Desk, "/connections").await?;
        page.press(&on_card(&id, ".btn"), "Reconnect").await?;
        let popup = page.popup(0).await?;
        popup.see("h1", "Sandbox").await?;
        popup.close().await?;
        page.see(&on_card(&id, ".oauth"), "Still waiting…").await?;
        page.see(&on_card(&id, ".status"), "Needs reconnect").await?;
        page.press(&on_card(&id, ".oauth .btn"), "Try again").await?;
        allow(&page.popup(1).await?, "enid", &[]).await?;
        page.see(&on_card(&id, ".status"), "Healthy").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c40_cancelling_here_or_at_the_platform_changes_nothing() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let id = amber_page(hub, &hub.owner("antiques")).await?;
        let owner = stage.owner("antiques").await?;
        let page = owner.open(Screen::Desk, "/connections").await?;
        page.press(&on_card(&id, ".btn"), "Reconnect").await?;
        let popup = page.popup(0).await?;
        popup.press("button", "Cancel").await?;
        page.see("#notes", "The sign-in was cancelled. Nothing changed.")
            .await?;
        page.see("#notes .btn", "Try again").await?;
        page.press(&on_card(&id, ".btn"), "Reconnect").await?;
        let popup = page.popup(1).await?;
        popup.see("h1", "Sandbox").await?;
        page.press(&on_card(&id, ".oauth .btn"), "Cancel").await?;
        popup.closed().await?;
        page.gone(".oauth", "").await?;
        ensure!(
            page.focus().await?.starts_with("Reconnect Oldfield"),
            "focus is on “{}”",
            page.focus().await?
        );
        ensure!(owner.api.health(&id).await? == "permission_missing");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c41_another_persons_sign_in_is_refused_with_both_names() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        hub.plan("bakery", "professional").await?;
        let owner = stage.owner("bakery").await?;
        let id = owner.api.connect_one(&hub.sandbox, "x", "ada").await?;
        let page = owner.open(Screen::Desk, "/connections").await?;
        page.press(&on_card(&id, ".btn"), "Reconnect").await?;
        allow(&page.popup(0).await?, "cleo", &[]).await?;
        page.see("#notes .note.bad", "You signed in as").await?;
        let note = page.text("#notes .note.bad").await?;
        ensure!(note.contains("cleo") || note.contains("Cleo"), "{note}");
        ensure!(note.contains("Ada Sandbox") || note.contains("sandboxbakery"), "{note}");
        ensure!(page.texts(".card h3").await? == ["Ada Sandbox"]);
        page.see(&on_card(&id, ".status"), "Healthy").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c42_a_healthy_account_can_be_reconnected() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let owner = stage.owner("antiques").await?;
        let id = green_page(hub, &owner.api).await?;
        let page = owner.open(Screen::Desk, "/connections").await?;
        page.press(&on_card(&id, ".btn"), "Reconnect").await?;
        allow(&page.popup(0).await?, "enid", &[]).await?;
        page.see("#notes", "Oldfield Antiques is reconnected").await?;
        let history = owner.api.get(&format!("accounts/{id}/history")).await?.ok()?;
        ensure!(history.to_string().contains("\"reconnected\":true"), "{history}");
        Ok(())
    })
    .await
}

/// Connects Ada's two Pages through the picker.
async fn connect_pages(owner: &Visitor, page: &Tab) -> Outcome {
    page.press("form[action$='/facebook'] .btn", "Connect").await?;
    let popup = if page.screen() == Screen::Desk {
        page.popup(0).await?
    } else {
        page.clone()
    };
    allow(&popup, "ada", &[]).await?;
    popup.see("h1", "Choose what to connect from Facebook").await?;
    popup.press(".pick label", "Sandbox Bakery").await?;
    popup.press(".pick label", "Sandbox Bakery Events").await?;
    popup.press(".btn.primary", "Connect selected").await?;
    page.see("#notes", "2 accounts are connected").await?;
    ensure!(owner.api.accounts().await?.len() == 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn c36_a_sign_in_that_reaches_several_lets_one_choose() -> Outcome {
    in_browser(async |stage| {
        stage.hub.plan("bakery", "starter").await?;
        stage.hub.plan("pastry", "starter").await?;
        for (screen, workspace) in [(Screen::Desk, "bakery"), (Screen::Phone, "pastry")] {
            let owner = stage.owner(workspace).await?;
            let page = owner.open(screen, "/connections").await?;
            connect_pages(&owner, &page).await?;
            page.see(".card h3", "Sandbox Bakery Events").await?;
            ensure!(page.texts(".card h3").await? == ["Sandbox Bakery", "Sandbox Bakery Events"]);
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c36_accounts_under_one_sign_in_are_reconnected_by_one() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        hub.plan("bakery", "starter").await?;
        let owner = stage.owner("bakery").await?;
        let accounts = owner.api.connect(&hub.sandbox, "facebook", "ada").await?;
        hub.sandbox.act("facebook", "ada", json!({"kind": "revoke"})).await?;
        owner.api.check(accounts[0]["id"].as_str().unwrap_or_default()).await?;
        let page = owner.open(Screen::Desk, "/connections").await?;
        page.see(".banner", "2 accounts need reconnecting.").await?;
        page.see("#group-amber .why", "Access was removed on Facebook on")
            .await?;
        page.press(".banner .btn", "Reconnect both with one Meta sign-in")
            .await?;
        allow(&page.popup(0).await?, "ada", &[]).await?;
        page.see("#group-green > h2", "Healthy 2").await?;
        page.gone(".banner", "").await
    })
    .await
}
