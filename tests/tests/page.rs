//! The pages, as a browser gets them.

use anyhow::ensure;
use harness::{Consent, Outcome, Screen, each_form, eventually, in_browser_with};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_workspace_shows_attention_first_and_no_token() -> Outcome {
    each_form(async |hub| {
        hub.plan("antiques", "starter").await?;
        let owner = hub.owner("antiques");
        owner.connect_one(&hub.sandbox, "instagram", "bo").await?;
        let kept = vec!["pages_show_list", "pages_read_engagement", "business_management"];
        let consent = Consent {
            permissions: Some(kept),
            destinations: None,
            person: "enid",
        };
        owner
            .connect_with(&hub.sandbox, "facebook", &json!({}), &consent)
            .await?;
        let page = owner.get("/connections").await?;
        ensure!(page.status == 200, "{}", page.status);
        let (amber, green) = (page.text.find("Oldfield Antiques"), page.text.find("bo.creates"));
        ensure!(
            amber.is_some() && green.is_some() && amber < green,
            "amber {amber:?}, green {green:?}"
        );
        ensure!(
            page.text.contains("Needs reconnect") && page.text.contains("Healthy"),
            "health in words is missing"
        );
        ensure!(!page.text.contains("<script>alert(1)"), "a name became markup");
        ensure!(!page.text.contains("SBX"), "a token is on the page");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_opens_the_page_is_signed_in_as_the_demo_owner() -> Outcome {
    in_browser_with(&[("demo", "true")], async |stage| {
        let owner = stage.hub.owner("demo");
        eventually("the demo accounts are there", async || {
            Ok((owner.accounts().await?.len() == 4).then_some(()))
        })
        .await?;
        let page = stage.stranger(owner).await?.open(Screen::Desk, "/connections").await?;
        page.see("h1", "Connections").await?;
        for text in ["Healthy", "Needs reconnect", "Ada Sandbox"] {
            page.see(".card", text).await?;
        }
        page.see(".foot", "Dana").await
    })
    .await
}
