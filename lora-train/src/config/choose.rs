use std::num::NonZeroUsize;

use lora_data::EmbedderConfig;
use serde::{Deserialize, Serialize};

/// How the saved files are compared, beside by their held-out loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChooseConfig {
    /// Draw pictures with each saved file, by captions of the held-out and of the training pictures, and compare them
    /// with the training pictures.
    pub similarity: bool,
    /// How many are drawn with each file.
    pub pictures: NonZeroUsize,
    /// The part by which a held-out loss may lie above the lowest and still count as good as it; then similarity decides.
    pub tolerance: f64,
    /// A network that tells how alike pictures are; unset means that colours and edges do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding: Option<EmbedderConfig>,
}

impl Default for ChooseConfig {
    fn default() -> Self {
        Self {
            similarity: false,
            pictures: NonZeroUsize::MIN.saturating_add(7),
            tolerance: 0.01,
            embedding: None,
        }
    }
}

impl ChooseConfig {
    /// What keeps it from being used, one sentence each.
    pub(crate) fn problems(&self) -> Vec<String> {
        let checks = [
            (
                (0.0..1.0).contains(&self.tolerance),
                "choose.tolerance must be at least 0 and below 1, usually 0.01",
            ),
            (
                self.similarity || self.embedding.is_none(),
                "choose.embedding is set, but nothing is drawn to be compared: set choose.similarity = true",
            ),
        ];
        let failed = checks.into_iter().filter(|(holds, _)| !holds);
        failed.map(|(_, problem)| problem.to_owned()).collect()
    }
}
