//! Which epoch is the best, and when to end.

use std::{fs, ops::ControlFlow, path::Path};

use lora_train::{Event, Trainer, config::TrainConfig};

use crate::{config, run};

/// Five epochs, measured on the training pictures themselves.
fn measured(folder: &Path, lr: f64) -> TrainConfig {
    let mut config = config(folder);
    config.train.epochs = 5;
    (config.train.unet_lr, config.train.text_lr) = (lr, lr);
    config.preview.prompts.clear();
    config.heldout.folder = Some(folder.join("pictures"));
    config.heldout.every = 0;
    config
}

#[test]
fn the_best_file_is_copied_and_all_are_ranked() {
    let folder = tempfile::tempdir().unwrap();
    let config = measured(folder.path(), 3e-3);
    let outcome = run(config.clone(), &mut |_: &Event<'_>| {
        ControlFlow::Continue(())
    });
    let out = &config.output.folder;
    let best = outcome
        .ranked
        .iter()
        .min_by(|a, b| a.heldout_loss.unwrap().total_cmp(&b.heldout_loss.unwrap()));
    let best = best.unwrap();
    assert_eq!(outcome.ranked.len(), 5);
    assert_eq!(outcome.best.as_ref(), Some(&best.path));
    assert_eq!(
        fs::read(out.join("best.safetensors")).unwrap(),
        fs::read(&best.path).unwrap()
    );
    let csv = fs::read_to_string(out.join("ranking.csv")).unwrap();
    let first = csv.lines().nth(1).unwrap();
    let name = best.path.file_name().unwrap().to_str().unwrap();
    assert!(
        first.starts_with(&format!("1,{name},{},{},", best.epoch, best.step)),
        "{csv}"
    );
    assert_eq!(csv.lines().count(), 6);

    // A new run takes the old one's away.
    let mut again = config.clone();
    again.output.overwrite = true;
    again.heldout.folder = None;
    run(again, &mut |_: &Event<'_>| ControlFlow::Continue(()));
    assert!(!out.join("best.safetensors").exists());
}

#[test]
fn a_run_ends_when_the_held_out_loss_has_stopped_falling() {
    let folder = tempfile::tempdir().unwrap();
    // So fast that soon nothing changes any more.
    let mut config = measured(folder.path(), 3.0);
    config.train.epochs = 12;
    config.heldout.patience = Some(2.try_into().unwrap());
    let trainer = Trainer::open(config.clone()).unwrap();
    let outcome = trainer
        .run(&mut |_: &Event<'_>| ControlFlow::Continue(()))
        .unwrap();
    assert!(outcome.ended_early && !outcome.stopped);
    let best = outcome
        .heldout
        .iter()
        .enumerate()
        .min_by(|(_, a), (_, b)| a.1.total_cmp(&b.1))
        .unwrap()
        .0;
    assert_eq!(outcome.heldout.len(), best + 3);
    assert!(outcome.steps < 36, "{outcome:?}");
    assert_eq!(outcome.steps, 3 * outcome.epochs);
    assert_eq!(outcome.files.len() as u64, outcome.epochs);
    assert!(config.output.folder.join("thing.safetensors").is_file());
}
