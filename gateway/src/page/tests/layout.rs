//! How pages are built: headings, names of buttons, forms that work without JavaScript, what each role sees.

use kit::Role;

use super::reader::{NOW, connections, reader, text};
use crate::page::samples;
use crate::view::Locale;

fn owner(plan: &str, count: usize, open: Option<usize>) -> String {
    connections(
        plan,
        &samples::accounts(NOW)[..count],
        open,
        &reader(Role::Owner, Locale::English),
    )
}

#[test]
fn a_page_has_one_h1_groups_are_h2_and_accounts_are_h3() {
    let page = owner("professional", 12, None);
    assert_eq!(page.matches("<h1").count(), 1);
    assert!(text(&page).contains("Needs attention 7"));
    assert!(text(&page).contains("Healthy 5"));
    assert!(page.contains("<h3><a id=\"name-acc_01\""));
}

#[test]
fn accounts_that_need_attention_stand_first() {
    let page = owner("professional", 12, None);
    assert!(page.find("id=\"group-amber\"").unwrap() < page.find("id=\"group-green\"").unwrap());
}

#[test]
fn every_button_says_which_account_it_is_about() {
    let page = owner("professional", 2, None);
    for action in ["Reconnect", "Create post", "View details", "Disconnect"] {
        assert!(
            page.contains(&format!("{action}<span class=\"sr\"> Acme Bakery on Instagram</span>")),
            "{action}"
        );
    }
}

#[test]
fn everything_works_without_javascript() {
    let page = owner("professional", 8, None);
    for needed in [
        "<form method=\"post\" action=\"/connections/acc_01/reconnect\"",
        "href=\"/connections?account=acc_01\"",
        "href=\"/connections/acc_01/disconnect\"",
        "<form class=\"tile\" method=\"post\" action=\"/connections/connect/x\"",
        "<form method=\"post\" action=\"/connections/refresh\"",
        "href=\"/composer?social_account_id=acc_01\"",
    ] {
        assert!(page.contains(needed), "{needed}");
    }
    assert!(!page.contains("onclick") && !page.contains("style=\"") && !page.contains("<style"));
    assert_eq!(
        page.matches("<script").count(),
        1,
        "one external module and nothing inline"
    );
    assert!(!page.contains("href=\"#\""));
}

#[test]
fn details_open_by_the_address_alone() {
    let page = owner("professional", 8, Some(7));
    assert!(page.contains("<dialog class=\"panel\" id=\"panel\" aria-labelledby=\"p-title\" open>"));
    assert!(text(&page).contains("Connected 12 Aug 2026 by Dana"));
    assert!(text(&page).contains("Can receive published posts"));
    assert!(page.contains("href=\"/connections?account=acc_08&amp;posts=1\""));
}

#[test]
fn platforms_without_a_feed_show_basic_information_only() {
    let page = owner("professional", 9, Some(8));
    assert!(!page.contains("Recent posts") && !page.contains("Permissions</h3>"));
}

#[test]
fn scopes_are_for_owners_and_admins_and_for_meta() {
    let accounts = samples::accounts(NOW);
    let of = |role| connections("professional", &accounts[..1], Some(0), &reader(role, Locale::English));
    assert!(of(Role::Admin).contains("instagram_content_publish"));
    assert!(!of(Role::Member).contains("instagram_content_publish"));
}

#[test]
fn a_member_asks_instead_of_reconnecting() {
    let accounts = samples::accounts(NOW);
    let page = connections(
        "professional",
        &accounts[..8],
        Some(0),
        &reader(Role::Member, Locale::English),
    );
    assert!(!page.contains("/reconnect\"") && !page.contains("/disconnect\""));
    assert!(page.contains("action=\"/connections/acc_01/ask\""));
    assert!(text(&page).contains("Ask an admin to reconnect"));
    assert!(
        !page.contains("action=\"/connections/connect/"),
        "members cannot connect"
    );
}

#[test]
fn all_platforms_are_shown_on_every_plan() {
    for plan in ["free", "starter", "professional", "enterprise"] {
        let page = text(&owner(plan, 1, None));
        for title in [
            "Facebook",
            "Instagram",
            "TikTok",
            "X (Twitter)",
            "LinkedIn",
            "Telegram",
            "WhatsApp",
        ] {
            assert!(page.contains(title), "{plan} {title}");
        }
    }
}

#[test]
fn what_the_plan_lacks_starts_nothing_and_what_is_to_come_offers_nothing() {
    let free = owner("free", 0, None);
    assert!(!free.contains("action=\"/connections/connect/tiktok\""));
    assert!(free.contains("href=\"/connections/connect/tiktok\""));
    let enterprise = owner("enterprise", 1, None);
    for platform in ["telegram", "whatsapp"] {
        assert!(!free.contains(&format!("/connections/connect/{platform}")));
        assert!(!enterprise.contains(&format!("/connections/connect/{platform}")));
    }
    assert_eq!(text(&enterprise).matches("Coming soon").count(), 2);
}

#[test]
fn at_the_limit_connecting_is_off_and_reconnecting_is_on() {
    let accounts = &samples::accounts(NOW)[..1];
    let owner = connections("free", accounts, None, &reader(Role::Owner, Locale::English));
    assert!(text(&owner).contains("1 of 1 accounts used on Free"));
    assert!(text(&owner).contains("See plans"));
    assert!(!owner.contains("action=\"/connections/connect/"));
    assert!(owner.contains("action=\"/connections/acc_01/reconnect\""));
    let admin = connections("free", accounts, None, &reader(Role::Admin, Locale::English));
    assert!(text(&admin).contains("Ask the workspace owner") && !text(&admin).contains("See plans"));
}

#[test]
fn an_empty_workspace_is_no_blank_page() {
    let page = text(&owner("free", 0, None));
    assert!(page.contains("No accounts connected yet.") && page.contains("Your password is never stored."));
}

#[test]
fn search_appears_from_ten_accounts_on() {
    assert!(!owner("professional", 9, None).contains("role=\"search\""));
    assert!(owner("professional", 10, None).contains("role=\"search\""));
}

#[test]
fn accounts_under_one_sign_in_are_reconnected_by_one() {
    let page = owner("professional", 2, None);
    assert!(text(&page).contains("Reconnect both with one Meta sign-in"));
    assert!(page.contains("name=\"account_ids\" value=\"acc_01,acc_02\""));
}

#[test]
fn ids_are_not_used_twice() {
    let page = owner("professional", 17, Some(0));
    let mut ids: Vec<_> = page
        .split(" id=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
}
