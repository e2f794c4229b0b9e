use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{CaptionConfig, Resolution};

/// Where the pictures are, how large they are trained and how their captions are used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatasetConfig {
    /// The folders, in the order in which their pictures are numbered.
    pub folders: Vec<FolderConfig>,
    /// The size that every picture is resized and cropped to.
    pub resolution: Resolution,
    /// How captions are found, dropped and shuffled.
    pub caption: CaptionConfig,
}

/// One folder of pictures, or a parent of kohya's `N_class` folders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderConfig {
    /// The folder. Relative paths are taken from the working directory.
    pub path: PathBuf,
    /// How often an epoch shows each picture. Unset: the number in the folder's name (`10_sks dog`), else 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<u32>,
    /// The caption of pictures that have none. Unset: the words in the folder's name (`10_sks dog`), else nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_tokens: Option<String>,
}

impl FolderConfig {
    /// The folder at `path`, with repeats and class tokens left to its name.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            repeats: None,
            class_tokens: None,
        }
    }
}
