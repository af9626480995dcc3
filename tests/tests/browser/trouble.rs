//! 58 and 59: help beside an account that has an error, and answers in place.

use anyhow::ensure;
use harness::{Outcome, Screen, in_browser};

use super::steps::{PAGE, amber_page, green_page, on_card};

#[tokio::test(flavor = "multi_thread")]
async fn c58_fix_with_ai_support_stands_beside_an_error_and_opens_with_it_filled_in() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        hub.plan("antiques", "starter").await?;
        let owner = stage.owner("antiques").await?;
        let amber = amber_page(hub, &owner.api).await?;
        let green = owner.api.connect_one(&hub.sandbox, "instagram", "ada").await?;
        for screen in Screen::ALL {
            let page = owner.open(screen, "/connections").await?;
            page.see(&on_card(&amber, "a"), "Fix with AI Support").await?;
            ensure!(page.count(&on_card(&green, "a"), "Fix with AI Support").await? == 0);
            page.press(&on_card(&amber, ".facts a"), "Fix with AI Support").await?;
            page.see("h1", "Fix with AI Support").await?;
            // The page may still be on its way.
            let message = page
                .until("document.querySelector('#message')?.value")
                .await?
                .to_string();
            for part in [PAGE, "Facebook", "Permission missing: publish to the Page"] {
                ensure!(message.contains(part), "{part} is not in {message}");
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c59_each_row_of_the_troubleshooting_table_is_answered_in_place() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let owner = stage.owner("antiques").await?;
        let id = green_page(hub, &owner.api).await?;
        let page = owner.open(Screen::Desk, &format!("/connections?account={id}")).await?;
        // It keeps disconnecting: the history, and where the platform lists the app.
        page.see(".panel .events", "Connected by").await?;
        page.see(
            ".panel",
            "Does it keep disconnecting? Look at Facebook > Settings > Business Integrations.",
        )
        .await?;
        page.goto("/support").await?;
        for (question, answer) in [
            ("amber already", "Reconnect and leave every permission ticked."),
            ("cannot be connected", "the owner changes the plan"),
            ("never opens", "Your browser may be blocking pop-ups."),
            ("Instagram cannot publish", "choose Reconnect with Meta"),
            ("keeps disconnecting", "Facebook > Settings > Business Integrations"),
        ] {
            page.press(".answers summary", question).await?;
            page.see(".answers p", answer).await?;
        }
        Ok(())
    })
    .await
}
