//! 44 to 47: disconnecting, asked first, and coming back.

use anyhow::ensure;
use harness::{Outcome, Screen, in_browser};

use super::steps::{PAGE, allow, card, on_card};

const FACTS: [&str; 3] = [
    "Published post data and analytics remain in your workspace",
    "You can no longer publish to or manage the account",
    "Reconnect the same account later to restore access",
];

#[tokio::test(flavor = "multi_thread")]
async fn c44_c45_c46_disconnecting_asks_by_name_says_what_it_means_and_can_be_left() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        hub.plan("bakery", "starter").await?;
        let owner = stage.owner("bakery").await?;
        let id = owner.api.connect_one(&hub.sandbox, "facebook", "enid").await?;
        let other = owner.api.connect_one(&hub.sandbox, "instagram", "ada").await?;
        for screen in Screen::ALL {
            let page = owner.open(screen, "/connections").await?;
            for leave in ["Cancel", "Escape"] {
                page.press(&on_card(&id, ".btn"), "Disconnect").await?;
                page.see(".ask h2", "Disconnect Oldfield Antiques on Facebook?").await?;
                ensure!(page.texts(".ask .bullets li").await? == FACTS);
                if leave == "Cancel" {
                    page.press(".ask .btn", leave).await?;
                } else {
                    page.key(leave).await?;
                }
                page.gone(".ask", "").await?;
                ensure!(
                    page.focus().await?.starts_with("Disconnect Oldfield"),
                    "focus is lost to “{}”",
                    page.focus().await?
                );
            }
            ensure!(owner.api.account(&id).await?["status"] == "connected");
        }
        let page = owner.open(Screen::Desk, &format!("/connections?account={id}")).await?;
        page.press(".panel footer .btn", "Disconnect").await?;
        page.press(".ask .btn.danger", "Disconnect").await?;
        page.gone(&card(&id), "").await?;
        page.see(&card(&other), "Sandbox Bakery").await?;
        page.gone("dialog", "").await?;
        page.see("#notes", "Oldfield Antiques was disconnected.").await?;
        page.see("#notes", "revoked at Facebook").await?;
        page.until("named(document.activeElement).startsWith('Healthy')")
            .await?;
        ensure!(owner.api.account(&id).await?["status"] == "disconnected");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c47_connecting_it_again_brings_back_the_same_account_with_its_history() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let owner = stage.owner("antiques").await?;
        let id = owner.api.connect_one(&hub.sandbox, "facebook", "enid").await?;
        let page = owner.open(Screen::Desk, "/connections").await?;
        page.press(&on_card(&id, ".btn"), "Disconnect").await?;
        page.press(".ask .btn.danger", "Disconnect").await?;
        page.see(".empty", "No accounts connected yet.").await?;
        page.press("form[action$='/facebook'] .btn", "Connect").await?;
        allow(&page.popup(0).await?, "enid", &[]).await?;
        page.see(&card(&id), PAGE).await?;
        page.press(&on_card(&id, ".btn"), "View details").await?;
        page.see(".panel .events", "Disconnected by").await?;
        ensure!(
            page.count(".panel .events li", "Connected by").await? == 2,
            "its history is lost"
        );
        Ok(())
    })
    .await
}
