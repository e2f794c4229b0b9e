//! One tensor as a file stores it.

use half::bf16;
use half::f16;
use half::slice::HalfFloatSliceExt;
use safetensors::Dtype;

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
        match self.dtype {
            Dtype::F16 => Some(widen_f16(&self.bytes)),
            Dtype::BF16 => Some(
                elements(&self.bytes)
                    .map(|bytes| bf16::from_le_bytes(bytes).to_f32())
                    .collect(),
            ),
            Dtype::F32 => Some(elements(&self.bytes).map(f32::from_le_bytes).collect()),
            _ => None,
        }
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

/// Widens F16 in blocks, because the CPU's conversion instructions take whole slices of aligned `f16`.
fn widen_f16(bytes: &[u8]) -> Vec<f32> {
    const BLOCK: usize = 1024;
    let mut halves = [f16::ZERO; BLOCK];
    let mut wide = vec![0.0; bytes.len() / 2];
    for (stored, wide) in bytes.chunks(2 * BLOCK).zip(wide.chunks_mut(BLOCK)) {
        let halves = &mut halves[..wide.len()];
        for (half, bytes) in halves.iter_mut().zip(elements(stored)) {
            *half = f16::from_le_bytes(bytes);
        }
        halves.convert_to_f32_slice(wide);
    }
    wide
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
}
