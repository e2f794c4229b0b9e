//! A run that was stopped goes on as if it had not been.

use std::{
    collections::BTreeMap,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use burn::tensor::TensorData;
use lora_core::lora_file::LoraFile;
use lora_optim::State;
use lora_train::{
    Difference, Event, Outcome, Resume, ResumeError, TrainError, Trainer, config::TrainConfig,
};
use sha2::{Digest, Sha256};

use crate::{config, telling::table};

pub(crate) const LATEST: Resume = Resume {
    from: None,
    allow_change: false,
};

/// Three epochs of two steps, the second of which has one batch instead of two; everything that has a state is on.
fn varied(folder: &Path, optimizer: &str) -> TrainConfig {
    let mut config = config(folder);
    config.train.epochs = 3;
    config.train.accumulation = 2.try_into().expect("not zero");
    config.train.log_every = 1.try_into().expect("not zero");
    config.optimizer = toml::from_str(optimizer).expect("an optimiser");
    config.lora.dropout.rank = 0.2;
    config.schedule = toml::from_str("kind = 'cosine'\nwarmup = 1").expect("a schedule");
    config.dataset.caption.shuffle = true;
    config.preview.prompts.clear();
    config.checkpoint.every = 1;
    config.checkpoint.keep = 100;
    config
}

/// Runs until `stop` steps are done.
pub(crate) fn run_until(
    config: &TrainConfig,
    resume: Option<Resume>,
    stop: u64,
) -> Result<Outcome, TrainError> {
    let trainer = match resume {
        Some(resume) => Trainer::resume(config.clone(), resume)?,
        None => Trainer::open(config.clone())?,
    };
    trainer.run(&mut |event: &Event<'_>| match event {
        Event::Stepped(report) if report.step == stop => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
}

/// Everything in a file but the times.
pub(crate) fn contents(path: &Path) -> LoraFile {
    let mut file = LoraFile::read(path).expect("a LoRA file");
    file.metadata
        .retain(|key, _| !key.contains("_at") && !key.contains("hash") && key != "modelspec.date");
    file
}

fn files(config: &TrainConfig) -> BTreeMap<String, LoraFile> {
    let names = ["thing-000001", "thing-000002", "thing-000003", "thing"];
    let files = names.map(|name| {
        let path = config.output.folder.join(format!("{name}.safetensors"));
        (name.to_owned(), contents(&path))
    });
    files.into()
}

/// Losses, rates and comparisons by step, as the log has them.
pub(crate) fn log(config: &TrainConfig) -> Vec<String> {
    let text = fs::read_to_string(config.output.folder.join("metrics.jsonl")).expect("a log");
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    lines
        .filter(|event| {
            ["stepped", "measured", "compared"]
                .contains(&event["event"].as_str().unwrap_or_default())
        })
        .map(|event| {
            let parts = [
                "step",
                "epoch",
                "loss",
                "smooth_loss",
                "balanced_loss",
                "loss_by_timestep",
                "grad_norm",
                "learning_rate",
                "heldout_loss",
                "similarity",
                "copy_distance",
            ];
            parts.map(|part| event[part].to_string()).join(" ")
        })
        .collect()
}

/// What does not depend on the clock: the table's rows without their times, and the length of TensorBoard's file, of which
/// every number takes as many bytes as any other.
fn logs(config: &TrainConfig) -> (Vec<String>, u64) {
    let mut rows = table(config);
    for row in &mut rows {
        row.retain(|name, _| !name.contains("second") && !name.contains("bytes"));
    }
    let file = config
        .output
        .folder
        .join("tensorboard/events.out.tfevents.0.lora");
    let length = fs::metadata(file).expect("TensorBoard's file").len();
    (rows.iter().map(|row| format!("{row:?}")).collect(), length)
}

fn in_folder(config: &TrainConfig, folder: &Path) -> TrainConfig {
    let mut config = config.clone();
    config.output.folder = folder.to_path_buf();
    config
}

#[test]
fn a_run_that_is_stopped_after_any_step_ends_as_one_that_is_not() {
    let folder = tempfile::tempdir().unwrap();
    for (optimizer, with_average) in [
        ("kind = 'adamw8bit'\nmin_8bit_size = 64", true),
        ("kind = 'prodigy'", false),
        ("kind = 'adamw-schedule-free'", false),
    ] {
        let mut config = varied(folder.path(), optimizer);
        config.ema.decay = with_average.then_some(0.9);
        config.heldout.folder = Some(folder.path().join("pictures"));
        config.heldout.every = 2;
        if optimizer.contains("prodigy") {
            (config.train.unet_lr, config.train.text_lr) = (1.0, 0.5);
        }
        let whole = in_folder(
            &config,
            &folder
                .path()
                .join(format!("whole {}", config.optimizer.name())),
        );
        let expected = run_until(&whole, None, u64::MAX).unwrap();
        assert_eq!(expected.steps, 6);
        for stop in 1..6 {
            let name = format!("stopped {stop} {}", config.optimizer.name());
            let stopped = in_folder(&config, &folder.path().join(name));
            let outcome = run_until(&stopped, None, stop).unwrap();
            assert!(outcome.stopped && outcome.steps == stop);
            // And once more on the way.
            let again = run_until(&stopped, Some(LATEST), stop + 1).unwrap();
            let end = run_until(&stopped, Some(LATEST), u64::MAX).unwrap();
            assert_eq!(
                (again.steps, end.steps, end.stopped),
                ((stop + 1).min(6), 6, false)
            );
            assert_eq!(end.heldout, expected.heldout, "{optimizer} {stop}");
            assert_eq!(
                log(&stopped),
                log(&whole),
                "{optimizer} stopped after {stop}"
            );
            assert_eq!(
                logs(&stopped),
                logs(&whole),
                "{optimizer} stopped after {stop}"
            );
            assert_eq!(
                files(&stopped),
                files(&whole),
                "{optimizer} stopped after {stop}"
            );
        }
    }
}

fn checkpoints(config: &TrainConfig) -> Vec<PathBuf> {
    let entries = fs::read_dir(config.output.folder.join("checkpoints")).expect("checkpoints");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    paths
}

/// Puts the right checksum into a state that was changed.
fn write_sound(path: &Path, mut state: State) {
    state.tensors.remove("sha256");
    let mut hash = Sha256::new();
    for (name, value) in &state.tensors {
        hash.update(name);
        hash.update(format!("{:?}{:?}", value.dtype(), value.shape().to_vec()));
        hash.update(value.as_bytes());
    }
    for (name, value) in &state.scalars {
        hash.update(name);
        hash.update(format!("{value:?}"));
    }
    let sum = TensorData::new(hash.finalize().to_vec(), [32]);
    state.tensors.insert("sha256".to_owned(), sum);
    fs::write(path, state.to_bytes().expect("bytes")).expect("written");
}

/// Changes a number of a checkpoint's record.
fn with_record(state: &mut State, change: impl FnOnce(&mut toml::Table)) {
    let bytes = state.tensors["record"].as_bytes().to_vec();
    let mut record = toml::from_slice(&bytes).expect("TOML");
    change(&mut record);
    let text = toml::to_string(&record).expect("TOML").into_bytes();
    let length = text.len();
    state
        .tensors
        .insert("record".to_owned(), TensorData::new(text, [length]));
}

/// The result would not depend on what a checkpoint holds if it could be taken out unnoticed.
#[test]
fn each_part_of_a_checkpoint_matters() {
    let folder = tempfile::tempdir().unwrap();
    let config = varied(folder.path(), "kind = 'adamw'");
    run_until(&config, None, 3).unwrap();
    let path = checkpoints(&config).pop().unwrap();
    let saved = fs::read(&path).unwrap();
    let end = |change: &dyn Fn(&mut State)| {
        let mut state = State::from_bytes(&saved).expect("a state");
        change(&mut state);
        write_sound(&path, state);
        let resume = Resume {
            from: Some(path.clone()),
            ..LATEST
        };
        run_until(&config, Some(resume), u64::MAX).expect("a run to its end");
        contents(&config.output.folder.join("thing.safetensors")).modules
    };
    let right = end(&|_| ());
    let zero = |state: &mut State, part: &str| {
        let name = state
            .tensors
            .keys()
            .find(|name| name.contains(part))
            .expect("it is there")
            .clone();
        let value = &state.tensors[&name];
        let zeros = TensorData::zeros::<f32, _>(value.shape().clone());
        state.tensors.insert(name, zeros);
    };
    for (what, changed) in [
        (
            "a moment",
            end(&|state| {
                zero(
                    state,
                    "optimizer:lora_unet_mid_block_attentions_0_proj_in.lora_up",
                );
            }),
        ),
        (
            "a matrix",
            end(&|state| {
                zero(
                    state,
                    "params:lora_unet_mid_block_attentions_0_proj_in.lora_up",
                );
            }),
        ),
        (
            "the position in the data",
            end(&|state| {
                with_record(state, |record| {
                    record["standing"]["steps_of_epoch"] = 0.into();
                });
            }),
        ),
        (
            "the step, which schedule and draws go by",
            end(&|state| {
                with_record(state, |record| {
                    record["standing"]["outcome"]["steps"] = 2.into();
                });
            }),
        ),
    ] {
        assert_ne!(changed, right, "{what}");
    }
    assert_eq!(end(&|_| ()), right);
}

#[test]
fn only_so_many_checkpoints_stay_and_broken_ones_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = varied(folder.path(), "kind = 'adamw'");
    config.checkpoint.keep = 2;
    run_until(&config, None, 4).unwrap();
    let paths = checkpoints(&config);
    let names: Vec<_> = paths
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(names, ["step00000003.state", "step00000004.state"]);
    let sound = fs::read(&paths[1]).unwrap();
    for damage in [0, sound.len() / 2, sound.len() - 1] {
        let mut broken = sound.clone();
        broken[damage] ^= 1;
        fs::write(&paths[1], &broken).unwrap();
        let told = run_until(
            &config,
            Some(Resume {
                from: Some(paths[1].clone()),
                ..LATEST
            }),
            u64::MAX,
        );
        assert!(
            matches!(told, Err(TrainError::Resume(ResumeError::Unusable { .. }))),
            "{damage}: {told:?}"
        );
        // The older one is there, and the broken one is no reason to remove it.
        let outcome = run_until(&config, Some(LATEST), 4).unwrap();
        assert_eq!(outcome.steps, 4, "{damage}");
    }
    config.checkpoint.keep = 0;
    let outcome = run_until(&in_folder(&config, &folder.path().join("none")), None, 2).unwrap();
    assert_eq!(outcome.steps, 2);
    assert!(!folder.path().join("none/checkpoints").exists());
}

/// Whoever goes on from an earlier checkpoint leaves the way that led on from it.
#[test]
fn going_on_from_an_earlier_checkpoint_leaves_the_later_ones_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = varied(folder.path(), "kind = 'adamw'");
    run_until(&config, None, 5).unwrap();
    let first = checkpoints(&config)[0].clone();
    let from = Resume {
        from: Some(first),
        ..LATEST
    };
    config.checkpoint.keep = 2;
    assert_eq!(run_until(&config, Some(from), 3).unwrap().steps, 3);
    let names = |config: &TrainConfig| -> Vec<String> {
        let paths = checkpoints(config).into_iter();
        let names = paths.map(|path| path.file_name().unwrap().to_owned());
        names.map(|name| name.into_string().unwrap()).collect()
    };
    assert_eq!(names(&config), ["step00000002.state", "step00000003.state"]);
    // So that the latest is the latest of the new way.
    assert_eq!(run_until(&config, Some(LATEST), 4).unwrap().steps, 4);
}

/// Killed, or out of disk, while the first file of an epoch was being made.
#[test]
fn there_is_something_to_go_on_from_before_the_first_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = varied(folder.path(), "kind = 'adamw'");
    config.checkpoint.every = 0;
    let refuses = |event: &Event<'_>| match event {
        Event::Saved { .. } => panic!("killed"),
        _ => ControlFlow::Continue(()),
    };
    let killed = std::panic::catch_unwind(|| {
        let trainer = Trainer::open(config.clone()).unwrap();
        trainer.run(&mut |event: &Event<'_>| refuses(event))
    });
    assert!(killed.is_err());
    assert!(
        config
            .output
            .folder
            .join("thing-000001.safetensors")
            .is_file()
    );
    let outcome = run_until(&config, Some(LATEST), u64::MAX).unwrap();
    assert_eq!((outcome.steps, outcome.files.len()), (6, 3));
    let right = in_folder(&config, &folder.path().join("right"));
    run_until(&right, None, u64::MAX).unwrap();
    assert_eq!(files(&config), files(&right));
}

/// A preview that cannot be written, say: what was learnt before is not lost.
#[test]
fn a_run_that_fails_on_the_way_puts_down_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = varied(folder.path(), "kind = 'adamw'");
    config.checkpoint.every = 0;
    config.preview.every = 1;
    config.preview.prompts = vec!["a cat".to_owned()];
    config.preview.steps = 1;
    // A folder stands where the first preview is to go.
    let taken = config.output.folder.join("previews/step00000001-0.png");
    let failed = Trainer::open(config.clone())
        .unwrap()
        .run(&mut |event: &Event<'_>| {
            if matches!(event, Event::Started { .. }) {
                fs::create_dir(&taken).unwrap();
            }
            ControlFlow::Continue(())
        });
    assert!(matches!(failed, Err(TrainError::Write(_))), "{failed:?}");
    fs::remove_dir(taken).unwrap();
    let outcome = run_until(&config, Some(LATEST), 2).unwrap();
    assert_eq!(outcome.steps, 2);
    let names: Vec<_> = checkpoints(&config);
    assert!(names[0].ends_with("step00000001.state"), "{names:?}");
}

#[test]
fn another_config_or_dataset_is_refused_with_what_differs_unless_it_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let config = varied(folder.path(), "kind = 'adamw'");
    run_until(&config, None, 2).unwrap();
    let differences = |config: &TrainConfig| match run_until(config, Some(LATEST), u64::MAX) {
        Err(TrainError::Resume(ResumeError::Changed { differences, .. })) => differences,
        other => panic!("{other:?}"),
    };
    let mut faster = config.clone();
    faster.train.unet_lr = 2e-4;
    faster.preview.every = 7;
    let setting = Difference::Setting {
        key: "train.unet_lr".to_owned(),
        before: Some("0.0001".to_owned()),
        now: Some("0.0002".to_owned()),
    };
    assert_eq!(differences(&faster), [setting]);
    let allowed = Resume {
        allow_change: true,
        ..LATEST
    };
    assert_eq!(run_until(&faster, Some(allowed), 3).unwrap().steps, 3);

    let caption = folder.path().join("pictures/2_sks thing/0.txt");
    fs::write(&caption, "another caption").unwrap();
    assert_eq!(differences(&faster), [Difference::Data]);
    fs::remove_file(caption).unwrap();

    // Another rank cannot be gone on with, whatever is allowed.
    let mut wider = config.clone();
    wider.lora.rank = 3;
    let allowed = Resume {
        allow_change: true,
        ..LATEST
    };
    let refused = run_until(&wider, Some(allowed), u64::MAX).unwrap_err();
    assert!(matches!(refused, TrainError::State(_)), "{refused}");
}

#[test]
fn without_a_checkpoint_a_run_begins_anew_but_takes_no_earlier_runs_place() {
    let folder = tempfile::tempdir().unwrap();
    let config = varied(folder.path(), "kind = 'adamw'");
    assert_eq!(run_until(&config, Some(LATEST), 2).unwrap().steps, 2);
    fs::remove_dir_all(config.output.folder.join("checkpoints")).unwrap();
    let refused = run_until(&config, Some(LATEST), u64::MAX).unwrap_err();
    assert!(refused.to_string().contains("earlier run"), "{refused}");
}
