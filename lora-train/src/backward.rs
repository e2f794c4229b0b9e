use std::collections::BTreeSet;

use burn::tensor::{DType, Tensor};
use lora_core::{BaseModel, Matrices};

use crate::Batch;

/// `weight` times the gradient of the mean of `losses` in the `leaves` that are not `frozen`.
///
/// In f16 the gradients of a loss that is a mean over all numbers of a batch would be too small to be told from 0 (Micikevicius
/// et al. 2018). So the loss is taken as their sum, which starts at the size of what is predicted, and the matrices' gradients,
/// which are f32, are divided. One factor does for all batches of a shape, because nothing depends on `weight`.
pub(crate) fn gradients(
    losses: Tensor<1>,
    weight: f64,
    model: &BaseModel,
    batch: &Batch,
    leaves: Matrices,
    frozen: &BTreeSet<String>,
) -> Matrices {
    // Where all modules are dropped, the losses depend on nothing that learns.
    if !losses.is_tracked() {
        return Matrices::new();
    }
    let numbers = batch.latents.dims().iter().product::<usize>();
    let in_half = model.unet.dtype() == DType::F16;
    let (factor, after) = if in_half {
        let factor = numbers as f64;
        (factor, weight / factor)
    } else {
        (weight, 1.0)
    };
    let mut gradients = (losses.mean() * factor).backward();
    let moving = leaves.into_iter().filter(|(key, _)| !frozen.contains(key));
    // A matrix that the loss does not depend on has no gradient and stays as it is.
    let found = moving.filter_map(|(key, leaf)| {
        let gradient = leaf.grad_remove(&mut gradients)?;
        Some((key, if in_half { gradient * after } else { gradient }))
    });
    found.collect()
}
