use burn::tensor::{Device, Tensor};
use lora_core::BaseModel;
use lora_data::{CaptionConfig, DataError, Dataset, Exposure};

use crate::{
    Batch, BatchText, TextCache,
    config::{LatentDraw, TrainConfig},
    latents::{LatentCache, Moments, encode},
    random::{Purpose, below, normal_tensor},
    showing_rules,
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
    seed: u64,
    timesteps: usize,
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
            seed: config.train.seed,
            timesteps,
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
        // One number for each showing of the run; an epoch has far fewer than 2³².
        let key = |showing: &Exposure| (at.epoch << 32) | showing.ordinal;
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
            timesteps: showings
                .iter()
                .map(|showing| {
                    below(
                        Purpose::Timestep,
                        self.seed,
                        key(showing),
                        0,
                        self.timesteps,
                    )
                })
                .collect(),
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
