use std::path::PathBuf;

use crate::{
    DatasetConfig, FolderConfig, MaskConfig, Resolution, Subset, findings::Findings, kohya_config,
};

/// A folder of the config with every setting resolved: its own, else the dataset's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    pub(crate) path: PathBuf,
    pub(crate) repeats: Option<u32>,
    pub(crate) class_tokens: Option<String>,
    /// Whether the path is the folder of pictures itself, even where it holds `N_class` folders.
    pub(crate) is_leaf: bool,
    /// kohya's JSON of captions by picture.
    pub(crate) metadata: Option<PathBuf>,
    pub(crate) resolution: Resolution,
    pub(crate) mask: MaskConfig,
    pub(crate) rules: Subset,
    /// Which `[[datasets]]` of kohya's file it is of, from 1; 0 for the config's own folders.
    pub(crate) dataset: usize,
}

/// The groups of a config, in its order; problems of kohya's file go to `findings`.
pub(crate) fn groups(config: &DatasetConfig, findings: &mut Findings) -> Vec<Group> {
    let mut groups: Vec<Group> = config
        .folders
        .iter()
        .map(|folder| of_folder(config, folder))
        .collect();
    if let Some(path) = &config.kohya {
        match kohya_config::read(path, config, findings) {
            Ok(more) => groups.extend(more),
            Err(problems) => findings.problems.extend(problems),
        }
    }
    groups
}

/// The group of a folder of the config.
pub(crate) fn of_folder(config: &DatasetConfig, folder: &FolderConfig) -> Group {
    Group {
        path: folder.path.clone(),
        repeats: folder.repeats,
        class_tokens: folder.class_tokens.clone(),
        is_leaf: false,
        dataset: 0,
        metadata: None,
        resolution: folder.resolution.unwrap_or(config.resolution),
        mask: folder.mask.unwrap_or(config.mask),
        rules: Subset {
            caption: folder.caption.over(&config.caption),
            augment: folder.augment.over(&config.augment),
            regularisation: folder.regularisation,
            loss_weight: prior(folder.regularisation, config),
            buckets: folder.buckets.or(config.buckets),
            batch_size: folder.batch_size,
        },
    }
}

/// The factor of the loss of a group's pictures.
pub(crate) fn prior(regularisation: bool, config: &DatasetConfig) -> f64 {
    if regularisation {
        config.prior_loss_weight
    } else {
        1.0
    }
}
