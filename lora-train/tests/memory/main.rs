//! Heap use, counted by the allocator. One test only: others beside it would be counted too.
#![cfg(test)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod grid;
mod hostile_headers;

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Distribution, Tensor};
use lora_core::{
    BaseModel, ModelSource, TokenIds, adapter::LoraSpec, safetensors_file::SafetensorsFile,
};
use lora_optim::{OptimizerConfig, Rates};
use lora_train::{
    Batch, BatchText, Denoising, Learner, NoiseDraws,
    bench::{forget_peak_resident, peak_resident},
    config::ObjectiveConfig,
};
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Room for paths, maps and what the thread pool keeps.
const SMALL: usize = 2 << 20;

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

#[test]
fn loading_needs_the_model_and_training_does_not_grow_and_grids_stay_small() {
    what_was_in_ram_is_seen();
    hostile_headers::take_little_memory();
    hostile_headers::norms_of_large_layers_take_little_memory();
    loading_peaks_below_one_tensor_beyond_the_model();
    two_hundred_steps_end_where_twenty_did();
    grid::two_thousand_cells_need_the_memory_of_a_few();
}

/// Only where the system tells: elsewhere the peak is unknown.
fn what_was_in_ram_is_seen() {
    let buffer = vec![1u8; 64 << 20];
    assert!(buffer.iter().all(|&byte| byte == 1));
    let with_buffer = peak_resident();
    drop(buffer);
    forget_peak_resident();
    let (Some(with_buffer), Some(without)) = (with_buffer, peak_resident()) else {
        return;
    };
    assert!(
        with_buffer > without + (60 << 20),
        "{with_buffer} with 64 MiB more, {without} without"
    );
}

/// Elements of all tensors of the mini model, and of its largest.
fn elements() -> (usize, usize) {
    let base = project("assets/mini/base");
    let files = [
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
    ];
    let mut sizes = Vec::new();
    for file in files {
        let file = SafetensorsFile::open(base.join(file)).unwrap();
        let names = file.names();
        sizes.extend(
            names
                .iter()
                .map(|name| file.info(name).unwrap().shape.iter().product::<usize>()),
        );
    }
    (sizes.iter().sum(), sizes.into_iter().max().unwrap())
}

fn loading_peaks_below_one_tensor_beyond_the_model() {
    let (all, largest) = elements();
    let (all, largest) = (all * size_of::<f32>(), largest * size_of::<f32>());
    // The tokenizer comes from the built-in vocabulary here, and is not counted.
    let before = HEAP.current_usage();
    let tokenizer =
        lora_core::tokenizer::Tokenizer::from_folder(project("assets/mini/base/tokenizer"))
            .unwrap();
    let tokenizer_size = HEAP.current_usage() - before;
    drop(tokenizer);

    HEAP.reset_peak_usage();
    let before = HEAP.current_usage();
    let model = BaseModel::load(
        &ModelSource::new(project("assets/mini/base")),
        &Device::flex(),
    )
    .unwrap();
    let (held, peak) = (HEAP.current_usage() - before, HEAP.peak_usage() - before);
    assert!(
        held < all + tokenizer_size + SMALL,
        "the model holds {held} bytes, its tensors are {all}"
    );
    let most = all + largest.max(2 * tokenizer_size) + SMALL;
    assert!(
        peak < most,
        "loading peaks at {peak} bytes; the model is {all}, its largest tensor {largest}"
    );
    drop(model);
}

fn two_hundred_steps_end_where_twenty_did() {
    let device = Device::flex();
    let base = project("testdata/golden/tiny-sd15");
    let mut model = BaseModel::load(&ModelSource::new(base), &device).unwrap();
    model
        .inject(
            &LoraSpec {
                rank: 2,
                ..LoraSpec::default()
            },
            1,
            &device,
        )
        .unwrap();
    let mut learner = Learner::new(model, OptimizerConfig::default().build().unwrap(), 1.0);
    let objective = Denoising::new(&ObjectiveConfig::default(), learner.model(), 1);
    let normal = |shape| Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device);
    let batch = Batch {
        latents: normal([1, 4, 8, 8]),
        noise: normal([1, 4, 8, 8]),
        loss_weights: Vec::new(),
        mask: None,
        noise_offset: normal([1, 4, 1, 1]),
        draws: NoiseDraws::default(),
        timesteps: vec![300],
        text: BatchText::Ids(TokenIds {
            chunks: 1,
            towers: vec![vec![[320; 77]].into()],
        }),
        sizes: vec![[512.0, 512.0, 0.0, 0.0, 512.0, 512.0]],
    };
    let mut after = Vec::new();
    for step in 1..=200 {
        let loss = learner.accumulate(&objective, &batch, 1.0);
        learner.step(&Rates::new(1e-4)).unwrap();
        assert!(loss.mean().into_scalar::<f32>().is_finite());
        if step == 20 || step == 200 {
            after.push(HEAP.current_usage());
        }
    }
    let growth = after[1].saturating_sub(after[0]);
    assert!(
        growth < 64 << 10,
        "180 steps left {growth} more bytes behind"
    );
}
