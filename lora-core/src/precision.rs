use burn::tensor::FloatDType;
use serde::{Deserialize, Serialize};

/// The number format of the frozen weights and of what flows through them.
///
/// Adapters, norms, softmax and loss stay in f32 whatever this is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 32 bits: exact, and the fastest on a CPU.
    #[default]
    F32,
    /// bfloat16: half the memory, f32's range.
    Bf16,
    /// Half precision: half the memory, more digits than bf16, overflows above 65,504.
    F16,
}

impl Precision {
    /// Bytes of one number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 | Self::F16 => 2,
        }
    }
}

impl From<Precision> for FloatDType {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::Bf16 => Self::BF16,
            Precision::F16 => Self::F16,
        }
    }
}
