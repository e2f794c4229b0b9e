//! Configs of other trainers: every key that they can have is told of, and what comes out is a config that can be run.
#![cfg(test)]

mod formats;
mod options;

use std::{
    fs,
    path::{Path, PathBuf},
};

use lora_train::{
    config::TrainConfig,
    import::{Fate, Import, ImportedKey},
};

fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../testdata/import")
        .join(name)
}

/// Reads `text` as a file of this name; what comes out must be what its text says.
fn imported(name: &str, text: &str) -> Import {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    fs::write(&path, text).expect("a file");
    opened(&path)
}

fn opened(path: &Path) -> Import {
    let import = Import::open(path).unwrap_or_else(|error| panic!("{error}"));
    let text = import.text(Path::new("."), path);
    let again: TrainConfig =
        toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(again, import.config, "{text}");
    import
}

fn told<'a>(import: &'a Import, key: &str) -> &'a ImportedKey {
    let mut found = import.keys.iter().filter(|told| told.key == key);
    let first = found
        .next()
        .unwrap_or_else(|| panic!("{key} is not told: {:#?}", import.keys));
    assert!(
        found.next().is_none(),
        "{key} is told twice: {:#?}",
        import.keys
    );
    first
}

fn is_mapped(import: &Import, key: &str) -> bool {
    matches!(told(import, key).fate, Fate::Mapped { .. })
}
