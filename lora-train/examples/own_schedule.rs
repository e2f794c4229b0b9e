//! A training at a course of the learning rate of one's own:
//! `cargo run --release --example own_schedule -p lora-train -- run.toml`.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::{env, error::Error, f64::consts::PI, ops::ControlFlow};

use lora_optim::Schedule;
use lora_train::{Event, Trainer, config::TrainConfig};

/// Rises and falls over half a wave.
pub struct HalfWave {
    /// Optimiser steps of the run.
    pub steps: u64,
}

impl Schedule for HalfWave {
    fn at(&self, step: u64) -> f64 {
        (PI * (step as f64 + 0.5) / self.steps as f64).sin()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("usage: own_schedule RUN.toml")?;
    let trainer = Trainer::open(TrainConfig::read(path, &[])?)?;
    let steps = trainer.plan().steps;
    let trainer = trainer.with_schedule(HalfWave { steps });
    let outcome = trainer.run(&mut |event: &Event<'_>| {
        if let Event::Stepped(report) = event {
            println!("step {}: rate {:.2e}", report.step, report.learning_rate);
        }
        ControlFlow::Continue(())
    })?;
    println!("loss {:.4} after {} steps", outcome.loss, outcome.steps);
    Ok(())
}
