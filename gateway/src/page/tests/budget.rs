//! The page's weight.

use kit::Role;

use super::reader::{NOW, connections, reader};
use crate::page::assets;
use crate::page::samples;
use crate::view::Locale;

#[test]
fn the_page_of_twelve_accounts_is_at_most_twelve_kilobytes_compressed() {
    let page = connections(
        "professional",
        &samples::accounts(NOW)[..12],
        None,
        &reader(Role::Owner, Locale::English),
    );
    let size = assets::brotli(page.as_bytes(), 4).len();
    assert!(size <= 12 * 1024, "{size}");
}

#[test]
fn a_page_of_sixty_accounts_is_at_most_forty_kilobytes_compressed() {
    let sixty: Vec<_> = (0..60)
        .map(|n| {
            samples::healthy(
                &format!("{n:02}"),
                "facebook",
                &format!("Acme {n}"),
                &format!("acme{n}"),
                NOW,
            )
        })
        .collect();
    let page = connections("professional", &sixty, None, &reader(Role::Owner, Locale::English));
    let size = assets::brotli(page.as_bytes(), 4).len();
    assert!(size <= 40 * 1024, "{size}");
}
