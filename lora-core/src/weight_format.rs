use serde::{Deserialize, Serialize};

use crate::Precision;

/// How frozen weights are held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightFormat {
    /// What is computed in.
    pub precision: Precision,
    /// Whether the weights of the UNet's linear and convolution layers are held in eight bits, block by block, and made into
    /// `precision` each time a layer computes. Biases, norms and the other networks are not.
    pub eight_bit: bool,
}

impl WeightFormat {
    /// Bytes of so many numbers of the UNet's.
    pub fn unet_bytes(self, numbers: u64) -> u64 {
        if self.eight_bit {
            numbers + numbers / crate::frozen_weight::BLOCK as u64 * 4
        } else {
            numbers * self.precision.bytes() as u64
        }
    }

    /// As networks other than the UNet are held.
    pub(crate) fn whole(self) -> Self {
        Self {
            eight_bit: false,
            ..self
        }
    }
}

impl From<Precision> for WeightFormat {
    fn from(precision: Precision) -> Self {
        Self {
            precision,
            eight_bit: false,
        }
    }
}
