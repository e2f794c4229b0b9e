//! The number format of a written file.

use half::{bf16, f16};
use safetensors::Dtype;
use serde::{Deserialize, Serialize};

/// The number format in which all tensors of a LoRA file are stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileDtype {
    /// Half precision: what nearly all published LoRA files use.
    #[default]
    #[serde(alias = "fp16", alias = "float16")]
    F16,
    /// Brain float: the range of f32 with 8 bits of precision.
    #[serde(alias = "bfloat16")]
    Bf16,
    /// Single precision: the trained values unrounded, at twice the size.
    #[serde(alias = "float", alias = "float32")]
    F32,
}

impl FileDtype {
    /// The name of the format in a safetensors header.
    pub(super) fn stored(self) -> Dtype {
        match self {
            Self::F16 => Dtype::F16,
            Self::Bf16 => Dtype::BF16,
            Self::F32 => Dtype::F32,
        }
    }

    /// The format of that name; `None` for one that LoRA files are not written in.
    pub(crate) fn of_stored(stored: Dtype) -> Option<Self> {
        match stored {
            Dtype::F16 => Some(Self::F16),
            Dtype::BF16 => Some(Self::Bf16),
            Dtype::F32 => Some(Self::F32),
            _ => None,
        }
    }

    /// `values` as little-endian bytes, rounded to nearest even; `None` when one of them is no longer finite.
    pub(crate) fn encode(self, values: &[f32]) -> Option<Vec<u8>> {
        match self {
            Self::F16 => collect(values, f16::from_f32, f16::is_finite, f16::to_le_bytes),
            Self::Bf16 => collect(values, bf16::from_f32, bf16::is_finite, bf16::to_le_bytes),
            Self::F32 => collect(values, |value| value, f32::is_finite, f32::to_le_bytes),
        }
    }
}

fn collect<T: Copy, const N: usize>(
    values: &[f32],
    convert: impl Fn(f32) -> T,
    is_finite: impl Fn(T) -> bool,
    to_bytes: impl Fn(T) -> [u8; N],
) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(N * values.len());
    for &value in values {
        let value = convert(value);
        if !is_finite(value) {
            return None;
        }
        bytes.extend(to_bytes(value));
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_beyond_the_range_is_refused() {
        assert!(FileDtype::F16.encode(&[1.0, 70_000.0]).is_none());
        assert!(FileDtype::Bf16.encode(&[70_000.0]).is_some());
        assert!(FileDtype::F32.encode(&[f32::NAN]).is_none());
    }

    #[test]
    fn rounding_is_to_nearest_even() {
        // 2049 lies halfway between the neighbours 2048 and 2050 of f16.
        assert_eq!(
            FileDtype::F16.encode(&[2049.0]),
            FileDtype::F16.encode(&[2048.0])
        );
        assert_eq!(
            FileDtype::F16.encode(&[2051.0]),
            FileDtype::F16.encode(&[2052.0])
        );
    }
}
