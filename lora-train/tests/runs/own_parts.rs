//! The examples of parts of one's own: the guides show them, and they train.

use std::ops::ControlFlow;

use lora_train::{Event, Objective, Trainer};

use crate::config;

// Their `main` is for their users.
#[allow(dead_code)]
#[path = "../../examples/own_objective.rs"]
pub(crate) mod own_objective;
#[allow(dead_code)]
#[path = "../../examples/own_schedule.rs"]
mod own_schedule;

#[track_caller]
fn assert_shown(guide: &str, example: &str) {
    let shown = guide.split("```rust\n").nth(1).expect("an example");
    let shown = shown.split("```").next().expect("its end");
    assert!(shown.lines().count() < 40);
    assert!(example.contains(shown.trim_end()));
}

#[test]
fn the_guides_to_objectives_and_schedules_show_their_examples() {
    let objective = include_str!("../../examples/own_objective.rs");
    assert_shown(include_str!("../../../docs/add-an-objective.md"), objective);
    let schedule = include_str!("../../examples/own_schedule.rs");
    assert_shown(include_str!("../../../docs/add-a-schedule.md"), schedule);
}

#[test]
fn an_objective_and_a_schedule_of_ones_own_train() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.preview.every = 0;
    config.train.log_every = std::num::NonZeroUsize::MIN;
    let train = |own: Option<own_objective::LogCosh>, name: &str| {
        let mut config = config.clone();
        config.output.folder = folder.path().join(name);
        let rate = config.train.unet_lr;
        let trainer = Trainer::open(config).unwrap();
        let steps = trainer.plan().steps;
        let trainer = trainer.with_schedule(own_schedule::HalfWave { steps });
        let trainer = match own {
            Some(own) => trainer.with_objective(own),
            None => trainer,
        };
        let mut told = Vec::new();
        let outcome = trainer.run(&mut |event: &Event<'_>| {
            if let Event::Stepped(report) = event {
                told.push((report.learning_rate / rate, report.loss));
            }
            ControlFlow::Continue(())
        });
        assert_eq!(outcome.unwrap().steps, 6);
        told
    };
    let own = train(Some(own_objective::LogCosh), "own");
    let usual = train(None, "usual");
    let sines =
        [15.0f64, 45.0, 75.0, 105.0, 135.0, 165.0].map(|degrees| degrees.to_radians().sin());
    for ((factor, _), sine) in own.iter().zip(sines) {
        assert!((factor - sine).abs() < 1e-9, "{factor} {sine}");
    }
    // ln cosh d is below d² / 2.
    for ((_, own), (_, usual)) in own.iter().zip(&usual) {
        assert!(*own > 0.0 && *own < usual / 2.0, "{own} {usual}");
    }
}

/// ln cosh by its definition, in f64.
#[test]
fn the_objective_of_the_guide_computes_what_it_says() {
    use burn::tensor::{Device, Distribution, Tensor};
    use lora_core::{BaseModel, ModelSource, TextStates, diffusion::NoiseSchedule};
    use lora_train::{Batch, BatchText, NoiseDraws};

    let device = Device::flex();
    let model = BaseModel::load(&ModelSource::new(crate::tiny()), &device).unwrap();
    let normal = |shape| Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device);
    let states = TextStates {
        states: Tensor::zeros([1, 3, 12], &device),
        pooled: None,
    };
    let batch = Batch {
        latents: normal([1, 4, 8, 8]) * 3.0,
        noise: normal([1, 4, 8, 8]) * 3.0,
        noise_offset: normal([1, 4, 1, 1]),
        draws: NoiseDraws::default(),
        timesteps: vec![500],
        text: BatchText::States(states),
        sizes: Vec::new(),
        loss_weights: Vec::new(),
        mask: None,
    };
    let loss: f32 = own_objective::LogCosh.loss(&model, &batch).into_scalar();
    let schedule = NoiseSchedule::new(&model.scheduler);
    let noisy = schedule.add_noise(batch.latents.clone(), batch.noise.clone(), &[500]);
    let conditions = batch.conditions(&model, 1);
    let prediction = model.unet.forward(noisy, &[500.0], &conditions);
    let differences = (prediction - batch.noise).into_data();
    let terms = differences.iter::<f32>().map(|d| f64::from(d).cosh().ln());
    let expected = terms.sum::<f64>() / 256.0;
    assert!(
        (f64::from(loss) / expected - 1.0).abs() < 1e-5,
        "{loss} {expected}"
    );
}
