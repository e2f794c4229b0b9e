use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::{StoredTensor, TensorProblem, TensorSource};

/// Random weights without a file, for benchmarks and tests at any size.
///
/// Weights are U(±1/√fan_in), norms 1, biases 0; each depends on the seed, its key and its index alone, so that
/// billions of them can be made on all cores.
#[derive(Clone, Copy, Debug)]
pub struct SeededWeights {
    /// The seed of every draw.
    pub seed: u64,
}

impl SeededWeights {
    /// The tensor that is called `key`, in row-major order.
    pub fn values(&self, key: &str, shape: &[usize]) -> Vec<f32> {
        let count = shape.iter().product();
        if key.ends_with("bias") {
            return vec![0.0; count];
        }
        let Some(fan_in) = shape.get(1..).filter(|inputs| !inputs.is_empty()) else {
            return vec![1.0; count];
        };
        let bound = (fan_in.iter().product::<usize>() as f32).sqrt().recip();
        let stream = self.stream(key);
        let mut values = vec![0.0; count];
        let blocks = values.par_chunks_mut(BLOCK).enumerate();
        blocks.for_each(|(block, values)| {
            for (index, value) in values.iter_mut().enumerate() {
                *value = bound * signed_unit(stream, (block * BLOCK + index) as u64);
            }
        });
        values
    }

    /// Where the numbers of `key` begin.
    fn stream(self, key: &str) -> u64 {
        let digest = Sha256::new()
            .chain_update(self.seed.to_le_bytes())
            .chain_update(key)
            .finalize();
        digest
            .iter()
            .take(8)
            .fold(0, |stream, &byte| stream << 8 | u64::from(byte))
    }
}

impl TensorSource for SeededWeights {
    fn find(&self, key: &str, shape: &[usize]) -> Result<StoredTensor, TensorProblem> {
        Ok(StoredTensor::Values(self.values(key, shape)))
    }
}

/// Numbers that one task makes at a time.
const BLOCK: usize = 1 << 16;

/// The number at `index` of a stream, uniform in [-1, 1): SplitMix64 (Steele, Lea and Flood 2014), whose state is a
/// counter, so that any number can be made without those before it.
fn signed_unit(stream: u64, index: u64) -> f32 {
    let mut bits = stream.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    // The upper 24 bits, as many as an f32 holds, from -2^23 up.
    ((bits >> 40) as i32 - (1 << 23)) as f32 / (1 << 23) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const MATRIX: [usize; 2] = [300, 400];

    #[test]
    fn weights_are_uniform_within_their_bound() {
        let values = SeededWeights { seed: 1 }.values("a.weight", &MATRIX);
        let bound = 1.0 / 20.0;
        assert!(values.iter().all(|value| value.abs() <= bound));
        let mean = |power: i32| {
            let sum: f64 = values
                .iter()
                .map(|&value| f64::from(value / bound).powi(power))
                .sum();
            sum / values.len() as f64
        };
        // Mean 0, variance 1/3 and kurtosis 1/5 of U(±1); four times the error of 120,000 draws is below 0.007.
        assert!(mean(1).abs() < 0.007, "{}", mean(1));
        assert!((mean(2) - 1.0 / 3.0).abs() < 0.007, "{}", mean(2));
        assert!((mean(4) - 1.0 / 5.0).abs() < 0.007, "{}", mean(4));
    }

    #[test]
    fn seed_and_key_tell_tensors_apart_and_nothing_else_does() {
        let draw = |seed, key| SeededWeights { seed }.values(key, &MATRIX);
        assert_eq!(draw(1, "a.weight"), draw(1, "a.weight"));
        assert_ne!(draw(1, "a.weight"), draw(2, "a.weight"));
        assert_ne!(draw(1, "a.weight"), draw(1, "b.weight"));
    }

    /// The first numbers of the reference implementation for state 1234567.
    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        for (index, expected) in [6_457_827_717_110_365_317_u64, 3_203_168_211_198_807_973]
            .into_iter()
            .enumerate()
        {
            let expected = ((expected >> 40) as f32 - 8_388_608.0) / 8_388_608.0;
            assert_eq!(
                signed_unit(1_234_567, index as u64).to_bits(),
                expected.to_bits()
            );
        }
    }
}
