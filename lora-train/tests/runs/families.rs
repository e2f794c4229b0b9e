//! Runs on each family of base models, with frozen text encoders and with parts that leave the device.

use std::{fs, ops::ControlFlow, path::Path};

use burn::tensor::Device;
use lora_core::{BaseModel, ModelSource, lora_file::LoraFile};
use lora_train::{Event, Outcome, Trainer, config::TrainConfig};

use crate::{config, golden, run};

fn quiet(config: TrainConfig) -> Outcome {
    run(config, &mut |_: &Event<'_>| ControlFlow::Continue(()))
}

/// A short run on the tiny model of that name, its files in `folder/out`.
fn on(base: &str, folder: &Path) -> TrainConfig {
    let mut config = config(folder);
    config.model.path = golden(base);
    config.train.epochs = 1;
    config.preview.every = 2;
    config.output.folder = folder.join("out");
    config
}

#[test]
fn every_family_trains_draws_and_saves_a_file_that_fits_it() {
    for (base, modules, sd_version, base_version) in [
        ("tiny-sd15", 222, "SD1", "sd_v1"),
        ("tiny-sd21", 144, "SD2", "sd_v2_v"),
        ("tiny-sdxl", 288, "SDXL", "sdxl_base_v1-0"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let outcome = quiet(on(base, folder.path()));
        assert_eq!(outcome.steps, 3);
        let out = folder.path().join("out");
        assert!(out.join("previews/step00000002-1.png").is_file());
        let file = LoraFile::read(out.join("thing.safetensors")).unwrap();
        assert_eq!(file.metadata["ss_base_model_version"], base_version);
        let device = Device::flex();
        let mut model = BaseModel::load(&ModelSource::new(golden(base)), &device).unwrap();
        let injected = model.attach(&file, 1.0, &device).unwrap();
        assert_eq!((injected.modules, file.modules.len()), (modules, modules));
        let moved = |module: &str| {
            let up = &file.modules[module].up;
            up.iter::<f32>().any(|value| value != 0.0)
        };
        let text = file
            .modules
            .keys()
            .filter(|name| name.starts_with("lora_te"));
        assert!(text.clone().count() > 0 && text.clone().any(|name| moved(name)));
        let card = fs::read_to_string(out.join("thing.json")).unwrap();
        assert!(card.contains(&format!("\"{sd_version}\"")), "{card}");
    }
}

/// A noise that does not suit the prediction is noted before the run, and told by the file as all settings are.
#[test]
fn settings_of_the_model_are_noted_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = on("tiny-sd15", folder.path());
    config.preview.every = 0;
    config.model.zero_terminal_snr = Some(true);
    config.model.config = Some(golden("tiny-sd15"));
    config.model.vae = Some(golden("tiny-sd15/vae/diffusion_pytorch_model.safetensors"));
    let trainer = Trainer::open(config).unwrap();
    let notes = &trainer.plan().notes;
    assert!(
        notes.iter().any(|note| note.contains("zero terminal SNR")),
        "{notes:?}"
    );
    let mut quiet = |_: &Event<'_>| ControlFlow::Continue(());
    trainer.run(&mut quiet).unwrap();
    let file = LoraFile::read(folder.path().join("out/thing.safetensors")).unwrap();
    assert_eq!(file.metadata["ss_zero_terminal_snr"], "True");
    let name = "diffusion_pytorch_model.safetensors";
    assert_eq!(file.metadata["ss_vae_name"], name);
    assert_eq!(file.metadata["ss_new_vae_hash"].len(), 64);
}

/// The bytes of the trained tensors and of the last preview of a run on the tiny SDXL model without text training.
fn frozen_text(change: impl FnOnce(&mut TrainConfig)) -> (LoraFile, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let mut config = on("tiny-sdxl", folder.path());
    config.train.text_lr = 0.0;
    change(&mut config);
    quiet(config);
    let out = folder.path().join("out");
    (
        LoraFile::read(out.join("thing.safetensors")).unwrap(),
        fs::read(out.join("previews/step00000002-1.png")).unwrap(),
    )
}

#[test]
fn parts_that_leave_the_device_change_nothing() {
    let (kept, kept_picture) = frozen_text(|_| ());
    let (offloaded, offloaded_picture) = frozen_text(|config| config.model.offload = true);
    // The captions have one tag, so shuffling changes none of them, but keeps their states from being stored.
    let (encoded, encoded_picture) = frozen_text(|config| config.dataset.caption.shuffle = true);
    assert_eq!(kept.modules, offloaded.modules);
    assert_eq!(kept.modules, encoded.modules);
    assert_eq!(kept_picture, offloaded_picture);
    assert_eq!(kept_picture, encoded_picture);
    assert!(
        kept.modules
            .keys()
            .all(|name| name.starts_with("lora_unet"))
    );
}

#[test]
fn a_side_that_does_not_learn_has_no_place_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = on("tiny-sd15", folder.path());
    config.train.unet_lr = 0.0;
    quiet(config.clone());
    let file = LoraFile::read(config.output.folder.join("thing.safetensors")).unwrap();
    assert!(file.modules.keys().all(|name| name.starts_with("lora_te_")));
    config.train.text_lr = 0.0;
    config.output.overwrite = true;
    let error = Trainer::open(config).err().unwrap().to_string();
    assert!(error.contains("unet_lr"), "{error}");
}

#[test]
fn a_model_without_its_files_does_not_draw_after_leaving() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = on("tiny-sdxl", folder.path());
    config.model.offload = true;
    let base = folder.path().join("base");
    copy(&config.model.path, &base);
    config.model.path.clone_from(&base);
    let trainer = Trainer::open(config).unwrap();
    let error = trainer
        .run(&mut |event: &Event<'_>| {
            if matches!(event, Event::Started { .. }) {
                fs::remove_dir_all(base.join("vae")).unwrap();
            }
            ControlFlow::Continue(())
        })
        .unwrap_err();
    assert!(error.to_string().contains("vae"), "{error}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
