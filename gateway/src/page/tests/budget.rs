//! The page's weight, and a copy of every page for a look with a browser.

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

/// `PAGES=/tmp/pages cargo test -p socializioz-gateway pages_for_a_look -- --ignored` writes what a browser can open.
#[test]
#[ignore = "writes files for a person to look at"]
fn pages_for_a_look() {
    use askama::Template;
    let folder = std::path::PathBuf::from(option_env!("PAGES").unwrap_or("/tmp/pages"));
    std::fs::create_dir_all(folder.join("assets")).unwrap();
    let version = assets::url("");
    let write = |name: &str, html: String| {
        std::fs::write(folder.join(name), html.replace(&version, "/assets/")).unwrap();
    };
    for (name, file) in &assets::bundle().files {
        std::fs::write(folder.join("assets").join(name), &file.bytes).unwrap();
    }
    let owner = reader(Role::Owner, Locale::English);
    let all = samples::accounts(NOW);
    let seven = [&all[..2], &all[7..12]].concat();
    write("seven.html", connections("professional", &seven, None, &owner));
    write("open.html", connections("professional", &seven, Some(0), &owner));
    write("healthy.html", connections("professional", &seven, Some(2), &owner));
    write("all.html", connections("professional", &all, None, &owner));
    write("empty.html", connections("free", &[], None, &owner));
    write("full.html", connections("free", &all[7..8], None, &owner));
    write(
        "member.html",
        connections("starter", &seven[..4], Some(0), &reader(Role::Member, Locale::English)),
    );
    write(
        "arabic.html",
        connections("professional", &seven, Some(0), &reader(Role::Owner, Locale::Arabic)),
    );
    let facts = super::reader::facts("professional", &seven, &owner);
    let page = crate::page::gallery::Page::of(&facts, &owner).unwrap();
    write("gallery.html", page.render().unwrap());
    let seen: Vec<_> = seven.iter().map(|one| crate::view::account(one, &owner.lens)).collect();
    write(
        "overview.html",
        crate::page::overview::Page::of(&seen, false, Vec::new(), &facts, &owner)
            .render()
            .unwrap(),
    );
    let draft = crate::page::composer::Draft::default;
    write(
        "composer.html",
        crate::page::composer::Page::of(draft(), Some(&seen[2]), &seen, &facts, &owner)
            .render()
            .unwrap(),
    );
    write(
        "composer-amber.html",
        crate::page::composer::Page::of(draft(), Some(&seen[0]), &seen, &facts, &owner)
            .render()
            .unwrap(),
    );
    write(
        "composer-none.html",
        crate::page::composer::Page::of(draft(), None, &seen, &facts, &owner)
            .render()
            .unwrap(),
    );
    let card = crate::page::card::Card::of(&seen[0], &owner);
    write(
        "support.html",
        crate::page::support::Page::of(Some(card), "permission_missing", &facts, &owner)
            .render()
            .unwrap(),
    );
    write(
        "billing.html",
        crate::page::billing::Page::of(&seen, &facts, &owner).render().unwrap(),
    );
    let ask = crate::page::disconnect::question("acc_01", "Acme Bakery", "Instagram", &owner);
    let shell = crate::page::shell::Shell::new(&owner, &facts, "connections", "x");
    write(
        "question.html",
        crate::page::question::Page { shell, ask: &ask }.render().unwrap(),
    );
    let found = ["token_refreshed", "reconnect_required", "token_expired"]
        .iter()
        .enumerate()
        .map(|(n, kind)| {
            let one = proto::accounts::v1::Notification {
                id: format!("ntf_{n}"),
                account_id: "acc_01".into(),
                account_name: "Acme Bakery".into(),
                kind: (*kind).into(),
                occurred_at_ms: NOW - 3_600_000 * (i64::try_from(n).unwrap() * 9 + 1),
                read: n > 0,
                ..proto::accounts::v1::Notification::default()
            };
            crate::view::notification(&one, Locale::English)
        });
    write(
        "notifications.html",
        crate::page::notifications::Page::of(found.collect(), "", &facts, &owner)
            .render()
            .unwrap(),
    );
    let problem = kit::Failure::new(kit::Code::Unavailable, "accounts does not answer");
    let mut body = crate::problem::ProblemBody::of(&problem, &crate::config::Links::own_pages(), None);
    body.request_id = "01JD8M4Z7X".into();
    write(
        "error.html",
        crate::page::returned::of_problem(&body, "/connections", owner.t)
            .render()
            .unwrap(),
    );
}
