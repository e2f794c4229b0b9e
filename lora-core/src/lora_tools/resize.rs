//! Giving a LoRA a lower rank.

use std::collections::BTreeMap;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::{RankChoice, RankRule};
use crate::linear_algebra::svd_of_product;
use crate::lora_file::{LoraFile, LoraModule};

/// What became of one module.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ResizedModule {
    /// Its rank before.
    pub from: usize,
    /// Its rank now.
    pub to: usize,
    /// The share of the correction's Frobenius norm that is still there, from 0 to 1.
    pub kept: f64,
}

/// Replaces each module by the nearest one of the chosen rank, by truncated singular value decomposition; also tells what
/// became of each, by name.
///
/// Modules that are more than a pair stay as they are.
///
/// With a fixed rank, scales stay, so alphas fall with the ranks, and a module that has the rank already stays as it is, to
/// the bit. With any other rule ranks come to differ, and modules get alphas that
/// all programs understand ([`LoraFile::with_portable_alphas`]). The metadata tells of the change as kohya's `resize_lora` does.
pub fn resize(file: &LoraFile, choice: &RankChoice) -> (LoraFile, BTreeMap<String, ResizedModule>) {
    let resized: BTreeMap<String, (LoraModule, ResizedModule)> = file
        .modules
        .par_iter()
        .map(|(name, module)| (name.clone(), resize_module(module, choice)))
        .collect();
    let told = resized
        .iter()
        .map(|(name, (_, told))| (name.clone(), *told))
        .collect();
    let modules: BTreeMap<_, _> = resized
        .into_iter()
        .map(|(name, (module, _))| (name, module))
        .collect();
    let mut resized = LoraFile {
        modules,
        lycoris: file.lycoris.clone(),
        metadata: BTreeMap::new(),
    };
    if choice.rule != RankRule::Fixed {
        resized = resized.with_portable_alphas();
    }
    resized.metadata = metadata(file, &resized.modules);
    (resized, told)
}

fn resize_module(module: &LoraModule, choice: &RankChoice) -> (LoraModule, ResizedModule) {
    let from = module.rank();
    let [up, down] = module.factors();
    let svd = svd_of_product(up, down);
    let squares = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>();
    let energy = squares(&svd.singular_values);
    let to = choice.rank(&svd.singular_values, energy, module.down.shape());
    if to >= from {
        return (
            module.clone(),
            ResizedModule {
                from,
                to: from,
                kept: 1.0,
            },
        );
    }
    let svd = svd.truncated(to);
    let kept = if energy > 0.0 {
        (squares(&svd.singular_values) / energy).sqrt()
    } else {
        1.0
    };
    let [up, down] = svd.balanced_factors();
    let resized = module.with_factors(&up, &down, module.scale());
    (resized, ResizedModule { from, to, kept })
}

fn metadata(before: &LoraFile, modules: &BTreeMap<String, LoraModule>) -> BTreeMap<String, String> {
    let mut metadata = before.metadata.clone();
    let (from, to) = (highest_rank(&before.modules), highest_rank(modules));
    let comment = before
        .metadata
        .get("ss_training_comment")
        .map_or("None", String::as_str);
    metadata.insert(
        "ss_training_comment".to_owned(),
        format!("dimension is resized from {from} to {to}; {comment}"),
    );
    super::network_entries(modules).for_each(|(key, value)| {
        metadata.insert(key.to_owned(), value);
    });
    metadata
}

fn highest_rank(modules: &BTreeMap<String, LoraModule>) -> usize {
    modules.values().map(LoraModule::rank).max().unwrap_or(0)
}
