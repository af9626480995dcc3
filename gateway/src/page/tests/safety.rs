//! Names are other people's: whatever they hold is text, keeps its own direction and breaks nothing.

use kit::Role;

use super::reader::{NOW, connections, reader};
use crate::page::samples;
use crate::view::Locale;

const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";

#[test]
fn a_hostile_name_is_text_everywhere() {
    let mut account = samples::healthy("99", "facebook", HOSTILE, HOSTILE, NOW);
    account.connected_by_name = HOSTILE.into();
    let amber = samples::amber(account.clone(), samples::reason("permission_missing"), 2, NOW);
    for account in [account, amber] {
        let page = connections(
            "professional",
            &[account],
            Some(0),
            &reader(Role::Owner, Locale::English),
        );
        assert!(!page.contains("<script>alert") && !page.contains("<img src=x"));
        assert!(page.contains("&#60;script&#62;alert(1)"));
    }
}

#[test]
fn names_keep_their_own_direction() {
    let page = connections(
        "professional",
        &samples::accounts(NOW)[..1],
        Some(0),
        &reader(Role::Owner, Locale::Arabic),
    );
    assert!(page.contains("<html lang=\"ar\" dir=\"rtl\""));
    assert!(page.contains("<bdi>Acme Bakery</bdi>") && page.contains("<bdi>@acmebakery</bdi>"));
}

#[test]
fn nothing_comes_from_another_site() {
    let page = connections(
        "professional",
        &samples::accounts(NOW),
        Some(0),
        &reader(Role::Owner, Locale::English),
    );
    for attribute in [
        "src=\"http",
        "src=\"//",
        "<link rel=\"stylesheet\" href=\"http",
        "<iframe",
        "@import",
    ] {
        assert!(!page.contains(attribute), "{attribute}");
    }
}
