//! The difference of two base models as a LoRA.

use std::collections::BTreeMap;
use std::path::PathBuf;

use burn::tensor::{Device, TensorData};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::base_layers::{BaseLayer, BaseLayers};
use super::{RankChoice, RankRule, network_entries};
use crate::adapter::Target;
use crate::diffusion::{PredictionType, SchedulerConfig};
use crate::linear_algebra::{Svd, truncated_svd};
use crate::lora_file::{LoraFile, LoraModule, family_entries, without_ones};
use crate::safetensors_file::SafetensorsFileError;
use crate::weights::{Checkpoint, Component};
use crate::{Family, ModuleName};

/// Layers whose weights are in memory at the same time.
const AT_ONCE: usize = 4;
/// The highest rank that is looked for where the choice does not limit it.
const HIGHEST_RANK: usize = 256;
/// How many singular values are looked for at first, where a rule decides how many are needed.
const FIRST_RANK: usize = 32;

/// Why no LoRA could be made of two models.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// They are of different families.
    #[error("{} is {base_family} and {} is {tuned_family}; only models of one family can be subtracted", base.display(), tuned.display())]
    Families {
        /// The model that is subtracted.
        base: PathBuf,
        /// Its family.
        base_family: Family,
        /// The model that it is subtracted from.
        tuned: PathBuf,
        /// Its family.
        tuned_family: Family,
    },
    /// A layer is of another size in the other model.
    #[error("{module}: shape {base:?} in one model and {tuned:?} in the other")]
    Shape {
        /// The layer.
        module: String,
        /// Its weight's shape in the model that is subtracted.
        base: Vec<usize>,
        /// Its weight's shape in the other.
        tuned: Vec<usize>,
    },
    /// A weight is stored as something else than floating-point numbers.
    #[error("{module}: its weight is stored as {dtype}; only F32, F16 and BF16 can be read")]
    Dtype {
        /// The layer.
        module: String,
        /// How it is stored.
        dtype: String,
    },
    /// A weight holds a value that is no number.
    #[error("{module}: a weight is infinite or NaN, so there is no difference to take")]
    NotFinite {
        /// The layer.
        module: String,
    },
    /// No layer differs.
    #[error("the models do not differ in any layer that a LoRA can change")]
    Equal,
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] SafetensorsFileError),
}

/// What to extract.
#[derive(Debug, Clone, PartialEq)]
pub struct ExtractChoice {
    /// How many singular values are kept of each layer's difference.
    pub rank: RankChoice,
    /// The parts of the model that are looked at.
    pub targets: Vec<Target>,
}

impl Default for ExtractChoice {
    fn default() -> Self {
        Self {
            rank: RankChoice::fixed(64),
            targets: vec![Target::TextEncoder, Target::Attention],
        }
    }
}

/// How much of one layer's difference was kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extracted {
    /// The module's rank.
    pub rank: usize,
    /// Frobenius norm of the difference.
    pub norm: f64,
    /// The share of that norm that the module has, from 0 to 1.
    pub kept: f64,
}

/// Makes the LoRA that turns `base` into `tuned` as well as its ranks allow, by truncated singular value decomposition of
/// each layer's difference; also tells how much was kept of each, by module.
///
/// Layers that do not differ get no module; alphas are as [`LoraFile::with_portable_alphas`] makes them. No more than 256 singular values are looked for, and
/// [`RankRule::Cumulative`](super::RankRule::Cumulative), which would need all of them, counts those. Differences are taken in f32; `told` hears how many layers of how many are done.
///
/// # Errors
/// [`ExtractError`], naming files and layers.
pub fn extract(
    [base, tuned]: [&Checkpoint; 2],
    choice: &ExtractChoice,
    device: &Device,
    told: impl Fn(usize, usize),
) -> Result<(LoraFile, BTreeMap<String, Extracted>), ExtractError> {
    let family = same_family(base, tuned)?;
    let (base_layers, tuned_layers) = (BaseLayers::of(base)?, BaseLayers::of(tuned)?);
    let pairs: Vec<Pair> = tuned_layers
        .iter()
        .filter(|(name, _)| choice.targets.contains(&name.target()))
        .filter_map(|(name, tuned)| {
            Some(Pair {
                name,
                base: base_layers.get(name)?,
                tuned,
            })
        })
        .collect();
    let (mut modules, mut kept) = (BTreeMap::new(), BTreeMap::new());
    for (chunk, several) in pairs.chunks(AT_ONCE).enumerate() {
        told(chunk * AT_ONCE, pairs.len());
        let found: Vec<_> = several
            .par_iter()
            .map(|pair| {
                let difference = pair.difference(&base_layers, &tuned_layers)?;
                Ok((
                    pair.name.kohya(family),
                    pair.module(&difference, &choice.rank, device),
                ))
            })
            .collect::<Result<_, ExtractError>>()?;
        for (name, module) in found {
            if let Some((module, extracted)) = module {
                kept.insert(name.clone(), extracted);
                modules.insert(name, module);
            }
        }
    }
    told(pairs.len(), pairs.len());
    if modules.is_empty() {
        return Err(ExtractError::Equal);
    }
    let lora = LoraFile {
        modules,
        ..LoraFile::default()
    };
    let mut lora = lora.with_portable_alphas();
    lora.metadata = metadata(base, tuned, &lora.modules);
    Ok((lora, kept))
}

fn same_family(base: &Checkpoint, tuned: &Checkpoint) -> Result<Family, ExtractError> {
    if base.family() == tuned.family() {
        return Ok(base.family());
    }
    Err(ExtractError::Families {
        base: base.path().to_path_buf(),
        base_family: base.family(),
        tuned: tuned.path().to_path_buf(),
        tuned_family: tuned.family(),
    })
}

/// One layer of both models.
struct Pair<'a> {
    name: &'a ModuleName,
    base: &'a BaseLayer,
    tuned: &'a BaseLayer,
}

impl Pair<'_> {
    /// `tuned − base`, row by row.
    fn difference(&self, base: &BaseLayers, tuned: &BaseLayers) -> Result<Vec<f32>, ExtractError> {
        let module = || self.name.to_string();
        let is_a_layers = [2, 4].contains(&self.tuned.shape.len());
        if !is_a_layers || without_ones(&self.base.shape) != without_ones(&self.tuned.shape) {
            return Err(ExtractError::Shape {
                module: module(),
                base: self.base.shape.clone(),
                tuned: self.tuned.shape.clone(),
            });
        }
        let read = |layers: &BaseLayers, layer: &BaseLayer| {
            let raw = layers.read(layer)?;
            raw.to_f32().ok_or_else(|| ExtractError::Dtype {
                module: module(),
                dtype: raw.dtype.to_string(),
            })
        };
        let mut difference = read(tuned, self.tuned)?;
        for (value, base) in difference.iter_mut().zip(read(base, self.base)?) {
            *value -= base;
        }
        if difference.iter().all(|value| value.is_finite()) {
            Ok(difference)
        } else {
            Err(ExtractError::NotFinite { module: module() })
        }
    }

    /// The nearest module of the chosen rank; `None` when there is no difference.
    fn module(
        &self,
        difference: &[f32],
        choice: &RankChoice,
        device: &Device,
    ) -> Option<(LoraModule, Extracted)> {
        let energy: f64 = difference
            .iter()
            .map(|&value| f64::from(value).powi(2))
            .sum();
        if energy == 0.0 {
            return None;
        }
        let (shape, outputs) = (&self.tuned.shape, self.tuned.shape[0]);
        let inputs = difference.len() / outputs;
        let down_shape = |rank: usize| [&[rank], &shape[1..]].concat();
        let decompose = |rank| truncated_svd(difference, [outputs, inputs], rank, device);
        let (rank, svd) = enough(choice, energy, &down_shape(1), decompose);
        let svd = svd.truncated(rank);
        let kept: f64 = svd.singular_values.iter().map(|value| value * value).sum();
        let [up, down] = svd.balanced_factors();
        let up_shape = if shape.len() == 4 {
            vec![outputs, rank, 1, 1]
        } else {
            vec![outputs, rank]
        };
        let module = LoraModule {
            up: TensorData::new(up.to_rows(), up_shape),
            down: TensorData::new(down.to_columns(), down_shape(rank)),
            alpha: rank as f32,
        };
        let told = Extracted {
            rank,
            norm: energy.sqrt(),
            kept: (kept / energy).sqrt().min(1.0),
        };
        Some((module, told))
    }
}

/// Decomposes for more and more singular values until the rule has what it asks for; tells how many that are.
fn enough(
    choice: &RankChoice,
    energy: f64,
    down: &[usize],
    decompose: impl Fn(usize) -> Svd,
) -> (usize, Svd) {
    let limit = choice.limit(down).min(HIGHEST_RANK);
    let mut looked_for = match choice.rule {
        RankRule::Fixed | RankRule::Cumulative(_) => limit,
        _ => limit.min(FIRST_RANK),
    };
    loop {
        let svd = decompose(looked_for);
        let found = svd.singular_values.len();
        let rank = choice.rank(&svd.singular_values, energy, down);
        if rank < found || found < looked_for || looked_for == limit {
            return (rank, svd);
        }
        looked_for = limit.min(2 * looked_for);
    }
}

fn metadata(
    base: &Checkpoint,
    tuned: &Checkpoint,
    modules: &BTreeMap<String, LoraModule>,
) -> BTreeMap<String, String> {
    let marked = tuned.marks().and_then(|marks| marks.prediction_type);
    let configured = || {
        let scheduler = tuned.config::<SchedulerConfig>(Component::Scheduler).ok()?;
        Some(scheduler.prediction_type)
    };
    let v_prediction = marked.or_else(configured) == Some(PredictionType::VPrediction);
    let name = |checkpoint: &Checkpoint| {
        let name = checkpoint.path().file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    };
    let mut metadata = family_entries(base.family(), v_prediction);
    let comment = format!("extracted from {} minus {}", name(tuned), name(base));
    metadata.insert("ss_network_module".to_owned(), "networks.lora".to_owned());
    metadata.insert("ss_sd_model_name".to_owned(), name(base));
    metadata.insert("ss_training_comment".to_owned(), comment);
    for (key, value) in network_entries(modules) {
        metadata.insert(key.to_owned(), value);
    }
    metadata
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear_algebra::Matrix;

    /// Singular values 100, 99, 98, …: three tenths of the energy take 12 of them, nine tenths 54.
    #[test]
    fn singular_values_are_looked_for_until_they_are_enough() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let energy = values.iter().map(|value| value * value).sum();
        for (rule, rank, looked_for) in [
            (RankRule::Energy(0.3), 12, vec![32]),
            (RankRule::Energy(0.9), 54, vec![32, 64]),
            (RankRule::Energy(1.0), 100, vec![32, 64, 128]),
            (RankRule::Ratio(4.0), 75, vec![32, 64, 128]),
            (RankRule::Fixed, 100, vec![256]),
        ] {
            let asked = std::cell::RefCell::new(Vec::new());
            let decompose = |rank: usize| {
                asked.borrow_mut().push(rank);
                Svd {
                    u: Matrix::zeros(1, 1),
                    singular_values: values[..rank.min(100)].to_vec(),
                    v: Matrix::zeros(1, 1),
                }
            };
            let (found, _) = enough(&RankChoice::by(rule), energy, &[1, 8], decompose);
            assert_eq!((found, asked.into_inner()), (rank, looked_for), "{rule:?}");
        }
    }
}
