use burn::tensor::Tensor;

use crate::{Batch, NoiseDraws, config::ObjectiveConfig};

/// How the noise departs from plain normal numbers (sd-scripts' `get_noise_noisy_latents_and_timesteps`).
#[derive(Clone, Debug)]
pub(super) struct NoiseShaping {
    offset: Option<f64>,
    adaptive_scale: Option<f64>,
    input_perturbation: Option<f64>,
}

impl NoiseShaping {
    pub(super) fn new(config: &ObjectiveConfig) -> Self {
        Self {
            offset: config.noise_offset,
            adaptive_scale: config.adaptive_noise_scale,
            input_perturbation: config.input_perturbation,
        }
    }

    /// The noise that the target is made of.
    pub(super) fn noise(&self, batch: &Batch) -> Tensor<4> {
        let noise = match self.offset {
            Some(offset) => batch.noise.clone() + self.offset(offset, batch),
            None => batch.noise.clone(),
        };
        match &batch.draws.pyramid {
            Some(pyramid) => unit_deviation(noise + pyramid.clone()),
            None => noise,
        }
    }

    /// The shift of each channel, `[batch, channels, 1, 1]`: the drawn number times
    /// max(0, strength · offset + scale · |mean of the latents|).
    fn offset(&self, offset: f64, batch: &Batch) -> Tensor<4> {
        let draw = batch.noise_offset.clone();
        let strength = batch.draws.offset_strength.clone();
        let strength = strength.map(|strength| strength * offset);
        match (strength, self.adaptive_scale) {
            (None, None) => draw * offset,
            (Some(strength), None) => draw * strength,
            (strength, Some(scale)) => {
                let mean = batch.latents.clone().mean_dim(2).mean_dim(3).abs() * scale;
                let strength = match strength {
                    Some(strength) => mean + strength,
                    None => mean + offset,
                };
                draw * strength.clamp_min(0.0)
            }
        }
    }

    /// The noise that the network is shown, where the target's is `noise`.
    pub(super) fn input_noise(&self, noise: Tensor<4>, draws: &NoiseDraws) -> Tensor<4> {
        let Some((gamma, draw)) = self.input_perturbation.zip(draws.perturbation.clone()) else {
            return noise;
        };
        match &draws.perturbation_strength {
            Some(strength) => noise + draw * (strength.clone() * gamma),
            None => noise + draw * gamma,
        }
    }
}

/// Each item over its own standard deviation, by n − 1 as PyTorch's `std`.
///
/// sd-scripts takes one deviation over the whole batch; here what a showing looks like does not depend on the others.
fn unit_deviation(noise: Tensor<4>) -> Tensor<4> {
    let [count, channels, height, width] = noise.dims();
    let size = channels * height * width;
    let flat = noise.clone().reshape([count, size]);
    let centred = flat.clone() - flat.mean_dim(1);
    let variance = centred.square().sum_dim(1) / (size.saturating_sub(1).max(1)) as f64;
    noise / variance.sqrt().reshape([count, 1, 1, 1])
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::{BatchText, recorded::golden};
    use lora_core::TextStates;

    fn batch(latents: Tensor<4>, noise: Tensor<4>, noise_offset: Tensor<4>) -> Batch {
        let states = Tensor::zeros([4, 1, 1], &Device::flex());
        Batch {
            latents,
            noise,
            noise_offset,
            draws: NoiseDraws::default(),
            timesteps: vec![0; 4],
            text: BatchText::States(TextStates {
                states,
                pooled: None,
            }),
            sizes: Vec::new(),
            loss_weights: Vec::new(),
            mask: None,
        }
    }

    #[test]
    fn offsets_equal_kohyas() {
        let golden = golden("schedules/noise.safetensors");
        let tensor = |name: &str| golden.tensor::<4>(name);
        let batch = batch(
            tensor("latents"),
            tensor("noise"),
            tensor("noise_offset.draw"),
        );
        for (settings, name) in [
            ("noise_offset = 0.1", "noise_offset_0.1.out"),
            (
                "noise_offset = 0.1\nadaptive_noise_scale = 0.05",
                "noise_offset_0.1_adaptive_0.05.out",
            ),
        ] {
            let shaping = NoiseShaping::new(&toml::from_str(settings).expect("valid"));
            let found = shaping.noise(&batch).into_data();
            for (found, expected) in found.iter::<f32>().zip(golden.values(name)) {
                // The mean is added up in another order.
                assert!(
                    (found - expected).abs() < 1e-6,
                    "{name}: {found} {expected}"
                );
            }
        }
    }

    #[test]
    fn plain_noise_stays_as_it_is() {
        let golden = golden("schedules/noise.safetensors");
        let tensor = |name: &str| golden.tensor::<4>(name);
        let batch = batch(
            tensor("latents"),
            tensor("noise"),
            tensor("noise_offset.draw"),
        );
        let shaping = NoiseShaping::new(&ObjectiveConfig::default());
        let bits = |tensor: Tensor<4>| -> Vec<u32> {
            let data = tensor.into_data();
            data.iter::<f32>().map(f32::to_bits).collect()
        };
        let noise = shaping.noise(&batch);
        assert_eq!(bits(noise.clone()), bits(tensor("noise")));
        assert_eq!(
            bits(shaping.input_noise(noise, &batch.draws)),
            bits(tensor("noise"))
        );
    }
}
