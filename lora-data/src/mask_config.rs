use serde::{Deserialize, Serialize};

use crate::Problem;

/// Where the loss counts within a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MaskConfig {
    /// Where masks come from.
    pub source: MaskSource,
    /// The weight, 0 to 1, of what a mask leaves out: 0 as in kohya's scripts, a little more to keep the background
    /// from falling apart.
    pub unmasked_weight: f64,
}

/// Where masks come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MaskSource {
    /// There are none: the loss counts everywhere.
    #[default]
    None,
    /// `NAME-masklabel.png` beside `NAME.png`, white where the loss counts (OneTrainer's convention).
    File,
    /// The picture's own transparency: the loss counts where it is opaque.
    Alpha,
}

impl MaskConfig {
    pub(crate) fn problem(&self) -> Option<Problem> {
        (!(0.0..=1.0).contains(&self.unmasked_weight)).then(|| Problem::Setting {
            setting: "mask.unmasked_weight",
            value: self.unmasked_weight.to_string(),
            expected: "a weight from 0 to 1",
        })
    }
}
