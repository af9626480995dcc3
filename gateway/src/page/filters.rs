//! Filters of the templates: icons, addresses of files, moments.

#![expect(
    clippy::inline_always,
    clippy::unused_self,
    clippy::unnecessary_wraps,
    unreachable_pub,
    reason = "what the macro of askama makes of a filter"
)]

use std::fmt::Display;

use askama::Values;
use askama::filters::Safe;

use super::assets;
use super::dates::When;

/// `{{ "check"|icon }}`: a glyph of the sprite, silent for screen readers.
#[askama::filter_fn]
pub(crate) fn icon(name: impl Display, _: &dyn Values) -> askama::Result<Safe<String>> {
    let sprite = assets::url("icons.svg");
    Ok(Safe(format!(
        "<svg class=\"icon\" aria-hidden=\"true\"><use href=\"{sprite}#{name}\"/></svg>"
    )))
}

/// `{{ "app.css"|asset }}`: the address of an embedded file.
#[askama::filter_fn]
pub(crate) fn asset(name: impl Display, _: &dyn Values) -> askama::Result<Safe<String>> {
    Ok(Safe(assets::url(&name.to_string())))
}

/// `{{ at|time }}`: a moment, readable by people and programs. Its words are ours alone, so nothing is left to escape.
#[askama::filter_fn]
pub(crate) fn time(when: &When, _: &dyn Values) -> askama::Result<Safe<String>> {
    let ago = if when.relative { " data-ago" } else { "" };
    let before = &when.before;
    Ok(Safe(format!(
        "{before}<time datetime=\"{}\"{ago}>{}</time>",
        when.iso, when.text
    )))
}
