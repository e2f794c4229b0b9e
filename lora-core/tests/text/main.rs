//! Tokenizer, LoRA files and their metadata against data made with transformers, sd-scripts and safetensors.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod base_model_tools;
mod damaged_files;
mod damaged_models;
mod hostile_configs;
mod layouts;
mod lora_file;
mod lora_tools;
mod metadata;
mod module_name;
mod prompt_syntax;
mod side_file;
mod tokenizer;

use std::path::{Path, PathBuf};

/// A file or folder of the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A file of `testdata/golden`, parsed.
fn golden_json(path: &str) -> serde_json::Value {
    let path = repository("testdata/golden").join(path);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
