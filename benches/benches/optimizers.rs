//! One step of each optimiser, without the gradients that it needs: over a million numbers, and over the same numbers in
//! more and more matrices.
//!
//! `docs/interop/time_optimizers.py` times PyTorch's on the same matrices and sets the two side by side.
#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]

use std::hint::black_box;

use burn::tensor::{Device, Distribution, Tensor};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lora_bench::device;
use lora_optim::{Matrices, OptimizerConfig, Rates, clip_global_norm};

/// Rank of the LoRA whose matrices these are, `[RANK, width]` and `[width, RANK]` in turn.
const RANK: usize = 16;
/// Numbers in all of them together.
const NUMBERS: usize = 1 << 20;
/// How many matrices: of layers of 4096, 1024, 256 and 64.
const COUNTS: [usize; 4] = [16, 64, 256, 1024];
/// Layers of 1024, near to those of Stable Diffusion.
const USUAL: usize = 64;

fn matrices(count: usize, scale: f64, device: &Device) -> Matrices {
    let width = NUMBERS / count / RANK;
    let matrix = |index: usize| {
        let shape = if index.is_multiple_of(2) {
            [RANK, width]
        } else {
            [width, RANK]
        };
        let values = Tensor::random(shape, Distribution::Normal(0.0, scale), device);
        (format!("lora_unet_{index:04}"), values)
    };
    (0..count).map(matrix).collect()
}

/// Waits for a device that computes in the background.
fn wait(device: &Device) {
    device.sync().unwrap_or_else(|error| panic!("{error}"));
}

/// One step of `kind` over so many matrices, one by one or joined.
fn step(criterion: &mut Criterion, group: &str, kind: &str, count: usize, joined: bool) {
    let device = device();
    let config: Result<OptimizerConfig, _> = toml::from_str(&format!("kind = '{kind}'"));
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    let optimizer = if joined {
        config.build_joined()
    } else {
        config.build()
    };
    let mut optimizer = optimizer.unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut params = matrices(count, 0.02, &device);
    let grads = matrices(count, 1e-3, &device);
    let rates = Rates::new(if config.finds_its_rate() { 1.0 } else { 1e-4 });
    let mut group = criterion.benchmark_group(group);
    group
        .sample_size(20)
        .throughput(Throughput::Elements(NUMBERS as u64));
    group.bench_function(BenchmarkId::new(kind, count), |bencher| {
        bencher.iter(|| {
            let moved = optimizer.step(&mut params, grads.clone(), &rates);
            moved.unwrap_or_else(|error| panic!("{error}"));
            wait(&device);
        });
    });
}

fn optimizer_step(criterion: &mut Criterion) {
    for kind in OptimizerConfig::KINDS {
        step(criterion, "optimizer_step", kind, USUAL, false);
    }
}

/// What a matrix costs beyond its numbers is the slope over their count; joined, as they are on a GPU, and one by one.
fn optimizer_matrices(criterion: &mut Criterion) {
    for kind in ["adamw", "lion", "prodigy"] {
        for count in COUNTS {
            step(criterion, "optimizer_matrices", kind, count, false);
            step(criterion, "optimizer_joined", kind, count, true);
        }
    }
}

fn clipping(criterion: &mut Criterion) {
    let device = device();
    let mut group = criterion.benchmark_group("clipping");
    group.throughput(Throughput::Elements(NUMBERS as u64));
    for count in COUNTS {
        let grads = matrices(count, 1e-3, &device);
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| {
                let mut clipped = grads.clone();
                black_box(clip_global_norm(&mut clipped, 0.1));
                wait(&device);
            });
        });
    }
}

criterion_group!(benches, optimizer_step, optimizer_matrices, clipping);
criterion_main!(benches);
