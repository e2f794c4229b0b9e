//! Steps whose numbers go wrong.

use std::{
    ops::ControlFlow,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use burn::tensor::Tensor;
use lora_core::{BaseModel, lora_file::LoraFile};
use lora_train::{
    BadStep, Batch, Denoising, Event, Objective, Outcome, Resume, TrainError, Trainer,
    config::{ObjectiveConfig, TrainConfig},
};

use crate::config;

/// The usual loss, which is broken in some of the passes, counted from 0.
struct Sometimes {
    inner: Denoising,
    passes: AtomicU32,
    broken: fn(u32) -> Breakage,
}

enum Breakage {
    None,
    /// The loss is no number, and so is its gradient.
    Loss,
    /// Only the gradient is none: the slope of a root at 0 is infinite, and that times 0 is no number.
    Gradient,
}

impl Objective for Sometimes {
    fn loss(&self, model: &BaseModel, batch: &Batch) -> Tensor<1> {
        let loss = self.inner.loss(model, batch);
        match (self.broken)(self.passes.fetch_add(1, Ordering::Relaxed)) {
            Breakage::None => loss,
            Breakage::Loss => loss * f32::NAN,
            Breakage::Gradient => (loss * 0.0).sqrt(),
        }
    }
}

/// Six steps, each of two pictures.
fn steps(folder: &Path) -> TrainConfig {
    let mut config = config(folder);
    config.train.log_every = 1.try_into().expect("not zero");
    config.preview.prompts.clear();
    config.checkpoint.every = 1;
    config
}

type Told = (Vec<u64>, Vec<BadStep>);

fn run(config: &TrainConfig, broken: fn(u32) -> Breakage) -> (Result<Outcome, TrainError>, Told) {
    let trainer = Trainer::open(config.clone()).expect("a run");
    let model =
        BaseModel::load(&config.model.source(), &lora_train::Device::flex()).expect("a model");
    let objective = Sometimes {
        inner: Denoising::new(&ObjectiveConfig::default(), &model, 1),
        passes: AtomicU32::new(0),
        broken,
    };
    let (mut taken, mut bad) = (Vec::new(), Vec::new());
    let outcome = trainer
        .with_objective(objective)
        .run(&mut |event: &Event<'_>| {
            match event {
                Event::Stepped(report) => taken.push(report.step),
                Event::Skipped(step) => bad.push((*step).clone()),
                _ => {}
            }
            ControlFlow::Continue(())
        });
    (outcome, (taken, bad))
}

#[test]
fn a_bad_step_moves_nothing_and_is_told_with_pictures_timesteps_and_layer() {
    let folder = tempfile::tempdir().unwrap();
    for breakage in [
        (|pass| {
            if pass == 3 {
                Breakage::Loss
            } else {
                Breakage::None
            }
        }) as fn(u32) -> Breakage,
        |pass| {
            if pass == 3 {
                Breakage::Gradient
            } else {
                Breakage::None
            }
        },
    ] {
        let mut config = steps(folder.path());
        config.output.overwrite = true;
        let (outcome, (taken, bad)) = run(&config, breakage);
        let outcome = outcome.unwrap();
        assert_eq!((outcome.steps, outcome.skipped), (6, 1));
        assert_eq!(taken, [1, 2, 3, 5, 6]);
        let [bad] = &bad[..] else { panic!("{bad:?}") };
        assert_eq!((bad.step, bad.in_a_row), (4, 1));
        assert_eq!((bad.pictures.len(), bad.timesteps.len()), (2, 2));
        assert!(bad.pictures.iter().all(|path| path.is_file()));
        assert!(
            bad.layer
                .as_ref()
                .is_some_and(|layer| layer.starts_with("lora_")),
            "{bad:?}"
        );
        let file = LoraFile::read(outcome.last.unwrap()).unwrap();
        assert!(
            file.modules
                .values()
                .all(lora_core::lora_file::LoraModule::is_finite)
        );
    }
}

#[test]
fn a_step_that_is_passed_over_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = steps(folder.path());
    config.train.max_steps = Some(3);
    let mut last = |broken: fn(u32) -> Breakage, steps: u64| {
        config.train.max_steps = Some(steps);
        config.output.overwrite = true;
        let (outcome, _) = run(&config, broken);
        LoraFile::read(outcome.expect("a run").last.expect("a file"))
            .expect("sound")
            .modules
    };
    let without = last(|_| Breakage::None, 2);
    let with = last(
        |pass| {
            if pass == 2 {
                Breakage::Loss
            } else {
                Breakage::None
            }
        },
        3,
    );
    assert_eq!(with, without);
}

#[test]
fn too_many_in_a_row_end_the_run_and_what_was_learnt_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = steps(folder.path());
    config.train.max_bad_steps = 2;
    let broken = |pass| match pass {
        1 | 3.. => Breakage::Loss,
        _ => Breakage::None,
    };
    let (outcome, (taken, told)) = run(&config, broken);
    let Err(TrainError::BadSteps { bad }) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((bad.step, bad.in_a_row, told.len()), (5, 2, 3));
    assert_eq!(taken, [1, 3]);
    let text = TrainError::BadSteps { bad }.to_string();
    assert!(
        text.contains("NaN") && text.contains(".png at timestep"),
        "{text}"
    );
    // It can be gone on with, from before the row.
    let resume = Resume {
        from: None,
        allow_change: false,
    };
    let trainer = Trainer::resume(config, resume).unwrap();
    let outcome = trainer.run(&mut |_: &Event<'_>| ControlFlow::Continue(()));
    let outcome = outcome.unwrap();
    assert_eq!((outcome.steps, outcome.stopped), (6, false));
}
