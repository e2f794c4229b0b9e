//! An observer of one's own, which ends a run as soon as the smoothed loss is low enough:
//! `cargo run --release --example own_observer -p lora-train -- run.toml 0.08`.
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::{env, error::Error, ops::ControlFlow};

use lora_train::{Event, Flow, Observer, Trainer, config::TrainConfig};

/// Ends a run at a loss, and remembers the way there.
struct UntilLoss {
    goal: f64,
    losses: Vec<(u64, f64)>,
}

impl Observer for UntilLoss {
    fn on_event(&mut self, event: &Event<'_>) -> Flow {
        let Event::Stepped(report) = event else {
            return ControlFlow::Continue(());
        };
        self.losses.push((report.step, report.smooth_loss));
        if report.smooth_loss <= self.goal {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let usage = "usage: own_observer RUN.toml LOSS";
    let mut arguments = env::args().skip(1);
    let path = arguments.next().ok_or(usage)?;
    let mut observer = UntilLoss {
        goal: arguments.next().ok_or(usage)?.parse()?,
        losses: Vec::new(),
    };
    let trainer = Trainer::open(TrainConfig::read(path, &[])?)?;
    let outcome = trainer.run(&mut observer)?;
    for (step, loss) in &observer.losses {
        println!("{step}\t{loss:.5}");
    }
    println!("ended after step {}: {:?}", outcome.steps, outcome.last);
    Ok(())
}
