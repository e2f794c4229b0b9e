use burn::tensor::{Tensor, module};

use crate::{
    adapter::{Site, SiteWeight, Slot},
    frozen_weight::FrozenWeight,
    fused,
    weights::Weights,
};

/// A frozen affine map `y = x·Wᵀ + b` with a slot for adapters.
#[derive(Clone, Debug)]
pub struct Linear {
    path: String,
    /// `[out, in]`, as PyTorch stores it.
    weight: FrozenWeight<2>,
    bias: Option<Tensor<1>>,
    adapters: Slot,
}

impl Linear {
    /// Takes `weight [out, in]` and `bias [out]` from `weights`.
    pub fn new(weights: &Weights<'_>, inputs: usize, outputs: usize) -> Self {
        let bias = weights.tensor("bias", [outputs]);
        Self {
            bias: Some(bias),
            ..Self::without_bias(weights, inputs, outputs)
        }
    }

    /// Takes `weight [out, in]` from `weights`; there is no bias.
    pub fn without_bias(weights: &Weights<'_>, inputs: usize, outputs: usize) -> Self {
        Self {
            path: weights.path().to_owned(),
            weight: weights.frozen("weight", [outputs, inputs]),
            bias: None,
            adapters: Slot::new(),
        }
    }

    /// `[.., in]` to `[.., out]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let weight = self.weight.tensor();
        if let Some(out) = self.forward_at_once(&x, &weight) {
            return out;
        }
        let base = module::linear(x.clone(), weight.clone().transpose(), self.bias.clone());
        self.adapters.iter().fold(base.clone(), |sum, adapter| {
            let plain = || match &self.bias {
                Some(bias) => base.clone() - bias.clone().unsqueeze(),
                None => base.clone(),
            };
            match adapter.linear(x.clone(), &weight, plain) {
                Some(correction) => sum + correction,
                None => sum,
            }
        })
    }

    /// The layer and its one plain pair of factors together, where there is a kernel for that. At strength 0 nothing may change,
    /// not even the order of a sum.
    fn forward_at_once<const D: usize>(
        &self,
        x: &Tensor<D>,
        weight: &Tensor<2>,
    ) -> Option<Tensor<D>> {
        let [adapter] = self.adapters.as_slice() else {
            return None;
        };
        let (pair, scale) = adapter.as_plain_pair().filter(|(_, scale)| *scale != 0.0)?;
        let factors = [&pair.down, &pair.up];
        fused::low_rank_linear(x, weight, self.bias.as_ref(), factors, scale)
    }

    /// The adapter slot, for [`crate::adapter::Sites`].
    pub fn site(&mut self) -> Site<'_> {
        Site {
            path: &self.path,
            weight: SiteWeight::Linear(&mut self.weight),
            slot: &mut self.adapters,
        }
    }
}
