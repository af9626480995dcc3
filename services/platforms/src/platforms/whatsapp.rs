//! WhatsApp: in the catalogue only, for the time when it can be connected (Cloud API, embedded sign-up).

use crate::spec::Platform;

pub(crate) const PLATFORM: Platform = Platform {
    id: "whatsapp",
    title: "WhatsApp",
    short_title: "WhatsApp",
    capabilities: &[],
    token_diagnostics: false,
    settings_hint: "",
    connectors: &[],
};
