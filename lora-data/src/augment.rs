use serde::{Deserialize, Serialize};

/// How a picture is varied from one showing to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentConfig {
    /// Mirror the picture at half of its showings.
    pub flip: bool,
    /// Vary hue, saturation and gamma slightly.
    pub color: bool,
    /// Cut a random part instead of the middle, where the picture is larger than its bucket.
    pub random_crop: bool,
}
