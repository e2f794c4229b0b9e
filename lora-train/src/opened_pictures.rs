use lora_data::{
    AugmentConfig, DatasetConfig, DatasetError, FolderConfig, HeldoutSplit, ImageFolders,
};

use crate::config::TrainConfig;

/// The pictures of a config: those that are trained on and those that are measured by.
#[derive(Debug)]
pub struct OpenedPictures {
    /// Trained on. The notes are of all of them.
    pub training: ImageFolders,
    /// Of `heldout.folder`, or taken out of the others by `heldout.split`.
    pub heldout: Option<ImageFolders>,
}

impl OpenedPictures {
    /// Opens the folders that the config names, and takes out what `heldout.split` asks for.
    ///
    /// # Errors
    /// With everything that is wrong with the pictures of training, or of `heldout.folder`.
    pub fn open(config: &TrainConfig) -> Result<Self, DatasetError> {
        let split = split(config);
        let (training, taken_out) = ImageFolders::open_split(&config.dataset, split.as_ref())?;
        let heldout = match &config.heldout.folder {
            Some(folder) => Some(ImageFolders::open(&DatasetConfig {
                folders: vec![FolderConfig::new(folder)],
                kohya: None,
                // Measured as they are: mirrored views would be encoded for nothing.
                augment: AugmentConfig::default(),
                ..config.dataset.clone()
            })?),
            None => taken_out,
        };
        Ok(Self { training, heldout })
    }

    /// Those that are trained on.
    ///
    /// # Errors
    /// With everything that is wrong with them.
    pub(crate) fn training(config: &TrainConfig) -> Result<ImageFolders, DatasetError> {
        let opened = ImageFolders::open_split(&config.dataset, split(config).as_ref());
        opened.map(|(training, _)| training)
    }
}

fn split(config: &TrainConfig) -> Option<HeldoutSplit> {
    config.heldout.split_of(config.train.seed)
}
