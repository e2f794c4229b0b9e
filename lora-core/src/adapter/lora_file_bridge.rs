//! Between injected adapters and [`LoraFile`].

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::{Device, Tensor, TensorData};

use super::{
    Injected, LowRank, SiteShape, Sites, SpecError, Strength,
    inject::{clear, visit_named},
};
use crate::ModuleName;
use crate::lora_file::{LoraFile, LoraModule};

/// The adapters of `networks` as a file's modules, with convolution factors in 4-D.
///
/// Metadata stays empty; strengths are left out. Reads the matrices back from the device.
pub fn to_lora_file(networks: &mut [&mut dyn Sites]) -> LoraFile {
    let mut modules = BTreeMap::new();
    for network in networks {
        visit_named(*network, |_, name, site| {
            let shape = site.shape();
            if let [adapter] = site.slot.as_slice() {
                let [rank, _] = adapter.down.dims();
                let module = LoraModule {
                    down: in_file(&adapter.down, shape.down_in_file(rank)),
                    up: in_file(&adapter.up, shape.up_in_file(rank)),
                    alpha: adapter.alpha,
                };
                modules.insert(name.to_owned(), module);
            }
        });
    }
    LoraFile {
        modules,
        metadata: BTreeMap::new(),
    }
}

fn in_file(matrix: &Tensor<2>, shape: Vec<usize>) -> TensorData {
    let values: Vec<f32> = matrix.clone().into_data().iter::<f32>().collect();
    TensorData::new(values, shape)
}

/// Puts the file's modules into the slots of `networks` in place of what was there; see [`add`].
///
/// # Errors
/// As [`add`].
pub fn attach(
    networks: &mut [&mut dyn Sites],
    file: &LoraFile,
    strength: impl Into<Strength>,
    device: &Device,
) -> Result<Injected, SpecError> {
    for network in networks.iter_mut() {
        clear(*network);
    }
    add(networks, file, strength, device)
}

/// Adds the file's modules to the slots of `networks`, at `strength` times each module's `alpha / rank`.
///
/// # Errors
/// [`SpecError::UnknownModules`] when the networks lack a module of the file, [`SpecError::NotAdapted`] when they have no
/// place for it, [`SpecError::Misfit`] when shapes differ; then all slots are empty.
pub fn add(
    networks: &mut [&mut dyn Sites],
    file: &LoraFile,
    strength: impl Into<Strength>,
    device: &Device,
) -> Result<Injected, SpecError> {
    let strength = strength.into();
    let mut injected = Injected::default();
    let mut unused: BTreeSet<&str> = file.modules.keys().map(String::as_str).collect();
    let mut misfit = None;
    for network in networks.iter_mut() {
        visit_named(*network, |target, name, site| {
            let Some(module) = file.modules.get(name) else {
                return;
            };
            unused.remove(name);
            match to_low_rank(name, module, site.shape(), strength.of(target), device) {
                Ok(adapter) => {
                    injected.modules += 1;
                    injected.parameters += module.down.num_elements() + module.up.num_elements();
                    site.slot.push(adapter);
                }
                Err(error) => misfit = misfit.take().or(Some(error)),
            }
        });
    }
    match misfit.or_else(|| unused_modules(unused)) {
        Some(error) => {
            for network in networks {
                clear(*network);
            }
            Err(error)
        }
        None => Ok(injected),
    }
}

/// The error that modules without a site are, if there are any.
fn unused_modules(names: BTreeSet<&str>) -> Option<SpecError> {
    let is_known =
        |name: &&str| ModuleName::from_kohya(name).is_some_and(|module| !module.is_adapted());
    let (known, unknown): (Vec<&str>, Vec<&str>) = names.into_iter().partition(is_known);
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    if !unknown.is_empty() {
        return Some(SpecError::UnknownModules {
            modules: owned(unknown),
        });
    }
    (!known.is_empty()).then(|| SpecError::NotAdapted {
        modules: owned(known),
    })
}

fn to_low_rank(
    name: &str,
    module: &LoraModule,
    shape: SiteShape,
    strength: f32,
    device: &Device,
) -> Result<LowRank, SpecError> {
    let rank = module.rank();
    if !module.fits(&shape.weight())
        || rank == 0
        || module.up.num_elements() != shape.outputs * rank
    {
        return Err(SpecError::Misfit {
            module: name.to_owned(),
            down: module.down.shape().to_vec(),
            up: module.up.shape().to_vec(),
            outputs: shape.outputs,
            receptive: shape.receptive(),
        });
    }
    let matrix = |data: &TensorData, shape: [usize; 2]| {
        let values: Vec<f32> = data.iter::<f32>().collect();
        Tensor::from_data(TensorData::new(values, shape), device)
    };
    Ok(LowRank {
        down: matrix(&module.down, [rank, shape.receptive()]),
        up: matrix(&module.up, [shape.outputs, rank]),
        alpha: module.alpha,
        strength,
    })
}
