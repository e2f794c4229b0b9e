use burn::tensor::{Device, Tensor, TensorData};

use crate::{
    config::ObjectiveConfig,
    pyramid_noise::PyramidNoise,
    random::{Purpose, normal_tensor, uniform},
};

/// What is drawn for an objective that shapes its noise; `None` where it asks for nothing of the kind.
#[derive(Clone, Debug, Default)]
pub struct NoiseDraws {
    /// The part of the noise offset that each item gets, from 0 to 1, `[batch, 1, 1, 1]`.
    pub offset_strength: Option<Tensor<4>>,
    /// Coarser noises, weakened and added up, of the latents' shape.
    pub pyramid: Option<Tensor<4>>,
    /// Standard normal, of the latents' shape: what disturbs the input.
    pub perturbation: Option<Tensor<4>>,
    /// The part of it that each item gets, from 0 to 1, `[batch, 1, 1, 1]`.
    pub perturbation_strength: Option<Tensor<4>>,
}

impl NoiseDraws {
    /// The same draws on another device.
    pub fn to_device(self, device: &Device) -> Self {
        let there = |draw: Option<Tensor<4>>| draw.map(|draw| draw.to_device(device));
        Self {
            offset_strength: there(self.offset_strength),
            pyramid: there(self.pyramid),
            perturbation: there(self.perturbation),
            perturbation_strength: there(self.perturbation_strength),
        }
    }
}

/// What has to be drawn, by the objective's settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoisePlan {
    offset_strength: bool,
    pyramid: Option<PyramidNoise>,
    perturbation: bool,
    perturbation_strength: bool,
}

impl NoisePlan {
    pub(crate) fn new(config: &ObjectiveConfig) -> Self {
        let perturbation = config.input_perturbation.is_some();
        Self {
            offset_strength: config.noise_offset.is_some() && config.noise_offset_random_strength,
            pyramid: config
                .multires_noise_iterations
                .map(|iterations| PyramidNoise {
                    iterations,
                    discount: config.multires_noise_discount,
                }),
            perturbation,
            perturbation_strength: perturbation && config.input_perturbation_random_strength,
        }
    }

    /// The draws of some showings, by key, whose latents have `shape`, `[channels, height, width]`.
    pub(crate) fn draw(
        &self,
        seed: u64,
        showings: &[u64],
        shape: [usize; 3],
        device: &Device,
    ) -> NoiseDraws {
        let strength = |purpose| {
            let values = showings
                .iter()
                .map(|&key| uniform(purpose, seed, key, 0) as f32);
            let values = TensorData::new(values.collect(), [showings.len(), 1, 1, 1]);
            Tensor::from_data(values, device)
        };
        let [channels, height, width] = shape;
        let pyramid = |pyramid: PyramidNoise| {
            let values = showings
                .iter()
                .flat_map(|&key| pyramid.draw(seed, key, shape));
            let values =
                TensorData::new(values.collect(), [showings.len(), channels, height, width]);
            Tensor::from_data(values, device)
        };
        let perturbation = || {
            let draws = showings
                .iter()
                .map(|&key| normal_tensor(Purpose::Perturbation, seed, key, shape, device));
            Tensor::cat(draws.collect(), 0)
        };
        NoiseDraws {
            offset_strength: self
                .offset_strength
                .then(|| strength(Purpose::OffsetStrength)),
            pyramid: self.pyramid.map(pyramid),
            perturbation: self.perturbation.then(perturbation),
            perturbation_strength: self
                .perturbation_strength
                .then(|| strength(Purpose::PerturbationStrength)),
        }
    }
}
