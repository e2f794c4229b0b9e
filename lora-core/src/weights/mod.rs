//! Where a network takes its tensors from while it is built: checkpoints on disk, or seeded random numbers.

mod checkpoint;
mod ldm_names;
mod seeded;
mod source;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use ldm_names::Component;
pub use seeded::SeededWeights;
pub use source::{StoredTensor, TensorProblem, TensorSource, WeightReader, Weights};
