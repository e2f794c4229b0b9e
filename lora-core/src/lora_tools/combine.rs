//! Several LoRAs as one.

use std::collections::{BTreeMap, BTreeSet};

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::{RankChoice, network_entries};
use crate::adapter::{Strength, Target};
use crate::linear_algebra::{Matrix, svd_of_product};
use crate::lora_file::{AdapterKind, LoraFile, LoraModule, split_scale};
use crate::{Family, ModuleName};

/// A LoRA and how strongly it acts.
#[derive(Debug, Clone, Copy)]
pub struct WeightedLora<'a> {
    /// What messages and metadata call it.
    pub name: &'a str,
    /// Its contents.
    pub file: &'a LoraFile,
    /// What its corrections are multiplied by.
    pub strength: Strength,
}

impl WeightedLora<'_> {
    /// What the correction of the module `name` is multiplied by.
    pub(super) fn strength_of(&self, name: &str) -> f32 {
        let target = ModuleName::from_kohya(name).map(|name| name.target());
        self.strength.of(target.unwrap_or(Target::Attention))
    }

    /// Name and strength as they are written in prompts: `style:0.8`, or `style:0.5:0.8` for text encoder and UNet.
    fn label(&self) -> String {
        let Strength { text, unet } = self.strength;
        if text.to_bits() == unet.to_bits() {
            format!("{}:{unet}", self.name)
        } else {
            format!("{}:{text}:{unet}", self.name)
        }
    }
}

/// Why LoRAs cannot become one.
#[derive(Debug, thiserror::Error)]
pub enum CombineError {
    /// There is none.
    #[error("no LoRA was given; name one at least")]
    Nothing,
    /// One of them is more than a LoRA.
    #[error("{lora} is a {kind}; only LoRA and LoCon can be added up exactly")]
    OtherKind {
        /// What it is called.
        lora: String,
        /// What it is.
        kind: AdapterKind,
    },
    /// Two of them are for different base models.
    #[error(
        "{first} is for {first_family} and {second} for {second_family}; only LoRAs of one family can be added up"
    )]
    Families {
        /// What the first is called.
        first: String,
        /// Its family.
        first_family: Family,
        /// What the second is called.
        second: String,
        /// Its family.
        second_family: Family,
    },
    /// Two of them change the same layer, but as if it had different sizes.
    #[error(
        "{module}: {first} changes a layer of shape {first_shape:?}, {second} one of shape {second_shape:?}; they are for different base models"
    )]
    Shapes {
        /// The layer.
        module: String,
        /// What the first is called.
        first: String,
        /// Outputs, inputs and kernel of its layer.
        first_shape: Vec<usize>,
        /// What the second is called.
        second: String,
        /// Outputs, inputs and kernel of its layer.
        second_shape: Vec<usize>,
    },
}

/// Makes one LoRA whose correction is the sum of all corrections, each times its strength.
///
/// Without `choice` this is exact: factors are put side by side, so ranks add up. With it, the sum is truncated by
/// singular value decomposition. Strengths and scales go into the factors, and alphas are such that all programs understand
/// them ([`LoraFile::with_portable_alphas`]).
///
/// # Errors
/// [`CombineError`], naming the LoRAs and layers that do not go together.
pub fn combine(
    loras: &[WeightedLora<'_>],
    choice: Option<&RankChoice>,
) -> Result<LoraFile, CombineError> {
    only_pairs(loras)?;
    same_family(loras)?;
    let names: BTreeSet<&String> = loras
        .iter()
        .flat_map(|lora| lora.file.modules.keys())
        .collect();
    let modules = names
        .par_iter()
        .map(|&name| {
            let together = side_by_side(name, loras)?;
            let module = match choice {
                Some(choice) => truncated(&together, choice),
                None => together,
            };
            Ok((name.clone(), module))
        })
        .collect::<Result<BTreeMap<_, _>, CombineError>>()?;
    let sum = LoraFile {
        modules,
        ..LoraFile::default()
    };
    let mut sum = sum.with_portable_alphas();
    sum.metadata = metadata(loras, &sum.modules);
    Ok(sum)
}

fn only_pairs(loras: &[WeightedLora<'_>]) -> Result<(), CombineError> {
    let other = |lora: &WeightedLora<'_>| {
        Some((
            lora.name.to_owned(),
            lora.file.lycoris.values().next()?.kind(),
        ))
    };
    match loras.iter().find_map(other) {
        Some((lora, kind)) => Err(CombineError::OtherKind { lora, kind }),
        None => Ok(()),
    }
}

fn same_family(loras: &[WeightedLora<'_>]) -> Result<(), CombineError> {
    let mut known = loras
        .iter()
        .filter_map(|lora| Some((lora, lora.file.family()?)));
    if loras.is_empty() {
        return Err(CombineError::Nothing);
    }
    let Some((first, first_family)) = known.next() else {
        return Ok(());
    };
    match known.find(|(_, family)| *family != first_family) {
        Some((second, second_family)) => Err(CombineError::Families {
            first: first.name.to_owned(),
            first_family,
            second: second.name.to_owned(),
            second_family,
        }),
        None => Ok(()),
    }
}

/// One module with the factors of all LoRAs that have it, strengths and scales multiplied in.
fn side_by_side(name: &str, loras: &[WeightedLora<'_>]) -> Result<LoraModule, CombineError> {
    let parts: Vec<_> = loras
        .iter()
        .filter_map(|lora| Some((lora, lora.file.modules.get(name)?)))
        .collect();
    let (first, model) = parts[0];
    for (second, module) in &parts[1..] {
        if module.layer_shape() != model.layer_shape() {
            return Err(CombineError::Shapes {
                module: name.to_owned(),
                first: first.name.to_owned(),
                first_shape: model.layer_shape(),
                second: second.name.to_owned(),
                second_shape: module.layer_shape(),
            });
        }
    }
    if let [(lora, module)] = parts[..] {
        return Ok(LoraModule {
            alpha: module.alpha * lora.strength_of(name),
            ..module.clone()
        });
    }
    let rank = parts.iter().map(|(_, module)| module.rank()).sum();
    let [model_up, model_down] = model.factors();
    let (mut up, mut down) = (
        Matrix::zeros(model_up.rows(), rank),
        Matrix::zeros(model_down.rows(), rank),
    );
    let mut place = 0;
    for (lora, module) in parts {
        let scales = split_scale(module.scale() * lora.strength_of(name));
        let [module_up, module_down] = module.factors();
        for column in 0..module.rank() {
            copy_scaled(module_up.column(column), scales.1, up.column_mut(place));
            copy_scaled(module_down.column(column), scales.0, down.column_mut(place));
            place += 1;
        }
    }
    Ok(model.with_factors(&up, &down, 1.0))
}

fn copy_scaled(from: &[f64], scale: f32, to: &mut [f64]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = from * f64::from(scale);
    }
}

fn truncated(module: &LoraModule, choice: &RankChoice) -> LoraModule {
    let [mut up, down] = module.factors();
    let scale = module.scale();
    for column in 0..up.columns() {
        up.column_mut(column)
            .iter_mut()
            .for_each(|value| *value *= f64::from(scale));
    }
    let svd = svd_of_product(up, down);
    let energy = svd.singular_values.iter().map(|value| value * value).sum();
    let rank = choice.rank(&svd.singular_values, energy, module.down.shape());
    let [up, down] = svd.truncated(rank).balanced_factors();
    module.with_factors(&up, &down, 1.0)
}

/// What still holds for the sum: the base model, and where it came from.
fn metadata(
    loras: &[WeightedLora<'_>],
    modules: &BTreeMap<String, LoraModule>,
) -> BTreeMap<String, String> {
    const OF_THE_BASE: [&str; 11] = [
        "ss_base_model_version",
        "ss_v2",
        "ss_network_module",
        "ss_sd_model_hash",
        "ss_new_sd_model_hash",
        "ss_sd_model_name",
        "modelspec.architecture",
        "modelspec.implementation",
        "modelspec.prediction_type",
        "modelspec.resolution",
        "modelspec.sai_model_spec",
    ];
    let mut metadata = BTreeMap::new();
    for key in OF_THE_BASE {
        let mut values = loras.iter().map(|lora| lora.file.metadata.get(key));
        if let Some(Some(first)) = values.next()
            && values.all(|value| value == Some(first))
        {
            metadata.insert(key.to_owned(), first.clone());
        }
    }
    let named: Vec<String> = loras.iter().map(WeightedLora::label).collect();
    let names: Vec<&str> = loras.iter().map(|lora| lora.name).collect();
    metadata.insert("modelspec.merged_from".to_owned(), names.join(", "));
    metadata.insert(
        "ss_training_comment".to_owned(),
        format!("merged from {}", named.join(", ")),
    );
    for (key, value) in network_entries(modules) {
        metadata.insert(key.to_owned(), value);
    }
    metadata
}
