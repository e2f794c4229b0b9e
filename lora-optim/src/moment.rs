//! A running mean that an optimiser keeps, in 32 bits or in eight.

use burn::{
    optim::{RecordState, StateSink, StateSource},
    tensor::{Device, Tensor},
};

use crate::block_codes::{BlockCodes, DynamicMap};

/// One running mean of one matrix.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each matrix, which is much larger"
)]
pub(crate) enum Moment {
    /// Of a matrix too small to gain from eight bits.
    Full(Tensor<2>),
    Codes(BlockCodes),
}

impl Moment {
    /// Keeps `mean` in eight bits if it has at least `min_8bit_size` elements.
    pub(crate) fn keep(mean: Tensor<2>, map: &DynamicMap, min_8bit_size: usize) -> Self {
        if mean.dims().iter().product::<usize>() < min_8bit_size {
            Self::Full(mean)
        } else {
            Self::Codes(BlockCodes::quantise(mean, map))
        }
    }

    /// The mean in 32 bits.
    pub(crate) fn read(self, shape: [usize; 2], map: &DynamicMap) -> Tensor<2> {
        match self {
            Self::Full(mean) => mean,
            Self::Codes(codes) => codes.dequantise(shape, map),
        }
    }
}

impl RecordState for Moment {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        match self {
            Self::Full(mean) => out.push_tensor(prefix, "full", mean.to_data()),
            Self::Codes(codes) => codes.state_flatten(prefix, out),
        }
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        match src.take_tensor(prefix, "full") {
            Some(mean) if mean.rank() == 2 => Some(Self::Full(Tensor::from_data(mean, device))),
            Some(_) => None,
            None => BlockCodes::state_unflatten(prefix, src, device).map(Self::Codes),
        }
    }
}
