//! How much a LoRA changes, and where.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::ModuleName;
use crate::adapter::{SiteShape, to_adapter};
use crate::linear_algebra::frobenius_of_product;
use crate::lora_file::{LoraFile, LoraModule, LycorisModule, ModuleInFile};

/// Frobenius norms of a file's corrections, `‖alpha / rank · up · down‖`; of LoHa and LoKr likewise, and of DoRA without its
/// lengths.
#[derive(Debug, Clone, PartialEq)]
pub struct Norms {
    /// Of every module, by name.
    pub modules: Vec<ModuleNorm>,
    /// Of the blocks, in the order of their names: the root of the sum of the squares of their modules.
    pub blocks: Vec<BlockNorm>,
}

/// How much one layer is changed.
#[derive(Debug, Clone, PartialEq)]
pub struct ModuleNorm {
    /// The module's name in kohya's spelling.
    pub module: String,
    /// The norm of its correction; not a number where a factor holds none.
    pub norm: f64,
}

/// How much one block of a network is changed.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockNorm {
    /// The block's path, such as `unet.down_blocks.1` or `text_encoder.layers.3`.
    pub block: String,
    /// Layers in it that are changed.
    pub modules: usize,
    /// The norm of all corrections in it together.
    pub norm: f64,
}

impl Norms {
    /// Measures every module of `file`.
    pub fn of(file: &LoraFile) -> Self {
        let modules: Vec<(&str, ModuleInFile<'_>)> = ModuleInFile::all(file).collect();
        let norms: BTreeMap<&str, f64> = modules
            .par_iter()
            .map(|(name, module)| {
                let norm = match module {
                    ModuleInFile::Pair(pair) => norm(pair),
                    ModuleInFile::Lycoris(module) => norm_of_change(module).unwrap_or(f64::NAN),
                };
                (*name, norm)
            })
            .collect();
        let mut blocks = BTreeMap::<BlockKey, (usize, f64)>::new();
        for (name, norm) in &norms {
            let block = blocks.entry(block_of(name)).or_default();
            block.0 += 1;
            block.1 += norm * norm;
        }
        Self {
            modules: norms
                .into_iter()
                .map(|(module, norm)| ModuleNorm {
                    module: module.to_owned(),
                    norm,
                })
                .collect(),
            blocks: blocks
                .into_iter()
                .map(|((block, number), (modules, square))| BlockNorm {
                    block: number.map_or(block.clone(), |number| format!("{block}.{number}")),
                    modules,
                    norm: square.sqrt(),
                })
                .collect(),
        }
    }

    /// The norm of all corrections together.
    pub fn total(&self) -> f64 {
        self.modules
            .iter()
            .map(|module| module.norm * module.norm)
            .sum::<f64>()
            .sqrt()
    }

    /// The module that is changed most.
    pub fn largest(&self) -> Option<&ModuleNorm> {
        self.modules.iter().max_by(|a, b| a.norm.total_cmp(&b.norm))
    }
}

/// `‖alpha / rank · up · down‖`, from the products of the thin factors with themselves.
fn norm(module: &LoraModule) -> f64 {
    let [up, down] = module.factors();
    let norm = frobenius_of_product(&up, &down) * f64::from(module.scale().abs());
    let finite = up.squared_norm().is_finite() && down.squared_norm().is_finite();
    if finite { norm } else { f64::NAN }
}

/// The norm of what a module adds before its rows get their lengths, which are the base model's to begin with.
fn norm_of_change(module: &LycorisModule) -> Option<f64> {
    let [outputs, inputs] = module.layer_shape()?;
    let shape = SiteShape {
        outputs,
        inputs,
        kernel: None,
    };
    let mut change = module.clone();
    change.parts.remove("dora_scale");
    let device = Device::flex();
    let nothing = || Tensor::zeros([outputs, inputs], &device);
    let module = ModuleInFile::Lycoris(&change);
    let adapter = to_adapter("", module, shape, nothing, &device).ok()?;
    let squared = adapter.change.squared_norm().into_scalar::<f32>();
    Some(f64::from(squared).sqrt() * f64::from(adapter.scale().abs()))
}

/// Numbers are compared as such, so that layer 10 comes after layer 9.
type BlockKey = (String, Option<usize>);

fn block_of(kohya_name: &str) -> BlockKey {
    let Some(name) = ModuleName::from_kohya(kohya_name) else {
        return ("other".to_owned(), None);
    };
    let network = name.component().folder();
    let path = name
        .path()
        .strip_prefix("text_model.encoder.")
        .unwrap_or(name.path());
    let mut segments = path.split('.');
    let block = segments.next().unwrap_or_default();
    let number = segments.next().and_then(|segment| segment.parse().ok());
    (format!("{network}.{block}"), number)
}
