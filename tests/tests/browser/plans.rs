//! 48 to 53: what the plan lacks, what is to come, and the limit.

use anyhow::ensure;
use harness::{Outcome, Screen, in_browser};
use serde_json::json;

use super::steps::green_page;

#[tokio::test(flavor = "multi_thread")]
async fn c48_a_platform_that_the_plan_lacks_prompts_for_the_plan_and_starts_no_sign_in() -> Outcome {
    in_browser(async |stage| {
        for (plan, screen) in [("free", Screen::Desk), ("starter", Screen::Phone)] {
            stage.hub.plan(plan, plan).await?;
            let owner = stage.owner(plan).await?;
            let page = owner.open(screen, "/connections").await?;
            for name in ["TikTok", "X (Twitter)", "LinkedIn"] {
                page.see(".tile:not(form)", &format!("{name} Professional")).await?;
                page.press(".tile .btn", &format!("Connect {name}")).await?;
                page.see(".ask", "Available on Professional and above").await?;
                page.see(".ask .btn", "See plans").await?;
                page.press(".ask .btn", "Cancel").await?;
                page.gone(".ask", "").await?;
            }
            ensure!(page.path().await? == "/connections");
        }
        let asked = stage.hub.sandbox.log().await?;
        ensure!(
            !asked.iter().any(|entry| entry["operation"] == "authorize"),
            "a sign-in began: {asked:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c49_c50_c51_what_is_to_come_says_so_and_cannot_be_connected() -> Outcome {
    in_browser(async |stage| {
        for (plan, telegram, whatsapp) in [
            (
                "free",
                "Telegram Professional Coming soon",
                "WhatsApp Enterprise Coming soon",
            ),
            (
                "professional",
                "Telegram Coming soon",
                "WhatsApp Enterprise Coming soon",
            ),
            ("enterprise", "Telegram Coming soon", "WhatsApp Coming soon"),
        ] {
            stage.hub.plan(plan, plan).await?;
            let owner = stage.visitor(&format!("usr_{plan}"), plan, "owner").await?;
            let page = owner.open(Screen::Desk, "/connections").await?;
            for (platform, tile) in [("telegram", telegram), ("whatsapp", whatsapp)] {
                ensure!(
                    page.count(".tile", tile).await? == 1,
                    "{plan}: {:?}",
                    page.texts(".tile").await?
                );
                ensure!(
                    page.count(&format!("[action*='{platform}'], a[href*='{platform}']"), "")
                        .await?
                        == 0
                );
                let name = if platform == "telegram" { "Telegram" } else { "WhatsApp" };
                page.press(".tile .btn", &format!("Notify me {name}")).await?;
                page.see(".tile", &format!("{tile} You will be notified when it launches."))
                    .await?;
                let me = owner.api.get("/api/v1/me").await?.ok()?;
                ensure!(me["platform_interests"].to_string().contains(platform), "{me}");
                let refused = owner.api.try_begin(platform, &json!({})).await?;
                ensure!(
                    refused.status == 409 && refused.body["code"] == "platform-coming-soon",
                    "{}",
                    refused.text
                );
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c52_c53_at_the_limit_connecting_is_off_with_the_number_and_only_the_owner_upgrades() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        green_page(hub, &hub.owner("antiques")).await?;
        for role in ["owner", "admin"] {
            let visitor = stage.visitor(&format!("usr_{role}"), "antiques", role).await?;
            let page = visitor.open(Screen::Desk, "/connections").await?;
            page.see("#add h2", "1 of 1 accounts used").await?;
            page.see("#limit", "Plan limit reached: Free allows 1 account.").await?;
            page.see(".tile .btn[aria-disabled=true]", "Connect Facebook").await?;
            page.press(".tile .btn[aria-disabled=true]", "Connect Facebook").await?;
            if role == "owner" {
                page.press("#limit .btn", "See plans").await?;
                page.see("h1", "Plans and billing").await?;
                page.press(".offer .btn", "Switch to Starter").await?;
                page.see(".offer.now", "Starter").await?;
                hub.plan("antiques", "free").await?;
            } else {
                page.see("#limit", "Ask the workspace owner").await?;
                ensure!(page.count("#limit a", "").await? == 0, "an admin has an upgrade button");
            }
            let refused = visitor.api.try_begin("facebook", &json!({})).await?;
            ensure!(refused.body["code"] == "account-limit-reached", "{}", refused.text);
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c52_a_sixth_account_is_refused_on_starter_also_after_the_sign_in() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        hub.plan("bakery", "starter").await?;
        let owner = stage.owner("bakery").await?;
        for (platform, person) in [("facebook", "ada"), ("facebook", "enid"), ("instagram", "bo")] {
            owner.api.connect(&hub.sandbox, platform, person).await?;
        }
        let page = owner.open(Screen::Desk, "/connections").await?;
        page.see("#add h2", "4 of 5 accounts used").await?;
        page.press("form[action$='/facebook'] .btn", "Connect").await?;
        let popup = page.popup(0).await?;
        popup.see("h1", "Sandbox").await?;
        owner.api.connect(&hub.sandbox, "instagram", "cleo").await?;
        super::steps::allow(&popup, "finn", &[]).await?;
        page.see(
            "#notes .note.bad",
            "Your plan allows 5 accounts. The new account was not connected.",
        )
        .await?;
        page.see("#notes .note .btn", "See plans").await?;
        page.see("#add h2", "5 of 5 accounts used").await?;
        ensure!(owner.api.accounts().await?.len() == 5);
        Ok(())
    })
    .await
}
