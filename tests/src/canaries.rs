//! Looks for secrets in files, in every form that a program might have written them in.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What a text looks like raw, percent-encoded, as hexadecimal digits, as a list of decimal bytes, and within base64.
fn forms(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let list = |separator: &str| {
        let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
        numbers.join(separator)
    };
    let percent: String = bytes
        .iter()
        .map(|byte| match byte {
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) => char::from(*byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    let mut forms = vec![
        text.to_owned(),
        percent,
        hex::encode(bytes),
        hex::encode_upper(bytes),
        list(", "),
        list(","),
    ];
    // Three positions within a group of three bytes; the characters that its neighbours share are left out.
    for offset in 0..3 {
        let padded = [&vec![0; offset][..], bytes].concat();
        for encoded in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            let first = [0, 2, 3][offset];
            let last = encoded.len() - usize::from(padded.len() % 3 != 0);
            forms.push(encoded[first..last].to_owned());
        }
    }
    forms.sort();
    forms.dedup();
    forms
}

/// Files below `places` that hold one of `needles` in some form: `file: the needle's first characters`.
pub fn found(needles: &[String], places: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let mut hits = Vec::new();
    let patterns = tempfile::NamedTempFile::new()?;
    let all: Vec<String> = needles.iter().flat_map(|needle| forms(needle)).collect();
    ensure!(all.iter().all(|form| form.len() >= 6), "too short to search for");
    std::fs::write(patterns.path(), all.join("\n"))?;
    let files = grep(patterns.path(), places)?;
    for file in files {
        for needle in needles {
            std::fs::write(patterns.path(), forms(needle).join("\n"))?;
            if !grep(patterns.path(), std::slice::from_ref(&file))?.is_empty() {
                hits.push(format!(
                    "{}: {}…",
                    file.display(),
                    needle.chars().take(12).collect::<String>()
                ));
            }
        }
    }
    Ok(hits)
}

/// `grep` is many times faster than a debug build could be; the files may be hundreds of megabytes.
fn grep(patterns: &Path, places: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let output = Command::new("grep")
        .args([
            "--text",
            "--recursive",
            "--files-with-matches",
            "--fixed-strings",
            "--null",
            "--file",
        ])
        .arg(patterns)
        .args(places)
        .env("LC_ALL", "C")
        .output()
        .context("grep")?;
    // 1 = nothing found. Files that go away meanwhile (WAL is recycled) are 2 with the others told.
    ensure!(
        output.status.code().is_some_and(|code| code < 3),
        "grep: {:?}",
        output.status
    );
    let names = output.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names
        .map(|name| PathBuf::from(String::from_utf8_lossy(name).into_owned()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s1_a_secret_is_found_in_every_form_that_it_may_have() {
        let secret = "SBX/one+two=three";
        for disguised in [
            secret.to_owned(),
            format!(
                "[{}]",
                secret
                    .bytes()
                    .map(|byte| byte.to_string())
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            hex::encode(secret),
            "SBX%2Fone%2Btwo%3Dthree".to_owned(),
            STANDARD_NO_PAD.encode(format!("a{secret}b")),
            URL_SAFE_NO_PAD.encode(format!("ab{secret}cd")),
            STANDARD_NO_PAD.encode(format!("abc{secret}")),
        ] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("file"), format!("…{disguised}…")).unwrap();
            let places = [folder.path().to_owned()];
            assert_eq!(found(&[secret.to_owned()], &places).unwrap().len(), 1, "{disguised}");
            assert!(found(&["SBX/something+else".to_owned()], &places).unwrap().is_empty());
        }
    }
}
