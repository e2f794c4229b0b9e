//! What the UNet spends its time on, at the sizes of SD 1.5 at 512 pixels, batch 1: forward, and forward and backward with the gradient in
//! the input alone, for the weights are frozen.
//!
//! `benches/peer/layers.py` times PyTorch's and sets the two side by side.
#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]

use std::hint::black_box;

use burn::tensor::{Device, Distribution, FloatDType, Tensor};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use lora_bench::{device, precision};
use lora_core::{
    Precision,
    adapter::{Adapter, Change, LowRank},
    attention::{Sight, attention},
    fused,
    layer::{Conv2d, GroupNorm, LayerNorm, Linear},
    weights::{SeededWeights, WeightReader, Weights},
};

/// Groups of Stable Diffusion's group norms.
const GROUPS: usize = 32;
/// Rank of the adapter.
const RANK: usize = 16;

/// Where to compute, and in what.
struct Place {
    device: Device,
    precision: Precision,
}

impl Place {
    fn random<const D: usize>(&self, shape: [usize; D]) -> Tensor<D> {
        Tensor::<D>::random(shape, Distribution::Normal(0.0, 1.0), &self.device)
            .cast(FloatDType::from(self.precision))
    }

    fn made<T>(&self, make: impl FnOnce(&Weights<'_>) -> T) -> T {
        let source = SeededWeights { seed: 1 };
        let reader = WeightReader::new(&source, &self.device, self.precision);
        make(&reader.root().at("layer"))
    }

    fn wait(&self) {
        self.device.sync().unwrap_or_else(|error| panic!("{error}"));
    }
}

/// Times `layer` on `inputs`, forward, and with its backward pass.
fn both<const D: usize, const N: usize>(
    criterion: &mut Criterion,
    place: &Place,
    name: &str,
    inputs: [Tensor<D>; N],
    layer: impl Fn([Tensor<D>; N]) -> Tensor<D>,
) {
    let mut group = criterion.benchmark_group("layer");
    group.sample_size(10);
    group.bench_function(BenchmarkId::new(name, "forward"), |bencher| {
        bencher.iter(|| {
            black_box(layer(inputs.clone()));
            place.wait();
        });
    });
    let grad = layer(inputs.clone()).ones_like();
    group.bench_function(BenchmarkId::new(name, "both"), |bencher| {
        bencher.iter(|| {
            let leaves = inputs.clone().map(|x| x.autodiff().require_grad());
            let out = layer(leaves.clone());
            // The sum's gradient is ones; the product keeps it from being a special case.
            let mut gradients = (out * grad.clone().autodiff()).sum().backward();
            for leaf in leaves {
                black_box(leaf.grad_remove(&mut gradients));
            }
            place.wait();
        });
    });
    group.finish();
}

fn layers(criterion: &mut Criterion) {
    let device = device();
    let place = Place {
        precision: precision(&device),
        device,
    };
    for (channels, side) in [(320, 64), (640, 32), (1280, 16)] {
        let conv = place.made(|weights| Conv2d::new(weights, channels, channels, 3));
        let name = format!("convolution_{channels}_{side}x{side}");
        let x = place.random([1, channels, side, side]);
        both(criterion, &place, &name, [x], |[x]| conv.forward(x));
    }
    for (channels, tokens) in [(320, 4096), (1280, 256)] {
        let x = place.random([1, tokens, channels]);
        let mut linear = place.made(|weights| Linear::new(weights, channels, channels));
        let name = format!("linear_{channels}_{tokens}");
        both(criterion, &place, &name, [x.clone()], |[x]| {
            linear.forward(x)
        });
        let factor = |shape| Tensor::random(shape, Distribution::Normal(0.0, 0.02), &place.device);
        let pair = LowRank {
            down: factor([RANK, channels]),
            up: factor([channels, RANK]),
        };
        let adapter = Adapter::new(Change::LowRank(pair), RANK as f32);
        linear.site().slot.push(adapter);
        let name = format!("lora_{channels}_{tokens}");
        both(criterion, &place, &name, [x], |[x]| linear.forward(x));
    }
    for (tokens, context, channels) in [(4096, 4096, 320), (1024, 1024, 640), (4096, 77, 320)] {
        let inputs = [tokens, context, context].map(|length| place.random([1, length, channels]));
        let name = format!("attention_{channels}_{tokens}x{context}");
        both(criterion, &place, &name, inputs, |[query, key, value]| {
            attention(query, key, value, 8, Sight::Everything)
        });
    }
    let norm = place.made(|weights| GroupNorm::new(weights, GROUPS, 320, 1e-5));
    let x = place.random([1, 320, 64, 64]);
    let forward = |[x]: [Tensor<4>; 1]| norm.forward(x);
    both(
        criterion,
        &place,
        "group_norm_320_64x64",
        [x.clone()],
        forward,
    );
    both(criterion, &place, "silu_320_64x64", [x], |[x]| {
        fused::silu(x)
    });
    let norm = place.made(|weights| LayerNorm::new(weights, 320, 1e-5));
    let x = place.random([1, 4096, 320]);
    both(criterion, &place, "layer_norm_320_4096", [x], |[x]| {
        norm.forward(x)
    });
    let x = place.random([1, 4096, 2560]);
    both(criterion, &place, "geglu_2560_4096", [x], |[x]| {
        fused::geglu(x)
    });
}

criterion_group!(benches, layers);
criterion_main!(benches);
