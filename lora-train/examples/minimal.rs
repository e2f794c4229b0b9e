//! A whole training, embedded: `cargo run --release --example minimal -p lora-train -- run.toml`.
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::{env, error::Error, ops::ControlFlow};

use lora_train::{Event, Trainer, config::TrainConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("usage: minimal RUN.toml")?;
    let trainer = Trainer::open(TrainConfig::read(path, &[])?)?;
    let outcome = trainer.run(&mut |event: &Event<'_>| {
        if let Event::Stepped(report) = event {
            println!(
                "step {} of {}: loss {:.4}",
                report.step, report.steps, report.loss
            );
        }
        ControlFlow::Continue(())
    })?;
    println!(
        "{} files; the last is {:?}",
        outcome.files.len(),
        outcome.last
    );
    Ok(())
}
