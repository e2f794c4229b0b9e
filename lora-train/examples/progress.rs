//! A training on a thread of its own, watched and commanded from another:
//! `cargo run --release --example progress -p lora-train -- run.toml`, then `pause`, `resume`, `save`, `sample`, `rate 0.5` or
//! `stop` on standard input.
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::{env, error::Error, io, ops::ControlFlow, sync::mpsc, thread};

use lora_train::{Event, Handle, Trainer, config::TrainConfig};

/// What the watching thread is told; events borrow from the run, so what is needed is taken out of them.
enum Told {
    Step { step: u64, steps: u64, loss: f64 },
    Note(String),
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("usage: progress RUN.toml")?;
    let trainer = Trainer::open(TrainConfig::read(path, &[])?)?;
    let handle = trainer.handle();
    thread::spawn(move || command(&handle));
    let (tell, told) = mpsc::channel();
    let training = thread::spawn(move || {
        trainer.run(&mut |event: &Event<'_>| {
            let message = match event {
                Event::Stepped(report) => Told::Step {
                    step: report.step,
                    steps: report.steps,
                    loss: report.smooth_loss,
                },
                Event::Saved { path, .. } => Told::Note(format!("saved {}", path.display())),
                Event::Paused { .. } => Told::Note("paused".to_owned()),
                Event::Resumed { .. } => Told::Note("going on".to_owned()),
                _ => return ControlFlow::Continue(()),
            };
            // Nobody listening any more is no reason to stop.
            let _ = tell.send(message);
            ControlFlow::Continue(())
        })
    });
    for message in told {
        match message {
            Told::Step { step, steps, loss } => println!("step {step} of {steps}: loss {loss:.4}"),
            Told::Note(text) => println!("{text}"),
        }
    }
    let outcome = training.join().map_err(|_| "the training panicked")??;
    println!("{} steps, {} files", outcome.steps, outcome.files.len());
    Ok(())
}

/// Turns lines of standard input into commands.
fn command(handle: &Handle) {
    for line in io::stdin().lines().map_while(Result::ok) {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["pause"] => handle.pause(),
            ["resume"] => handle.resume(),
            ["save"] => handle.save_now(),
            ["sample"] => handle.sample_now(),
            ["rate", factor] => handle.scale_rates(factor.parse().unwrap_or(f64::NAN)),
            ["stop"] => handle.stop(),
            _ => println!("pause, resume, save, sample, rate FACTOR or stop"),
        }
    }
}
