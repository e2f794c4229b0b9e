use burn::tensor::{DType, Tensor};

use super::Change;

/// Added to norms, as in LyCORIS.
const EPSILON: f32 = f32::EPSILON;

/// The trained length of each row of an adapted weight (DoRA, Liu et al. 2024; LyCORIS' `dora_scale` on the output axis):
/// `W' = magnitude · (W + ΔW) / ‖W + ΔW‖`, with the norm over each output's weights.
#[derive(Clone, Debug)]
pub struct Magnitude {
    /// `[out, 1]`, f32.
    pub scale: Tensor<2>,
    /// Squared norm of each row of the frozen weight, `[out]`, f32.
    frozen_squares: Tensor<1>,
}

impl Magnitude {
    /// The lengths that the rows of `weight`, `[out, in · kernel_height · kernel_width]`, have.
    pub fn of(weight: &Tensor<2>) -> Self {
        let frozen_squares = row_squares(weight.clone().cast(DType::F32));
        let [outputs] = frozen_squares.dims();
        Self {
            scale: frozen_squares.clone().sqrt().reshape([outputs, 1]),
            frozen_squares,
        }
    }

    /// The same rows with other lengths, `[out, 1]`.
    pub fn with_scale(self, scale: Tensor<2>) -> Self {
        Self { scale, ..self }
    }

    /// By what each output of `W + keep · scale · change` is multiplied, `[out]`. `keep` is 0 for outputs whose change is
    /// dropped.
    ///
    /// Gradients flow through the norm, as in LyCORIS; PEFT takes it for a constant.
    pub(super) fn factor(
        &self,
        weight: Tensor<2>,
        change: &Change,
        scale: f32,
        keep: Option<&Tensor<1>>,
    ) -> Tensor<1> {
        let kept = |gain: Tensor<1>| match keep {
            Some(keep) => gain * keep.clone(),
            None => gain,
        };
        let squares = if let Some(pair) = change.as_low_rank() {
            let [across, own] = pair.row_squares_gain(weight, scale);
            (self.frozen_squares.clone() + kept(across + own)).clamp_min(0.0)
        } else {
            let delta = change.delta(scale);
            let delta = match keep {
                Some(keep) => delta * keep.clone().unsqueeze_dim::<2>(1),
                None => delta,
            };
            row_squares(weight.cast(DType::F32) + delta)
        };
        let [outputs] = squares.dims();
        self.scale.clone().reshape([outputs]) / (squares.sqrt() + EPSILON)
    }
}

fn row_squares(weight: Tensor<2>) -> Tensor<1> {
    let [outputs, _] = weight.dims();
    weight.square().sum_dim(1).reshape([outputs])
}
