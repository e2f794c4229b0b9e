//! Runs with each optimiser that a config can name.

use std::ops::ControlFlow;

use lora_core::lora_file::LoraFile;
use lora_train::{Event, Trainer, config::OptimizerConfig};

use crate::{config, run};

fn parsed(text: &str) -> OptimizerConfig {
    toml::from_str(text).unwrap()
}

#[test]
fn every_optimizer_trains_and_is_named_in_the_file() {
    for kind in OptimizerConfig::KINDS {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        config.optimizer = parsed(&format!("kind = '{kind}'"));
        if config.optimizer.finds_its_rate() {
            (config.train.unet_lr, config.train.text_lr) = (1.0, 0.5);
        }
        config.train.epochs = 1;
        config.preview.prompts.clear();
        config.output.folder = folder.path().join("out");
        let name = config.optimizer.name();
        let outcome = run(config, &mut |_: &Event<'_>| ControlFlow::Continue(()));
        assert_eq!(outcome.steps, 3, "{kind}");
        let file = LoraFile::read(folder.path().join("out/thing.safetensors")).unwrap();
        let told = &file.metadata["ss_optimizer"];
        assert!(told.starts_with(&format!("{name}(")), "{told}");
        for part in ["lora_unet", "lora_te"] {
            let mut modules = file.modules.iter();
            let moved = modules.any(|(name, module)| {
                name.starts_with(part) && module.up.iter::<f32>().any(|value| value != 0.0)
            });
            assert!(moved, "{kind} has left {part} where it was");
        }
    }
}

#[test]
fn rates_that_an_optimizer_would_misunderstand_are_noted() {
    let folder = tempfile::tempdir().unwrap();
    let notes = |optimizer: &str, rates: (f64, f64)| {
        let mut config = config(folder.path());
        config.optimizer = parsed(optimizer);
        (config.train.unet_lr, config.train.text_lr) = rates;
        let notes = Trainer::open(config).unwrap().plan().notes.join("\n");
        (
            notes.contains("finds its own learning rate"),
            notes.contains("an estimate each"),
        )
    };
    assert_eq!(notes("kind = 'adamw'", (1e-4, 1e-5)), (false, false));
    assert_eq!(notes("kind = 'prodigy'", (1e-4, 1e-5)), (true, true));
    assert_eq!(notes("kind = 'prodigy'", (1.0, 0.5)), (false, true));
    assert_eq!(notes("kind = 'dadapt-adam'", (1.0, 1.0)), (false, false));
    let relative = "kind = 'adafactor'\nrelative_step = true";
    assert_eq!(notes(relative, (1e-4, 1e-5)), (true, false));
}

#[test]
fn the_guide_to_optimizers_of_ones_own_shows_the_example() {
    let guide = include_str!("../../../docs/add-an-optimizer.md");
    let example = include_str!("../../examples/own_optimizer.rs");
    let shown = guide.split("```rust\n").nth(1).unwrap();
    let shown = shown.split("```").next().unwrap();
    assert!(shown.lines().count() < 40);
    assert!(example.contains(shown.trim_end()));
}
