//! What the loss is: noise, target, error and weighting.

mod check;
mod denoising;
mod error;
mod noise_shaping;
mod point_loss;
mod timestep_weight;

use burn::tensor::Tensor;
use lora_core::BaseModel;

pub use denoising::Denoising;
pub use error::ObjectiveError;

use crate::Batch;

/// The one place where the loss is defined: noise, target, weighting.
pub trait Objective: Send + Sync {
    /// The loss of each item of a batch, `[batch]`, or one number, `[1]`, where it is defined for all of them only.
    ///
    /// On the device and differentiable in the model's adapters. The mean is what is learnt from; what a run tells of the
    /// loss by timestep needs the items.
    fn loss(&self, model: &BaseModel, batch: &Batch) -> Tensor<1>;
}
