use std::num::NonZeroUsize;

use serde::Serialize;

use crate::{AugmentConfig, BucketConfig, CaptionConfig};

/// What the pictures of one group have in common: the resolved settings of a folder, or of a kohya subset.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Subset {
    /// How captions are drawn at each showing.
    pub caption: CaptionConfig,
    /// How pictures are varied at each showing.
    pub augment: AugmentConfig,
    /// Whether these are regularisation pictures (prior preservation, Ruiz et al. 2022).
    pub regularisation: bool,
    /// The factor of these pictures' loss; the prior loss weight for regularisation pictures, else 1.
    pub loss_weight: f64,
    /// How its pictures are sorted into sizes of their proportions; `None` where all are cropped to one size.
    pub buckets: Option<BucketConfig>,
    /// Pictures of one batch, where the group has a batch size of its own. Pictures whose batch sizes differ never
    /// share a batch.
    pub batch_size: Option<NonZeroUsize>,
}
