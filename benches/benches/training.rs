//! UNet forward, a training step, the VAE and tokenization, on the models that the project carries.
//!
//! `cargo bench -p lora-bench -- training_step/mini` runs one of them.
#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]

use std::hint::black_box;

use burn::tensor::Tensor;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lora_bench::{SUBJECTS, device};
use lora_core::tokenizer::Tokenizer;
use lora_optim::Rates;
use lora_train::{Denoising, config::ObjectiveConfig};

const BATCH: usize = 4;

/// Reads one number back, so that the device has finished.
fn wait<const D: usize>(tensor: Tensor<D>) {
    black_box(tensor.sum().into_scalar::<f32>());
}

fn unet_forward(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("unet_forward");
    group
        .sample_size(20)
        .throughput(Throughput::Elements(BATCH as u64));
    let device = device();
    for subject in SUBJECTS {
        let model = subject.model(&device);
        let batch = subject.batch(BATCH, &device);
        let conditions = batch.conditions(&model, 1);
        group.bench_function(BenchmarkId::from_parameter(subject.name), |bencher| {
            bencher.iter(|| {
                wait(
                    model
                        .unet
                        .forward(batch.latents.clone(), &[500.0; BATCH], &conditions),
                );
            });
        });
    }
}

fn training_step(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("training_step");
    group
        .sample_size(20)
        .throughput(Throughput::Elements(BATCH as u64));
    let device = device();
    for subject in SUBJECTS {
        let mut learner = subject.learner(&device);
        let objective = Denoising::new(&ObjectiveConfig::default(), learner.model(), 1);
        let batch = subject.batch(BATCH, &device);
        let rates = Rates::new(1e-4);
        group.bench_function(BenchmarkId::from_parameter(subject.name), |bencher| {
            bencher.iter(|| {
                let loss = learner.accumulate(&objective, &batch, 1.0);
                let norm = learner
                    .step(&rates)
                    .unwrap_or_else(|error| panic!("{error}"));
                wait(loss);
                norm.map(wait)
            });
        });
    }
}

fn vae(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("vae");
    group.sample_size(20);
    let device = device();
    for subject in SUBJECTS {
        let model = subject.model(&device);
        let latents = subject.batch(1, &device).latents;
        let picture = model.vae.decode(latents.clone());
        group.bench_function(BenchmarkId::new("encode", subject.name), |bencher| {
            bencher.iter(|| wait(model.vae.encode(picture.clone()).mean));
        });
        group.bench_function(BenchmarkId::new("decode", subject.name), |bencher| {
            bencher.iter(|| wait(model.vae.decode(latents.clone())));
        });
    }
}

fn tokenization(criterion: &mut Criterion) {
    let tokenizer = Tokenizer::clip();
    let caption = "1girl, solo, long hair, looking at viewer, smile, blue eyes, school uniform, outdoors, cherry blossoms";
    let mut group = criterion.benchmark_group("tokenization");
    group.throughput(Throughput::Bytes(caption.len() as u64));
    group.bench_function("caption", |bencher| {
        bencher.iter(|| tokenizer.row(black_box(caption)));
    });
}

criterion_group!(benches, unet_forward, training_step, vae, tokenization);
criterion_main!(benches);
