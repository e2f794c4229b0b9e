//! The fused operations against burn's own, forward and backward.

use burn::tensor::{
    Bool, DType, Device, FloatDType, Tensor, TensorData, activation, module, ops::ConvOptions,
};
use lora_core::fused::{self, Heads};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::golden::{self, deviation};

/// Sums of a few hundred f32 terms in another order.
const LIMIT: f32 = 2e-6;

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    seeded(7, shape)
}

fn seeded<const D: usize>(seed: u64, shape: [usize; D]) -> Tensor<D> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    // The sum of four uniform draws: a bell, from -4 to 4.
    let draw = || (0..4).map(|_| random.random_range(-1.0..1.0f32)).sum();
    let values: Vec<f32> = std::iter::repeat_with(draw)
        .take(shape.iter().product())
        .collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

/// Output and input gradient under a fixed random weighting of the output.
fn run<const D: usize>(x: &Tensor<D>, f: impl Fn(Tensor<D>) -> Tensor<D>) -> [Vec<f32>; 2] {
    let x = x.clone().autodiff().require_grad();
    let y = f(x.clone());
    // Another seed than the inputs': a gradient along the input would all but cancel in a norm.
    let weights = seeded(8, y.dims()).autodiff();
    let mut grads = (y.clone() * weights).sum().backward();
    let floats = |tensor: Tensor<D>| tensor.into_data().iter::<f32>().collect();
    [
        floats(y.inner()),
        floats(x.grad_remove(&mut grads).unwrap()),
    ]
}

fn assert_equal<const D: usize>(
    x: Tensor<D>,
    ours: impl Fn(Tensor<D>) -> Tensor<D>,
    burns: impl Fn(Tensor<D>) -> Tensor<D>,
) {
    for (found, expected) in run(&x, ours).iter().zip(run(&x, burns)) {
        let deviation = deviation(found, &expected);
        assert!(deviation < LIMIT, "deviates by {deviation:e}");
    }
}

#[test]
fn activations_equal_burns() {
    for x in [
        random([3, 7, 5]),
        random([4, 64, 300]),
        random([2, 5, 9]).swap_dims(0, 2),
    ] {
        assert_equal(x.clone(), fused::silu, activation::silu);
        assert_equal(x.clone(), fused::gelu, activation::gelu);
        assert_equal(x, fused::quick_gelu, |x| {
            activation::sigmoid(x.clone() * 1.702) * x
        });
    }
}

/// Where no kernel of ours runs: in half precision here, and in f32 on another device. Numbers of Python's `math.erf`; burn's own
/// gradient there is the tanh approximation's, and in f16 no number beyond ±40.
#[test]
fn gelu_without_a_kernel_has_its_exact_gradient() {
    const X: [f32; 9] = [-60.0, -41.0, -3.0, -1.0, -0.125, 0.0, 0.5, 2.5, 40.5];
    const Y: [f32; 9] = [
        0.0,
        0.0,
        -0.004_049_69,
        -0.158_655_25,
        -0.056_282_72,
        0.0,
        0.345_731_23,
        2.484_475_8,
        40.5,
    ];
    const SLOPE: [f32; 9] = [
        0.0,
        0.0,
        -0.011_945_65,
        -0.083_315_47,
        0.400_782_06,
        0.5,
        0.867_495_1,
        1.037_611_1,
        1.0,
    ];
    // Half a unit in the last place of the largest number below each power of two; f32's erf is good to a few units.
    let formats = [(DType::F32, 1e-6), (DType::F16, 5e-4), (DType::BF16, 4e-3)];
    let device = golden::device();
    for (dtype, limit) in formats {
        if !device.supports_dtype(FloatDType::from(dtype)) {
            continue;
        }
        let x = Tensor::<1>::from_floats(X, &device).cast(dtype);
        let x = x.autodiff().require_grad();
        let y = fused::gelu(x.clone());
        let mut grads = y.clone().cast(DType::F32).sum().backward();
        let slope = x.grad_remove(&mut grads).unwrap();
        for (found, expected) in [(y.inner(), Y), (slope, SLOPE)] {
            let found: Vec<f32> = found.cast(DType::F32).into_data().iter().collect();
            for (found, expected) in found.iter().zip(expected) {
                let off = (found - expected).abs() / expected.abs().max(1.0);
                assert!(off < limit, "{dtype:?}: {found} instead of {expected}");
            }
        }
    }
}

#[test]
fn geglu_equals_its_parts() {
    for x in [random([2, 3, 10]), random([4, 64, 512])] {
        let [batch, tokens, double] = x.dims();
        let half = double / 2;
        assert_equal(x, fused::geglu, |x| {
            let value = x.clone().slice([0..batch, 0..tokens, 0..half]);
            value * activation::gelu(x.slice([0..batch, 0..tokens, half..double]))
        });
    }
}

#[test]
fn softmax_equals_burns() {
    for x in [
        random([2, 3, 5, 77]),
        random([4, 2, 256, 256]),
        random([1, 1, 3, 1]),
    ] {
        assert_equal(x, fused::softmax, |x| activation::softmax(x, 3));
    }
}

#[test]
fn softmax_gives_nothing_to_masked_scores() {
    let device = Device::flex();
    let x = Tensor::<2>::from_data([[1.0, f32::MIN, 2.0, f32::MIN]], &device);
    let y: Vec<f32> = fused::softmax(x).into_data().iter::<f32>().collect();
    assert!(y[1] < 1e-30 && y[3] < 1e-30);
    assert!((y.iter().sum::<f32>() - 1.0).abs() < 1e-6);
}

#[test]
fn layer_norm_equals_burns() {
    let (weight, bias) = (random([96]), seeded(9, [96]));
    assert_equal(
        random([3, 200, 96]) + 5.0,
        |x| fused::layer_norm(x, weight.clone(), bias.clone(), 1e-5),
        |x| module::layer_norm(x, weight.clone(), Some(bias.clone()), 1e-5),
    );
}

#[test]
fn group_norm_equals_its_definition() {
    let (weight, bias) = (random([12]), seeded(9, [12]));
    for groups in [1, 3, 12] {
        assert_equal(
            random([2, 12, 40, 70]) + 3.0,
            |x| fused::group_norm(x, weight.clone(), bias.clone(), groups, 1e-5),
            |x| {
                let rows = x.reshape([2, groups, 12 / groups * 2800]);
                let centred = rows.clone() - rows.mean_dim(2);
                let variance = centred.clone().square().mean_dim(2);
                let normal = (centred / (variance + 1e-5).sqrt()).reshape([2, 12, 40, 70]);
                normal * weight.clone().reshape([1, 12, 1, 1]) + bias.clone().reshape([1, 12, 1, 1])
            },
        );
    }
}

/// `[outputs, inputs, size, size]` over `x`, against burn's.
fn assert_convolves(x: [usize; 4], outputs: usize, [size, stride, padding]: [usize; 3]) {
    let (weight, bias) = (random([outputs, x[1], size, size]), seeded(9, [outputs]));
    let options = ConvOptions::new([stride; 2], [padding; 2], [1, 1], 1);
    let leaf = random(x).autodiff().require_grad();
    let ours = fused::conv2d(leaf.clone(), weight.clone(), bias.clone(), stride, padding);
    let theirs = module::conv2d(leaf.clone(), weight, Some(bias), options);
    for (found, expected) in gradients(&leaf, ours).iter().zip(gradients(&leaf, theirs)) {
        let deviation = deviation(found, &expected);
        assert!(
            deviation < LIMIT,
            "{x:?} to {outputs}, size {size}, stride {stride}: deviates by {deviation:e}"
        );
    }
}

#[test]
fn convolution_equals_burns() {
    for window in [
        [3, 1, 1],
        [3, 2, 1],
        [3, 2, 0],
        [1, 1, 0],
        [1, 1, 1],
        [5, 3, 2],
    ] {
        for [height, width] in [[9, 11], [32, 40], [5, 5]] {
            // As many outputs as make the gradient go one way, and the other.
            assert_convolves([3, 6, height, width], 7, window);
            assert_convolves([2, 6, height, width], 150, window);
        }
    }
}

/// Pictures that are not unfolded at once.
#[test]
fn convolution_of_large_pictures_equals_burns() {
    assert_convolves([1, 40, 160, 171], 5, [3, 1, 1]);
    assert_convolves([2, 64, 261, 260], 3, [3, 2, 0]);
}

/// The output, and its gradient in `x` under a fixed random weighting.
fn gradients(x: &Tensor<4>, y: Tensor<4>) -> [Vec<f32>; 2] {
    let mut grads = (y.clone() * seeded(8, y.dims()).autodiff())
        .sum()
        .backward();
    let floats = |tensor: Tensor<4>| tensor.into_data().iter::<f32>().collect();
    [
        floats(y.inner()),
        floats(x.grad_remove(&mut grads).unwrap()),
    ]
}

/// Attention out of burn's own operations: every score in one tensor.
fn attention_of_burn([query, key, value]: [Tensor<3>; 3], heads: Heads) -> Tensor<3> {
    let [batch, tokens, channels] = query.dims();
    let split = |x: Tensor<3>| {
        let [_, length, _] = x.dims();
        x.reshape([batch, length, heads.heads, heads.width])
            .swap_dims(1, 2)
    };
    let scores = split(query).matmul(split(key).transpose()) * heads.scale;
    let scores = if heads.causal {
        let hidden = Tensor::<2, Bool>::tril_mask([tokens, heads.context], 0, &Device::flex());
        scores.mask_fill(hidden.unsqueeze(), f32::NEG_INFINITY)
    } else {
        scores
    };
    activation::softmax(scores, 3)
        .matmul(split(value))
        .swap_dims(1, 2)
        .reshape([batch, tokens, channels])
}

/// The output, and the gradients in query, key and value under a fixed random weighting of the output.
fn attend(
    inputs: &[Tensor<3>; 3],
    attention: impl Fn([Tensor<3>; 3]) -> Tensor<3>,
) -> [Vec<f32>; 4] {
    let leaves = inputs.clone().map(|x| x.autodiff().require_grad());
    let out = attention(leaves.clone());
    let weights = seeded(8, out.dims()).autodiff();
    let mut grads = (out.clone() * weights).sum().backward();
    let [query, key, value] = leaves.map(|leaf| leaf.grad_remove(&mut grads).unwrap());
    [out.inner(), query, key, value].map(|x| x.into_data().iter::<f32>().collect())
}

#[test]
fn attention_equals_burns() {
    for (batch, heads, width, tokens, context, causal) in [
        (1, 8, 40, 70, 77, false),
        // More than one block of queries, the last of them short.
        (2, 2, 8, 700, 700, false),
        (2, 5, 64, 33, 3, false),
        (2, 4, 16, 77, 77, true),
        (1, 1, 16, 600, 600, true),
    ] {
        let heads = Heads {
            heads,
            width,
            tokens,
            context,
            scale: 1.5 / (width as f32).sqrt(),
            causal,
        };
        let channels = heads.heads * width;
        let inputs = [
            // Laid out as a projection of a picture leaves it.
            seeded(1, [batch, channels, tokens]).swap_dims(1, 2),
            seeded(2, [batch, context, channels]),
            seeded(3, [batch, context, channels]),
        ];
        let ours = attend(&inputs, |[query, key, value]| {
            fused::attention(&query, &key, &value, heads).unwrap()
        });
        let burns = attend(&inputs, |inputs| attention_of_burn(inputs, heads));
        for ((name, found), expected) in
            ["out", "query", "key", "value"].iter().zip(ours).zip(burns)
        {
            let deviation = deviation(&found, &expected);
            assert!(
                deviation < LIMIT,
                "{heads:?}: {name} deviates by {deviation:e}"
            );
        }
    }
}

/// Scores of several hundred overflow an exponential that nothing was subtracted from.
#[test]
fn attention_to_large_scores_stays_finite() {
    let heads = Heads {
        heads: 1,
        width: 8,
        tokens: 5,
        context: 9,
        scale: 300.0,
        causal: false,
    };
    let inputs = [
        seeded(1, [1, 5, 8]),
        seeded(2, [1, 9, 8]),
        seeded(3, [1, 9, 8]),
    ];
    let all = attend(&inputs, |[query, key, value]| {
        fused::attention(&query, &key, &value, heads).unwrap()
    });
    assert!(all.iter().flatten().all(|x| x.is_finite()));
}

#[test]
fn a_layer_and_its_pair_equal_burns() {
    for (tokens, inputs, outputs, rank, bias) in [
        (70, 24, 40, 4, true),
        (300, 64, 33, 1, false),
        (1, 8, 8, 16, true),
    ] {
        let scale = 0.7;
        let x = seeded(1, [2, inputs, tokens]).swap_dims(1, 2);
        let weight = seeded(2, [outputs, inputs]);
        let bias = bias.then(|| seeded(3, [outputs]));
        let (down, up) = (seeded(4, [rank, inputs]), seeded(5, [outputs, rank]));
        let run = |layer: &dyn Fn(&Tensor<3>, [&Tensor<2>; 2]) -> Tensor<3>| {
            let leaf = |x: &Tensor<2>| x.clone().autodiff().require_grad();
            let (x, down, up) = (x.clone().autodiff().require_grad(), leaf(&down), leaf(&up));
            let out = layer(&x, [&down, &up]);
            let mut grads = (out.clone() * seeded(8, out.dims()).autodiff())
                .sum()
                .backward();
            let gradient = |x: &Tensor<2>, grads: &mut _| x.grad_remove(grads).unwrap().into_data();
            [
                gradient(&down, &mut grads),
                gradient(&up, &mut grads),
                x.grad_remove(&mut grads).unwrap().into_data(),
                out.inner().into_data(),
            ]
            .map(|data| data.iter::<f32>().collect::<Vec<f32>>())
        };
        let ours = run(&|x, factors| {
            fused::low_rank_linear(x, &weight, bias.as_ref(), factors, scale).unwrap()
        });
        let burns = run(&|x, [down, up]| {
            let plain = module::linear(x.clone(), weight.clone().transpose(), bias.clone());
            let hidden = module::linear(x.clone(), down.clone().transpose(), None);
            plain + module::linear(hidden, up.clone().transpose(), None) * scale
        });
        for ((name, found), expected) in ["down", "up", "x", "out"].iter().zip(ours).zip(burns) {
            let deviation = deviation(&found, &expected);
            assert!(
                deviation < LIMIT,
                "rank {rank}: {name} deviates by {deviation:e}"
            );
        }
    }
}
