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
    /// The loss of a batch, one number on the device, differentiable in the model's adapters.
    fn loss(&self, model: &BaseModel, batch: &Batch) -> Tensor<1>;
}
