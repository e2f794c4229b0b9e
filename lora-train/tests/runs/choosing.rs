//! Which epoch is the best, and when to end.

use std::{
    collections::BTreeSet,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use image::{Rgb, RgbImage};
use lora_core::lora_file::LoraFile;
use lora_train::{
    Difference, EpochListing, Event, Outcome, Plan, Resume, ResumeError, TrainError, Trainer,
    config::TrainConfig,
};

use crate::{
    config, golden,
    resume::{LATEST, log, run_until},
    run,
};

fn to_the_end(config: TrainConfig) -> Outcome {
    run(config, &mut |_: &Event<'_>| ControlFlow::Continue(()))
}

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

/// Three epochs of three steps on six pictures that are not copies of one another, two of which are held out.
fn split(folder: &Path) -> TrainConfig {
    let mut config = config(folder);
    let pictures = folder.join("pictures/2_sks thing");
    fs::remove_dir_all(&pictures).unwrap();
    fs::create_dir(&pictures).unwrap();
    for index in 0..6 {
        spots(index)
            .save(pictures.join(format!("{index}.png")))
            .unwrap();
        let caption = format!("sks thing, number {index}");
        fs::write(pictures.join(format!("{index}.txt")), caption).unwrap();
    }
    config.train.epochs = 3;
    config.train.batch_size = 3.try_into().unwrap();
    config.train.log_every = 1.try_into().unwrap();
    (config.train.unet_lr, config.train.text_lr) = (1e-3, 1e-3);
    config.preview.prompts.clear();
    config.heldout = toml::from_str("split = 0.3\nevery = 2").unwrap();
    config
}

/// A picture with light places of its own.
fn spots(seed: u32) -> RgbImage {
    RgbImage::from_fn(64, 64, |x, y| {
        let spot = |number: u32| {
            let (at_x, at_y) = (
                (seed * 37 + number * 23) % 64,
                (seed * 11 + number * 41) % 64,
            );
            let far = (x.abs_diff(at_x).pow(2) + y.abs_diff(at_y).pow(2)) as f32;
            160.0 * (-far / 80.0).exp()
        };
        let light = (20.0 + spot(1) + spot(2) + spot(3)).min(255.0) as u8;
        Rgb([light, light / 2, 40 * seed as u8])
    })
}

fn names(paths: &[PathBuf]) -> BTreeSet<String> {
    let names = paths.iter().map(|path| path.file_name().unwrap());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

#[test]
fn the_best_file_is_copied_and_all_are_ranked() {
    let folder = tempfile::tempdir().unwrap();
    let config = measured(folder.path(), 3e-3);
    let outcome = to_the_end(config.clone());
    let out = &config.output.folder;
    let best = outcome
        .ranked
        .iter()
        .min_by(|a, b| a.heldout_loss.unwrap().total_cmp(&b.heldout_loss.unwrap()));
    let best = best.unwrap();
    assert_eq!(outcome.ranked.len(), 5);
    assert_eq!(outcome.best.as_ref(), Some(&best.path));
    assert_eq!(
        fs::read(out.join("thing-best.safetensors")).unwrap(),
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
    to_the_end(again);
    assert!(!out.join("thing-best.safetensors").exists());
}

#[test]
fn a_run_ends_when_the_held_out_loss_has_stopped_falling() {
    let folder = tempfile::tempdir().unwrap();
    // So fast that soon nothing changes any more.
    let mut config = measured(folder.path(), 3.0);
    config.train.epochs = 12;
    config.heldout.patience = Some(2.try_into().unwrap());
    let outcome = to_the_end(config.clone());
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

/// Killed between the last measure and the last file, a run knows from its checkpoint that it is over.
#[test]
fn a_run_that_has_ended_early_stays_ended_when_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = measured(folder.path(), 3.0);
    config.train.epochs = 12;
    config.heldout.every = 1;
    config.heldout.patience = Some(2.try_into().unwrap());
    config.checkpoint.every = 1;
    config.checkpoint.keep = 100;
    let whole = to_the_end(config.clone());
    assert!(whole.ended_early && whole.steps < 36, "{whole:?}");
    let last = config.output.folder.join("thing.safetensors");
    let expected = LoraFile::read(&last).unwrap();
    fs::remove_file(&last).unwrap();
    let again = run_until(&config, Some(LATEST), u64::MAX).unwrap();
    assert_eq!(again.heldout, whole.heldout);
    assert_eq!(
        (again.steps, again.ended_early, again.stopped, again.files),
        (whole.steps, true, false, whole.files)
    );
    assert_eq!(LoraFile::read(&last).unwrap().modules, expected.modules);
    // With more patience it goes on.
    config.heldout.patience = Some(100.try_into().unwrap());
    let more = run_until(&config, Some(LATEST), u64::MAX).unwrap();
    assert_eq!((more.steps, more.ended_early), (36, false));
    // Every epoch has one file.
    let files: BTreeSet<_> = more.files.iter().collect();
    assert_eq!(
        (more.files.len(), files.len(), more.ranked.len()),
        (12, 12, 12)
    );
}

#[test]
fn a_measure_comes_after_so_many_epochs() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = measured(folder.path(), 1e-3);
    config.heldout.every_epochs = Some(2.try_into().unwrap());
    config.output.save_every_epochs = 5;
    let outcome = to_the_end(config);
    let steps: Vec<u64> = outcome.heldout.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [0, 6, 12, 15]);
}

/// What is held out is as if it had never been among the training pictures.
#[test]
fn a_split_trains_as_the_other_pictures_alone_and_measures_as_a_folder_of_those_taken_out() {
    let folder = tempfile::tempdir().unwrap();
    let config = split(folder.path());
    let plan = Plan::open(&config).unwrap();
    assert_eq!((plan.heldout.len(), plan.images), (2, 4));
    assert_eq!(plan.exposures_per_epoch, 8);
    let shown = EpochListing::open(&config, &plan, 1).unwrap().batches;
    let shown = shown.into_iter().flat_map(|batch| batch.showings);
    let shown: Vec<PathBuf> = shown.map(|showing| showing.image).collect();
    assert_eq!(shown.len(), 8);
    assert!(names(&plan.heldout).is_disjoint(&names(&shown)));

    let outcome = to_the_end(config.clone());
    let file = LoraFile::read(config.output.folder.join("thing.safetensors")).unwrap();
    let said = |key: &str| file.metadata[key].as_str();
    assert_eq!(
        (
            said("ss_num_train_images"),
            said("ss_num_validation_images")
        ),
        ("8", "2")
    );

    let apart = folder.path().join("heldout");
    fs::create_dir(&apart).unwrap();
    for image in &plan.heldout {
        for path in [image.clone(), image.with_extension("txt")] {
            fs::rename(&path, apart.join(path.file_name().unwrap())).unwrap();
        }
    }
    let mut by_hand = config;
    by_hand.heldout.split = None;
    by_hand.heldout.folder = Some(apart);
    by_hand.output.folder = folder.path().join("by hand");
    let expected = to_the_end(by_hand.clone());
    assert_eq!(outcome.heldout, expected.heldout);
    let other = LoraFile::read(by_hand.output.folder.join("thing.safetensors")).unwrap();
    assert_eq!(file.modules, other.modules);
}

#[test]
fn another_split_is_another_run() {
    let folder = tempfile::tempdir().unwrap();
    let config = split(folder.path());
    run_until(&config, None, 2).unwrap();
    let differences = |config: &TrainConfig| match run_until(config, Some(LATEST), u64::MAX) {
        Err(TrainError::Resume(ResumeError::Changed { differences, .. })) => differences,
        other => panic!("{other:?}"),
    };
    let mut larger = config.clone();
    larger.heldout.split = Some(lora_data::SplitSize::Pictures(3));
    let told = differences(&larger);
    assert!(
        told.contains(&Difference::Data)
            && told[0].to_string() == "heldout.split was 0.3, is now 3",
        "{told:?}"
    );
    // Another caption of a picture that is only measured by: its loss would be another.
    let heldout = Plan::open(&config).unwrap().heldout;
    fs::write(heldout[0].with_extension("txt"), "something else").unwrap();
    assert_eq!(differences(&config), [Difference::Data]);
    // How often is measured does not matter.
    fs::write(
        heldout[0].with_extension("txt"),
        format!(
            "sks thing, number {}",
            heldout[0].file_stem().unwrap().display()
        ),
    )
    .unwrap();
    let mut more = config;
    more.heldout.every = 1;
    more.choose.similarity = true;
    more.preview.steps = 1;
    run_until(&more, Some(LATEST), 3).unwrap();
}

#[test]
fn what_a_split_cannot_do_is_told_before_anything_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let problems = |change: &dyn Fn(&mut TrainConfig)| {
        let mut config = split(folder.path());
        change(&mut config);
        let told = Plan::open(&config).map(|_| ()).unwrap_err();
        told.to_string()
    };
    let told = problems(&|config| config.heldout.folder = Some(folder.path().join("pictures")));
    assert!(told.contains("heldout.folder and heldout.split"), "{told}");
    let told = problems(&|config| {
        config.heldout.split = None;
        config.heldout.patience = Some(3.try_into().unwrap());
    });
    assert!(told.contains("nothing is measured"), "{told}");
    for size in [
        lora_data::SplitSize::Pictures(0),
        lora_data::SplitSize::Part(1.5),
        lora_data::SplitSize::Pictures(6),
    ] {
        let told = problems(&|config| config.heldout.split = Some(size));
        assert!(told.contains("heldout.split"), "{told}");
    }
    let told = problems(&|config| {
        config.choose =
            toml::from_str("embedding.model = 'nowhere.onnx'\ntolerance = 1.0").unwrap();
    });
    assert!(
        told.contains("choose.embedding.model: nowhere.onnx")
            && told.contains("set choose.similarity"),
        "{told}"
    );
    assert!(told.contains("choose.tolerance"), "{told}");
}

#[test]
fn pictures_drawn_with_each_file_are_compared_with_the_training_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = split(folder.path());
    config.preview.steps = 2;
    config.choose.similarity = true;
    config.choose.pictures = 4.try_into().unwrap();
    // It gives a vector of three numbers for a picture: as good as any to see that it is asked.
    let embedding = format!(
        "model = '{}'\nscale = 'signed'",
        golden("../tagger/planes_logits.onnx").display()
    );
    config.choose.embedding = Some(toml::from_str(&embedding).unwrap());
    let mut told = Vec::new();
    let outcome = run(config.clone(), &mut |event: &Event<'_>| {
        if let Event::Compared { step, comparison } = event {
            told.push((*step, (*comparison).clone()));
        }
        ControlFlow::Continue(())
    });
    let steps: Vec<u64> = outcome.ranked.iter().map(|file| file.step).collect();
    assert_eq!(
        told.iter().map(|(step, _)| *step).collect::<Vec<_>>(),
        steps
    );
    assert_eq!(steps, [3, 6, 9]);
    for ((_, told), file) in told.iter().zip(&outcome.ranked) {
        assert_eq!(file.comparison.as_ref(), Some(told));
        let parts = [told.colours, told.edges, told.copy_distance];
        assert!(
            parts.iter().all(|part| (0.0..=2.0).contains(part)),
            "{told:?}"
        );
        assert_eq!((told.pictures, told.embedding), (4, Some(told.similarity)));
        assert!(
            told.copy_threshold.is_some_and(|most| most > 0.0),
            "{told:?}"
        );
    }
    assert_ne!(
        told[0].1, told[2].1,
        "training changes nothing that is drawn"
    );
    let drawn = names(&files_of(&config.output.folder.join("choosing")));
    assert_eq!(drawn.len(), 3 * 4);
    assert!(drawn.contains("step00000009-03.png"), "{drawn:?}");
    let csv = fs::read_to_string(config.output.folder.join("ranking.csv")).unwrap();
    assert!(
        csv.lines().all(|line| line.split(',').count() == 13),
        "{csv}"
    );
    assert!(
        csv.lines().skip(1).all(|line| line.ends_with(",4")),
        "{csv}"
    );
    // A later run does not mix its pictures with these.
    config.output.overwrite = true;
    config.choose.similarity = false;
    config.choose.embedding = None;
    to_the_end(config.clone());
    assert!(files_of(&config.output.folder.join("choosing")).is_empty());
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Without held-out pictures, likeness alone is gone by.
#[test]
fn without_held_out_pictures_likeness_chooses() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = split(folder.path());
    config.heldout.split = None;
    config.preview.steps = 1;
    config.choose.similarity = true;
    let outcome = to_the_end(config.clone());
    assert!(outcome.heldout.is_empty() && outcome.best_loss.is_none());
    let best = outcome.ranked.iter().max_by(|a, b| {
        let of = |file: &lora_train::RankedFile| file.comparison.as_ref().unwrap().similarity;
        of(a).total_cmp(&of(b))
    });
    assert_eq!(outcome.best.as_ref(), best.map(|file| &file.path));
    assert!(
        config
            .output
            .folder
            .join("thing-best.safetensors")
            .is_file()
    );
}

#[test]
fn choosing_survives_a_stop_after_any_step() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = split(folder.path());
    config.preview.steps = 1;
    config.choose.similarity = true;
    config.choose.pictures = 2.try_into().unwrap();
    config.heldout.every_epochs = Some(1.try_into().unwrap());
    config.checkpoint.every = 1;
    let whole = TrainConfig {
        output: lora_train::config::OutputConfig {
            folder: folder.path().join("whole"),
            ..config.output.clone()
        },
        ..config.clone()
    };
    let expected = run_until(&whole, None, u64::MAX).unwrap();
    assert_eq!(expected.steps, 9);
    let made = |config: &TrainConfig| {
        let out = &config.output.folder;
        let pictures = files_of(&out.join("choosing")).into_iter();
        let mut files: Vec<(String, Vec<u8>)> = pictures
            .chain([out.join("ranking.csv")])
            .map(|path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                (name, fs::read(path).unwrap())
            })
            .collect();
        files.sort();
        let best = LoraFile::read(out.join("thing-best.safetensors")).unwrap();
        (files, best.modules)
    };
    // In an epoch's middle, at its end, and after a measure.
    for stop in [1, 3, 5, 8] {
        let mut stopped = config.clone();
        stopped.output.folder = folder.path().join(format!("stopped {stop}"));
        assert!(run_until(&stopped, None, stop).unwrap().stopped);
        if stop == 5 {
            // As if it had been killed: the log and the pictures go further than the checkpoint.
            let resume = Resume {
                from: Some(stopped.output.folder.join("checkpoints/step00000004.state")),
                ..LATEST
            };
            run_until(&stopped, Some(resume), 8).unwrap();
        }
        let end = run_until(&stopped, Some(LATEST), u64::MAX).unwrap();
        assert_eq!(end.heldout, expected.heldout, "{stop}");
        let ranked = |outcome: &Outcome| -> Vec<_> {
            let files = outcome.ranked.iter();
            files
                .map(|file| (file.step, file.heldout_loss, file.comparison.clone()))
                .collect()
        };
        assert_eq!(ranked(&end), ranked(&expected), "{stop}");
        assert_eq!(log(&stopped), log(&whole), "{stop}");
        assert!(made(&stopped) == made(&whole), "{stop}");
    }
}

#[test]
fn a_file_that_was_tidied_away_does_not_end_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let config = measured(folder.path(), 1e-9);
    let trainer = Trainer::open(config.clone()).unwrap();
    let outcome = trainer
        .run(&mut |event: &Event<'_>| {
            // The first file stays the best of these, which hardly differ, or is not: either way the run goes on.
            if let Event::Saved { epoch, path, .. } = event
                && *epoch < 5
            {
                let _ = fs::remove_file(path);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(outcome.steps, 15);
}
