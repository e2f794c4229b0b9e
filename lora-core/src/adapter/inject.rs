//! Filling, reading, replacing and merging adapters: written once over [`Sites`].

use std::collections::BTreeMap;

use burn::tensor::{DType, Device, Tensor};

use super::{
    Adapter, Dropout, DropoutRates, LayerPattern, LoraSpec, Site, SiteWeight, Sites, SpecError,
    Target, fresh::fresh,
};
use crate::{FrozenWeight, Matrices};

/// What an injection made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Injected {
    /// Adapted layers.
    pub modules: usize,
    /// Numbers in their matrices.
    pub parameters: usize,
}

impl Injected {
    /// Counts one adapter.
    pub(super) fn count(&mut self, adapter: &mut Adapter) {
        self.modules += 1;
        adapter.each_part(&mut |_, matrix| {
            let [rows, columns] = matrix.dims();
            self.parameters += rows * columns;
        });
    }
}

/// Visits the sites of `network` with their kohya module names.
pub(super) fn visit_named(network: &mut dyn Sites, mut visit: impl FnMut(Target, &str, Site<'_>)) {
    let naming = network.naming();
    network.sites(&mut |target, site| {
        let name = naming.kohya_name(site.path);
        visit(target, &name, site);
    });
}

/// Visits the matrices of every slot with one adapter, which is all that training makes, by the key that files give them.
fn visit_parts(network: &mut dyn Sites, mut visit: impl FnMut(String, &mut Tensor<2>)) {
    visit_named(network, |_, name, site| {
        if let [adapter] = site.slot.as_mut_slice() {
            adapter.each_part(&mut |part, matrix| visit(format!("{name}.{part}"), matrix));
        }
    });
}

/// Puts a fresh adapter, which changes nothing yet, into every site that `spec` targets.
///
/// The draws depend on `seed` and the module's name alone, not on which other modules are trained.
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
    let naming = network.naming();
    let mut injected = Injected::default();
    visit_named(network, |target, name, site| {
        let layer = spec.layer(&naming, site.path, site.shape());
        if !spec.targets.contains(&target) || layer.lr == 0.0 {
            return;
        }
        let mut adapter = fresh(&site, name, spec, layer, seed, device);
        injected.count(&mut adapter);
        *site.slot = vec![adapter];
    });
    Ok(injected)
}

/// By what the learning rates of `spec`'s modules are multiplied where that is not 1, by kohya name.
pub fn rate_factors(network: &mut dyn Sites, spec: &LoraSpec) -> BTreeMap<String, f64> {
    let naming = network.naming();
    let mut factors = BTreeMap::new();
    visit_named(network, |_, name, site| {
        let lr = spec.layer(&naming, site.path, site.shape()).lr;
        if lr.to_bits() != 1f64.to_bits() {
            factors.insert(name.to_owned(), lr);
        }
    });
    factors
}

/// The patterns of `spec` that mean no layer of the networks that it adapts.
pub fn unmatched_patterns(networks: &mut [&mut dyn Sites], spec: &LoraSpec) -> Vec<String> {
    let patterns = spec.blocks.iter().flat_map(|rule| &rule.layers);
    let mut left: Vec<&LayerPattern> = patterns.collect();
    for network in networks {
        let naming = network.naming();
        network.sites(&mut |target, site| {
            if spec.targets.contains(&target) {
                left.retain(|pattern| !pattern.matches(&naming, site.path));
            }
        });
    }
    left.into_iter().map(|pattern| pattern.0.clone()).collect()
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
    visit_parts(network, |key, matrix| {
        matrices.insert(key, matrix.clone());
    });
    matrices
}

/// Replaces injected matrices; matrices that `values` does not name stay.
///
/// Training passes tensors that track gradients, sampling passes plain ones.
pub fn set_factors(network: &mut dyn Sites, values: &Matrices) {
    visit_parts(network, |key, matrix| {
        if let Some(value) = values.get(&key) {
            *matrix = value.clone();
        }
    });
}

/// Says what the adapters leave out from now on: the draws of the `pass`-th forward pass of a run, or nothing.
pub fn set_dropout(network: &mut dyn Sites, rates: DropoutRates, pass: Option<[u64; 2]>) {
    visit_named(network, |_, name, site| {
        for adapter in site.slot.iter_mut() {
            adapter.dropout = pass.map(|[seed, pass]| Dropout::new(rates, seed, pass, name));
        }
    });
}

/// Scales every change whose norm is above `most` down to it; see [`Adapter::limit_norm`].
pub fn limit_norms(network: &mut dyn Sites, most: f32, down_is_frozen: bool) {
    network.sites(&mut |_, site| {
        for adapter in site.slot.iter_mut() {
            adapter.limit_norm(most, down_is_frozen);
        }
    });
}

/// Adds every adapter's change to its frozen weight and empties the slots.
///
/// Of several adapters with magnitudes each is taken at the frozen weight, as they are while drawing. A weight in eight bits is held
/// whole from then on, for a change can be smaller than a step of its codes.
pub fn merge(network: &mut dyn Sites) {
    network.sites(&mut |_, mut site| {
        let frozen = site.weight.matrix();
        let deltas = site
            .slot
            .drain(..)
            .map(|adapter| adapter.delta(frozen.clone()));
        let Some(delta) = deltas.reduce(|sum, delta| sum + delta) else {
            return;
        };
        let dtype = frozen.dtype();
        let merged = (frozen.cast(DType::F32) + delta).cast(dtype);
        match &mut site.weight {
            SiteWeight::Linear(weight) => **weight = FrozenWeight::Plain(merged),
            SiteWeight::Conv2d(weight) => {
                **weight = FrozenWeight::Plain(merged.reshape(weight.dims()));
            }
        }
    });
}
