//! Where a network takes its tensors from while it is built: checkpoints on disk, or seeded random numbers.

mod checkpoint;
mod checkpoint_error;
mod component;
mod component_files;
mod layout;
mod ldm_names;
mod marks;
mod network_hash;
mod no_weights;
mod open_clip_names;
mod other_model;
mod place;
mod pytorch_file;
mod recognise;
mod seeded;
mod source;
mod spare;
mod weight_files;

pub use checkpoint::Checkpoint;
pub use checkpoint_error::CheckpointError;
pub use component::Component;
pub(crate) use layout::Layout;
pub use ldm_names::OriginalUNetNames;
pub use marks::Marks;
pub(crate) use network_hash::NetworkHash;
pub(crate) use no_weights::NoWeights;
pub use other_model::OtherModel;
pub use place::Place;
pub use seeded::SeededWeights;
pub use source::{StoredTensor, TensorProblem, TensorSource, WeightReader, Weights};
