use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What is kept on the disk from run to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// A folder for latents and text states, which several runs may share; unset, each run computes its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
}
