use serde::{Deserialize, Serialize};

/// What the checks of a dataset go by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LintConfig {
    /// Traits that are to become part of the trigger word, as `blue eyes`: a caption that still has the tag is an error.
    pub fixed_traits: Vec<String>,
    /// The part of a picture, 0 to 1, that may be cut off without a warning.
    pub max_crop: f64,
    /// How many times a picture may be enlarged without a warning.
    pub max_enlargement: f64,
    /// Rules that are not looked at, by name.
    pub allow: Vec<String>,
    /// Rules whose findings are errors, by name.
    pub deny: Vec<String>,
}

impl Default for LintConfig {
    fn default() -> Self {
        Self {
            fixed_traits: Vec::new(),
            max_crop: 0.3,
            max_enlargement: 1.5,
            allow: Vec::new(),
            deny: Vec::new(),
        }
    }
}
