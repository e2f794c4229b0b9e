//! Adapters as they are before the first step.

use burn::tensor::{DType, Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use sha2::{Digest, Sha256};

use super::{
    Adapter, Algorithm, Change, Hadamard, Kronecker, KroneckerFactor, LoraSpec, LoraStart, LowRank,
    Magnitude, ResolvedLayer, Site, SiteShape,
};
use crate::linear_algebra::truncated_svd;

/// A fresh adapter for `site`, whose module kohya calls `name`. It changes nothing.
///
/// Every draw depends on `seed` and the names of module and matrix alone, not on which other modules are trained.
pub(super) fn fresh(
    site: &Site<'_>,
    name: &str,
    spec: &LoraSpec,
    layer: ResolvedLayer,
    seed: u64,
    device: &Device,
) -> Adapter {
    let draws = Draws {
        module: name,
        seed,
        device,
    };
    let shape = site.shape();
    let (outputs, receptive, rank) = (shape.outputs, shape.receptive(), layer.rank);
    let change = match (spec.algorithm, spec.start) {
        (Algorithm::Lora, LoraStart::Random) => Change::LowRank(LowRank {
            // Kaiming-uniform with a = √5, as kohya's.
            down: draws.uniform("", [rank, receptive], receptive),
            up: Tensor::zeros([outputs, rank], device),
        }),
        (Algorithm::Lora, LoraStart::Pissa) => {
            let pair = principal_pair(site, rank, layer.alpha / rank as f32, device);
            Change::SinceStart {
                now: pair.clone(),
                start: pair,
            }
        }
        (Algorithm::Loha, _) => Change::Hadamard(Hadamard {
            w1_a: draws.normal("hada_w1_a", [outputs, rank]) * 0.1,
            w1_b: draws.normal("hada_w1_b", [rank, receptive]),
            w2_a: Tensor::zeros([outputs, rank], device),
            w2_b: draws.normal("hada_w2_b", [rank, receptive]),
        }),
        (Algorithm::Lokr, _) => Change::Kronecker(kronecker(spec, shape, rank, &draws)),
    };
    Adapter {
        magnitude: spec.dora.then(|| Magnitude::of(&site.weight.matrix())),
        ..Adapter::new(change, layer.alpha)
    }
}

/// The rows and columns of a Kronecker factor, and whether it is a pair.
pub(super) enum FactorShape {
    Whole([usize; 2]),
    Pair([usize; 2]),
}

/// LyCORIS' choice of how large the factors are and which of them are pairs.
pub(super) fn kronecker_shapes(spec: &LoraSpec, shape: SiteShape, rank: usize) -> [FactorShape; 2] {
    let ([a, c], [b, d]) = (
        factorization(shape.outputs, spec.factor),
        factorization(shape.inputs, spec.factor),
    );
    let kernel = shape.receptive() / shape.inputs;
    let of = |is_pair: bool, dims| {
        if is_pair {
            FactorShape::Pair(dims)
        } else {
            FactorShape::Whole(dims)
        }
    };
    [
        of(spec.decompose_both && 2 * rank < a.max(b), [a, b]),
        of(2 * rank < c.max(d), [c, d * kernel]),
    ]
}

fn kronecker(spec: &LoraSpec, shape: SiteShape, rank: usize, draws: &Draws<'_>) -> Kronecker {
    let [w1, w2] = kronecker_shapes(spec, shape, rank);
    let w1 = match w1 {
        FactorShape::Pair([a, b]) => KroneckerFactor::Pair {
            a: draws.uniform("lokr_w1_a", [a, rank], rank),
            b: draws.uniform("lokr_w1_b", [rank, b], b),
        },
        FactorShape::Whole([a, b]) => KroneckerFactor::Whole(draws.uniform("lokr_w1", [a, b], b)),
    };
    let w2 = match w2 {
        FactorShape::Pair([c, columns]) => KroneckerFactor::Pair {
            a: draws.uniform("lokr_w2_a", [c, rank], rank),
            b: Tensor::zeros([rank, columns], draws.device),
        },
        FactorShape::Whole(dims) => KroneckerFactor::Whole(Tensor::zeros(dims, draws.device)),
    };
    Kronecker { w1, w2 }
}

/// Two divisors of `dimension`, the smaller first: `limit` itself where it divides, else those closest together whose
/// smaller one is not above it. LyCORIS' `factorization`.
fn factorization(dimension: usize, limit: Option<usize>) -> [usize; 2] {
    if let Some(factor) = limit.filter(|factor| dimension.is_multiple_of(*factor)) {
        let other = dimension / factor;
        return [factor.min(other), factor.max(other)];
    }
    let limit = limit.unwrap_or(dimension);
    let divides = |small: &usize| dimension.is_multiple_of(*small);
    let small = (1..=limit)
        .take_while(|small| small * small <= dimension)
        .filter(divides)
        .last()
        .unwrap_or(1);
    [small, dimension / small]
}

/// The pair whose scaled product is nearest to the frozen weight.
fn principal_pair(site: &Site<'_>, rank: usize, scale: f32, device: &Device) -> LowRank {
    let weight = site.weight.matrix().cast(DType::F32);
    let [outputs, receptive] = weight.dims();
    let values: Vec<f32> = weight.into_data().iter().collect();
    let svd = truncated_svd(&values, [outputs, receptive], rank, device).truncated(rank);
    let found = svd.singular_values.len();
    let [up, down] = svd.balanced_factors();
    let share = scale.sqrt().recip();
    let up: Tensor<2> = Tensor::from_data(TensorData::new(up.to_rows(), [outputs, found]), device);
    let down: Tensor<2> = Tensor::from_data(
        TensorData::new(down.to_columns(), [found, receptive]),
        device,
    );
    // A weight with fewer singular values than the rank gets idle ones.
    let idle = rank - found;
    LowRank {
        down: Tensor::cat(
            vec![down * share, Tensor::zeros([idle, receptive], device)],
            0,
        ),
        up: Tensor::cat(vec![up * share, Tensor::zeros([outputs, idle], device)], 1),
    }
}

/// The random matrices of one module.
struct Draws<'a> {
    module: &'a str,
    seed: u64,
    device: &'a Device,
}

impl Draws<'_> {
    /// U(±1/√fan_in), which is Kaiming's with a = √5.
    fn uniform(&self, part: &str, shape: [usize; 2], fan_in: usize) -> Tensor<2> {
        let bound = (fan_in as f32).sqrt().recip();
        self.draw(part, shape, |random| random.random_range(-bound..bound))
    }

    fn normal(&self, part: &str, shape: [usize; 2]) -> Tensor<2> {
        self.draw(part, shape, |random| random.sample(StandardNormal))
    }

    fn draw(
        &self,
        part: &str,
        shape: [usize; 2],
        mut number: impl FnMut(&mut ChaCha8Rng) -> f32,
    ) -> Tensor<2> {
        let digest = Sha256::new()
            .chain_update(self.seed.to_le_bytes())
            .chain_update(self.module)
            .chain_update(part)
            .finalize();
        let mut random = ChaCha8Rng::from_seed(digest.into());
        let count = shape[0] * shape[1];
        let values: Vec<f32> = (0..count).map(|_| number(&mut random)).collect();
        Tensor::from_data(TensorData::new(values, shape), self.device)
    }
}

#[cfg(test)]
mod tests {
    use super::factorization;

    /// LyCORIS' own table of examples.
    #[test]
    fn channels_are_split_as_lycoris_does() {
        for (dimension, splits) in [
            (127, [[1, 127], [1, 127], [1, 127], [1, 127], [1, 127]]),
            (128, [[8, 16], [2, 64], [4, 32], [8, 16], [8, 16]]),
            (250, [[10, 25], [2, 125], [2, 125], [5, 50], [10, 25]]),
            (360, [[18, 20], [2, 180], [4, 90], [8, 45], [15, 24]]),
            (512, [[16, 32], [2, 256], [4, 128], [8, 64], [16, 32]]),
            (1024, [[32, 32], [2, 512], [4, 256], [8, 128], [16, 64]]),
        ] {
            for (limit, split) in [None, Some(2), Some(4), Some(8), Some(16)]
                .into_iter()
                .zip(splits)
            {
                assert_eq!(
                    factorization(dimension, limit),
                    split,
                    "{dimension} {limit:?}"
                );
            }
        }
    }
}
