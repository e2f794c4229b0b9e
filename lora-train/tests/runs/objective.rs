//! What the settings of objective and timesteps do to runs, and what they leave alone.

use std::{num::NonZeroUsize, ops::ControlFlow, path::Path};

use burn::tensor::Tensor;
use lora_core::{BaseModel, lora_file::LoraFile};
use lora_data::{Exposure, ImageFolders, epoch_plan};
use lora_train::{
    Batch, Event, Feed, FeedAt, LatentCache, Plan, TrainError, Trainer,
    config::{ObjectiveConfig, TimestepConfig, TrainConfig},
};

use crate::config;

const ALL: &str = "
    loss_type = 'huber'
    huber_schedule = 'exponential'
    huber_c = 0.2
    huber_scale = 1.5
    min_snr_gamma = 5
    v_pred_like_loss = 0.1
    noise_offset = 0.05
    noise_offset_random_strength = true
    adaptive_noise_scale = 0.01
    multires_noise_iterations = 6
    multires_noise_discount = 0.2
    input_perturbation = 0.1
    input_perturbation_random_strength = true
";

fn objective(text: &str) -> ObjectiveConfig {
    toml::from_str(text).unwrap()
}

fn timesteps(text: &str) -> TimestepConfig {
    toml::from_str(text).unwrap()
}

/// The measured losses, the training losses and the metadata of a run.
fn trained(mut config: TrainConfig, name: &str) -> (Vec<f64>, Vec<f64>, LoraFile) {
    config.output.folder = config.output.folder.with_file_name(name);
    config.preview.every = 0;
    config.train.log_every = NonZeroUsize::MIN;
    let (mut measured, mut losses) = (Vec::new(), Vec::new());
    let outcome = Trainer::open(config)
        .unwrap()
        .run(&mut |event: &Event<'_>| {
            match event {
                Event::Measured { heldout_loss, .. } => measured.push(*heldout_loss),
                Event::Stepped(report) => losses.push(report.loss),
                _ => {}
            }
            ControlFlow::Continue(())
        });
    let file = LoraFile::read(outcome.unwrap().last.unwrap()).unwrap();
    (measured, losses, file)
}

#[test]
fn settings_reach_the_loss_and_the_file_but_not_the_held_out_measure() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.heldout.folder = Some(folder.path().join("pictures/2_sks thing"));
    config.train.max_steps = Some(1);
    let (plain, plain_losses, file) = trained(config.clone(), "plain");
    for (key, value) in [
        ("ss_loss_type", "l2"),
        ("ss_noise_offset", "None"),
        ("ss_multires_noise_iterations", "None"),
        ("ss_ip_noise_gamma", "None"),
        ("ss_debiased_estimation", "False"),
    ] {
        assert_eq!(file.metadata[key], value, "{key}");
    }
    assert!(!file.metadata.contains_key("modelspec.timestep_range"));

    config.objective = objective(ALL);
    config.timesteps =
        timesteps("min = 100\nmax = 900\ndistribution = 'logit_normal'\nstratified = true");
    let (all, all_losses, file) = trained(config.clone(), "all");
    assert_eq!(plain[0].to_bits(), all[0].to_bits());
    assert_ne!(plain_losses[0].to_bits(), all_losses[0].to_bits());
    for (key, value) in [
        ("ss_loss_type", "huber"),
        ("ss_huber_schedule", "exponential"),
        ("ss_huber_c", "0.2"),
        ("ss_huber_scale", "1.5"),
        ("ss_min_snr_gamma", "5.0"),
        ("ss_noise_offset", "0.05"),
        ("ss_noise_offset_random_strength", "True"),
        ("ss_adaptive_noise_scale", "0.01"),
        ("ss_multires_noise_iterations", "6"),
        ("ss_multires_noise_discount", "0.2"),
        ("ss_ip_noise_gamma", "0.1"),
        ("ss_ip_noise_gamma_random_strength", "True"),
        ("ss_zero_terminal_snr", "False"),
        ("ss_prior_loss_weight", "1.0"),
        ("modelspec.timestep_range", "100,900"),
    ] {
        assert_eq!(file.metadata[key], value, "{key}");
    }

    config.objective = objective("debiased_estimation = true");
    config.timesteps = timesteps("max = 500");
    config.dataset.prior_loss_weight = 0.5;
    let (_, _, file) = trained(config, "debiased");
    for (key, value) in [
        ("ss_debiased_estimation", "True"),
        ("ss_prior_loss_weight", "0.5"),
        ("modelspec.timestep_range", "0,500"),
    ] {
        assert_eq!(file.metadata[key], value, "{key}");
    }
}

#[test]
fn every_setting_changes_the_loss_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.train.max_steps = Some(1);
    let plain = trained(config.clone(), "plain").1[0];
    for (number, text) in [
        "loss_type = 'l1'",
        "loss_type = 'smooth_l1'",
        "min_snr_gamma = 0.01",
        "soft_min_snr_gamma = 1",
        "debiased_estimation = true",
        "p2_gamma = 1",
        "weight_table = { by = 'timestep', points = [[0, 0.5], [999, 0.6]] }",
        "v_pred_like_loss = 0.1",
        "noise_offset = 0.1",
        "multires_noise_iterations = 3",
        "input_perturbation = 0.1",
    ]
    .iter()
    .enumerate()
    {
        config.objective = objective(text);
        let loss = trained(config.clone(), &number.to_string()).1[0];
        assert!(
            loss.is_finite() && (loss - plain).abs() > 1e-6,
            "{text}: {loss} {plain}"
        );
    }
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let refused = |objective_text: &str, timesteps_text: &str| {
        let mut config = config.clone();
        config.objective = objective(objective_text);
        config.timesteps = timesteps(timesteps_text);
        let Err(TrainError::Plan(error)) = Trainer::open(config) else {
            panic!("accepted {objective_text} {timesteps_text}")
        };
        error.problems
    };
    let told = refused(
        "min_snr_gamma = 5\np2_gamma = 1",
        "min = 5\nmax = 5\nmean = nan\nstd = 0",
    );
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(
        told.iter()
            .any(|problem| problem.starts_with("objective: `min_snr_gamma` and `p2_gamma`"))
    );
    assert_eq!(
        told.iter()
            .filter(|problem| problem.starts_with("timesteps."))
            .count(),
        3
    );
    // What only the model can tell.
    let told = refused("scale_v_pred_loss_like_noise_pred = true", "max = 1001");
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(refused("", "min = 1000").len(), 1);
}

#[test]
fn a_plan_tells_what_is_not_usual() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    let plan = Plan::open(&config).unwrap();
    assert!(plan.objective.is_empty() && plan.timesteps.is_empty());
    config.objective.min_snr_gamma = Some(5.0);
    config.timesteps.stratified = true;
    let plan = Plan::open(&config).unwrap();
    assert_eq!(plan.objective, ["min_snr_gamma = 5.0"]);
    assert_eq!(plan.timesteps, ["stratified = true"]);
}

/// A feed over the pictures of a config, and all that it needs.
struct Fed {
    feed: Feed,
    model: BaseModel,
    data: ImageFolders,
    config: TrainConfig,
}

impl Fed {
    fn new(config: TrainConfig) -> Self {
        let device = config.train.device.resolve().unwrap();
        let model = BaseModel::load(&config.model.source(), &device).unwrap();
        let data = ImageFolders::open(&config.dataset).unwrap();
        let told = |_, _| ControlFlow::Continue(());
        let latents = LatentCache::compute(&data, &model.vae, &device, None, told).unwrap();
        let feed = Feed::new(&config, latents, None, 1000, &device);
        Self {
            feed,
            model,
            data,
            config,
        }
    }

    fn batch(&self, epoch: u64, showings: &[Exposure]) -> Batch {
        let at = FeedAt {
            epoch,
            step: 0,
            steps: 1,
        };
        self.feed
            .batch(&self.model, &self.data, at, showings)
            .unwrap()
    }

    fn epoch(&self, epoch: u64) -> Vec<Vec<Exposure>> {
        let train = &self.config.train;
        epoch_plan(&self.data, train.batch_size, train.seed, epoch)
    }
}

fn numbers(tensor: Option<Tensor<4>>) -> Vec<f32> {
    tensor.expect("drawn").into_data().iter::<f32>().collect()
}

#[test]
fn draws_of_a_showing_do_not_depend_on_its_neighbours() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.objective = objective(ALL);
    config.timesteps = timesteps("stratified = true\ndistribution = 'logit_normal'");
    let fed = Fed::new(config);
    let showings = fed.epoch(2).concat();
    let together = fed.batch(2, &showings[..2]);
    let alone = [0, 1].map(|place| fed.batch(2, &showings[place..=place]));
    let draws = |batch: &Batch| {
        let draws = batch.draws.clone();
        [
            draws.offset_strength,
            draws.pyramid,
            draws.perturbation,
            draws.perturbation_strength,
        ]
        .map(numbers)
    };
    let [first, second] = alone.each_ref().map(draws);
    for (kind, together) in draws(&together).iter().enumerate() {
        assert_eq!(
            *together,
            [first[kind].clone(), second[kind].clone()].concat()
        );
        assert_ne!(first[kind], second[kind]);
    }
    for strength in [&first[0], &first[3]] {
        assert!((0.0..1.0).contains(&strength[0]));
    }
    assert_eq!(
        together.timesteps,
        [alone[0].timesteps[0], alone[1].timesteps[0]]
    );
    let plain = Fed::new(super::config(folder.path()))
        .batch(2, &showings[..2])
        .draws;
    assert!(plain.offset_strength.is_none() && plain.pyramid.is_none());
    assert!(plain.perturbation.is_none() && plain.perturbation_strength.is_none());
}

fn timesteps_of_epochs(folder: &Path, settings: &str, epochs: u64) -> Vec<usize> {
    let mut config = config(folder);
    config.timesteps = timesteps(settings);
    let fed = Fed::new(config);
    let epochs = 1..=epochs;
    epochs
        .flat_map(|epoch| {
            let batches = fed.epoch(epoch);
            let batches: Vec<Batch> = batches
                .iter()
                .map(|showings| fed.batch(epoch, showings))
                .collect();
            batches.into_iter().flat_map(|batch| batch.timesteps)
        })
        .collect()
}

/// Six showings an epoch: the sequence goes on from epoch to epoch.
#[test]
fn stratified_timesteps_are_even_across_epochs() {
    let folder = tempfile::tempdir().unwrap();
    let drawn = timesteps_of_epochs(folder.path(), "min = 200\nmax = 800\nstratified = true", 10);
    assert_eq!(drawn.len(), 60);
    for count in [4, 10, 20, 60] {
        for window in drawn.windows(count) {
            let mut hit = vec![0; count / 2];
            for timestep in window {
                hit[(timestep - 200) * (count / 2) / 600] += 1;
            }
            assert!(!hit.contains(&0), "{window:?}");
        }
    }
    let again = timesteps_of_epochs(folder.path(), "min = 200\nmax = 800\nstratified = true", 2);
    assert_eq!(again, drawn[..12]);
}

/// What a seed has drawn once, it draws for ever.
#[test]
fn plain_timesteps_are_those_of_earlier_versions() {
    let folder = tempfile::tempdir().unwrap();
    let drawn = timesteps_of_epochs(folder.path(), "", 1);
    assert_eq!(drawn, [59, 288, 595, 678, 544, 400]);
}
