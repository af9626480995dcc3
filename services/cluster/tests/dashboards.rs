//! What the dashboards show exists: every metric named there is counted somewhere in the code.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
}

/// Names in `metrics::counter!("name"…`, and what a histogram is exported as.
fn counted() -> BTreeSet<String> {
    let mut sources = Vec::new();
    for folder in ["services", "gateway/src"] {
        files(&Path::new(ROOT).join(folder), ".rs", &mut sources);
    }
    let mut names = BTreeSet::new();
    for source in sources {
        let text = std::fs::read_to_string(source).unwrap();
        for (kind, suffixes) in [
            ("counter!(", &[""][..]),
            ("gauge!(", &[""]),
            ("histogram!(", &["_bucket", "_sum", "_count"]),
        ] {
            for rest in text.split(kind).skip(1) {
                if let Some(name) = rest
                    .trim_start()
                    .strip_prefix('"')
                    .and_then(|rest| rest.split('"').next())
                {
                    names.extend(suffixes.iter().map(|suffix| format!("{name}{suffix}")));
                }
            }
        }
    }
    names
}

/// Metrics in a query: words that are neither functions nor labels.
fn metrics(query: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = query
        .split(|c| !word(c))
        .filter(|one| one.contains('_') && !one.starts_with("histogram_"));
    words.map(str::to_owned).collect()
}

#[test]
fn every_metric_on_a_dashboard_is_counted_somewhere() {
    let (counted, mut dashboards) = (counted(), Vec::new());
    files(&Path::new(ROOT).join("deploy/dashboards"), ".json", &mut dashboards);
    assert!(!dashboards.is_empty());
    for path in dashboards {
        let dashboard: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let panels = dashboard["panels"].as_array().unwrap().iter();
        let queries = panels
            .flat_map(|panel| panel["targets"].as_array().unwrap())
            .map(|target| &target["expr"]);
        for query in queries {
            for metric in metrics(query.as_str().unwrap()) {
                assert!(counted.contains(&metric), "{metric} in {query} of {}", path.display());
            }
        }
    }
}
