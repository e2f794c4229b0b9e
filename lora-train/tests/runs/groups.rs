//! Runs whose parts learn at different rates or not at all, and runs that show an average.

use std::{collections::BTreeSet, ops::ControlFlow, path::Path};

use burn::tensor::Tensor;
use lora_core::{BaseModel, lora_file::LoraFile};
use lora_train::{Batch, Event, Objective, TrainError, Trainer, config::TrainConfig};

use crate::{config, golden, run};

/// One step on the tiny model of that name, its file in `folder/out`.
fn on(base: &str, folder: &Path) -> TrainConfig {
    let mut config = config(folder);
    config.model.path = golden(base);
    config.train.epochs = 1;
    config.train.max_steps = Some(1);
    config.preview.prompts.clear();
    config.output.folder = folder.join("out");
    config.output.overwrite = true;
    config
}

fn trained(config: &TrainConfig) -> LoraFile {
    run(config.clone(), &mut |_: &Event<'_>| {
        ControlFlow::Continue(())
    });
    LoraFile::read(config.output.folder.join("thing.safetensors")).unwrap()
}

/// The networks that have a place in the file.
fn parts(file: &LoraFile) -> Vec<&str> {
    let part = |name: &'static str| {
        let mut modules = file.modules.keys();
        modules
            .any(|module| module.starts_with(name))
            .then_some(name)
    };
    let parts = ["lora_te1_", "lora_te2_", "lora_te_", "lora_unet_"];
    parts.into_iter().filter_map(part).collect()
}

#[test]
fn each_of_two_text_encoders_has_a_rate_of_its_own_or_no_place_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = on("tiny-sdxl", folder.path());
    for (first, second, expected, told) in [
        (
            1e-4,
            None,
            &["lora_te1_", "lora_te2_", "lora_unet_"][..],
            "0.0001",
        ),
        (
            1e-4,
            Some(5e-5),
            &["lora_te1_", "lora_te2_", "lora_unet_"],
            "[0.0001, 5e-05]",
        ),
        (
            1e-4,
            Some(0.0),
            &["lora_te1_", "lora_unet_"],
            "[0.0001, 0.0]",
        ),
        (
            0.0,
            Some(1e-4),
            &["lora_te2_", "lora_unet_"],
            "[0.0, 0.0001]",
        ),
        (0.0, None, &["lora_unet_"], "None"),
    ] {
        (config.train.text_lr, config.train.text_lr_2) = (first, second);
        let file = trained(&config);
        assert_eq!(parts(&file), expected);
        assert_eq!(file.metadata["ss_text_encoder_lr"], told);
        // AdamW's first step moves an element by the rate, whatever its gradient.
        for (part, rate) in [("lora_te1_", first), ("lora_te2_", second.unwrap_or(first))] {
            assert_near(longest_way(&file, part), rate);
        }
    }
    config.model.path = golden("tiny-sd15");
    (config.train.text_lr, config.train.text_lr_2) = (1e-4, Some(0.0));
    let trainer = Trainer::open(config.clone()).unwrap();
    let notes = trainer.plan().notes.join("\n");
    assert!(notes.contains("text_lr_2 has no effect"), "{notes}");
    assert_eq!(parts(&trained(&config)), ["lora_te_", "lora_unet_"]);
}

/// The largest element of the up matrices of a part, which began at 0.
fn longest_way(file: &LoraFile, part: &str) -> f64 {
    let modules = file
        .modules
        .iter()
        .filter(|(name, _)| name.starts_with(part));
    let elements = modules.flat_map(|(_, module)| module.up.iter::<f32>());
    elements
        .map(|value| f64::from(value.abs()))
        .fold(0.0, f64::max)
}

#[track_caller]
fn assert_near(found: f64, expected: f64) {
    assert!(
        (found - expected).abs() <= 1e-4 * expected,
        "{found} is not {expected}"
    );
}

#[test]
fn loraplus_moves_up_matrices_by_its_ratio_and_is_told_as_kohya_tells_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = on("tiny-sd15", folder.path());
    (config.train.unet_lr, config.train.text_lr) = (1e-4, 1e-5);
    config.train.loraplus_lr_ratio = Some(16.0);
    config.train.loraplus_text_lr_ratio = Some(4.0);
    let file = trained(&config);
    assert_near(longest_way(&file, "lora_unet_"), 1.6e-3);
    assert_near(longest_way(&file, "lora_te_"), 4e-5);
    assert_eq!(
        file.metadata["ss_network_args"],
        r#"{"loraplus_lr_ratio":"16","loraplus_text_encoder_lr_ratio":"4"}"#
    );
    config.train.loraplus_lr_ratio = Some(0.0);
    let error = Trainer::open(config).err().unwrap().to_string();
    assert!(error.contains("loraplus_lr_ratio"), "{error}");
}

/// Its value is a finite number, and its gradient none from the second batch on.
struct BrokenGradient(std::sync::atomic::AtomicU32);

impl Objective for BrokenGradient {
    fn loss(&self, model: &BaseModel, batch: &Batch) -> Tensor<1> {
        let conditions = batch.conditions(model, 1);
        let timesteps = vec![1.0; batch.len()];
        let predicted = model
            .unet
            .forward(batch.latents.clone(), &timesteps, &conditions)
            .mean();
        let calls = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        match calls {
            0 => predicted,
            // The slope of a root at 0 is infinite, and that times 0 is no number.
            _ => (predicted * 0.0).sqrt(),
        }
    }
}

#[test]
fn a_gradient_that_is_no_number_stops_the_run_and_names_its_step() {
    for (limit, kind) in [(1.0, "adamw"), (0.0, "adamw"), (0.0, "lion")] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = on("tiny-sd15", folder.path());
        config.train.max_steps = None;
        config.train.log_every = std::num::NonZeroUsize::new(3).unwrap();
        config.train.max_grad_norm = limit;
        config.train.max_bad_steps = 0;
        config.optimizer = toml::from_str(&format!("kind = '{kind}'")).unwrap();
        let trainer = Trainer::open(config)
            .unwrap()
            .with_objective(BrokenGradient(0.into()));
        let error = trainer
            .run(&mut |_: &Event<'_>| ControlFlow::Continue(()))
            .unwrap_err();
        assert!(
            matches!(error, TrainError::NotFinite { step: 2 }),
            "{kind}: {error}"
        );
    }
}

#[test]
fn a_run_saves_its_average_where_one_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = on("tiny-sd15", folder.path());
    config.train.max_steps = Some(3);
    let mut hashes = BTreeSet::new();
    for decay in [None, Some(0.0), Some(0.5)] {
        config.ema.decay = decay;
        let file = trained(&config);
        hashes.insert(file.metadata["sshs_model_hash"].clone());
    }
    // A decay of 0 keeps nothing; of the average of the third step at 0.5, a quarter is older.
    assert!(hashes.len() >= 2, "{hashes:?}");
}

#[test]
fn an_average_of_the_optimizers_own_and_one_beside_it_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = on("tiny-sd15", folder.path());
    config.ema.decay = Some(0.99);
    let refused = |error: &TrainError| {
        let text = error.to_string();
        assert!(text.contains("ema.decay asks for an average"), "{text}");
    };
    let own: lora_train::config::OptimizerConfig =
        toml::from_str("kind = 'adamw-schedule-free'").unwrap();
    config.optimizer = own.clone();
    refused(&Trainer::open(config.clone()).err().unwrap());

    // Also where it comes from code, and before anything is written.
    config.optimizer = toml::from_str("kind = 'adamw'").unwrap();
    let trainer = Trainer::open(config.clone()).unwrap();
    let trainer = trainer.with_optimizer(Boxed(own.build().unwrap()));
    let error = trainer.run(&mut |_: &Event<'_>| ControlFlow::Continue(()));
    refused(&error.unwrap_err());
    assert!(!config.output.folder.exists());

    config.ema =
        toml::from_str("decay = 1.0\nmin_decay = 2.0\npower = 0.0\ninv_gamma = nan").unwrap();
    let error = Trainer::open(config).err().unwrap().to_string();
    for key in ["ema.decay", "ema.min_decay", "ema.power", "ema.inv_gamma"] {
        assert!(error.contains(key), "{error}");
    }
}

/// An optimiser behind a pointer.
struct Boxed(Box<dyn lora_optim::Optimizer>);

impl lora_optim::Optimizer for Boxed {
    fn step(
        &mut self,
        params: &mut lora_optim::Matrices,
        grads: lora_optim::Matrices,
        rates: &lora_optim::Rates,
    ) -> Result<(), lora_optim::OptimizerError> {
        self.0.step(params, grads, rates)
    }

    fn averaged(&self, params: &lora_optim::Matrices) -> Option<lora_optim::Matrices> {
        self.0.averaged(params)
    }

    fn state(&self) -> lora_optim::State {
        self.0.state()
    }

    fn restore(
        &mut self,
        state: lora_optim::State,
        device: &lora_train::Device,
    ) -> Result<(), lora_optim::StateError> {
        self.0.restore(state, device)
    }
}
