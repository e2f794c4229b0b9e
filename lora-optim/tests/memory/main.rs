//! How much memory an optimiser keeps between steps; alone in its process, for it counts every allocation.
#![cfg(test)]

use burn::tensor::{Device, Tensor};
use lora_optim::{Matrices, OptimizerConfig, Rates};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Of a LoRA of rank 128 on layers of 1280: 20 matrices, beside which what a tensor takes by itself is little.
fn matrices() -> Matrices {
    let matrix = |index: usize| {
        let shape = if index.is_multiple_of(2) {
            [128, 1280]
        } else {
            [1280, 128]
        };
        let matrix = Tensor::full(shape, 0.01 * index as f32, &Device::flex());
        (format!("{index:02}"), matrix)
    };
    (1..21).map(matrix).collect()
}

/// Bytes that stay on the heap after two steps, parameters and gradients left aside.
fn kept(kind: &str) -> usize {
    let config = format!("kind = '{kind}'");
    let config: OptimizerConfig = toml::from_str(&config).expect("a kind");
    let mut optimizer = config.build().expect("the defaults");
    let (mut params, grads) = (matrices(), matrices());
    let before = MEMORY.current_usage();
    for _ in 0..2 {
        // The first steps replace the parameters, by as many bytes.
        optimizer
            .step(&mut params, grads.clone(), &Rates::new(1e-3))
            .expect("keys that match");
    }
    MEMORY.current_usage() - before
}

/// Two bytes for eight, one for four; and 32 bits for each block of 256, which makes 1.6 % more.
#[test]
fn eight_bits_keep_a_quarter() {
    // Whatever is allocated once, such as threads, is there before it counts.
    let _ = kept("adamw8bit");
    for (full, eight) in [("adamw", "adamw8bit"), ("lion", "lion8bit")] {
        let (full, eight) = (kept(full), kept(eight));
        let elements = 20 * 128 * 1280;
        assert!(full >= 4 * elements, "{full} bytes are no whole moment");
        let part = eight as f64 / full as f64;
        assert!(part < 0.26, "{eight} bytes of {full}, {part:.3}");
    }
}
