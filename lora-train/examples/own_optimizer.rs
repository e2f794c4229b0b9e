//! A training with an optimiser of one's own: `cargo run --release --example own_optimizer -p lora-train -- run.toml`.
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::{env, error::Error, ops::ControlFlow};

use lora_optim::{Matrices, Optimizer, OptimizerError, Rates, State, StateError, pair};
use lora_train::{Device, Event, Trainer, config::TrainConfig};

/// Steps by the sign of a momentum.
#[derive(Default)]
struct SignMomentum {
    momentum: Matrices,
}

impl Optimizer for SignMomentum {
    fn step(
        &mut self,
        params: &mut Matrices,
        grads: Matrices,
        rates: &Rates,
    ) -> Result<(), OptimizerError> {
        for (key, param, grad) in pair(params, grads)? {
            let old = self.momentum.remove(key);
            let old = old.unwrap_or_else(|| param.zeros_like());
            let momentum = old * 0.9 + grad * 0.1;
            *param = param.clone() - momentum.clone().sign() * rates.at(key);
            self.momentum.insert(key.to_owned(), momentum);
        }
        Ok(())
    }

    fn state(&self) -> State {
        State::default().with_matrices("momentum", &self.momentum)
    }

    fn restore(&mut self, mut state: State, device: &Device) -> Result<(), StateError> {
        let momentum = state.take_matrices("momentum", device)?;
        state.finish()?;
        self.momentum = momentum;
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("usage: own_optimizer RUN.toml")?;
    let trainer = Trainer::open(TrainConfig::read(path, &[])?)?;
    let trainer = trainer.with_optimizer(SignMomentum::default());
    let outcome = trainer.run(&mut |_: &Event<'_>| ControlFlow::Continue(()))?;
    println!("loss {:.4} after {} steps", outcome.loss, outcome.steps);
    Ok(())
}
