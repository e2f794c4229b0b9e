//! Samplers against diffusers' schedulers, step by step.

use burn::tensor::{Distribution, Tensor};
use lora_core::diffusion::{
    PredictionType, Sampler, SamplerKind, SchedulerConfig, TimestepSpacing,
};

use crate::golden::{Golden, deviation, device};

/// Twenty steps in f32 on both sides deviate by up to 3e-6: a few roundings of each.
const LIMIT: f32 = 6e-6;
/// The reference inverts the schedule in f32, where 1 − ᾱ has lost digits at the low end.
const FRACTIONAL_TIMESTEP_LIMIT: f32 = 5e-3;

/// One sequence of the reference data.
struct Case {
    name: &'static str,
    kind: SamplerKind,
    steps: usize,
    config: SchedulerConfig,
}

fn case(name: &'static str, kind: SamplerKind, steps: usize) -> Case {
    Case {
        name,
        kind,
        steps,
        config: SchedulerConfig {
            timestep_spacing: Some(TimestepSpacing::Leading),
            ..SchedulerConfig::default()
        },
    }
}

impl Case {
    fn v(mut self) -> Self {
        self.config.prediction_type = PredictionType::VPrediction;
        self
    }

    fn spaced(mut self, spacing: TimestepSpacing) -> Self {
        self.config.timestep_spacing = Some(spacing);
        self.config.steps_offset = 0;
        self
    }

    fn zero_snr(mut self) -> Self {
        self.config.rescale_betas_zero_snr = true;
        self
    }
}

/// The cases of `samplers.json`.
fn cases() -> [Case; 13] {
    use SamplerKind::{Ddim, Dpmpp2m, Dpmpp2mKarras, Euler, EulerA, EulerKarras};
    use TimestepSpacing::{Linspace, Trailing};
    [
        case("ddim_10", Ddim, 10),
        case("ddim_20_v", Ddim, 20).v(),
        case("ddim_10_zsnr_trailing_v", Ddim, 10)
            .v()
            .spaced(Trailing)
            .zero_snr(),
        case("euler_10", Euler, 10),
        case("euler_20_v", Euler, 20).v(),
        case("euler_10_karras", EulerKarras, 10),
        case("euler_10_linspace", Euler, 10).spaced(Linspace),
        case("euler_a_10", EulerA, 10),
        case("euler_a_20_v", EulerA, 20).v(),
        case("dpmpp_2m_20", Dpmpp2m, 20),
        case("dpmpp_2m_karras_10", Dpmpp2mKarras, 10),
        case("dpmpp_2m_karras_20", Dpmpp2mKarras, 20),
        case("dpmpp_2m_karras_20_v", Dpmpp2mKarras, 20).v(),
    ]
}

/// The cases of `samplers_more.json`.
fn more_cases() -> [Case; 8] {
    use SamplerKind::{Dpmpp2m, Dpmpp2mSdeKarras, Euler, UniPc};
    use TimestepSpacing::{Linspace, Trailing};
    [
        case("dpmpp_2m_sde_karras_10", Dpmpp2mSdeKarras, 10),
        case("dpmpp_2m_sde_karras_10_v", Dpmpp2mSdeKarras, 10).v(),
        case("dpmpp_2m_10_linspace", Dpmpp2m, 10).spaced(Linspace),
        case("dpmpp_2m_10_zsnr_trailing_v", Dpmpp2m, 10)
            .v()
            .spaced(Trailing)
            .zero_snr(),
        case("euler_10_trailing_v", Euler, 10).v().spaced(Trailing),
        case("unipc_10", UniPc, 10),
        case("unipc_20_v", UniPc, 20).v(),
        case("unipc_10_linspace", UniPc, 10).spaced(Linspace),
    ]
}

#[test]
fn samplers_walk_as_diffusers_do() {
    let golden = Golden::open("schedules/samplers.safetensors");
    let more = Golden::open("schedules/samplers_more.safetensors");
    for case in cases() {
        follow(&case, &golden, &golden);
    }
    for case in more_cases() {
        follow(&case, &more, &golden);
    }
}

#[test]
fn every_reference_sequence_is_followed() {
    let golden = Golden::open("schedules/samplers.safetensors");
    let more = Golden::open("schedules/samplers_more.safetensors");
    let stored = golden.names().into_iter().chain(more.names());
    let mut stored: Vec<String> = stored
        .filter_map(|name| name.strip_suffix(".timesteps").map(str::to_owned))
        .collect();
    let mut followed: Vec<String> = cases()
        .iter()
        .chain(&more_cases())
        .map(|case| case.name.to_owned())
        .collect();
    stored.sort();
    followed.sort();
    assert_eq!(stored, followed);
}

/// What diffusers' `from_config` makes of Stable Diffusion's configs, which do not say.
#[test]
fn each_sampler_spaces_its_timesteps_as_it_does_by_itself() {
    for kind in SamplerKind::ALL {
        let timesteps = |timestep_spacing| {
            let config = SchedulerConfig {
                timestep_spacing,
                ..SchedulerConfig::default()
            };
            kind.build(&config, 10).timesteps().to_vec()
        };
        let own = if kind == SamplerKind::Ddim {
            TimestepSpacing::Leading
        } else {
            TimestepSpacing::Linspace
        };
        assert_eq!(timesteps(None), timesteps(Some(own)), "{kind:?}");
    }
}

/// Follows the reference's sequence: the "network" answers `0.3·x + b`.
fn follow(case: &Case, golden: &Golden, start: &Golden) {
    let Case { name, .. } = case;
    let mut sampler = case.kind.build(&case.config, case.steps);
    assert_close_timesteps(
        sampler.timesteps(),
        &golden.values(&format!("{name}.timesteps")),
        name,
    );
    let noises: Option<Tensor<4>> = golden
        .names()
        .contains(&format!("{name}.noises"))
        .then(|| golden.tensor(&format!("{name}.noises")));
    let sequence = Sequence {
        normalised: is_normalised(case.kind),
        latents: golden.values(&format!("{name}.latents")),
    };
    let bias: Tensor<4> = start.tensor("b");
    let mut latents = start.tensor("start_noise") * sampler.initial_scale();
    for index in 0..case.steps {
        let input = sampler.scale_input(index, latents.clone());
        let noise = noises.as_ref().filter(|_| sampler.needs_noise(index));
        let noise = noise.map(|noises| noises.clone().narrow(0, index, 1));
        latents = sampler.step(index, input * 0.3 + bias.clone(), latents, noise);
        sequence.compare(sampler.as_ref(), index + 1, &latents, name);
    }
}

fn assert_close_timesteps(found: &[f32], expected: &[f32], name: &str) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (found, expected) in found.iter().zip(expected) {
        let limit = if expected.fract() > 0.0 {
            FRACTIONAL_TIMESTEP_LIMIT
        } else {
            0.0
        };
        assert!(
            (found - expected).abs() <= limit,
            "{name}: {found} {expected}"
        );
    }
}

/// Whether diffusers keeps the latents of this scheduler at variance 1, where ours divide them by √ᾱ.
fn is_normalised(kind: SamplerKind) -> bool {
    !matches!(
        kind,
        SamplerKind::Ddim | SamplerKind::Euler | SamplerKind::EulerKarras | SamplerKind::EulerA
    )
}

/// The reference's latents, one walk's after another.
struct Sequence {
    normalised: bool,
    latents: Vec<f32>,
}

impl Sequence {
    fn compare(&self, sampler: &dyn Sampler, index: usize, latents: &Tensor<4>, name: &str) {
        let latents = if self.normalised && index < sampler.timesteps().len() {
            sampler.scale_input(index, latents.clone())
        } else {
            latents.clone()
        };
        let found: Vec<f32> = latents.into_data().iter::<f32>().collect();
        let size = found.len();
        let deviation = deviation(&found, &self.latents[index * size..(index + 1) * size]);
        assert!(
            deviation < LIMIT,
            "{name} deviates by {deviation:e} after {index} steps"
        );
    }
}

/// From a single step to one for every timestep, however odd the number.
#[test]
fn any_number_of_steps_gives_finite_latents() {
    let device = device();
    let noise: Tensor<4> = Tensor::random([1, 1, 2, 2], Distribution::Normal(0.0, 1.0), &device);
    for kind in SamplerKind::ALL {
        for steps in [1, 2, 3, 7, 999, 1000, 1001] {
            for spacing in [TimestepSpacing::Leading, TimestepSpacing::Linspace] {
                let config = SchedulerConfig {
                    timestep_spacing: Some(spacing),
                    ..SchedulerConfig::default()
                };
                let mut sampler = kind.build(&config, steps);
                let mut latents = noise.clone() * sampler.initial_scale();
                for index in 0..sampler.timesteps().len() {
                    let input = sampler.scale_input(index, latents.clone());
                    let fresh = sampler.needs_noise(index).then(|| noise.clone());
                    latents = sampler.step(index, input, latents, fresh);
                }
                let values: Vec<f32> = latents.into_data().iter::<f32>().collect();
                assert!(
                    values.iter().all(|value| value.is_finite()),
                    "{kind:?} in {steps} steps, {spacing:?}: {values:?}"
                );
            }
        }
    }
}
