//! What the page loads besides HTML: one style sheet, plain modules, the sprite of icons. Embedded in the binary.
//!
//! All addresses carry one fingerprint of everything (`/assets/<version>/<name>`), so that modules import each other by
//! plain relative names and browsers may keep them for ever. Answers are compressed once, when first asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{LazyLock, OnceLock};

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use rust_embed::RustEmbed;

use crate::answers::Encoding;

/// The best would be a few percent smaller and ten times slower.
const QUALITY: u32 = 9;

#[derive(RustEmbed)]
#[folder = "assets/"]
struct Files;

/// One file as it is sent.
pub(crate) struct Asset {
    pub(crate) bytes: Cow<'static, [u8]>,
    kind: &'static str,
    brotli: OnceLock<Vec<u8>>,
}

impl Asset {
    fn new(bytes: Cow<'static, [u8]>, kind: &'static str) -> Self {
        Self {
            bytes,
            kind,
            brotli: OnceLock::new(),
        }
    }

    /// Compressed, at its first request.
    pub(crate) fn brotli(&self) -> &[u8] {
        self.brotli.get_or_init(|| brotli(&self.bytes, QUALITY))
    }
}

/// Everything that is served, by name, and the fingerprint of it all.
pub(crate) struct Bundle {
    pub(crate) files: BTreeMap<String, Asset>,
    version: String,
}

static BUNDLE: LazyLock<Bundle> = LazyLock::new(Bundle::build);

impl Bundle {
    fn build() -> Self {
        let mut files = BTreeMap::new();
        let mut names: Vec<_> = Files::iter().collect();
        names.sort();
        let mut sheet = Vec::new();
        for path in names {
            let Some(file) = Files::get(&path) else { continue };
            if path.starts_with("css/") {
                sheet.extend_from_slice(&file.data);
            } else if let Some(kind) = kind(&path) {
                let name = path.trim_start_matches("js/").to_owned();
                files.insert(name, Asset::new(file.data, kind));
            }
        }
        files.insert(
            "app.css".to_owned(),
            Asset::new(sheet.into(), "text/css; charset=utf-8"),
        );
        let all: Vec<u8> = files.values().flat_map(|file| file.bytes.iter().copied()).collect();
        let version = kit::id::sha256_hex(&all)[..12].to_owned();
        Self { files, version }
    }
}

fn kind(path: &str) -> Option<&'static str> {
    match path.rsplit_once('.')?.1 {
        "js" => Some("text/javascript; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}

/// All files.
#[cfg(test)]
pub(crate) fn bundle() -> &'static Bundle {
    &BUNDLE
}

/// The address of a file.
pub(crate) fn url(name: &str) -> String {
    format!("/assets/{}/{name}", BUNDLE.version)
}

/// `GET /assets/{version}/{name}`. Another version's address is answered with today's file and not kept.
pub(crate) async fn serve(Path((version, name)): Path<(String, String)>, encoding: Encoding) -> Response {
    let Some(asset) = BUNDLE.files.get(&name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let keep = if version == BUNDLE.version {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let common = [
        (header::CONTENT_TYPE, asset.kind),
        (header::CACHE_CONTROL, keep),
        (header::VARY, "accept-encoding"),
    ];
    if encoding == Encoding::Brotli {
        return (common, [(header::CONTENT_ENCODING, "br")], asset.brotli()).into_response();
    }
    (common, asset.bytes.clone()).into_response()
}

/// Compresses a text in memory.
pub(crate) fn brotli(bytes: &[u8], quality: u32) -> Vec<u8> {
    const WINDOW_BITS: u32 = 22;
    let mut packed = Vec::new();
    let mut writer = brotli::CompressorWriter::new(&mut packed, 16 * 1024, quality, WINDOW_BITS);
    // Writing to memory cannot fail; a file that could not be compressed would be empty and fail its test.
    let _ = writer.write_all(bytes);
    drop(writer);
    packed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(kind: &str) -> usize {
        bundle()
            .files
            .iter()
            .filter(|(name, _)| name.ends_with(kind))
            .map(|(_, file)| file.brotli().len())
            .sum()
    }

    #[test]
    fn what_the_page_loads_stays_within_its_budget() {
        let sprite = bundle().files["icons.svg"].brotli().len();
        let (css, js) = (total(".css"), total(".js"));
        assert!(css <= 10 * 1024, "css {css}");
        assert!(js <= 24 * 1024, "js {js}");
        assert!(sprite <= 4 * 1024, "sprite {sprite}");
    }

    #[test]
    fn every_module_imports_only_files_that_exist() {
        for (name, file) in &bundle().files {
            let text = String::from_utf8_lossy(&file.bytes);
            for line in text.lines().filter(|line| line.starts_with("import ")) {
                let target = line.split('"').nth(1).unwrap_or_default().trim_start_matches("./");
                assert!(bundle().files.contains_key(target), "{name} imports {target}");
            }
        }
    }

    #[test]
    fn nothing_is_loaded_from_another_site() {
        for (name, file) in &bundle().files {
            let text = String::from_utf8_lossy(&file.bytes).replace("http://www.w3.org/", "");
            assert!(!text.contains("http://") && !text.contains("https://"), "{name}");
        }
    }
}
