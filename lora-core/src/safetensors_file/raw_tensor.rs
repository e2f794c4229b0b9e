//! One tensor as a file stores it.

use half::bf16;
use half::f16;
use half::slice::HalfFloatSliceExt;
use safetensors::Dtype;

/// Elements that are converted at a time.
const BLOCK: usize = 1024;

/// One tensor in memory, in the form in which it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawTensor {
    /// Type of the stored elements.
    pub dtype: Dtype,
    /// Extent of each dimension, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// The elements, little-endian and contiguous; not necessarily aligned.
    pub bytes: Vec<u8>,
}

impl RawTensor {
    /// The elements as f32, exactly; `None` unless they are stored as F16, BF16 or F32.
    pub fn to_f32(&self) -> Option<Vec<f32>> {
        let mut wide = vec![0.0; self.bytes.len() / self.float_bytes()?];
        self.widen(0, &mut wide);
        Some(wide)
    }

    /// The elements as f16, rounded to the nearest; `None` unless they are stored as F16, BF16 or F32.
    pub fn to_f16(&self) -> Option<Vec<f16>> {
        if self.dtype == Dtype::F16 {
            return Some(elements(&self.bytes).map(f16::from_le_bytes).collect());
        }
        self.narrowed()
    }

    /// The elements as bf16, rounded to the nearest; `None` unless they are stored as F16, BF16 or F32.
    pub fn to_bf16(&self) -> Option<Vec<bf16>> {
        if self.dtype == Dtype::BF16 {
            return Some(elements(&self.bytes).map(bf16::from_le_bytes).collect());
        }
        self.narrowed()
    }

    /// Bytes of an element, where it is a float of at most 32 bits.
    fn float_bytes(&self) -> Option<usize> {
        match self.dtype {
            Dtype::F16 | Dtype::BF16 => Some(2),
            Dtype::F32 => Some(4),
            _ => None,
        }
    }

    /// Widens `wide.len()` elements from the element `start` on; leaves `wide` alone for other types.
    fn widen(&self, start: usize, wide: &mut [f32]) {
        match self.dtype {
            Dtype::F16 => widen_f16(&self.bytes[2 * start..], wide),
            Dtype::BF16 => {
                for (wide, bytes) in wide.iter_mut().zip(elements(&self.bytes[2 * start..])) {
                    *wide = bf16::from_le_bytes(bytes).to_f32();
                }
            }
            Dtype::F32 => {
                for (wide, bytes) in wide.iter_mut().zip(elements(&self.bytes[4 * start..])) {
                    *wide = f32::from_le_bytes(bytes);
                }
            }
            _ => {}
        }
    }

    /// The elements in 16 bits, by way of blocks of f32, so that no wide copy of the tensor is made.
    fn narrowed<T: Copy + Default>(&self) -> Option<Vec<T>>
    where
        [T]: HalfFloatSliceExt,
    {
        let mut narrow = vec![T::default(); self.bytes.len() / self.float_bytes()?];
        let mut wide = [0.0; BLOCK];
        for (block, narrow) in narrow.chunks_mut(BLOCK).enumerate() {
            let wide = &mut wide[..narrow.len()];
            self.widen(block * BLOCK, wide);
            narrow.convert_from_f32_slice(wide);
        }
        Some(narrow)
    }

    /// The matrix with rows and columns exchanged; a tensor that is no matrix of whole bytes is left as it is.
    pub fn transposed(self) -> Self {
        let size = self.dtype.bitsize() / 8;
        let &[rows, columns] = self.shape.as_slice() else {
            return self;
        };
        if size == 0 || size * rows * columns != self.bytes.len() {
            return self;
        }
        let element = |row, column| {
            let start = (row * columns + column) * size;
            &self.bytes[start..start + size]
        };
        let columns_first =
            (0..columns).flat_map(|column| (0..rows).flat_map(move |row| element(row, column)));
        Self {
            bytes: columns_first.copied().collect(),
            dtype: self.dtype,
            shape: vec![columns, rows],
        }
    }
}

/// Cuts `bytes` into elements of `N` bytes.
fn elements<const N: usize>(bytes: &[u8]) -> impl ExactSizeIterator<Item = [u8; N]> {
    bytes.as_chunks::<N>().0.iter().copied()
}

/// Widens as many F16 as `wide` holds, in blocks, because the CPU's conversion instructions take whole slices of
/// aligned `f16`.
fn widen_f16(bytes: &[u8], wide: &mut [f32]) {
    let mut halves = [f16::ZERO; BLOCK];
    for (stored, wide) in bytes.chunks(2 * BLOCK).zip(wide.chunks_mut(BLOCK)) {
        let halves = &mut halves[..wide.len()];
        for (half, bytes) in halves.iter_mut().zip(elements(stored)) {
            *half = f16::from_le_bytes(bytes);
        }
        halves.convert_to_f32_slice(wide);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposing_exchanges_rows_and_columns() {
        let matrix = RawTensor {
            dtype: Dtype::F16,
            shape: vec![2, 3],
            bytes: (0..12).collect(),
        };
        let transposed = matrix.clone().transposed();
        assert_eq!(transposed.shape, [3, 2]);
        assert_eq!(transposed.bytes, [0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11]);
        assert_eq!(transposed.transposed(), matrix);
    }

    /// Every finite half, in tensors that are no whole number of blocks.
    #[test]
    fn conversions_are_exact_or_round_to_the_nearest() {
        let halves: Vec<f16> = (0..u16::MAX)
            .map(f16::from_bits)
            .filter(|half| half.is_finite())
            .collect();
        let wide: Vec<f32> = halves.iter().map(|half| half.to_f32()).collect();
        let raw = |dtype, bytes: Vec<u8>| RawTensor {
            dtype,
            shape: vec![halves.len()],
            bytes,
        };
        let stored = [
            raw(
                Dtype::F16,
                halves.iter().flat_map(|half| half.to_le_bytes()).collect(),
            ),
            raw(
                Dtype::F32,
                wide.iter().flat_map(|value| value.to_le_bytes()).collect(),
            ),
        ];
        let brief: Vec<bf16> = wide.iter().map(|&value| bf16::from_f32(value)).collect();
        for stored in stored {
            assert_eq!(stored.to_f32().unwrap(), wide);
            assert_eq!(stored.to_f16().unwrap(), halves);
            assert_eq!(stored.to_bf16().unwrap(), brief);
        }
        let stored = raw(
            Dtype::BF16,
            brief.iter().flat_map(|value| value.to_le_bytes()).collect(),
        );
        let wide: Vec<f32> = brief.iter().map(|value| value.to_f32()).collect();
        assert_eq!(stored.to_f32().unwrap(), wide);
        assert_eq!(stored.to_bf16().unwrap(), brief);
        let halves: Vec<f16> = wide.iter().map(|&value| f16::from_f32(value)).collect();
        assert_eq!(stored.to_f16().unwrap(), halves);
    }

    #[test]
    fn integers_are_no_floats() {
        let integers = RawTensor {
            dtype: Dtype::I64,
            shape: vec![1],
            bytes: vec![0; 8],
        };
        assert!(integers.to_f32().is_none() && integers.to_f16().is_none());
    }
}
