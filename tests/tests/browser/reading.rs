//! 65 and 66: without scripts, from right to left, and with names that would break a page.

use anyhow::ensure;
use harness::{Outcome, Screen, in_browser};
use serde_json::json;

use super::steps::{PAGE, allow, amber_page, five, on_card};

#[tokio::test(flavor = "multi_thread")]
async fn c65_without_scripts_one_sees_the_list_and_the_details_reconnects_and_disconnects() -> Outcome {
    in_browser(async |stage| {
        let owner = stage.owner("antiques").await?;
        let id = amber_page(&stage.hub, &owner.api).await?;
        let page = owner.tab(Screen::Desk).await?;
        page.without_scripts().await?;
        page.goto("/connections").await?;
        page.press(&on_card(&id, ".btn"), "View details").await?;
        page.see(".panel h2", PAGE).await?;
        page.see(".panel .why-box", "Permission missing: publish to the Page")
            .await?;
        page.press(".panel footer .btn", "Reconnect").await?;
        allow(&page, "enid", &[]).await?;
        page.see("#notes", "Oldfield Antiques is reconnected").await?;
        page.see(&on_card(&id, ".status"), "Healthy").await?;
        page.press("#refresh .btn", "Refresh").await?;
        page.see("#notes .note", "").await?;
        page.press(&on_card(&id, ".btn"), "Disconnect").await?;
        page.see("h1", "Disconnect Oldfield Antiques on Facebook?").await?;
        page.press(".btn.danger", "Disconnect").await?;
        page.see("#notes", "Oldfield Antiques was disconnected.").await?;
        page.see(".empty", "No accounts connected yet.").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c66_arabic_mirrors_the_page_and_names_keep_their_direction() -> Outcome {
    in_browser(async |stage| {
        let ids = five(&stage.hub, "bakery").await?;
        let owner = stage.owner("bakery").await?;
        for screen in Screen::ALL {
            let page = owner.open(screen, "/connections").await?;
            page.press(
                if screen == Screen::Desk {
                    ".foot summary"
                } else {
                    ".tabs summary"
                },
                "",
            )
            .await?;
            page.press(".choice", "العربية").await?;
            page.until("document.documentElement.dir === 'rtl' && document.documentElement.lang === 'ar'")
                .await?;
            ensure!(
                page.eval("document.documentElement.scrollWidth <= innerWidth").await? == true,
                "it scrolls sideways"
            );
            ensure!(
                page.eval("getComputedStyle(document.querySelector('.card h3 bdi')).direction")
                    .await?
                    == "ltr"
            );
            if screen == Screen::Desk {
                page.until("document.querySelector('.side').getBoundingClientRect().right === innerWidth")
                    .await?;
            }
            page.goto(&format!("/connections?account={}", ids[0])).await?;
            page.see(".panel h2", PAGE).await?;
            page.until("document.querySelector('#panel').getBoundingClientRect().left === 0")
                .await?;
            let words = page.text(".panel .content").await?;
            ensure!(
                !words.contains("Connected") && !words.contains("Publish"),
                "English is left: {words}"
            );
            owner
                .api
                .put("/api/v1/me/preferences", json!({"locale": "en"}))
                .await?
                .ok()?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c66_names_that_attack_or_never_end_are_text_and_stay_in_their_card() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        hub.plan("bakery", "professional").await?;
        let owner = stage.owner("bakery").await?;
        for (platform, person) in [("instagram", "bo"), ("x", "bo"), ("linkedin", "finn"), ("x", "dora"), ("linkedin", "dora")] {
            owner.api.connect(&hub.sandbox, platform, person).await?;
        }
        for screen in Screen::ALL {
            let page = owner.open(screen, "/connections").await?;
            page.see(".card h3", "<script>alert(1)</script>").await?;
            page.see(".card h3", "دورا الرملي").await?;
            let out = "find('.card *').filter((one) => !one.matches('.sr') && one.getBoundingClientRect().right > one.closest('.card').getBoundingClientRect().right + 1).map(short)";
            ensure!(page.eval(out).await? == json!([]), "{}", page.eval(out).await?);
            ensure!(page.told("Page.javascriptDialogOpening").is_empty(), "a name ran as a script");
            ensure!(page.eval("getComputedStyle(find('.card h3 bdi', 'دورا')[0]).direction").await? == "rtl");
            page.press(".card:has(h3 bdi) .btn", "View details Bo").await?;
            page.see(".panel h2", "<script>alert(1)</script>").await?;
            page.is_accessible("hostile names").await?;
        }
        Ok(())
    })
    .await
}
