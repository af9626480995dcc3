//! Telegram: in the catalogue only, for the time when it can be connected (a bot token, no OAuth).

use crate::spec::Platform;

pub(crate) const PLATFORM: Platform = Platform {
    id: "telegram",
    title: "Telegram",
    short_title: "Telegram",
    capabilities: &[],
    token_diagnostics: false,
    settings_hint: "",
    connectors: &[],
};
