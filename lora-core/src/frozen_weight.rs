//! The weight of a frozen layer: as it is, or in eight bits.

use burn::tensor::{DType, Device, FloatDType, Int, Tensor, TensorData};
use rayon::prelude::*;

/// Numbers that share a maximum. bitsandbytes takes 64 for weights, too.
pub const BLOCK: usize = 64;

/// The largest code.
const LARGEST: f32 = 127.0;

/// A frozen weight, which gives its numbers whenever a layer computes.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a layer has one of them; the numbers live elsewhere"
)]
pub enum FrozenWeight<const D: usize> {
    /// Every number as the network computes with it.
    Plain(Tensor<D>),
    /// Every number in one byte: less than a hundredth off its block's largest.
    EightBit(EightBit<D>),
}

/// Numbers in eight bits, in blocks of 64: each number is a code times its block's largest absolute value / 127.
///
/// That is the absmax quantisation of `LLM.int8()` (Dettmers et al. 2022) taken block by block, as in their 8-bit optimisers.
#[derive(Clone, Debug)]
pub struct EightBit<const D: usize> {
    codes: Codes,
    /// `[blocks, 1]`, f32: what a code is multiplied by.
    steps: Tensor<2>,
    shape: [usize; D],
    /// What the numbers are given in.
    dtype: FloatDType,
}

/// A code for each number, from -127 to 127.
#[derive(Clone, Debug)]
enum Codes {
    /// `[blocks, BLOCK]`, a byte each.
    Bytes(Tensor<2, Int>),
    /// `[blocks, BLOCK / 4]`, four in each number of 32 bits, the first in its lowest byte, plus 127: for devices without bytes.
    Packed(Tensor<2, Int>),
}

impl<const D: usize> FrozenWeight<D> {
    /// The numbers, made anew from eight bits at each call.
    pub fn tensor(&self) -> Tensor<D> {
        match self {
            Self::Plain(tensor) => tensor.clone(),
            Self::EightBit(codes) => codes.tensor(),
        }
    }

    /// Its shape.
    pub fn dims(&self) -> [usize; D] {
        match self {
            Self::Plain(tensor) => tensor.dims(),
            Self::EightBit(codes) => codes.shape,
        }
    }

    /// What its numbers are given in.
    pub fn dtype(&self) -> DType {
        match self {
            Self::Plain(tensor) => tensor.dtype(),
            Self::EightBit(codes) => codes.dtype.into(),
        }
    }

    /// Where it is.
    pub fn device(&self) -> Device {
        match self {
            Self::Plain(tensor) => tensor.device(),
            Self::EightBit(codes) => codes.steps.device(),
        }
    }
}

impl<const D: usize> EightBit<D> {
    /// The codes of `values`, or `None` where they do not make whole blocks. They are given in `dtype` later.
    pub(crate) fn of(
        values: &[f32],
        shape: [usize; D],
        dtype: FloatDType,
        device: &Device,
    ) -> Option<Self> {
        if values.is_empty() || !values.len().is_multiple_of(BLOCK) {
            return None;
        }
        let blocks = values.len() / BLOCK;
        let mut codes = vec![0_i8; values.len()];
        let mut steps = vec![0.0_f32; blocks];
        let blocks_of_codes = codes.par_chunks_exact_mut(BLOCK).zip(steps.par_iter_mut());
        let blocks_of_values = values.par_chunks_exact(BLOCK);
        blocks_of_codes
            .zip(blocks_of_values)
            .for_each(|((codes, step), values)| *step = encode(values, codes));
        let codes = if device.supports_dtype(DType::I8) {
            Codes::bytes(codes, device)
        } else {
            Codes::packed(&codes, device)
        };
        let steps = TensorData::new(steps, [blocks, 1]);
        Some(Self {
            codes,
            steps: Tensor::from_data(steps, (device, DType::F32)),
            shape,
            dtype,
        })
    }

    fn tensor(&self) -> Tensor<D> {
        let values = self.codes.values() * self.steps.clone();
        values.cast(self.dtype).reshape(self.shape)
    }
}

impl Codes {
    fn bytes(codes: Vec<i8>, device: &Device) -> Self {
        let shape = [codes.len() / BLOCK, BLOCK];
        Self::Bytes(Tensor::from_data(
            TensorData::new(codes, shape),
            (device, DType::I8),
        ))
    }

    fn packed(codes: &[i8], device: &Device) -> Self {
        let packed = codes.chunks_exact(4).map(|four| {
            let bytes = [four[0], four[1], four[2], four[3]];
            i32::from_le_bytes(bytes.map(|code| (i16::from(code) + 127) as u8))
        });
        let shape = [codes.len() / BLOCK, BLOCK / 4];
        let packed = TensorData::new(packed.collect(), shape);
        Self::Packed(Tensor::from_data(packed, (device, DType::I32)))
    }

    /// The codes as numbers, `[blocks, BLOCK]`, f32.
    fn values(&self) -> Tensor<2> {
        match self {
            Self::Bytes(codes) => codes.clone().float().cast(DType::F32),
            Self::Packed(packed) => {
                let [blocks, _] = packed.dims();
                // Whether shifting right brings in zeros or the sign, the lowest byte is the same.
                let fourth = |place: i32| -> Tensor<2> {
                    let shifted = packed.clone().bitwise_right_shift_scalar(8 * place);
                    shifted.bitwise_and_scalar(0xff).float().cast(DType::F32) - 127.0
                };
                let fourths = (0..4).map(fourth).collect();
                Tensor::stack::<3>(fourths, 2).reshape([blocks, BLOCK])
            }
        }
    }
}

/// Writes the codes of a block of zeros and gives their step. What is not finite makes the whole block no number, as it would all that a
/// layer gives.
fn encode(values: &[f32], codes: &mut [i8]) -> f32 {
    if !values.iter().all(|value| value.is_finite()) {
        codes.fill(1);
        return f32::NAN;
    }
    let largest = values
        .iter()
        .fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let step = largest / LARGEST;
    if step > 0.0 {
        for (code, value) in codes.iter_mut().zip(values) {
            *code = (value / step).round().clamp(-LARGEST, LARGEST) as i8;
        }
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(values: &[f32], dtype: FloatDType) -> Vec<f32> {
        let shape = [values.len() / 32, 32];
        let codes = EightBit::of(values, shape, dtype, &Device::flex()).expect("whole blocks");
        let weight = FrozenWeight::EightBit(codes);
        assert_eq!(weight.dims(), shape);
        let tensor = weight.tensor();
        assert_eq!((tensor.dims(), tensor.dtype()), (shape, DType::from(dtype)));
        tensor.into_data().iter().collect()
    }

    /// Half a step, which is a 127th of the largest number of the block, and the rounding of the product.
    #[test]
    fn no_number_is_further_off_than_half_a_step_of_its_block() {
        let values: Vec<f32> = (0..4 * BLOCK)
            .map(|i| (i as f32 * 0.7).sin() * 10.0_f32.powi((i / BLOCK) as i32 - 2))
            .collect();
        let found = round_trip(&values, FloatDType::F32);
        for (block, (values, found)) in values.chunks(BLOCK).zip(found.chunks(BLOCK)).enumerate() {
            let largest = values
                .iter()
                .fold(0.0_f32, |most, value| most.max(value.abs()));
            for (value, found) in values.iter().zip(found) {
                let off = (value - found).abs();
                assert!(off <= largest / 254.0 * 1.0001, "{block}: {value} {found}");
            }
            let kept = found
                .iter()
                .any(|found| (found.abs() - largest).abs() < largest * 1e-6);
            assert!(kept, "{block}: the largest is kept");
        }
        round_trip(&values, FloatDType::BF16);
    }

    #[test]
    fn zeros_stay_and_what_is_no_number_is_not_hidden() {
        let mut values = vec![0.0; 2 * BLOCK];
        values[BLOCK + 3] = f32::INFINITY;
        let found = round_trip(&values, FloatDType::F32);
        assert!(found[..BLOCK].iter().all(|value| *value == 0.0));
        assert!(found[BLOCK..].iter().all(|value| !value.is_finite()));
        values[3] = f32::NAN;
        let found = round_trip(&values, FloatDType::F32);
        assert!(found.iter().all(|value| !value.is_finite()));
    }

    #[test]
    fn packed_codes_are_the_same() {
        let device = Device::flex();
        let codes: Vec<i8> = (0..4 * BLOCK).map(|i| (i % 255) as i8).collect();
        let codes: Vec<i8> = codes.into_iter().map(|code| code.max(-127)).collect();
        let values = |codes: Codes| -> Vec<f32> { codes.values().into_data().iter().collect() };
        let packed = values(Codes::packed(&codes, &device));
        let plain: Vec<f32> = codes.iter().map(|code| f32::from(*code)).collect();
        assert_eq!(packed, plain);
        assert_eq!(values(Codes::bytes(codes, &device)), plain);
    }

    #[test]
    fn what_makes_no_whole_blocks_is_left_as_it_is() {
        let device = Device::flex();
        assert!(EightBit::of(&[1.0; 65], [5, 13], FloatDType::F32, &device).is_none());
        assert!(EightBit::of(&[], [0, 13], FloatDType::F32, &device).is_none());
    }
}
