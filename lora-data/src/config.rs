use std::{num::NonZeroUsize, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    AugmentConfig, AugmentOverrides, BucketConfig, CaptionConfig, CaptionOverrides, MaskConfig,
    Resolution,
};

/// Where the pictures are, how large they are trained and how their captions are used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatasetConfig {
    /// The folders, in the order in which their pictures are numbered.
    pub folders: Vec<FolderConfig>,
    /// A `dataset_config` file of kohya's sd-scripts, instead of folders. What it leaves out is taken from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kohya: Option<PathBuf>,
    /// The size that pictures are resized and cropped to; with buckets, about their area.
    pub resolution: Resolution,
    /// Sort pictures into sizes of their proportions; unset, all are cropped to the resolution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buckets: Option<BucketConfig>,
    /// How captions are found, dropped and shuffled.
    pub caption: CaptionConfig,
    /// How pictures are varied.
    pub augment: AugmentConfig,
    /// Where the loss counts within a picture.
    pub mask: MaskConfig,
    /// The factor of the loss of regularisation pictures.
    pub prior_loss_weight: f64,
}

impl Default for DatasetConfig {
    fn default() -> Self {
        Self {
            folders: Vec::new(),
            kohya: None,
            resolution: Resolution::default(),
            buckets: None,
            caption: CaptionConfig::default(),
            augment: AugmentConfig::default(),
            mask: MaskConfig::default(),
            prior_loss_weight: 1.0,
        }
    }
}

/// One folder of pictures, or a parent of kohya's `N_class` folders.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderConfig {
    /// The folder. Relative paths are taken from the working directory.
    pub path: PathBuf,
    /// How often an epoch shows each picture. Unset: the number in the folder's name (`10_sks dog`), else 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<u32>,
    /// The caption of pictures that have none. Unset: the words in the folder's name (`10_sks dog`), else nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_tokens: Option<String>,
    /// Whether its pictures show the class and not the subject: as many showings as all others together, weighted by
    /// the prior loss weight (prior preservation, Ruiz et al. 2022).
    #[serde(default, skip_serializing_if = "is_false")]
    pub regularisation: bool,
    /// Pictures of one batch, where this folder has a size of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<NonZeroUsize>,
    /// The size of training, where this folder has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
    /// Its own way to sort pictures into sizes of their proportions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buckets: Option<BucketConfig>,
    /// What is different about its captions.
    #[serde(default, skip_serializing_if = "CaptionOverrides::is_empty")]
    pub caption: CaptionOverrides,
    /// What is different about how its pictures are varied.
    #[serde(default, skip_serializing_if = "AugmentOverrides::is_empty")]
    pub augment: AugmentOverrides,
    /// Another use of masks than the dataset's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<MaskConfig>,
}

impl FolderConfig {
    /// The folder at `path`, with repeats and class tokens left to its name.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            ..Self::default()
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(flag: &bool) -> bool {
    !flag
}
