//! 10 to 14: two states of health, in colour and in words, the same on every page.

use std::collections::BTreeSet;

use anyhow::ensure;
use harness::{Consent, Outcome, Screen, in_browser};
use serde_json::json;

use super::steps::{PAGE, allow, amber_page, five, on_card};

const GREEN: &str = "Token is valid, all permissions granted, ready to publish";
const AMBER: &str = "Token has expired or permissions are missing — reconnect required";

#[tokio::test(flavor = "multi_thread")]
async fn c10_c11_c12_health_is_a_dot_and_a_word_with_its_meaning() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        hub.plan("bakery", "starter").await?;
        let api = hub.owner("bakery");
        let amber = amber_page(hub, &api).await?;
        let green = api.connect_one(&hub.sandbox, "instagram", "ada").await?;
        let owner = stage.owner("bakery").await?;
        for screen in Screen::ALL {
            let page = owner.open(screen, "/connections").await?;
            for (id, dot, word, meaning) in [
                (&green, "green", "Healthy", GREEN),
                (&amber, "amber", "Needs reconnect", AMBER),
            ] {
                page.see(&on_card(id, &format!(".dot.{dot}")), "").await?;
                page.see(&on_card(id, ".status"), word).await?;
                ensure!(page.attribute(&on_card(id, ".status"), "title").await? == meaning);
                page.press(&on_card(id, ".btn"), "View details").await?;
                page.see(".panel .status", word).await?;
                page.see(".panel .content", meaning).await?;
                page.key("Escape").await?;
                page.gone(".panel", "").await?;
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c13_exactly_two_colours_of_dots_exist() -> Outcome {
    in_browser(async |stage| {
        let owner = stage.owner("bakery").await?;
        let page = owner.open(Screen::Desk, "/gallery").await?;
        let dots = "find('.dot').map((dot) => getComputedStyle(dot).backgroundColor)";
        for (scheme, green, amber) in [
            ("light", "rgb(21, 128, 61)", "rgb(245, 158, 11)"),
            ("dark", "rgb(74, 222, 128)", "rgb(251, 191, 36)"),
        ] {
            page.prefers(&[("prefers-color-scheme", scheme)]).await?;
            page.until(&format!("({dots}).includes('{green}')")).await?;
            let colours: BTreeSet<String> = serde_json::from_value(page.eval(dots).await?)?;
            ensure!(
                colours == BTreeSet::from([green.to_owned(), amber.to_owned()]),
                "{scheme}: {colours:?}"
            );
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c14_the_overview_shows_the_same_statuses_and_turns_green_when_fixed() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let id = amber_page(hub, &hub.owner("bakery")).await?;
        let owner = stage.owner("bakery").await?;
        let overview = owner.open(Screen::Desk, "/overview").await?;
        overview.see(&format!("#row-{id} .status"), "Needs reconnect").await?;
        overview
            .see(&format!("#row-{id}"), "Permission missing: publish to the Page")
            .await?;
        overview.see(".numbers", "Needs reconnect 1").await?;
        let page = owner.open(Screen::Desk, "/connections").await?;
        page.press(&on_card(&id, ".btn"), "Reconnect").await?;
        allow(&page.popup(0).await?, "enid", &[]).await?;
        page.see(&on_card(&id, ".status"), "Healthy").await?;
        overview.see(&format!("#row-{id} .status"), "Healthy").await?;
        overview.see(".numbers", "Needs reconnect 0").await?;
        overview.see(".rows", PAGE).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c12_an_outage_and_a_token_that_ends_soon_leave_the_dot_green_with_a_quiet_line() -> Outcome {
    in_browser(async |stage| {
        let hub = &stage.hub;
        let ids = five(hub, "bakery").await?;
        let down = json!({"platform": "x", "effect": {"kind": "server_error", "status": 503}});
        hub.sandbox.switch(&down).await?;
        let short = json!({"platform": "linkedin", "effect": {"kind": "lifetimes", "access_seconds": 3 * 86_400}});
        hub.sandbox.switch(&short).await?;
        let api = hub.owner("bakery");
        let again = json!({"intent": "reconnect", "account_ids": [ids[4]]});
        api.connect_with(&hub.sandbox, "linkedin", &again, &Consent::of("finn"))
            .await?;
        api.check(&ids[3]).await?;
        let page = stage.owner("bakery").await?.open(Screen::Desk, "/connections").await?;
        page.see(&on_card(&ids[3], ".facts"), "Could not reach X at").await?;
        page.see(&on_card(&ids[3], ".facts"), "Status unchanged. Trying again by itself.")
            .await?;
        page.see(&on_card(&ids[4], ".facts"), "Reconnect before then.").await?;
        for id in [&ids[3], &ids[4]] {
            page.see(&on_card(id, ".status"), "Healthy").await?;
        }
        ensure!(page.count(".card.amber", "").await? == 0);
        Ok(())
    })
    .await
}
