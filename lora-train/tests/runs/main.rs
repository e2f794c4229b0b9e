//! Whole runs through the public API: files, events, commands, and what happens when numbers go wrong.
#![cfg(test)]

mod adapters;
mod bad_steps;
mod choosing;
mod choosing_truth;
mod commands;
mod datasets;
mod disk_cache;
mod families;
mod groups;
mod objective;
mod optimizers;
mod own_parts;
mod presets;
mod replicas;
mod reproduce;
mod resume;
mod several;
mod telling;

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use burn::tensor::{Device, Tensor};
use image::{Rgb, RgbImage};
use lora_core::{BaseModel, ModelSource, lora_file::LoraFile};
use lora_train::{
    Batch, DeviceChoice, DrawSettings, Event, Objective, Outcome, Prompt, TrainError, Trainer,
    config::TrainConfig, draw,
};
use safetensors::{
    Dtype,
    tensor::{TensorView, serialize_to_file},
};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../testdata/golden")
        .join(name)
}

fn tiny() -> PathBuf {
    golden("tiny-sd15")
}

/// Three pictures of 64 × 64, shown twice an epoch in batches of two: three steps an epoch, two epochs.
fn config(folder: &Path) -> TrainConfig {
    let pictures = folder.join("pictures/2_sks thing");
    fs::create_dir_all(&pictures).unwrap();
    for index in 0..3u8 {
        let picture = RgbImage::from_fn(64, 64, |x, y| Rgb([x as u8 * 4, y as u8 * 4, 80 * index]));
        picture.save(pictures.join(format!("{index}.png"))).unwrap();
    }
    let text = "
        [model]
        path = 'BASE'
        [dataset]
        resolution = 64
        [[dataset.folders]]
        path = 'pictures'
        [lora]
        rank = 2
        [train]
        epochs = 2
        batch_size = 2
        log_every = 2
        device = 'cpu'
        [output]
        folder = 'out'
        name = 'thing'
        trigger = 'sks'
        dtype = 'f32'
        [preview]
        every = 4
        steps = 2
        prompts = ['sks thing --d 3', 'thing --n blurry']
    ";
    let path = folder.join("run.toml");
    fs::write(&path, text.replace("BASE", &tiny().display().to_string())).unwrap();
    TrainConfig::read(path, &[]).unwrap()
}

fn run(config: TrainConfig, observer: &mut dyn FnMut(&Event<'_>) -> ControlFlow<()>) -> Outcome {
    let mut observer = observer;
    Trainer::open(config).unwrap().run(&mut observer).unwrap()
}

#[test]
fn a_run_leaves_its_files_and_tells_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = Vec::new();
    let outcome = run(config(folder.path()), &mut |event| {
        told.push(serde_json::to_value(event).unwrap());
        ControlFlow::Continue(())
    });
    assert_eq!(
        (outcome.steps, outcome.epochs, outcome.stopped),
        (6, 2, false)
    );
    let out = folder.path().join("out");
    let names = [
        "thing-000001.safetensors",
        "thing-000002.safetensors",
        "thing.safetensors",
        "thing.json",
    ];
    for name in names
        .iter()
        .chain(&["metrics.jsonl", "previews/step00000004-1.png"])
    {
        assert!(out.join(name).is_file(), "{name}");
    }
    assert_eq!(outcome.files, [out.join(names[0]), out.join(names[1])]);
    let count = |kind: &str| told.iter().filter(|event| event["event"] == kind).count();
    assert_eq!(
        (
            count("started"),
            count("stepped"),
            count("saved"),
            count("finished")
        ),
        (1, 3, 3, 1)
    );
    assert_eq!((count("sampled"), count("cached")), (2, 3));

    let file = LoraFile::read(out.join("thing.safetensors")).unwrap();
    let said = |key: &str| file.metadata[key].as_str();
    assert_eq!(
        (said("ss_network_dim"), said("ss_steps"), said("ss_epoch")),
        ("2", "6", "2")
    );
    assert_eq!(
        said("ss_dataset_dirs"),
        r#"{"2_sks thing": {"n_repeats": 2, "img_count": 3}}"#
    );
    let card = fs::read_to_string(out.join("thing.json")).unwrap();
    assert!(card.contains(r#""activation text": "sks""#), "{card}");
    let moved = file
        .modules
        .values()
        .any(|module| module.up.iter::<f32>().any(|value| value != 0.0));
    assert!(moved, "training moved nothing");
}

#[test]
fn the_same_seed_gives_the_same_file_and_another_seed_another() {
    let bytes = |seed: u64| {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        config.train.seed = seed;
        config.preview.every = 0;
        let outcome = run(config, &mut |_| ControlFlow::Continue(()));
        let file = LoraFile::read(outcome.last.unwrap()).unwrap();
        file.metadata["sshs_model_hash"].clone()
    };
    assert_eq!(bytes(1), bytes(1));
    assert_ne!(bytes(1), bytes(2));
}

#[test]
fn commands_are_obeyed_between_steps() {
    let folder = tempfile::tempdir().unwrap();
    let trainer = Trainer::open(config(folder.path())).unwrap();
    let handle = trainer.handle();
    let mut saved = 0;
    let mut observer = |event: &Event<'_>| {
        match event {
            Event::Stepped(report) if report.step == 2 => handle.save_now(),
            Event::Stepped(report) if report.step == 4 => handle.stop(),
            Event::Saved { .. } => saved += 1,
            _ => {}
        }
        ControlFlow::Continue(())
    };
    let outcome = trainer.run(&mut observer).unwrap();
    assert_eq!((outcome.steps, outcome.stopped), (4, true));
    let out = folder.path().join("out");
    assert!(out.join("thing-step00000002.safetensors").is_file());
    assert_eq!(
        outcome.last,
        Some(out.join("thing-step00000004.safetensors"))
    );
    assert!(
        !out.join("thing.safetensors").exists(),
        "a stopped run has no last file"
    );
    assert_eq!(
        saved, 3,
        "on request, at the end of epoch 1, and on stopping"
    );
}

#[test]
fn an_observer_can_stop_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = run(config(folder.path()), &mut |event| match event {
        Event::Stepped(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert_eq!((outcome.steps, outcome.stopped), (2, true));
}

/// A loss that turns to NaN at the third batch.
struct Broken(std::sync::atomic::AtomicU32);

impl Objective for Broken {
    fn loss(&self, model: &BaseModel, batch: &Batch) -> Tensor<1> {
        let conditions = batch.conditions(model, 1);
        let timesteps: Vec<f32> = batch
            .timesteps
            .iter()
            .map(|&timestep| timestep as f32)
            .collect();
        let loss = model
            .unet
            .forward(batch.latents.clone(), &timesteps, &conditions)
            .mean();
        let calls = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if calls == 2 { loss * f64::NAN } else { loss }
    }
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_names_the_step() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.train.max_bad_steps = 0;
    let trainer = Trainer::open(config)
        .unwrap()
        .with_objective(Broken(0.into()));
    let error = trainer
        .run(&mut |_: &Event<'_>| ControlFlow::Continue(()))
        .unwrap_err();
    assert!(
        matches!(error, TrainError::NotFinite { step: 3 }),
        "{error}"
    );
    let epoch_file = folder.path().join("out/thing-000001.safetensors");
    assert!(!epoch_file.exists(), "a file of broken weights was written");
}

#[test]
fn an_earlier_runs_files_are_not_overwritten_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.preview.every = 0;
    run(config.clone(), &mut |_| ControlFlow::Continue(()));
    let error = Trainer::open(config.clone())
        .and_then(|trainer| trainer.run(&mut |_: &Event<'_>| ControlFlow::Continue(())))
        .unwrap_err();
    assert!(error.to_string().contains("output.overwrite"), "{error}");
    config.output.overwrite = true;
    run(config, &mut |_| ControlFlow::Continue(()));
}

#[test]
fn all_problems_of_a_config_are_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.train.epochs = 0;
    config.train.unet_lr = f64::NAN;
    config.model.max_tokens = 100;
    config.lora.rank = 0;
    for prompt in ["cat --z 1", "a [cat|dog]", "cat <lora:dog:1>"] {
        config.preview.prompts.push(prompt.to_owned());
    }
    let Err(TrainError::Plan(error)) = Trainer::open(config) else {
        panic!("accepted")
    };
    assert_eq!(error.problems.len(), 7, "{error}");
}

#[test]
fn the_saved_file_draws_the_same_picture() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let outcome = run(config.clone(), &mut |_| ControlFlow::Continue(()));
    let device = Device::flex();
    let mut model = BaseModel::load(&ModelSource::new(tiny()), &device).unwrap();
    let prompt = Prompt::parse("sks thing", &config.preview).unwrap();
    let settings = DrawSettings {
        sampler: config.preview.sampler,
        clip_skip: 1,
        size: [64; 2],
    };
    let draw =
        |model: &BaseModel| draw(model, std::slice::from_ref(&prompt), settings, &device).unwrap();
    let base = draw(&model);
    model
        .attach(
            &LoraFile::read(outcome.last.unwrap()).unwrap(),
            40.0,
            &device,
        )
        .unwrap();
    let attached = draw(&model);
    assert_ne!(base, attached, "the file changes nothing");
    model.merge_adapters();
    let merged = draw(&model);
    let worst = attached[0]
        .iter()
        .zip(merged[0].iter())
        .map(|(left, right)| left.abs_diff(*right))
        .max();
    assert!(worst <= Some(1), "merging moves a pixel by {worst:?}");
}

#[test]
fn stopping_before_the_first_step_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = run(config(folder.path()), &mut |event| match event {
        Event::Cached { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert_eq!(
        (outcome.steps, outcome.stopped, outcome.last),
        (0, true, None)
    );
    let files = fs::read_dir(folder.path().join("out")).unwrap();
    let names: Vec<_> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        !names.iter().any(|name| name.ends_with(".safetensors")),
        "{names:?}"
    );
}

#[test]
fn overwriting_takes_the_earlier_runs_files_away() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    run(config.clone(), &mut |_| ControlFlow::Continue(()));
    config.output.overwrite = true;
    config.preview.every = 0;
    config.train.epochs = 1;
    run(config, &mut |_| ControlFlow::Continue(()));
    let out = folder.path().join("out");
    assert!(out.join("thing-000001.safetensors").is_file());
    assert!(!out.join("thing-000002.safetensors").exists());
    assert!(!out.join("previews/step00000004-0.png").exists());
}

#[test]
fn paths_that_are_not_there_are_all_named_before_anything_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.model.path = folder.path().join("no-model");
    config.heldout.folder = Some(folder.path().join("no-pictures"));
    config.heldout.noise = Some(folder.path().join("no-noise"));
    let Err(TrainError::Plan(error)) = Trainer::open(config) else {
        panic!("accepted")
    };
    assert_eq!(error.problems.len(), 3, "{error}");
}

#[test]
fn a_noise_file_that_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    let path = folder.path().join("noise.safetensors");
    config.heldout.folder = Some(folder.path().join("pictures"));
    config.heldout.noise = Some(path.clone());
    let noise = vec![0u8; 3 * 4 * 8 * 8 * 4];
    for (dtype, steps, said) in [
        (Dtype::I32, 5000i32.to_le_bytes(), "from 0 to 999"),
        (Dtype::I32, (-1i32).to_le_bytes(), "from 0 to 999"),
        (Dtype::F32, 1f32.to_le_bytes(), "not I64 or I32"),
    ] {
        let noise = TensorView::new(Dtype::F32, vec![1, 3, 4, 8, 8], &noise).unwrap();
        let steps = TensorView::new(dtype, vec![1], &steps).unwrap();
        serialize_to_file([("noise", noise), ("timesteps", steps)], None, &path).unwrap();
        config.output.overwrite = true;
        let trainer = Trainer::open(config.clone()).unwrap();
        let error = trainer
            .run(&mut |_: &Event<'_>| ControlFlow::Continue(()))
            .unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn devices_that_are_not_there_are_refused_by_name() {
    assert!("gpu".parse::<DeviceChoice>().is_err());
    assert!("cuda:x".parse::<DeviceChoice>().is_err());
    assert_eq!("vulkan:2".parse(), Ok(DeviceChoice::Vulkan(2)));
    assert!(DeviceChoice::Cpu.resolve().is_ok());
    if let Err(error) = DeviceChoice::Cuda(7).resolve() {
        assert!(error.to_string().contains("cuda"), "{error}");
    }
}
