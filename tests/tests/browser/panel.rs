//! 22 to 33: the details of an account, beside the list on a desk and as a sheet on a phone.

use anyhow::ensure;
use harness::{Outcome, Screen, in_browser};
use serde_json::json;

use super::steps::{PAGE, amber_page, five, green_page, on_card};

#[tokio::test(flavor = "multi_thread")]
async fn c22_c23_c24_c25_c28_c29_a_card_opens_the_details_of_its_account() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let id = hub.owner("bakery").connect_one(&hub.sandbox, "instagram", "ada").await?;
        let owner = stage.owner("bakery").await?;
        for screen in Screen::ALL {
            let page = owner.open(screen, "/connections").await?;
            // Anywhere on the card that is no button of its own.
            page.press(&on_card(&id, ".top"), "").await?;
            page.see(".panel h2", "Sandbox Bakery").await?;
            for (part, text) in [
                ("header", "Instagram · @sandbox.bakery"), ("header .avatar", ""), ("header .status", "Healthy"),
                (".facts-list", "Username @sandbox.bakery"), (".facts-list", "Platform Instagram"),
                (".facts-list", "by usr_owner"), (".facts-list", "Last token refresh"),
                (".content", "Can receive published posts"), ("footer .btn", "Create a post"),
                ("footer .btn", "Reconnect"), ("footer .btn", "Disconnect"), (".line-of-time", "Connected"),
            ] {
                page.see(&format!(".panel {part}"), text).await?;
            }
            let box_of = "(({left, right, bottom, height}) => [left, innerWidth - right, innerHeight - bottom, height].map((one) => Math.round(one) + 0))(document.querySelector('#panel').getBoundingClientRect())";
            page.until(&format!("(([, right, bottom]) => right === 0 && bottom === 0)({box_of})"))
                .await?;
            let at: [i64; 4] = serde_json::from_value(page.eval(box_of).await?)?;
            let beside = at[0] == 840 && at[3] == 800;
            let sheet = at[0] == 0 && at[2] == 0 && at[3] < 750;
            ensure!(if screen == Screen::Desk { beside } else { sheet }, "{screen:?}: {at:?}");
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c25_an_account_that_cannot_publish_says_so_and_what_it_needs() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let id = amber_page(hub, &hub.owner("antiques")).await?;
        let owner = stage.owner("antiques").await?;
        let page = owner.open(Screen::Desk, &format!("/connections?account={id}")).await?;
        page.see(
            ".panel .content",
            "Cannot receive published posts (needs: publish to the Page)",
        )
        .await?;
        page.see(".panel .why-box", "Permission missing: publish to the Page")
            .await?;
        page.see(".panel .why-box", "Blocks publishing, scheduling").await?;
        page.see(".panel .why-box", "Still works").await?;
        page.see(
            ".panel .why-box",
            "Keep “publish to the Page” ticked, it was off last time.",
        )
        .await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c26_c27_meta_accounts_have_a_feed_with_numbers_and_comments_and_the_others_have_none() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let ids = five(hub, "bakery").await?;
        let owner = stage.owner("bakery").await?;
        for id in &ids[..2] {
            let post = json!({"text": "Fresh bread today", "image_url": "https://example.com/bread.jpg"});
            owner.api.post(&format!("accounts/{id}/posts"), post).await?.ok()?;
        }
        let page = owner.open(Screen::Desk, "/connections").await?;
        for id in &ids {
            page.press(&on_card(id, ".btn"), "View details").await?;
            page.see(".panel .facts-list", "Platform").await?;
            if ids[..2].contains(id) {
                page.see(".panel .posts .text", "Fresh bread today").await?;
                for number in ["reaction", "comment"] {
                    page.see(".panel .posts .stats", number).await?;
                }
                if id == &ids[0] {
                    page.see(".panel .posts .quotes", "Keep one for me!").await?;
                }
            } else {
                ensure!(page.count(".panel h3", "Recent posts").await? == 0);
                ensure!(page.count(".panel h3", "Permissions").await? == 0);
            }
            page.key("Escape").await?;
            page.gone(".panel", "").await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c30_scopes_are_shown_to_owners_and_admins_for_meta_and_to_no_member() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let id = amber_page(hub, &hub.owner("antiques")).await?;
        for (role, sees) in [("owner", true), ("admin", true), ("member", false)] {
            let visitor = stage.visitor(&format!("usr_{role}"), "antiques", role).await?;
            let page = visitor
                .open(Screen::Desk, &format!("/connections?account={id}"))
                .await?;
            page.see(".panel h2", PAGE).await?;
            page.see(".panel h3", "History").await?;
            ensure!((page.count(".panel .ticks", "").await? == 1) == sees, "{role}");
            if sees {
                page.see(".panel .ticks li.no", "Missing: publish to the Page").await?;
                page.see(".panel .ticks li:not(.no)", "pages_show_list").await?;
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c31_an_instagram_of_the_old_method_says_so_and_reconnects_with_meta() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let id = hub
            .owner("antiques")
            .connect_one(&hub.sandbox, "instagram", "enid")
            .await?;
        let owner = stage.owner("antiques").await?;
        let page = owner.open(Screen::Desk, "/connections").await?;
        page.see(
            &on_card(&id, ".why"),
            "Connected with an older method that cannot publish",
        )
        .await?;
        page.press(&on_card(&id, ".btn"), "View details").await?;
        page.see(".panel .why-box", "Connected with an older method that cannot publish")
            .await?;
        ensure!(page.texts(".panel footer .btn.primary").await?.len() == 1);
        page.press(".panel footer .btn", "Reconnect with Meta").await?;
        super::steps::allow(&page.popup(0).await?, "enid", &[]).await?;
        page.see(".panel .status", "Healthy").await?;
        page.see(".panel .content", "Can receive published posts").await?;
        ensure!(owner.api.health(&id).await? == "healthy", "it did not keep its id");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c32_dates_are_told_in_the_persons_time_zone() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let id = green_page(hub, &hub.owner("antiques")).await?;
        let owner = stage.owner("antiques").await?;
        let page = owner.open(Screen::Desk, &format!("/connections?account={id}")).await?;
        let first = page.text(".panel .events time").await?;
        page.live_in("Asia/Tokyo").await?;
        page.goto(&format!("/connections?account={id}")).await?;
        page.until("document.cookie.includes('sz-timezone=Asia/Tokyo')").await?;
        page.goto(&format!("/connections?account={id}")).await?;
        let browsers = page.text(".panel .events time").await?;
        ensure!(first != browsers, "the browser's zone changes nothing: {first}");
        owner.api.put("/api/v1/me/preferences", json!({"timezone": "America/New_York"})).await?.ok()?;
        page.goto(&format!("/connections?account={id}")).await?;
        let iso = page.attribute(".panel .events time", "datetime").await?;
        let shown = page.text(".panel .events time").await?;
        let here = format!("new Date('{iso}').toLocaleTimeString('en-GB', {{hour: '2-digit', minute: '2-digit', timeZone: 'America/New_York'}})");
        ensure!(shown.ends_with(page.eval(&here).await?.as_str().unwrap_or("?")), "{shown} {iso}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c33_the_address_opens_the_details_and_an_unknown_id_is_said() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let id = green_page(hub, &hub.owner("antiques")).await?;
        let owner = stage.owner("antiques").await?;
        for screen in Screen::ALL {
            let page = owner.open(screen, &format!("/connections?account={id}")).await?;
            page.see(".panel h2", PAGE).await?;
            page.until("document.querySelector('#panel').matches(':modal')").await?;
            page.press(".panel [data-close]", "").await?;
            page.gone(".panel", "").await?;
            page.until("location.search === ''").await?;
            page.goto("/connections?account=acc_01J00000000000000000000000").await?;
            page.see("#notes", "This account is not in this workspace.").await?;
            page.see(".card", PAGE).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c22_back_closes_the_details_forward_opens_them_and_focus_returns_to_the_card() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let id = green_page(hub, &hub.owner("antiques")).await?;
        let owner = stage.owner("antiques").await?;
        let page = owner.open(Screen::Desk, "/connections").await?;
        page.press(&on_card(&id, ".btn"), "View details").await?;
        page.see(".panel h2", PAGE).await?;
        ensure!(page.path().await? == format!("/connections?account={id}"));
        ensure!(page.focus().await? == PAGE, "the heading has no focus");
        page.back().await?;
        page.gone(".panel", "").await?;
        page.until("location.search === ''").await?;
        ensure!(
            page.focus().await?.starts_with("View details"),
            "{}",
            page.focus().await?
        );
        page.forward().await?;
        page.see(".panel h2", PAGE).await?;
        page.click_at(200.0, 500.0).await?;
        page.gone(".panel", "").await
    })
    .await
}
