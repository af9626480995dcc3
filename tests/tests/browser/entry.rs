//! 1 to 9: the way to the page, whose accounts it shows, how they are laid out, the tour, the empty workspace.

use anyhow::ensure;
use harness::{Outcome, Screen, in_browser};

use super::steps::{card, five, green_page, on_card};

#[tokio::test(flavor = "multi_thread")]
async fn c01_the_sidebar_and_the_more_menu_lead_to_connections_and_mark_it() -> Outcome {
    in_browser(async |stage| {
        let owner = stage.owner("bakery").await?;
        let desk = owner.open(Screen::Desk, "/overview").await?;
        desk.press(".side .nav a", "Connections").await?;
        desk.see("h1", "Connections").await?;
        ensure!(desk.path().await? == "/connections");
        desk.see(".side .nav a[aria-current=page]", "Connections").await?;
        let phone = owner.open(Screen::Phone, "/overview").await?;
        ensure!(phone.count(".side", "").await? == 0, "the sidebar is shown on a phone");
        phone.press(".tabs summary", "More").await?;
        phone.press(".tabs .nav a", "Connections").await?;
        phone.see("h1", "Connections").await?;
        phone.press(".tabs summary", "More").await?;
        phone.see(".tabs .nav a[aria-current=page]", "Connections").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c02_the_list_is_the_active_workspaces_and_changes_with_it() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        green_page(hub, &hub.owner("antiques")).await?;
        hub.owner("fishing")
            .connect_one(&hub.sandbox, "facebook", "finn")
            .await?;
        let owner = stage.owner("antiques").await?;
        let page = owner.open(Screen::Desk, "/connections").await?;
        page.see(".card h3", "Oldfield Antiques").await?;
        ensure!(page.texts(".card h3").await?.len() == 1);
        page.press(".foot summary", "").await?;
        page.press(".foot input[name=workspace]", "").await?;
        page.eval("document.querySelector('.foot input[name=workspace]').select()")
            .await?;
        page.write("fishing").await?;
        page.press(".foot .btn", "Switch").await?;
        page.see(".card h3", "Finn's Fishing").await?;
        ensure!(page.texts(".card h3").await? == ["Finn's Fishing"]);
        page.see(".brand", "fishing").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c03_c04_each_account_is_a_card_with_picture_name_platform_dot_and_four_actions() -> Outcome {
    in_browser(async |stage| {
        let ids = five(&stage.hub, "bakery").await?;
        let owner = stage.owner("bakery").await?;
        for screen in Screen::ALL {
            let page = owner.open(screen, "/connections").await?;
            for (id, platform) in ids.iter().zip(["Facebook", "Instagram", "TikTok", "X", "LinkedIn"]) {
                page.see(&on_card(id, ".top p"), platform).await?;
                page.see(&on_card(id, ".dot.green"), "").await?;
                page.see(&on_card(id, ".avatar .badge svg"), "").await?;
                let name = page.text(&on_card(id, "h3")).await?;
                for action in ["Create post", "View details", "Reconnect", "Disconnect"] {
                    let about = format!("{action} {name} on {platform}");
                    ensure!(page.count(&on_card(id, ".btn"), &about).await? == 1, "{about}");
                    page.place(&on_card(id, ".btn"), action).await?;
                }
                let picture = format!("document.querySelector('#card-{id} .avatar img')");
                page.until(&format!("{picture}.complete && {picture}.naturalWidth > 0"))
                    .await?;
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c05_c06_attention_stands_first_in_columns_on_a_desk_and_in_one_on_a_phone() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let mut ids = five(hub, "bakery").await?;
        ids.extend([hub.owner("bakery").connect_one(&hub.sandbox, "x", "gus").await?]);
        hub.sandbox.act("tiktok", "ada", serde_json::json!({"kind": "revoke"})).await?;
        hub.owner("bakery").check(&ids[2]).await?;
        let owner = stage.owner("bakery").await?;
        let desk = owner.open(Screen::Desk, "/connections").await?;
        desk.see("#group-amber .card h3", "Ada Sandbox").await?;
        desk.see(&card(&ids[2]), "Needs reconnect").await?;
        let order = desk.texts(".card h3").await?;
        ensure!(desk.texts(".group > h2").await?[0] == "Needs attention 1");
        let mut healthy = order[1..].to_vec();
        healthy.sort_by_key(|name| name.to_lowercase());
        ensure!(order[1..] == healthy, "not by name: {order:?}");
        desk.reload().await?;
        ensure!(desk.texts(".card h3").await? == order, "the order is not stable");
        let columns = "new Set([...document.querySelectorAll('#cards-green .card')].map((card) => card.getBoundingClientRect().left)).size";
        ensure!(desk.eval(columns).await? == 3, "not three columns");
        let phone = owner.open(Screen::Phone, "/connections").await?;
        phone.see("#cards-green", "").await?;
        ensure!(phone.eval(columns).await? == 1, "not one column");
        ensure!(phone.eval("document.documentElement.scrollWidth").await? == 390, "it scrolls sideways");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c07_all_platforms_are_shown_also_those_not_in_the_plan_and_those_to_come() -> Outcome {
    in_browser(async |stage| {
        let owner = stage.owner("bakery").await?;
        for screen in Screen::ALL {
            let page = owner.open(screen, "/connections").await?;
            for name in [
                "Facebook",
                "Instagram",
                "TikTok",
                "X (Twitter)",
                "LinkedIn",
                "Telegram",
                "WhatsApp",
            ] {
                ensure!(page.count(".tiles .tile", name).await? == 1, "{name}");
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c08_a_first_visit_shows_the_tour_and_no_later_one_does() -> Outcome {
    in_browser(async |stage| {
        green_page(&stage.hub, &stage.hub.owner("bakery")).await?;
        for (user, screen, ends) in [
            ("usr_new", Screen::Desk, "Done"),
            ("usr_newer", Screen::Phone, "Skip tour"),
        ] {
            let newcomer = stage.newcomer(user, "bakery", "owner").await?;
            let page = newcomer.open(screen, "/connections").await?;
            page.see(".tour", "Your accounts").await?;
            if ends == "Done" {
                for step in ["Health at a glance", "Details", "Add an account"] {
                    page.press(".tour .btn", "Next").await?;
                    page.see(".tour h2", step).await?;
                }
            }
            page.press(".tour .btn", ends).await?;
            page.gone(".tour", "").await?;
            page.until("fetch('/api/v1/me').then((one) => one.text()).then((me) => /\"connections\":\"/.test(me))")
                .await?;
            page.reload().await?;
            page.see(".card", "Oldfield Antiques").await?;
            ensure!(
                page.eval("!document.querySelector('sz-tour, .tour')").await? == true,
                "it came back"
            );
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c09_an_empty_workspace_calls_to_connect_and_shows_the_platforms() -> Outcome {
    in_browser(async |stage| {
        let owner = stage.owner("empty").await?;
        for screen in Screen::ALL {
            let page = owner.open(screen, "/connections").await?;
            page.see(".empty", "No accounts connected yet.").await?;
            page.see(".empty", "Your password is never stored.").await?;
            ensure!(
                page.texts(".tiles .tile b").await?[..2] == ["Facebook", "Instagram"],
                "the plan's own come first"
            );
            page.press("#connect-account", "Connect account").await?;
            page.until("location.hash === '#add'").await?;
            page.place("form[action$='/facebook'] .btn", "Connect").await?;
        }
        Ok(())
    })
    .await
}
