//! Filling, reading, replacing and merging adapters: written once over [`Sites`].

use burn::tensor::{DType, Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::{LoraSpec, LowRank, Site, SiteWeight, Sites, SpecError, Target};
use crate::Matrices;

/// What an injection made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Injected {
    /// Adapted layers.
    pub modules: usize,
    /// Numbers to train.
    pub parameters: usize,
}

/// The keys of a module's two matrices, as kohya's files name them.
pub(super) fn matrix_keys(module: &str) -> [String; 2] {
    [
        format!("{module}.lora_down.weight"),
        format!("{module}.lora_up.weight"),
    ]
}

/// Visits the sites of `network` with their kohya module names.
pub(super) fn visit_named(network: &mut dyn Sites, mut visit: impl FnMut(Target, &str, Site<'_>)) {
    let naming = network.naming();
    network.sites(&mut |target, site| {
        let name = naming.kohya_name(site.path);
        visit(target, &name, site);
    });
}

/// Puts a fresh adapter into every site that `spec` targets: down kaiming-uniform (a = √5, so U(±1/√fan_in)), up zero.
///
/// The draw depends on `seed` and the module's name alone, not on which other modules are trained.
///
/// # Errors
/// See [`LoraSpec::check`].
pub fn inject(
    network: &mut dyn Sites,
    spec: &LoraSpec,
    seed: u64,
    device: &Device,
) -> Result<Injected, SpecError> {
    spec.check()?;
    let mut injected = Injected::default();
    visit_named(network, |target, name, site| {
        if !spec.targets.contains(&target) {
            return;
        }
        let shape = site.shape();
        let (rank, alpha) = spec.rank_and_alpha(shape);
        let down = kaiming_uniform(rank, shape.receptive(), name, seed);
        *site.slot = vec![LowRank {
            down: Tensor::from_data(down, device),
            up: Tensor::zeros([shape.outputs, rank], device),
            alpha,
            strength: 1.0,
        }];
        injected.modules += 1;
        injected.parameters += rank * (shape.receptive() + shape.outputs);
    });
    Ok(injected)
}

fn kaiming_uniform(rank: usize, receptive: usize, name: &str, seed: u64) -> TensorData {
    let digest = Sha256::new()
        .chain_update(seed.to_le_bytes())
        .chain_update(name)
        .finalize();
    let mut random = ChaCha8Rng::from_seed(digest.into());
    let bound = (receptive as f32).sqrt().recip();
    let values: Vec<f32> = (0..rank * receptive)
        .map(|_| random.random_range(-bound..bound))
        .collect();
    TensorData::new(values, [rank, receptive])
}

/// Empties every slot.
pub fn clear(network: &mut dyn Sites) {
    network.sites(&mut |_, site| site.slot.clear());
}

/// All injected matrices by key; the tensors share their memory with the network's.
///
/// Slots with more than one adapter, which training never makes, are passed over.
pub fn factors(network: &mut dyn Sites) -> Matrices {
    let mut matrices = Matrices::new();
    visit_named(network, |_, name, site| {
        if let [adapter] = site.slot.as_mut_slice() {
            let [down, up] = matrix_keys(name);
            matrices.insert(down, adapter.down.clone());
            matrices.insert(up, adapter.up.clone());
        }
    });
    matrices
}

/// Replaces injected matrices; matrices that `values` does not name stay.
///
/// Training passes tensors that track gradients, sampling passes plain ones.
pub fn set_factors(network: &mut dyn Sites, values: &Matrices) {
    visit_named(network, |_, name, site| {
        if let [adapter] = site.slot.as_mut_slice() {
            let [down, up] = matrix_keys(name);
            if let Some(value) = values.get(&down) {
                adapter.down = value.clone();
            }
            if let Some(value) = values.get(&up) {
                adapter.up = value.clone();
            }
        }
    });
}

/// Adds every adapter's `scale · up·down` to its frozen weight and empties the slots.
pub fn merge(network: &mut dyn Sites) {
    network.sites(&mut |_, mut site| {
        for adapter in site.slot.drain(..) {
            let delta = adapter.delta();
            match &mut site.weight {
                SiteWeight::Linear(weight) => {
                    let dtype = weight.dtype();
                    **weight = (weight.clone().cast(DType::F32) + delta).cast(dtype);
                }
                SiteWeight::Conv2d(weight) => {
                    let (shape, dtype) = (weight.dims(), weight.dtype());
                    **weight = (weight.clone().cast(DType::F32) + delta.reshape(shape)).cast(dtype);
                }
            }
        }
    });
}
