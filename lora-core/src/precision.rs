use std::fmt;

use burn::tensor::{Device, FloatDType};
use serde::{Deserialize, Serialize};

use crate::fused;

/// The number format of the frozen weights and of what flows through them.
///
/// Adapters, norms, softmax and loss stay in f32 whatever this is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// What suits the device: f32 on a CPU; on a GPU bf16, where it has that, else f16, else f32.
    #[default]
    Auto,
    /// 32 bits: exact, and the fastest on a CPU.
    F32,
    /// bfloat16: half the memory, f32's range.
    Bf16,
    /// Half precision: half the memory, more digits than bf16, overflows above 65,504.
    F16,
}

impl Precision {
    /// All of them, the choice of the device first.
    pub const ALL: [Self; 4] = [Self::Auto, Self::F32, Self::Bf16, Self::F16];

    /// What is meant on `device`.
    pub fn on(self, device: &Device) -> Self {
        match self {
            Self::Auto if fused::has_kernels(device) => Self::F32,
            Self::Auto => [Self::Bf16, Self::F16]
                .into_iter()
                .find(|half| half.is_on(device))
                .unwrap_or(Self::F32),
            named => named,
        }
    }

    /// Whether `device` computes in it.
    pub fn is_on(self, device: &Device) -> bool {
        device.supports_dtype(FloatDType::from(self.on(device)))
    }

    /// Bytes of one number; of f32, where the device has the choice.
    pub fn bytes(self) -> usize {
        match self {
            Self::Auto | Self::F32 => 4,
            Self::Bf16 | Self::F16 => 2,
        }
    }

    /// How it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<Precision> for FloatDType {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::Auto | Precision::F32 => Self::F32,
            Precision::Bf16 => Self::BF16,
            Precision::F16 => Self::F16,
        }
    }
}
