//! The registry: every platform is one file here and two lines below. Order is the order people see.

use crate::adapter::Adapter;
use crate::spec::Platform;

pub(crate) mod facebook;
pub(crate) mod instagram;
pub(crate) mod linkedin;
pub(crate) mod telegram;
pub(crate) mod tiktok;
pub(crate) mod whatsapp;
pub(crate) mod x;

/// All platforms.
pub(crate) const PLATFORMS: &[&Platform] = &[
    &facebook::PLATFORM,
    &instagram::PLATFORM,
    &tiktok::PLATFORM,
    &x::PLATFORM,
    &linkedin::PLATFORM,
    &telegram::PLATFORM,
    &whatsapp::PLATFORM,
];

/// All connectors.
pub(crate) fn adapters() -> impl Iterator<Item = &'static dyn Adapter> {
    PLATFORMS
        .iter()
        .flat_map(|platform| platform.connectors.iter().copied())
}

/// One connector.
pub(crate) fn adapter(id: &str) -> Option<&'static dyn Adapter> {
    adapters().find(|adapter| adapter.spec().id == id)
}

/// The platform that a connector belongs to.
pub(crate) fn platform_of(connector: &str) -> Option<&'static Platform> {
    let has = |platform: &&&'static Platform| platform.connectors.iter().any(|adapter| adapter.spec().id == connector);
    PLATFORMS.iter().find(has).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_in_the_folder_is_registered() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/platforms");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                entry
                    .unwrap()
                    .path()
                    .file_stem()
                    .unwrap()
                    .to_string_lossy()
                    .into_owned()
            })
            .filter(|name| name != "mod")
            .collect();
        let mut registered: Vec<String> = PLATFORMS.iter().map(|platform| platform.id.to_owned()).collect();
        files.sort();
        files.dedup();
        registered.sort();
        assert_eq!(files, registered);
    }

    #[test]
    fn connector_ids_are_unique_and_permissions_have_words() {
        let mut ids: Vec<&str> = adapters().map(|adapter| adapter.spec().id).collect();
        ids.sort_unstable();
        let all = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), all);
        for spec in adapters().map(Adapter::spec) {
            assert!(
                spec.scopes
                    .iter()
                    .all(|scope| !scope.label.is_empty() && scope.label != scope.name),
                "{}",
                spec.id
            );
        }
    }
}
