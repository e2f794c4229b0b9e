use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use lora_core::Matrices;
use lora_optim::{OptimizerConfig, Rates, State};

/// What an optimiser's saved state has of a matrix called `""`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StateSize {
    /// Bytes, those in the header included.
    pub(crate) bytes: u64,
    /// How many values there are, by the name of each of which it grows.
    pub(crate) values: u64,
}

/// What the config's optimiser remembers of matrices with these rows and columns, by trying it on one of each: so it holds
/// for whatever optimiser there will be. Nothing of those that it cannot be made for.
pub(crate) fn state_sizes(
    config: &OptimizerConfig,
    dims: impl IntoIterator<Item = [usize; 2]>,
) -> BTreeMap<[usize; 2], StateSize> {
    let mut sizes = BTreeMap::new();
    for dims in dims {
        sizes
            .entry(dims)
            .or_insert_with(|| state_size(config, dims).unwrap_or_default());
    }
    sizes
}

fn state_size(config: &OptimizerConfig, dims: [usize; 2]) -> Option<StateSize> {
    let mut optimizer = config.build().ok()?;
    let matrix = || Tensor::<2>::ones(dims, &Device::flex());
    let of = |matrix| Matrices::from([(String::new(), matrix)]);
    optimizer
        .step(&mut of(matrix()), of(matrix()), &Rates::new(1e-4))
        .ok()?;
    let state = optimizer.state();
    let nothing = State::default().to_bytes().ok()?.len();
    Some(StateSize {
        bytes: state.to_bytes().ok()?.len().saturating_sub(nothing) as u64,
        values: (state.tensors.len() + state.scalars.len()) as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adamw_has_two_numbers_for_each() {
        let dims = [[64, 128], [1, 16]];
        let sizes = state_sizes(&OptimizerConfig::default(), dims);
        for [rows, columns] in dims {
            let numbers = (rows * columns) as u64;
            let beside = sizes[&[rows, columns]].bytes - 8 * numbers;
            assert!((100..500).contains(&beside), "{beside} bytes of names");
        }
    }
}
