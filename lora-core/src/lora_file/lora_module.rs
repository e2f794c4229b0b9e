//! One adapted module of a LoRA file.

use burn::tensor::TensorData;

use super::LoraProblem;
use crate::linear_algebra::Matrix;

/// The factors of one adapted layer: its weight changes by `alpha / rank · up · down`.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraModule {
    /// f32, `[rank, in]` for a linear layer, `[rank, in, kernel height, kernel width]` for a convolution.
    pub down: TensorData,
    /// f32, `[out, rank]` for a linear layer, `[out, rank, 1, 1]` for a convolution.
    pub up: TensorData,
    /// Numerator of the scale; equal to the rank where a file does not say.
    pub alpha: f32,
}

impl LoraModule {
    /// The keys of the down factor, the up factor and alpha of the module `name` in kohya's layout.
    pub fn keys(name: &str) -> [String; 3] {
        ["lora_down.weight", "lora_up.weight", "alpha"].map(|part| format!("{name}.{part}"))
    }

    /// The inner dimension of the two factors.
    pub fn rank(&self) -> usize {
        self.down.shape().first().copied().unwrap_or(0)
    }

    /// `alpha / rank`, by which the product of the factors is multiplied.
    pub fn scale(&self) -> f32 {
        self.alpha / self.rank() as f32
    }

    /// Number of values in the two factors.
    pub fn parameters(&self) -> usize {
        self.down.num_elements() + self.up.num_elements()
    }

    /// Whether all values are numbers.
    pub fn is_finite(&self) -> bool {
        let finite = |data: &TensorData| data.iter::<f32>().all(f32::is_finite);
        finite(&self.down) && finite(&self.up) && self.alpha.is_finite()
    }

    /// Whether the module changes nothing, because alpha or all of a factor is zero: it was not trained.
    pub fn is_zero(&self) -> bool {
        let zero = |data: &TensorData| data.iter::<f32>().all(|value| value == 0.0);
        self.alpha == 0.0 || zero(&self.up) || zero(&self.down)
    }

    /// Outputs, inputs and kernel of the layer that the module changes, as [`without_ones`] gives them.
    pub(crate) fn layer_shape(&self) -> Vec<usize> {
        let [down, up] = [&self.down, &self.up].map(|factor| factor.shape().as_slice());
        let outputs = up.first();
        let shape: Vec<usize> = outputs
            .into_iter()
            .chain(down.iter().skip(1))
            .copied()
            .collect();
        without_ones(&shape).to_vec()
    }

    /// Whether the factors are for a weight of this shape, `[out, in]` or `[out, in, kernel height, kernel width]`.
    pub(crate) fn fits(&self, weight: &[usize]) -> bool {
        self.layer_shape() == without_ones(weight)
    }

    /// `up`, `[out, rank]`, and `downᵀ`, `[in · kernel height · kernel width, rank]`: the correction is the scale times the
    /// first, times the transpose of the second.
    pub(crate) fn factors(&self) -> [Matrix; 2] {
        let rank = self.rank().max(1);
        let [up, down] = [&self.up, &self.down].map(|data| data.iter().collect::<Vec<f32>>());
        [
            Matrix::from_rows(up.len() / rank, rank, &up),
            Matrix::from_columns(down.len() / rank, rank, &down),
        ]
    }

    /// A module of the same layer with these factors, given as [`Self::factors`] gives them, and this scale.
    pub(crate) fn with_factors(&self, up: &Matrix, down: &Matrix, scale: f32) -> Self {
        let rank = up.columns();
        let (mut up_shape, mut down_shape) = (self.up.shape().to_vec(), self.down.shape().to_vec());
        (up_shape[1], down_shape[0]) = (rank, rank);
        Self {
            up: TensorData::new(up.to_rows(), up_shape),
            down: TensorData::new(down.to_columns(), down_shape),
            alpha: scale * rank as f32,
        }
    }

    /// What forbids to use this module, called `name`.
    pub(super) fn problems(&self, name: &str) -> Vec<LoraProblem> {
        let mut problems = Vec::new();
        let (down, up) = (self.down.shape().as_slice(), self.up.shape().as_slice());
        if !fit_together(down, up) {
            problems.push(LoraProblem::Shapes {
                module: name.to_owned(),
                down: down.to_vec(),
                up: up.to_vec(),
            });
        }
        if !self.alpha.is_finite() {
            problems.push(LoraProblem::Alpha {
                key: format!("{name}.alpha"),
                found: self.alpha.to_string(),
            });
        }
        problems
    }
}

/// A weight's shape without the kernel of a 1×1 convolution: a linear layer has the same numbers, and either may be stored
/// as the other.
pub(crate) fn without_ones(shape: &[usize]) -> &[usize] {
    match shape {
        [shape @ .., 1] if shape.len() >= 2 => without_ones(shape),
        _ => shape,
    }
}

fn fit_together(down: &[usize], up: &[usize]) -> bool {
    let same_rank = match (down, up) {
        ([rank, _], [_, inner]) | ([rank, _, _, _], [_, inner, 1, 1]) => rank == inner,
        _ => false,
    };
    same_rank && !down.contains(&0) && !up.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_fit_when_their_inner_dimensions_agree() {
        assert!(fit_together(&[4, 32], &[64, 4]));
        assert!(fit_together(&[4, 32, 3, 3], &[64, 4, 1, 1]));
        for (down, up) in [
            (vec![4, 32], vec![64, 8]),
            (vec![4, 32], vec![64, 4, 1, 1]),
            (vec![4, 32, 3, 3], vec![64, 4, 3, 3]),
            (vec![0, 32], vec![64, 0]),
            (vec![4], vec![4]),
            (vec![], vec![]),
        ] {
            assert!(!fit_together(&down, &up), "{down:?} {up:?}");
        }
    }
}
