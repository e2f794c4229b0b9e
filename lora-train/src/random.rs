//! Random numbers as pure functions of what they are for, so that a resumed run needs no generator's state and every
//! device sees the same noise.

use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// What a draw is for; each use has a stream of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// The noise added to latents.
    Noise = 101,
    /// The draw from the VAE's distribution.
    Latents = 102,
    /// The timestep.
    Timestep = 103,
    /// The noise offset.
    NoiseOffset = 104,
    /// Where a sampler starts, and the noise it adds.
    Sampling = 105,
    /// The noise of the held-out measure.
    Heldout = 106,
    /// By how much the levels of pyramid noise shrink.
    PyramidFactor = 107,
    /// The levels of pyramid noise.
    PyramidNoise = 108,
    /// The part of the noise offset that a showing gets.
    OffsetStrength = 109,
    /// What disturbs the input.
    Perturbation = 110,
    /// The part of it that a showing gets.
    PerturbationStrength = 111,
    /// Where stratified timesteps begin.
    TimestepShift = 112,
}

/// A stream keyed by a purpose and three numbers.
fn stream(purpose: Purpose, seed: u64, first: u64, second: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (bytes, number) in key
        .chunks_exact_mut(8)
        .zip([seed, first, second, purpose as u64])
    {
        bytes.copy_from_slice(&number.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// `count` standard normal numbers.
pub(crate) fn normal(
    purpose: Purpose,
    seed: u64,
    first: u64,
    second: u64,
    count: usize,
) -> Vec<f32> {
    let mut random = stream(purpose, seed, first, second);
    (0..count).map(|_| random.sample(StandardNormal)).collect()
}

/// A whole number below `end`.
pub(crate) fn below(purpose: Purpose, seed: u64, first: u64, second: u64, end: usize) -> usize {
    stream(purpose, seed, first, second).random_range(0..end)
}

/// A number from 0 to below 1.
pub(crate) fn uniform(purpose: Purpose, seed: u64, first: u64, second: u64) -> f64 {
    stream(purpose, seed, first, second).random()
}

/// 64 random bits.
pub(crate) fn bits(purpose: Purpose, seed: u64, first: u64, second: u64) -> u64 {
    stream(purpose, seed, first, second).random()
}

/// A standard normal tensor `[1, channels, height, width]`.
pub(crate) fn normal_tensor(
    purpose: Purpose,
    seed: u64,
    index: u64,
    [channels, height, width]: [usize; 3],
    device: &Device,
) -> Tensor<4> {
    let values = normal(purpose, seed, index, 0, channels * height * width);
    Tensor::from_data(
        TensorData::new(values, [1, channels, height, width]),
        device,
    )
}
