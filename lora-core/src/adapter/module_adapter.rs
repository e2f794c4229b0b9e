use burn::tensor::{DType, Tensor};

use super::{Change, ConvGeometry, Dropout, LowRank, Magnitude};

/// What stands in a frozen layer's slot: a change of its weight, scaled, and what surrounds it.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// The change.
    pub change: Change,
    /// Numerator of the scale.
    pub alpha: f32,
    /// What the correction is multiplied by: 1 while training.
    pub strength: f32,
    /// Lengths of the adapted weight's rows, for DoRA.
    pub magnitude: Option<Magnitude>,
    /// What the pass under way leaves out; set while training only.
    pub dropout: Option<Dropout>,
}

impl Adapter {
    /// An adapter at full strength without anything around its change.
    pub fn new(change: Change, alpha: f32) -> Self {
        Self {
            change,
            alpha,
            strength: 1.0,
            magnitude: None,
            dropout: None,
        }
    }

    /// `alpha / rank`, by which the change is multiplied; 1 where it has no rank.
    pub fn scale(&self) -> f32 {
        match self.change.rank() {
            Some(rank) => self.alpha / rank as f32,
            None => 1.0,
        }
    }

    /// The pair and its scale, where the adapter is nothing else and leaves nothing out.
    pub(crate) fn as_plain_pair(&self) -> Option<(&LowRank, f32)> {
        match &self.change {
            Change::LowRank(pair) if self.magnitude.is_none() && self.dropout.is_none() => {
                Some((pair, self.inner_scale()))
            }
            _ => None,
        }
    }

    /// The correction of a linear layer with `weight [out, in]`: `[.., in]` to `[.., out]`. `plain` is what the layer gives
    /// without its bias. `None` where the module is dropped.
    pub(crate) fn linear<const D: usize>(
        &self,
        x: Tensor<D>,
        weight: &Tensor<2>,
        plain: impl FnOnce() -> Tensor<D>,
    ) -> Option<Tensor<D>> {
        self.is_kept().then(|| {
            let changed = self
                .change
                .linear(x, self.inner_scale(), self.hidden_dropout());
            self.corrected(changed, D - 1, || weight.clone(), plain)
        })
    }

    /// The correction of a convolution with `weight [out, in, kernel_height, kernel_width]`; as [`Self::linear`].
    pub(crate) fn conv2d(
        &self,
        x: Tensor<4>,
        weight: &Tensor<4>,
        geometry: &ConvGeometry,
        plain: impl FnOnce() -> Tensor<4>,
    ) -> Option<Tensor<4>> {
        self.is_kept().then(|| {
            let scale = self.inner_scale();
            let changed = self
                .change
                .conv2d(x, geometry, scale, self.hidden_dropout());
            self.corrected(changed, 1, || weight.clone().flatten(1, 3), plain)
        })
    }

    /// What merging adds to the frozen `weight`, `[out, in · kernel_height · kernel_width]`, f32. With a magnitude that is
    /// `strength · (W' − W)`, as A1111 and ComfyUI apply it.
    pub fn delta(&self, weight: Tensor<2>) -> Tensor<2> {
        let delta = self.change.delta(self.inner_scale());
        let Some(magnitude) = &self.magnitude else {
            return delta;
        };
        let factor = magnitude.factor(weight.clone(), &self.change, self.scale(), None);
        let weight = weight.cast(DType::F32);
        let adapted = (weight.clone() + delta) * factor.unsqueeze_dim::<2>(1);
        (adapted - weight) * self.strength
    }

    /// Offers every trained matrix with the name that files give it behind the module's.
    pub fn each_part(&mut self, visit: &mut dyn FnMut(&'static str, &mut Tensor<2>)) {
        self.change.each_part(visit);
        if let Some(magnitude) = &mut self.magnitude {
            visit("dora_scale", &mut magnitude.scale);
        }
    }

    /// Scales the change down to the norm `most`, where it is larger, each of its matrices alike: kohya's
    /// `apply_max_norm_regularization`. Where `down` is frozen, the other factor takes all of it.
    pub fn limit_norm(&mut self, most: f32, down_is_frozen: bool) {
        let norm = self.change.squared_norm().sqrt() * self.scale().abs();
        let ratio: Tensor<2> = (norm.clamp_min(most).recip() * most).unsqueeze();
        let mut parts = 0;
        let moves = |part: &str| !(down_is_frozen && part == "lora_down.weight");
        self.change
            .each_part(&mut |part, _| parts += i32::from(moves(part)));
        let share = ratio.powf_scalar(f64::from(parts.max(1)).recip());
        self.change.each_part(&mut |part, matrix| {
            if moves(part) {
                *matrix = matrix.clone() * share.clone();
            }
        });
    }

    fn corrected<const D: usize>(
        &self,
        changed: Tensor<D>,
        output_axis: usize,
        weight: impl FnOnce() -> Tensor<2>,
        plain: impl FnOnce() -> Tensor<D>,
    ) -> Tensor<D> {
        let outputs = changed.dims()[output_axis];
        let along = |values: Tensor<1>| {
            let mut shape = [1; D];
            shape[output_axis] = outputs;
            values.cast(changed.dtype()).reshape(shape)
        };
        let dropout = self.dropout.filter(|_| !self.drops_hidden());
        let keep = dropout.and_then(|drop| drop.of_outputs(outputs, &changed.device()));
        let changed = match &keep {
            Some(keep) => changed.clone() * along(keep.clone()),
            None => changed.clone(),
        };
        let Some(magnitude) = &self.magnitude else {
            return changed;
        };
        let factor = magnitude.factor(weight(), &self.change, self.scale(), keep.as_ref());
        // Close to 1: less 1 in f32, or half precision would have few digits of it.
        let more = along(factor.clone() - 1.0);
        (plain() * more + changed * along(factor)) * self.strength
    }

    fn is_kept(&self) -> bool {
        !self.dropout.is_some_and(|dropout| dropout.skips_module())
    }

    /// With a magnitude the strength comes last.
    fn inner_scale(&self) -> f32 {
        match self.magnitude {
            Some(_) => self.scale(),
            None => self.strength * self.scale(),
        }
    }

    /// A plain pair drops what lies between its factors, as kohya's modules do; all others drop outputs, as LyCORIS' do.
    fn drops_hidden(&self) -> bool {
        let is_pair = matches!(self.change, Change::LowRank(_) | Change::SinceStart { .. });
        is_pair && self.magnitude.is_none()
    }

    fn hidden_dropout(&self) -> Option<&Dropout> {
        self.dropout.as_ref().filter(|_| self.drops_hidden())
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    /// Rows a little longer than the frozen ones, by less than bf16 tells apart from 1.
    #[test]
    fn small_changes_of_lengths_are_seen_in_half_precision() {
        let device = Device::flex();
        let weight = Tensor::<2>::from_floats([[3.0, 4.0], [0.0, 2.0]], &device);
        let lengths = Tensor::<2>::from_floats([[5.0 * 1.001], [2.0 * 0.999]], &device);
        let nothing = LowRank {
            down: Tensor::zeros([1, 2], &device),
            up: Tensor::zeros([2, 1], &device),
        };
        let adapter = Adapter {
            magnitude: Some(Magnitude::of(&weight).with_scale(lengths)),
            ..Adapter::new(Change::LowRank(nothing), 1.0)
        };
        for dtype in [DType::F32, DType::BF16, DType::F16] {
            let x = Tensor::<2>::from_floats([[1.0, 1.0]], &device).cast(dtype);
            let weight = weight.clone().cast(dtype);
            let plain = x.clone().matmul(weight.clone().transpose());
            let correction = adapter.linear(x, &weight, || plain).expect("kept");
            let found: Vec<f32> = correction.into_data().iter().collect();
            for (found, expected) in found.into_iter().zip([7.0 * 0.001, 2.0 * -0.001]) {
                // A few roundings to eight binary digits.
                let off = (found - expected).abs() / f32::abs(expected);
                assert!(off < 1e-2, "{dtype:?}: {found} instead of {expected}");
            }
        }
    }
}
