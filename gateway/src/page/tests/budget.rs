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
