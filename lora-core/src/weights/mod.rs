//! Where a network takes its tensors from while it is built: checkpoints on disk, or seeded random numbers.

mod checkpoint;
mod checkpoint_error;
mod component;
mod ldm_names;
mod seeded;
mod source;

pub use checkpoint::Checkpoint;
pub use checkpoint_error::CheckpointError;
pub use component::Component;
pub use ldm_names::OriginalUNetNames;
pub use seeded::SeededWeights;
pub use source::{StoredTensor, TensorProblem, TensorSource, WeightReader, Weights};
