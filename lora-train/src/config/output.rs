use std::path::PathBuf;

use lora_core::lora_file::FileDtype;
use serde::{Deserialize, Serialize};

/// Files written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutputConfig {
    /// The run folder: saved files, previews, metrics and the resolved config.
    pub folder: PathBuf,
    /// Stem of the saved files, and their title.
    pub name: String,
    /// The word that calls the trained subject or style; written beside the last file for A1111.
    pub trigger: String,
    /// Epochs between two saved files.
    pub save_every_epochs: u64,
    /// Steps between two files that are saved beside those of epochs; 0 means none.
    pub save_every_steps: u64,
    /// Number format of the saved files.
    pub dtype: FileDtype,
    /// Leave tags, folder names and the base model's name out of the saved files.
    pub private: bool,
    /// Free text for the saved files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether saved files of an earlier run in the same folder may be replaced.
    pub overwrite: bool,
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("output"),
            name: "lora".to_owned(),
            trigger: String::new(),
            save_every_epochs: 1,
            save_every_steps: 0,
            dtype: FileDtype::F16,
            private: false,
            comment: None,
            overwrite: false,
        }
    }
}
