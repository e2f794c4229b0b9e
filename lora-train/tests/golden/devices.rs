//! Optimisers on every device that this build reaches: a state saved on the CPU goes on there, and comes back.
//!
//! Without a backend beside the CPU, which is how CI builds it, only the CPU's part says something; `cargo test --workspace
//! --features lora-train/wgpu-untuned` runs the rest, on lavapipe where there is no GPU.

use burn::tensor::{Device, Tensor, TensorData};
use lora_core::Matrices;
use lora_optim::{Optimizer, OptimizerConfig, Rates, State};
use lora_train::{DeviceChoice, list_devices};

const SHAPES: [(&str, [usize; 2]); 2] = [("down", [8, 48]), ("up", [20, 8])];

/// Of values of about 1: the last bits of a few steps, summed in another order on another device.
const ROUNDING: f32 = 1e-5;
/// Where rounding may take the neighbouring code of eight bits, and with it a step that is a few percent longer or of
/// another sign: two steps at the rate.
const CODES: f32 = 2.0 * RATE as f32;
const RATE: f64 = 1e-3;

fn filled(device: &Device, of: impl Fn(usize) -> f32) -> Matrices {
    let matrix = |(key, shape): (&str, [usize; 2])| {
        let numbers = (0..shape[0] * shape[1]).map(|index| of(index + shape[0]));
        let data = TensorData::new(numbers.collect::<Vec<f32>>(), shape);
        (key.to_owned(), Tensor::from_data(data, device))
    };
    SHAPES.into_iter().map(matrix).collect()
}

fn walk(
    optimizer: &mut dyn Optimizer,
    params: &mut Matrices,
    rate: f64,
    steps: std::ops::Range<usize>,
) {
    let device = params["up"].device();
    for step in steps {
        let grads = filled(&device, |index| {
            ((index * 7 + step * 3) as f32 * 0.37).sin() + 0.05
        });
        optimizer.step(params, grads, &Rates::new(rate)).unwrap();
    }
}

fn moved(matrices: &Matrices, device: &Device) -> Matrices {
    let to = |(key, matrix): (&String, &Tensor<2>)| {
        (key.clone(), Tensor::from_data(matrix.to_data(), device))
    };
    matrices.iter().map(to).collect()
}

fn values(matrices: &Matrices) -> Vec<f32> {
    let of = |matrix: &Tensor<2>| matrix.clone().try_into_vec_as::<f32>().unwrap();
    matrices.values().flat_map(of).collect()
}

#[test]
fn every_optimizer_goes_on_from_a_state_of_another_device() {
    let cpu = Device::flex();
    for listing in list_devices() {
        let choice: DeviceChoice = listing.name.parse().unwrap();
        let device = choice.resolve().unwrap();
        for kind in OptimizerConfig::KINDS {
            let eight = kind.ends_with("8bit");
            let settings = if eight { "min_8bit_size = 0" } else { "" };
            let config: OptimizerConfig =
                toml::from_str(&format!("kind = '{kind}'\n{settings}")).unwrap();
            let rate = if config.finds_its_rate() { 1.0 } else { RATE };
            let build = || config.build().unwrap();

            let (mut params, mut optimizer) = (filled(&cpu, |index| (index as f32).cos()), build());
            walk(optimizer.as_mut(), &mut params, rate, 0..6);
            let saved = State::from_bytes(&optimizer.state().to_bytes().unwrap()).unwrap();
            let (mut elsewhere, mut other) = (moved(&params, &device), build());
            other.restore(saved.clone(), &device).unwrap();
            // Going there and back costs no bit.
            assert_eq!(other.state(), saved, "{kind} on {}", listing.name);

            walk(optimizer.as_mut(), &mut params, rate, 6..10);
            walk(other.as_mut(), &mut elsewhere, rate, 6..10);
            let pairs = values(&params).into_iter().zip(values(&elsewhere));
            let worst = pairs
                .map(|(here, there)| (here - there).abs())
                .fold(0.0, f32::max);
            let limit = match choice {
                DeviceChoice::Cpu => 0.0,
                _ if eight => CODES,
                _ => ROUNDING,
            };
            assert!(worst <= limit, "{kind} on {}: {worst:e}", listing.name);

            let (mut back, mut home) = (moved(&elsewhere, &cpu), build());
            home.restore(other.state(), &cpu).unwrap();
            walk(home.as_mut(), &mut back, rate, 10..11);
            assert!(
                values(&back).iter().all(|value| value.is_finite()),
                "{kind}"
            );
        }
    }
}
