//! Between injected adapters and [`LoraFile`].

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::{
    Adapter, Change, Hadamard, Injected, Kronecker, KroneckerFactor, LowRank, Magnitude, SiteShape,
    Sites, SpecError, Strength,
    inject::{clear, visit_named},
    planned_parts::part_in_file,
};
use crate::ModuleName;
use crate::lora_file::{LoraFile, LoraModule, LycorisModule, ModuleInFile};

/// The adapters of `networks` as a file's modules, with convolution factors in 4-D.
///
/// Metadata stays empty; strengths are left out. Reads the matrices back from the device.
pub fn to_lora_file(networks: &mut [&mut dyn Sites]) -> LoraFile {
    let mut file = LoraFile::default();
    for network in networks {
        visit_named(*network, |_, name, site| {
            let shape = site.shape();
            let [adapter] = site.slot.as_mut_slice() else {
                return;
            };
            match pair(adapter, shape) {
                Some(pair) => {
                    file.modules.insert(name.to_owned(), pair);
                }
                None => {
                    file.lycoris.insert(name.to_owned(), parts(adapter, shape));
                }
            }
        });
    }
    file
}

/// A plain LoRA; one that did not start from nothing has what it started from in it, at twice the rank.
fn pair(adapter: &Adapter, shape: SiteShape) -> Option<LoraModule> {
    let is_pair = matches!(
        adapter.change,
        Change::LowRank(_) | Change::SinceStart { .. }
    );
    let pair = adapter.change.as_low_rank().filter(|_| is_pair)?;
    if adapter.magnitude.is_some() {
        return None;
    }
    let rank = pair.rank();
    Some(LoraModule {
        down: in_file(&pair.down, shape.down_in_file(rank)),
        up: in_file(&pair.up, shape.up_in_file(rank)),
        alpha: adapter.scale() * rank as f32,
    })
}

/// Any other adapter, in the shapes that LyCORIS writes.
fn parts(adapter: &mut Adapter, shape: SiteShape) -> LycorisModule {
    let alpha = adapter.alpha;
    let mut parts = BTreeMap::new();
    adapter.each_part(&mut |part, matrix| {
        let in_file_shape = part_in_file(part, matrix.dims(), shape);
        parts.insert(part, in_file(matrix, in_file_shape));
    });
    LycorisModule { parts, alpha }
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

/// Adds the file's modules to the slots of `networks`, at `strength` times what the file says.
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
    let mut unused: BTreeSet<&str> = file.names().collect();
    let mut misfit = None;
    for network in networks.iter_mut() {
        visit_named(*network, |target, name, site| {
            let Some(module) = ModuleInFile::of(file, name) else {
                return;
            };
            unused.remove(name);
            let frozen = || site.weight.matrix();
            match to_adapter(name, module, site.shape(), frozen, device) {
                Ok(adapter) => {
                    injected.modules += 1;
                    injected.parameters += module.parameters();
                    site.slot.push(Adapter {
                        strength: strength.of(target),
                        ..adapter
                    });
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

/// The adapter that a file's module is on a layer of this shape, at full strength. `frozen` gives the layer's weight as a
/// matrix, and is asked only where the adapter depends on it.
///
/// # Errors
/// [`SpecError::Misfit`] when the tensors are not for such a layer.
pub(crate) fn to_adapter(
    name: &str,
    module: ModuleInFile<'_>,
    shape: SiteShape,
    frozen: impl FnOnce() -> Tensor<2>,
    device: &Device,
) -> Result<Adapter, SpecError> {
    let adapter = match module {
        ModuleInFile::Pair(pair) => of_pair(pair, shape, device),
        ModuleInFile::Lycoris(module) => of_parts(module, shape, frozen, device),
    };
    adapter.ok_or_else(|| SpecError::Misfit {
        module: name.to_owned(),
        parts: module.shapes(),
        outputs: shape.outputs,
        receptive: shape.receptive(),
    })
}

fn of_pair(module: &LoraModule, shape: SiteShape, device: &Device) -> Option<Adapter> {
    let rank = module.rank();
    let fits = module.fits(&shape.weight())
        && rank > 0
        && module.up.num_elements() == shape.outputs * rank;
    fits.then(|| {
        let pair = LowRank {
            down: matrix(&module.down, [rank, shape.receptive()], device),
            up: matrix(&module.up, [shape.outputs, rank], device),
        };
        Adapter::new(Change::LowRank(pair), module.alpha)
    })
}

fn of_parts(
    module: &LycorisModule,
    shape: SiteShape,
    frozen: impl FnOnce() -> Tensor<2>,
    device: &Device,
) -> Option<Adapter> {
    let (outputs, receptive) = (shape.outputs, shape.receptive());
    // As many rows as the tensor's first axis says, and the rest of it in columns.
    let part = |name: &str| {
        let data = module.parts.get(name)?;
        let rows = *data.shape().first()?;
        (rows > 0).then(|| matrix(data, [rows, data.num_elements() / rows], device))
    };
    let factor = |whole: &str| {
        let first = part(&format!("{whole}_a")).zip(part(&format!("{whole}_b")));
        let pair = first.map(|(a, b)| KroneckerFactor::Pair { a, b });
        pair.or_else(|| part(whole).map(KroneckerFactor::Whole))
    };
    let change = if let Some((down, up)) = part("lora_down.weight").zip(part("lora_up.weight")) {
        let fits = down.dims() == [up.dims()[1], receptive] && up.dims()[0] == outputs;
        fits.then_some(Change::LowRank(LowRank { down, up }))?
    } else if let Some((w1, w2)) = factor("lokr_w1").zip(factor("lokr_w2")) {
        let ([a, b], [c, columns]) = (w1.dims(), w2.dims());
        (a * c == outputs && b * columns == receptive)
            .then_some(Change::Kronecker(Kronecker { w1, w2 }))?
    } else {
        let product = Hadamard {
            w1_a: part("hada_w1_a")?,
            w1_b: part("hada_w1_b")?,
            w2_a: part("hada_w2_a")?,
            w2_b: part("hada_w2_b")?,
        };
        let rank = product.rank();
        let fits = product.w1_a.dims() == [outputs, rank]
            && product.w2_a.dims() == [outputs, rank]
            && product.w1_b.dims() == [rank, receptive]
            && product.w2_b.dims() == [rank, receptive];
        fits.then_some(Change::Hadamard(product))?
    };
    let adapter = Adapter::new(change, module.alpha);
    let Some(lengths) = module.parts.get("dora_scale") else {
        return Some(adapter);
    };
    let of_outputs = lengths.shape().first() == Some(&outputs);
    if of_outputs && lengths.num_elements() == outputs {
        let lengths = matrix(lengths, [outputs, 1], device);
        let magnitude = Magnitude::of(&frozen()).with_scale(lengths);
        return Some(Adapter {
            magnitude: Some(magnitude),
            ..adapter
        });
    }
    (lengths.num_elements() == shape.inputs).then(|| {
        let lengths = matrix(lengths, [1, shape.inputs], device);
        let whole = on_input_axis(frozen(), &adapter, lengths);
        Adapter::new(Change::Whole(whole), 1.0)
    })
}

/// The difference that a DoRA makes whose lengths are those of the inputs' weights, as older versions of LyCORIS train.
fn on_input_axis(frozen: Tensor<2>, adapter: &Adapter, lengths: Tensor<2>) -> Tensor<2> {
    let frozen = frozen.cast(DType::F32);
    let [outputs, receptive] = frozen.dims();
    let [_, inputs] = lengths.dims();
    let area = receptive / inputs;
    let changed: Tensor<3> =
        (frozen.clone() + adapter.change.delta(adapter.scale())).reshape([outputs, inputs, area]);
    let squares = changed.clone().square().sum_dim(0).sum_dim(2);
    let norms = squares.sqrt() + f32::EPSILON;
    let lengths: Tensor<3> = lengths.reshape([1, inputs, 1]);
    (changed * (lengths / norms)).reshape([outputs, receptive]) - frozen
}

fn matrix(data: &TensorData, shape: [usize; 2], device: &Device) -> Tensor<2> {
    let values: Vec<f32> = data.iter::<f32>().collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}
