use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

/// More timesteps than this are a broken config: every published model has 1,000.
const MOST_TIMESTEPS: usize = 1_000_000;

/// What the network predicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PredictionType {
    /// The noise (Ho et al. 2020).
    #[default]
    Epsilon,
    /// The velocity `√ᾱ·noise − √(1−ᾱ)·latents` (Salimans & Ho 2022).
    VPrediction,
}

impl PredictionType {
    /// Velocity or noise.
    pub fn of_velocity(is_velocity: bool) -> Self {
        if is_velocity {
            Self::VPrediction
        } else {
            Self::Epsilon
        }
    }
}

/// How the betas run from start to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BetaSchedule {
    /// Evenly spaced square roots: every Stable Diffusion.
    #[default]
    ScaledLinear,
    /// Evenly spaced.
    Linear,
}

/// Where the timesteps of a sampler lie (Lin et al. 2024, table 2), by diffusers' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimestepSpacing {
    /// Whole strides up from the first timestep.
    Leading,
    /// From the last timestep to the first, evenly.
    Linspace,
    /// Strides down from the last timestep: for schedules that end in pure noise.
    Trailing,
}

/// The fields of a diffusers scheduler config that define the noise and where samplers look at it, with Stable
/// Diffusion's values as defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SchedulerConfig {
    /// Number of timesteps.
    pub num_train_timesteps: usize,
    /// First beta.
    pub beta_start: f64,
    /// Last beta.
    pub beta_end: f64,
    /// How the betas run.
    pub beta_schedule: BetaSchedule,
    /// What the network predicts.
    pub prediction_type: PredictionType,
    /// Whether the betas are rescaled so that the last timestep is pure noise (Lin et al. 2024).
    pub rescale_betas_zero_snr: bool,
    /// Where the timesteps of a sampler lie. Unset, as for SD 1.x and 2.x, means where each sampler has them by itself:
    /// leading for DDIM, evenly from the last timestep for all others, in diffusers as in A1111.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestep_spacing: Option<TimestepSpacing>,
    /// Added to every timestep of a sampler whose spacing is leading.
    pub steps_offset: usize,
    /// Whether DDIM's last step ends at ᾱ = 1 rather than at ᾱ of timestep 0.
    pub set_alpha_to_one: bool,
    /// The scheduler that diffusers would make: one that counts noise otherwise than by betas is refused.
    #[serde(rename = "_class_name", skip_serializing)]
    pub class_name: Option<String>,
    /// Betas one by one: refused.
    #[serde(skip_serializing)]
    pub trained_betas: Option<Vec<f64>>,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self {
            num_train_timesteps: 1000,
            beta_start: 0.000_85,
            beta_end: 0.012,
            beta_schedule: BetaSchedule::ScaledLinear,
            prediction_type: PredictionType::Epsilon,
            rescale_betas_zero_snr: false,
            timestep_spacing: None,
            steps_offset: 1,
            set_alpha_to_one: false,
            class_name: None,
            trained_betas: None,
        }
    }
}

impl SchedulerConfig {
    /// The first field whose value no walk can be made of, if any.
    pub fn unsupported(&self) -> Option<(&'static str, String)> {
        let betas = [("beta_start", self.beta_start), ("beta_end", self.beta_end)];
        // Without any noise at its start, a schedule divides by zero.
        let outside = betas
            .into_iter()
            .find(|&(_, beta)| !(beta > 0.0 && beta < 1.0));
        let other_noise = |name: &&String| name.starts_with("EDM") || name.starts_with("FlowMatch");
        if let Some(name) = self.class_name.as_ref().filter(other_noise) {
            return Some(("_class_name", name.clone()));
        }
        if let Some(betas) = &self.trained_betas {
            return Some(("trained_betas", format!("{} numbers", betas.len())));
        }
        if !(2..=MOST_TIMESTEPS).contains(&self.num_train_timesteps) {
            let value = self.num_train_timesteps.to_string();
            return Some(("num_train_timesteps", value));
        }
        if self.steps_offset >= self.num_train_timesteps {
            return Some(("steps_offset", self.steps_offset.to_string()));
        }
        outside.map(|(field, value)| (field, value.to_string()))
    }
}

/// How much of the latents is left at each timestep.
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseSchedule {
    alphas_cumprod: Vec<f64>,
    prediction_type: PredictionType,
}

impl NoiseSchedule {
    /// Computes ᾱ in f64; the references, which multiply in f32, differ by up to 1e-6 of it.
    pub fn new(config: &SchedulerConfig) -> Self {
        let last = (config.num_train_timesteps.max(2) - 1) as f64;
        let between =
            |start: f64, end: f64, step: usize| start + (end - start) * step as f64 / last;
        let beta = |step| match config.beta_schedule {
            BetaSchedule::ScaledLinear => {
                between(config.beta_start.sqrt(), config.beta_end.sqrt(), step).powi(2)
            }
            BetaSchedule::Linear => between(config.beta_start, config.beta_end, step),
        };
        let mut alphas_cumprod: Vec<f64> = (0..config.num_train_timesteps)
            .scan(1.0, |product, step| {
                *product *= 1.0 - beta(step);
                Some(*product)
            })
            .collect();
        if config.rescale_betas_zero_snr {
            rescale_to_zero_snr(&mut alphas_cumprod);
        }
        Self {
            alphas_cumprod,
            prediction_type: config.prediction_type,
        }
    }

    /// ᾱ of every timestep.
    pub fn alphas_cumprod(&self) -> &[f64] {
        &self.alphas_cumprod
    }

    /// What the network predicts.
    pub fn prediction_type(&self) -> PredictionType {
        self.prediction_type
    }

    /// Number of timesteps.
    pub fn len(&self) -> usize {
        self.alphas_cumprod.len()
    }

    /// Whether there is no timestep at all.
    pub fn is_empty(&self) -> bool {
        self.alphas_cumprod.is_empty()
    }

    /// Signal-to-noise ratio `ᾱ / (1 − ᾱ)` of a timestep.
    pub fn snr(&self, timestep: usize) -> f64 {
        let alpha = self.alphas_cumprod[timestep];
        alpha / (1.0 - alpha)
    }

    /// `√ᾱ·latents + √(1−ᾱ)·noise`, with one timestep for each item of `[batch, channels, height, width]`.
    pub fn add_noise(
        &self,
        latents: Tensor<4>,
        noise: Tensor<4>,
        timesteps: &[usize],
    ) -> Tensor<4> {
        let [signal, sigma] = self.scales(timesteps, &latents.device());
        latents * signal + noise * sigma
    }

    /// What the network should answer, of the latents' shape.
    pub fn target(&self, latents: Tensor<4>, noise: Tensor<4>, timesteps: &[usize]) -> Tensor<4> {
        match self.prediction_type {
            PredictionType::Epsilon => noise,
            PredictionType::VPrediction => self.velocity(latents, noise, timesteps),
        }
    }

    /// `√ᾱ·noise − √(1−ᾱ)·latents`, with one timestep for each item.
    pub fn velocity(&self, latents: Tensor<4>, noise: Tensor<4>, timesteps: &[usize]) -> Tensor<4> {
        let [signal, sigma] = self.scales(timesteps, &latents.device());
        noise * signal - latents * sigma
    }

    /// `√ᾱ` and `√(1−ᾱ)` as `[batch, 1, 1, 1]`.
    fn scales(&self, timesteps: &[usize], device: &Device) -> [Tensor<4>; 2] {
        let column = |value: fn(f64) -> f64| {
            let values: Vec<f32> = timesteps
                .iter()
                .map(|&timestep| value(self.alphas_cumprod[timestep]) as f32)
                .collect();
            Tensor::from_data(TensorData::new(values, [timesteps.len(), 1, 1, 1]), device)
        };
        [column(f64::sqrt), column(|alpha| (1.0 - alpha).sqrt())]
    }
}

/// Shifts and scales `√ᾱ` so that the first stays and the last becomes 0 (Lin et al. 2024, algorithm 1).
fn rescale_to_zero_snr(alphas_cumprod: &mut [f64]) {
    let [first, .., last] = *alphas_cumprod else {
        return;
    };
    let (first, last) = (first.sqrt(), last.sqrt());
    for alpha in alphas_cumprod {
        *alpha = ((alpha.sqrt() - last) * first / (first - last)).powi(2);
    }
}
