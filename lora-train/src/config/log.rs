use serde::{Deserialize, Serialize};

/// Which logs a run writes into its folder beside `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// `metrics.csv`: a row for each report and each held-out measure.
    pub csv: bool,
    /// `tensorboard/`: the same numbers as TensorBoard's event file.
    pub tensorboard: bool,
    /// Whether previews are in there, too: each is on the disk twice then.
    pub tensorboard_previews: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            csv: true,
            tensorboard: true,
            tensorboard_previews: true,
        }
    }
}
