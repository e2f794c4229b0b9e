use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::{StoredTensor, TensorProblem, TensorSource};

/// Random weights without a file, for benchmarks and tests at any size.
///
/// Weights are U(±1/√fan_in), norms 1, biases 0; each depends on the seed and its key alone.
#[derive(Clone, Copy, Debug)]
pub struct SeededWeights {
    /// The seed of every draw.
    pub seed: u64,
}

impl TensorSource for SeededWeights {
    fn find(&self, key: &str, shape: &[usize]) -> Result<StoredTensor, TensorProblem> {
        let count = shape.iter().product();
        let values: Vec<f32> = match (key.rsplit('.').next(), shape.len()) {
            (Some("bias"), _) => vec![0.0; count],
            (_, 0 | 1) => vec![1.0; count],
            _ => {
                let digest = Sha256::new()
                    .chain_update(self.seed.to_le_bytes())
                    .chain_update(key)
                    .finalize();
                let mut random = ChaCha8Rng::from_seed(digest.into());
                let fan_in: usize = shape[1..].iter().product();
                let bound = (fan_in as f32).sqrt().recip();
                (0..count)
                    .map(|_| random.random_range(-bound..bound))
                    .collect()
            }
        };
        Ok(StoredTensor::Values(values))
    }
}
