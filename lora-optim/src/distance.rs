//! Numbers of a whole rate group, kept on the device so that no step waits for it: `[1, 1]`, which multiplies any matrix.

use burn::tensor::{Device, Tensor};

/// `value` on the device.
pub(crate) fn number(value: f64, device: &Device) -> Tensor<2> {
    Tensor::full([1, 1], value as f32, device)
}

/// The sum of sums.
pub(crate) fn total(sums: Vec<Tensor<1>>) -> Tensor<2> {
    Tensor::cat(sums, 0).sum().reshape([1, 1])
}

/// `numerator / denominator`, or `otherwise` where the denominator is 0: no gradient has been anything but zero yet.
pub(crate) fn quotient(
    numerator: Tensor<2>,
    denominator: Tensor<2>,
    otherwise: Tensor<2>,
) -> Tensor<2> {
    let nothing = denominator.clone().equal_elem(0.0);
    (numerator / denominator).mask_where(nothing, otherwise)
}

/// The larger of the distance and its new estimate, but at most `growth` times the distance.
pub(crate) fn grown(distance: Tensor<2>, estimate: Tensor<2>, growth: Option<f64>) -> Tensor<2> {
    let estimate = match growth {
        Some(growth) => estimate.min_pair(distance.clone() * growth),
        None => estimate,
    };
    distance.max_pair(estimate)
}
