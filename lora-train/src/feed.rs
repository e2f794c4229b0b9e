use burn::tensor::{Device, Tensor};
use lora_core::BaseModel;
use lora_data::{CaptionConfig, DataError, Dataset, Exposure, exposures_per_epoch};

use crate::{
    Batch, BatchText, NoiseDraws, TextCache,
    config::{LatentDraw, TrainConfig},
    latents::{LatentCache, Moments, encode},
    noise_draws::NoisePlan,
    random::{Purpose, normal_tensor},
    showing_rules,
    timestep_draw::TimestepDraw,
};

/// Turns planned showings into batches: captions to ids, latents, noise and timesteps, each a pure function of
/// (seed, epoch, showing).
pub struct Feed {
    latents: LatentCache,
    texts: Option<TextCache>,
    /// The rules of pictures whose dataset has none of its own.
    caption: CaptionConfig,
    chunks: usize,
    draw: LatentDraw,
    noise: NoisePlan,
    timesteps: TimestepDraw,
    seed: u64,
    device: Device,
}

/// Where in a run a batch stands.
#[derive(Clone, Copy, Debug)]
pub struct FeedAt {
    /// The epoch, from 1.
    pub epoch: u64,
    /// Optimiser steps done.
    pub step: u64,
    /// Optimiser steps of the whole run.
    pub steps: u64,
}

/// One number for each showing of the run; an epoch has far fewer than 2³².
fn key(at: FeedAt, showing: &Exposure) -> u64 {
    (at.epoch << 32) | showing.ordinal
}

impl Feed {
    /// `timesteps` is the length of the noise schedule; captions that `texts` lacks are given as token ids.
    pub fn new(
        config: &TrainConfig,
        latents: LatentCache,
        texts: Option<TextCache>,
        timesteps: usize,
        device: &Device,
    ) -> Self {
        Self {
            latents,
            texts,
            caption: config.dataset.caption.clone(),
            chunks: config.model.chunks(),
            draw: config.train.latents,
            noise: NoisePlan::new(&config.objective),
            timesteps: TimestepDraw::new(&config.timesteps, timesteps, config.train.seed),
            seed: config.train.seed,
            device: device.clone(),
        }
    }

    /// The batch of some showings of pictures of one size.
    ///
    /// Views that are not kept, such as random crops, are encoded now, for which the model's VAE must be present.
    ///
    /// # Errors
    /// A picture that cannot be read any more.
    pub fn batch(
        &self,
        model: &BaseModel,
        data: &dyn Dataset,
        at: FeedAt,
        showings: &[Exposure],
    ) -> Result<Batch, DataError> {
        let key = |showing: &Exposure| key(at, showing);
        let moments: Vec<Moments> = showings
            .iter()
            .map(|showing| self.moments(model, data, at, showing))
            .collect::<Result<_, _>>()?;
        let normal = |purpose, shape: &dyn Fn(&Moments) -> [usize; 3]| {
            let pairs = showings.iter().zip(&moments);
            let draws = pairs.map(|(showing, moments)| {
                normal_tensor(
                    purpose,
                    self.seed,
                    key(showing),
                    shape(moments),
                    &self.device,
                )
            });
            Tensor::cat(draws.collect(), 0)
        };
        let captions: Vec<String> = showings
            .iter()
            .map(|showing| showing_rules::caption(&self.caption, data, self.seed, at, showing))
            .collect();
        let latents = showings
            .iter()
            .zip(&moments)
            .map(|(showing, moments)| moments.draw(self.draw, self.seed, key(showing)));
        Ok(Batch {
            latents: Tensor::cat(latents.collect(), 0),
            noise: normal(Purpose::Noise, &Moments::shape),
            noise_offset: normal(Purpose::NoiseOffset, &|moments| [moments.shape()[0], 1, 1]),
            draws: self.noise_draws(showings.iter().map(key), &moments),
            timesteps: self.timesteps(data, at, showings),
            text: match self.texts.as_ref().and_then(|texts| texts.batch(&captions)) {
                Some(states) => BatchText::States(states),
                None => BatchText::Ids(model.text.tokenize(&captions, self.chunks)),
            },
            sizes: moments.iter().map(|moments| moments.sizes).collect(),
            loss_weights: showings
                .iter()
                .map(|showing| {
                    showing_rules::subset(data, showing)
                        .map_or(1.0, |subset| subset.loss_weight as f32)
                })
                .collect(),
            mask: self.mask(&moments),
        })
    }

    fn moments(
        &self,
        model: &BaseModel,
        data: &dyn Dataset,
        at: FeedAt,
        showing: &Exposure,
    ) -> Result<Moments, DataError> {
        let view = showing_rules::view(data, self.seed, at.epoch, showing);
        if let Some(moments) = self.latents.get(showing.index, &view) {
            return Ok(moments.clone());
        }
        let pixels = data.pixels(showing.index, &view)?;
        let encoded = encode(&pixels, &model.vae, &self.device);
        Ok(encoded.scaled(self.latents.scaling_factor()))
    }

    fn noise_draws(&self, keys: impl Iterator<Item = u64>, moments: &[Moments]) -> NoiseDraws {
        let keys: Vec<u64> = keys.collect();
        let Some(first) = moments.first() else {
            return NoiseDraws::default();
        };
        self.noise
            .draw(self.seed, &keys, first.shape(), &self.device)
    }

    fn timesteps(&self, data: &dyn Dataset, at: FeedAt, showings: &[Exposure]) -> Vec<usize> {
        let before = if self.timesteps.is_stratified() {
            at.epoch.saturating_sub(1) * exposures_per_epoch(data.entries())
        } else {
            0
        };
        let timestep = |showing: &Exposure| {
            let place = before + showing.ordinal;
            self.timesteps.at(key(at, showing), place)
        };
        showings.iter().map(timestep).collect()
    }

    /// The masks of a batch, with ones for pictures that have none; `None` where no picture has one.
    fn mask(&self, moments: &[Moments]) -> Option<Tensor<4>> {
        moments.iter().find(|moments| moments.mask.is_some())?;
        let masks = moments.iter().map(|moments| {
            let [_, height, width] = moments.shape();
            let everywhere = || Tensor::ones([1, 1, height, width], &self.device);
            moments.mask.clone().unwrap_or_else(everywhere)
        });
        Some(Tensor::cat(masks.collect(), 0))
    }
}
