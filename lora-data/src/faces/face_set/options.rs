use std::path::PathBuf;

use serde::Serialize;

use super::{FaceCaption, FaceSetError};
use crate::Resolution;

/// What becomes a crop, how it is cut and where it goes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaceSetOptions {
    /// What is shown around a face on every side, in lengths of its longer side.
    pub margin: f32,
    /// The proportions of crops.
    pub aspect: Resolution,
    /// The size to which larger crops are scaled down; as they are when unset. It should have the proportions of
    /// `aspect`.
    pub size: Option<Resolution>,
    /// Whether smaller crops are enlarged to `size`.
    pub enlarge: bool,
    /// The shorter side of the smallest face that is cut out, in pixels.
    pub min_size: u32,
    /// A crop that would show more than this share of its picture, 0 to 1, is left out: the picture is one already.
    pub max_share: f32,
    /// How many faces of one picture are cut out at most, the largest first.
    pub most: Option<usize>,
    /// The captions.
    pub caption: FaceCaption,
    /// The extensions of caption files, as in [`CaptionConfig`](crate::CaptionConfig).
    pub caption_extensions: Vec<String>,
    /// The repeats of the folders of crops; those of the pictures' folder when unset.
    #[serde(skip)]
    pub repeats: Option<u32>,
    /// The folder in which the folders of crops are made; beside the pictures' when unset.
    #[serde(skip)]
    pub out: Option<PathBuf>,
    /// Makes all crops anew, also those that were changed or removed by hand.
    #[serde(skip)]
    pub force: bool,
    /// Writes nothing.
    #[serde(skip)]
    pub dry_run: bool,
}

impl Default for FaceSetOptions {
    fn default() -> Self {
        Self {
            margin: 0.5,
            aspect: Resolution::square(1),
            size: None,
            enlarge: false,
            min_size: 64,
            max_share: 0.8,
            most: None,
            caption: FaceCaption::default(),
            caption_extensions: ["txt", "caption"].map(String::from).into(),
            repeats: None,
            out: None,
            force: false,
            dry_run: false,
        }
    }
}

impl FaceSetOptions {
    /// # Errors
    /// For the first option that has a value that it cannot have.
    pub(super) fn check(&self) -> Result<(), FaceSetError> {
        let is_size = |size: Resolution| size.width > 0 && size.height > 0;
        let checks = [
            (
                (0.0..=10.0).contains(&self.margin),
                "margin",
                self.margin.to_string(),
                "0 to 10 lengths of the face",
            ),
            (
                (0.0..=1.0).contains(&self.max_share),
                "max share",
                self.max_share.to_string(),
                "a share of the picture from 0 to 1",
            ),
            (
                is_size(self.aspect),
                "aspect",
                self.aspect.to_string(),
                "at least 1 each way",
            ),
            (
                self.size.is_none_or(is_size),
                "size",
                self.size.map_or_else(String::new, |size| size.to_string()),
                "at least one pixel each way",
            ),
            (
                self.repeats != Some(0),
                "repeats",
                "0".to_owned(),
                "1 or more, for crops would never be shown",
            ),
        ];
        match checks.into_iter().find(|check| !check.0) {
            Some((_, option, value, expected)) => Err(FaceSetError::Option {
                option,
                value,
                expected,
            }),
            None => Ok(()),
        }
    }
}
