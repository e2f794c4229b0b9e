//! Several devices that share the batches of a step.

use std::{fs, num::NonZeroUsize, ops::ControlFlow, path::Path};

use lora_core::adapter::DropoutRates;
use lora_core::lora_file::LoraFile;
use lora_train::{DeviceChoice, Event, Plan, config::TrainConfig};

use super::{config, run};

/// Three batches of one picture for each step, adapters everywhere, and something left out at random.
fn sharing(folder: &Path, devices: usize) -> TrainConfig {
    let mut config = config(folder);
    config.train.batch_size = NonZeroUsize::MIN;
    config.train.accumulation = NonZeroUsize::new(3).expect("not zero");
    config.train.log_every = NonZeroUsize::MIN;
    config.train.more_devices = vec![DeviceChoice::Cpu; devices - 1];
    config.lora.dropout = DropoutRates {
        module: 0.3,
        ..DropoutRates::default()
    };
    config.preview.every = 0;
    config
}

/// The loss of each step, and the bytes of the last file.
fn trained(devices: usize) -> (Vec<f64>, Vec<u8>) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut losses = Vec::new();
    let outcome = run(sharing(folder.path(), devices), &mut |event| {
        if let Event::Stepped(report) = event {
            losses.push(report.loss);
        }
        ControlFlow::Continue(())
    });
    let last = outcome.last.expect("a file");
    (losses, fs::read(last).expect("its bytes"))
}

/// All numbers of a file by key.
fn numbers(bytes: &[u8]) -> Vec<(String, Vec<f32>)> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("lora.safetensors");
    fs::write(&path, bytes).expect("a copy");
    let file = LoraFile::read(&path).expect("a LoRA");
    let modules = file.modules.iter().flat_map(|(name, module)| {
        [("down", &module.down), ("up", &module.up)]
            .map(|(part, data)| (format!("{name}.{part}"), data.iter::<f32>().collect()))
    });
    modules.collect()
}

#[test]
fn devices_that_share_a_step_give_what_one_gives() {
    let (losses, file) = trained(1);
    let alone = numbers(&file);
    assert!(losses.len() >= 4);
    for devices in [2, 3] {
        let (shared_losses, shared_file) = trained(devices);
        for (alone, shared) in losses.iter().zip(&shared_losses) {
            assert!((alone - shared).abs() < 1e-6 * alone, "{alone} {shared}");
        }
        for ((key, alone), (_, shared)) in alone.iter().zip(numbers(&shared_file)) {
            let largest = alone.iter().fold(0f32, |most, x| most.max(x.abs()));
            for (alone, shared) in alone.iter().zip(&shared) {
                // AdamW divides by the size of the gradient, so that rounding of the small ones counts.
                let off = (alone - shared).abs();
                assert!(
                    off <= 1e-4 * largest,
                    "{devices} devices, {key}: off by {off}"
                );
            }
        }
        let (_, again) = trained(devices);
        assert_eq!(
            numbers(&shared_file),
            numbers(&again),
            "the same in every run"
        );
    }
}

#[test]
fn more_devices_than_batches_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = sharing(folder.path(), 4);
    let error = Plan::check(&config).expect_err("three batches for four devices");
    assert!(error.to_string().contains("train.more_devices"), "{error}");
}
