//! A training on a loss of one's own: `cargo run --release --example own_objective -p lora-train -- run.toml`.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::{env, error::Error, f64::consts::LN_2, ops::ControlFlow};

use burn::tensor::{DType, Tensor};
use lora_core::{BaseModel, diffusion::NoiseSchedule};
use lora_train::{Batch, Event, Objective, Trainer, config::TrainConfig};

/// The mean of ln cosh d over all differences d of prediction and target: squared near 0, straight far away.
pub struct LogCosh;

impl Objective for LogCosh {
    fn loss(&self, model: &BaseModel, batch: &Batch) -> Tensor<1> {
        let schedule = NoiseSchedule::new(&model.scheduler);
        let (latents, noise) = (batch.latents.clone(), batch.noise.clone());
        let noisy = schedule.add_noise(latents.clone(), noise.clone(), &batch.timesteps);
        let target = schedule.target(latents, noise, &batch.timesteps);

        let conditions = batch.conditions(model, 1);
        let timesteps: Vec<f32> = batch.timesteps.iter().map(|&t| t as f32).collect();
        let noisy = noisy.cast(conditions.text.dtype());
        let prediction = model.unet.forward(noisy, &timesteps, &conditions);

        // As |d| + ln(1 + e^(−2|d|)) − ln 2, which large differences cannot make overflow.
        let size = (prediction.cast(DType::F32) - target).abs();
        ((size.clone() * -2.0).exp().log1p() + size - LN_2).mean()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("usage: own_objective RUN.toml")?;
    let trainer = Trainer::open(TrainConfig::read(path, &[])?)?;
    let trainer = trainer.with_objective(LogCosh);
    let outcome = trainer.run(&mut |_: &Event<'_>| ControlFlow::Continue(()))?;
    println!("loss {:.4} after {} steps", outcome.loss, outcome.steps);
    Ok(())
}
