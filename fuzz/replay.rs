//! Calls a fuzz target with everything in its corpus. Crates with targets include this file in their tests.

/// Panics, with the file's name, where `target` does.
#[allow(clippy::print_stdout, reason = "a failing test shows which input it was")]
pub(crate) fn replay(name: &str, target: fn(&[u8])) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join("fuzz/corpus").join(name))
        .find(|folder| folder.is_dir())
        .expect("the target has a corpus");
    let files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    assert!(!files.is_empty(), "the corpus of {name} is empty");
    for file in files {
        println!("{}", file.display());
        target(&std::fs::read(file).unwrap());
    }
}
