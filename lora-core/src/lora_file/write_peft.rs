//! Writing the layout of PEFT and diffusers.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::TensorData;

use super::adapter_config::METADATA_KEY;
use super::key::module_name;
use super::layout::EncodedTensor;
use super::programs::most_frequent;
use super::write::{encode, write_file};
use super::{FileDtype, LoraFile, LoraModule, LoraProblem, LoraWriteError, Written, split_scale};
use crate::weights::Component;

impl LoraFile {
    /// Writes the modules as PEFT and diffusers name them, in a form that every program applies at the same strength,
    /// whether it looks for a configuration or not.
    ///
    /// There are no alphas: each module's scale is multiplied into its factors. The scale goes into the up factor; where it
    /// is 1/8 or less, powers of two of it go into the down factor, because F16 would lose digits of very small numbers; so
    /// a scale that is a power of two changes no digit of any value.
    ///
    /// All modules of a text encoder get its highest rank, filled up with zeros, because diffusers knows one alpha for a
    /// text encoder only, which it takes from one of the ranks. In the UNet it takes each module's own rank (from 0.32),
    /// unless a single module has another one than the rest.
    ///
    /// # Errors
    /// As [`Self::write`]; and each module whose path in the network is not known, or that is more than a pair.
    pub fn write_peft(
        &self,
        path: impl AsRef<Path>,
        dtype: FileDtype,
    ) -> Result<Written, LoraWriteError> {
        let mut metadata = self.metadata.clone();
        // The alphas that stood there are in the factors now.
        metadata.remove(METADATA_KEY);
        metadata.insert("format".to_owned(), "pt".to_owned());
        let ranks = equal_ranks(&self.modules);
        let tensors = match self.other_kind() {
            Some(problem) => Err(vec![problem]),
            None => encode(&self.modules, |name, module| {
                encode_module(name, module, &ranks, dtype)
            }),
        };
        write_file(path.as_ref(), tensors, metadata)
    }
}

impl LoraFile {
    /// Modules that PEFT's layout has no names for.
    fn other_kind(&self) -> Option<LoraProblem> {
        let (name, module) = self.lycoris.first_key_value()?;
        let part = module.parts.keys().next()?;
        Some(LoraProblem::OtherKind {
            kind: module.kind(),
            count: self.lycoris.values().map(|module| module.parts.len()).sum(),
            example: format!("{name}.{part}"),
        })
    }
}

/// The highest rank of each network whose modules must all have the same.
fn equal_ranks(modules: &BTreeMap<String, LoraModule>) -> BTreeMap<Component, usize> {
    let mut ranks = BTreeMap::<Component, Vec<usize>>::new();
    for (name, module) in modules {
        if let Some(name) = module_name(name) {
            ranks
                .entry(name.component())
                .or_default()
                .push(module.rank());
        }
    }
    let must_be_equal = |component: Component, ranks: &[usize]| {
        let usual = most_frequent(ranks.iter());
        let others = ranks.iter().filter(|rank| Some(*rank) != usual).count();
        component != Component::UNet || others == 1
    };
    ranks
        .into_iter()
        .filter(|(component, ranks)| must_be_equal(*component, ranks))
        .filter_map(|(component, ranks)| Some((component, ranks.into_iter().max()?)))
        .collect()
}

fn encode_module(
    name: &str,
    module: &LoraModule,
    ranks: &BTreeMap<Component, usize>,
    dtype: FileDtype,
) -> Result<Vec<EncodedTensor>, Vec<LoraProblem>> {
    let mut problems = module.problems(name);
    let Some(path) = module_name(name) else {
        problems.push(LoraProblem::NoPath {
            module: name.to_owned(),
        });
        return Err(problems);
    };
    if !problems.is_empty() {
        return Err(problems);
    }
    let rank = ranks
        .get(&path.component())
        .copied()
        .unwrap_or(module.rank());
    let (down_scale, up_scale) = split_scale(module.scale());
    let mut encode = |factor: &str, data: &TensorData, rank_axis: usize, scale: f32| {
        let values: Vec<f32> = data.iter::<f32>().map(|value| value * scale).collect();
        let mut shape = data.shape().to_vec();
        let values = filled_up(&values, &shape, rank_axis, rank);
        shape[rank_axis] = rank;
        let tensor = EncodedTensor::new(format!("{path}.{factor}.weight"), dtype, &shape, &values);
        tensor.map_err(|problem| problems.push(problem)).ok()
    };
    let tensors = [
        encode("lora_A", &module.down, 0, down_scale),
        encode("lora_B", &module.up, 1, up_scale),
    ];
    if problems.is_empty() {
        Ok(tensors.into_iter().flatten().collect())
    } else {
        Err(problems)
    }
}

/// The numbers of a tensor with zeros behind them along `axis`, which then has `extent` entries.
fn filled_up(values: &[f32], shape: &[usize], axis: usize, extent: usize) -> Vec<f32> {
    let inner: usize = shape[axis..].iter().product();
    let missing = (extent - shape[axis]) * inner / shape[axis];
    let rows = values.chunks(inner);
    rows.flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(0.0, missing)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_go_behind_the_rank() {
        let values = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(
            filled_up(&values, &[2, 2], 0, 3),
            [1.0, 2.0, 3.0, 4.0, 0.0, 0.0]
        );
        assert_eq!(
            filled_up(&values, &[2, 2], 1, 3),
            [1.0, 2.0, 0.0, 3.0, 4.0, 0.0]
        );
        assert_eq!(filled_up(&values, &[4, 1, 1, 1], 1, 1), values);
    }
}
