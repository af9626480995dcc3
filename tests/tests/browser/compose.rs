//! 34 and 35: creating a post from an account.

use anyhow::ensure;
use harness::{Outcome, Screen, in_browser};

use super::steps::{PAGE, amber_page, green_page, on_card};

#[tokio::test(flavor = "multi_thread")]
async fn c34_create_post_opens_the_composer_with_the_account_chosen_and_it_publishes() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let id = green_page(hub, &hub.owner("antiques")).await?;
        let owner = stage.owner("antiques").await?;
        let path = format!("/composer?social_account_id={id}");
        for screen in Screen::ALL {
            let page = owner.open(screen, "/connections").await?;
            page.press(&on_card(&id, ".btn"), "Create post").await?;
            page.see("h1", "Create a post").await?;
            ensure!(page.path().await? == path);
            page.see(".from summary", PAGE).await?;
            page.goto(&format!("/connections?account={id}")).await?;
            page.press(".panel footer .btn", "Create a post").await?;
            page.see("h1", "Create a post").await?;
            ensure!(page.path().await? == path);
            page.press("#text", "").await?;
            page.write("Open on Sunday").await?;
            page.press(".btn.primary", "Publish now").await?;
            page.see(".note", "Published to Oldfield Antiques on Facebook.").await?;
        }
        let page = owner.open(Screen::Desk, &format!("/connections?account={id}")).await?;
        page.see(".panel .posts", "Open on Sunday").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c35_an_account_that_cannot_publish_opens_with_the_reason_and_no_button() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let id = amber_page(hub, &hub.owner("antiques")).await?;
        let owner = stage.owner("antiques").await?;
        let page = owner.open(Screen::Desk, "/connections").await?;
        page.press(&on_card(&id, ".btn"), "Create post").await?;
        page.see(
            ".note.amber",
            "This account cannot publish now. Permission missing: publish to the Page.",
        )
        .await?;
        ensure!(
            page.eval("document.querySelector('form[action=\"/composer\"] .btn.primary').disabled")
                .await?
                == true
        );
        page.press(".note .btn", "View details").await?;
        page.see(".panel h2", PAGE).await
    })
    .await
}
