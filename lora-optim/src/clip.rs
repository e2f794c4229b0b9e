//! Clipping by the norm of all gradients together.

use burn::tensor::{DType, Tensor};

use crate::Matrices;

/// What PyTorch adds to the norm before it divides by it.
const NORM_GUARD: f64 = 1e-6;

/// The L2 norm of all gradients taken as one vector, `[1]`, left on the device; `None` if there are no gradients.
///
/// Squares are taken and summed in f32, whatever float type the gradients have.
///
/// Costs two small kernels per matrix and four more. Reading the value is a host sync, and the caller's choice.
pub fn global_norm(grads: &Matrices) -> Option<Tensor<1>> {
    let squares: Vec<Tensor<1>> = grads
        .values()
        .map(|grad| grad.clone().cast(DType::F32).square().sum())
        .collect();
    (!squares.is_empty()).then(|| Tensor::cat(squares, 0).sum().sqrt())
}

/// Scales all gradients by `min(1, max_norm / (norm + 1e-6))` and returns the norm before, as [`global_norm`] does.
///
/// The factor is computed and applied on the device: no host sync. A norm that is not finite makes the gradients so too,
/// which the caller's check of the loss or of the norm must catch. As `torch.nn.utils.clip_grad_norm_`.
pub fn clip_global_norm(grads: &mut Matrices, max_norm: f64) -> Option<Tensor<1>> {
    let norm = global_norm(grads)?;
    let factor = (norm.clone() + NORM_GUARD)
        .recip()
        .mul_scalar(max_norm)
        .clamp_max(1.0)
        .reshape([1, 1]);
    for grad in grads.values_mut() {
        *grad = grad.clone().cast(DType::F32) * factor.clone();
    }
    Some(norm)
}
