use serde::{Deserialize, Serialize};

/// How often a run puts down everything that it needs to go on after a stop, a crash or a full disk.
///
/// One is written with every saved epoch and when a run is stopped in any case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Steps between two checkpoints in the middle of an epoch; 0 means none there.
    pub every: u64,
    /// How many of them stay; older ones are removed once a newer one has been written and read back. 0 means that none
    /// is written at all.
    pub keep: u64,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { every: 0, keep: 2 }
    }
}
