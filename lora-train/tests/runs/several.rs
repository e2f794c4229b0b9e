//! Several trainings in one process.

use std::{ops::ControlFlow, path::Path, thread};

use lora_core::lora_file::LoraFile;
use lora_train::{Event, Trainer, config::TrainConfig};

use crate::{config, resume::contents};

/// Three runs that differ in all that could get mixed up: seed, rank, optimiser, number of steps.
fn configs(folder: &Path) -> [TrainConfig; 3] {
    let base = config(folder);
    [0, 1, 2].map(|number| {
        let mut config = base.clone();
        config.train.seed = number as u64;
        config.lora.rank = 2 + number;
        config.train.epochs = 1 + number as u64;
        config.preview.prompts.truncate(number);
        if number == 1 {
            config.optimizer = toml::from_str("kind = 'prodigy'").expect("an optimiser");
            config.lora.dropout.rank = 0.3;
        }
        config
    })
}

/// The run's last file, and the losses that it told.
fn train(mut config: TrainConfig, folder: &Path) -> (LoraFile, Vec<f64>) {
    config.output.folder = folder.to_path_buf();
    let mut losses = Vec::new();
    let trainer = Trainer::open(config).expect("a trainer");
    let outcome = trainer.run(&mut |event: &Event<'_>| {
        if let Event::Stepped(report) = event {
            losses.push(report.loss);
        }
        ControlFlow::Continue(())
    });
    let last = outcome.expect("a run").last.expect("a last file");
    (contents(&last), losses)
}

#[test]
fn runs_at_once_or_one_after_the_other_give_what_each_gives_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let configs = configs(folder);
    let named = |kind: &str, number: usize| folder.join(format!("{kind} {number}"));
    // In turn, which is as alone as it gets in one process; a test of the program compares processes.
    let alone: Vec<_> = configs
        .iter()
        .enumerate()
        .map(|(number, config)| train(config.clone(), &named("alone", number)))
        .collect();
    let differ = alone[0].0.modules != alone[1].0.modules;
    assert!(differ && alone.iter().all(|(_, losses)| !losses.is_empty()));
    let at_once: Vec<_> = thread::scope(|scope| {
        let started = configs.iter().enumerate().map(|(number, config)| {
            let folder = named("at once", number);
            scope.spawn(move || train(config.clone(), &folder))
        });
        let started: Vec<_> = started.collect();
        started
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    assert_eq!(at_once, alone);
    let reversed = configs.iter().enumerate().rev();
    for (number, config) in reversed {
        let again = train(config.clone(), &named("again", number));
        assert_eq!(again, alone[number], "{number}");
    }
}
