//! Every pair of colours that meets on the page, computed from the style sheet, so that no change of a token can make a
//! dot, a ring, a border or a text too faint. WCAG 2.2: 4.5 for text, 3.0 for what is not text.

use std::collections::BTreeMap;

const TEXT: f64 = 4.5;
const SHAPE: f64 = 3.0;

/// Foreground, background, least ratio.
const PAIRS: &[(&str, &str, f64)] = &[
    ("ink", "surface", TEXT),
    ("ink", "page", TEXT),
    ("ink", "raised", TEXT),
    ("ink", "hover", TEXT),
    ("muted", "surface", TEXT),
    ("muted", "page", TEXT),
    ("muted", "raised", TEXT),
    ("muted", "hover", TEXT),
    ("primary", "surface", TEXT),
    ("primary", "page", TEXT),
    ("primary", "hover", TEXT),
    ("on-primary", "primary", TEXT),
    ("on-primary", "primary-hover", TEXT),
    ("amber-text", "amber-chip", TEXT),
    ("green-text", "green-chip", TEXT),
    ("green-text", "surface", TEXT),
    ("danger", "surface", TEXT),
    ("danger", "page", TEXT),
    ("danger", "raised", TEXT),
    ("soon-text", "soon-chip", TEXT),
    ("plan-text", "plan-chip", TEXT),
    ("amber-glyph", "amber-dot", TEXT),
    ("green-glyph", "green-dot", TEXT),
    ("control", "surface", SHAPE),
    ("control", "page", SHAPE),
    ("ring", "page", SHAPE),
    ("ring", "surface", SHAPE),
    ("ring", "raised", SHAPE),
    ("amber-border", "surface", SHAPE),
    ("amber-border", "page", SHAPE),
    ("amber-border", "amber-chip", SHAPE),
    ("amber-ring", "surface", SHAPE),
    ("amber-ring", "amber-chip", SHAPE),
    ("green-dot", "surface", SHAPE),
    ("green-dot", "page", SHAPE),
    ("green-dot", "green-chip", SHAPE),
    ("primary", "page", SHAPE),
];

fn sheet() -> &'static str {
    include_str!("../../assets/css/1-tokens.css")
}

fn tokens(css: &str) -> BTreeMap<String, [f64; 3]> {
    let colours = css
        .lines()
        .filter_map(|line| line.trim().strip_prefix("--")?.split_once(": #"));
    colours
        .map(|(name, hex)| (name.to_owned(), channels(hex.trim_end_matches(';'))))
        .collect()
}

fn channels(hex: &str) -> [f64; 3] {
    [0, 2, 4].map(|at| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0)
}

fn luminance(colour: [f64; 3]) -> f64 {
    let [red, green, blue] = colour.map(|c| {
        if c <= 0.040_45 {
            c / 12.92
        } else {
            ((c + 0.055) / 1.055).powf(2.4)
        }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

fn ratio(one: [f64; 3], other: [f64; 3]) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn every_pair_of_colours_that_meets_can_be_told_apart_light_and_dark() {
    let (light, dark) = sheet().split_once("@media").unwrap();
    for (theme, css) in [("light", light), ("dark", dark)] {
        let tokens = tokens(css);
        for (front, back, least) in PAIRS {
            let found = ratio(tokens[*front], tokens[*back]);
            assert!(
                found >= *least,
                "{theme}: {front} on {back} is {found:.2}, needs {least}"
            );
        }
    }
}

#[test]
fn the_amber_ring_stands_out_from_the_fill_where_the_fill_is_too_faint_for_the_surface() {
    let light = tokens(sheet().split_once("@media").unwrap().0);
    assert!(ratio(light["amber-dot"], light["surface"]) < SHAPE);
    assert!(ratio(light["amber-ring"], light["amber-dot"]) >= SHAPE);
}

#[test]
fn colours_are_named_nowhere_else() {
    for (name, css) in [
        ("base", include_str!("../../assets/css/2-base.css")),
        ("shell", include_str!("../../assets/css/3-shell.css")),
        ("accounts", include_str!("../../assets/css/4-accounts.css")),
        ("sheet", include_str!("../../assets/css/5-sheet.css")),
        ("pages", include_str!("../../assets/css/6-pages.css")),
    ] {
        let is_colour = |at: usize| css[at + 1..].chars().take(3).all(|c| c.is_ascii_hexdigit());
        assert!(
            !css.match_indices('#').any(|(at, _)| is_colour(at)),
            "{name} names a colour"
        );
    }
}

#[test]
fn layout_is_logical_so_that_arabic_mirrors() {
    for css in [
        include_str!("../../assets/css/2-base.css"),
        include_str!("../../assets/css/3-shell.css"),
        include_str!("../../assets/css/4-accounts.css"),
        include_str!("../../assets/css/5-sheet.css"),
        include_str!("../../assets/css/6-pages.css"),
    ] {
        for word in [
            "margin-left",
            "margin-right",
            "padding-left",
            "padding-right",
            " left:",
            " right:",
            "text-align: left",
        ] {
            assert!(!css.contains(word), "{word}");
        }
    }
}
