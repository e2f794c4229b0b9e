use burn::tensor::{Device, Tensor};
use lora_core::{Part, TextConditioner};
use lora_data::{CaptionConfig, Dataset, Exposure, Showing};

use crate::{
    Batch, BatchText, TextCache,
    config::{LatentDraw, TrainConfig},
    latents::LatentCache,
    random::{Purpose, below, normal_tensor},
};

/// Turns planned showings into batches: captions to ids, latents, noise and timesteps, each a pure function of
/// (seed, epoch, showing).
pub struct Feed {
    latents: LatentCache,
    texts: Option<TextCache>,
    captions: Vec<String>,
    caption: CaptionConfig,
    chunks: usize,
    draw: LatentDraw,
    seed: u64,
    timesteps: usize,
    device: Device,
}

impl Feed {
    /// `timesteps` is the length of the noise schedule; captions that `texts` lacks are given as token ids.
    pub fn new(
        config: &TrainConfig,
        data: &dyn Dataset,
        latents: LatentCache,
        texts: Option<TextCache>,
        timesteps: usize,
        device: &Device,
    ) -> Self {
        Self {
            latents,
            texts,
            captions: data
                .entries()
                .iter()
                .map(|entry| entry.caption.clone())
                .collect(),
            caption: config.dataset.caption.clone(),
            chunks: config.model.chunks(),
            draw: config.train.latents,
            seed: config.train.seed,
            timesteps,
            device: device.clone(),
        }
    }

    /// The batch of some showings of `epoch`, its captions in the words of `text`.
    pub fn batch(&self, text: &Part<TextConditioner>, epoch: u64, showings: &[Exposure]) -> Batch {
        let [channels, height, width] = self.latents.shape();
        // One number for each showing of the run; an epoch has far fewer than 2³².
        let key = |showing: &Exposure| (epoch << 32) | showing.ordinal;
        let normal = |purpose, showing: &Exposure, shape| {
            normal_tensor(purpose, self.seed, key(showing), shape, &self.device)
        };
        let stack = |tensor: &dyn Fn(&Exposure) -> Tensor<4>| {
            Tensor::cat(showings.iter().map(tensor).collect(), 0)
        };
        let captions: Vec<String> = showings
            .iter()
            .map(|showing| {
                let caption = &self.captions[showing.index];
                let at = Showing {
                    seed: self.seed,
                    epoch,
                    ordinal: showing.ordinal,
                    ..Showing::default()
                };
                self.caption.render(caption, &at)
            })
            .collect();
        Batch {
            latents: stack(&|showing| {
                self.latents
                    .draw(showing.index, self.draw, self.seed, key(showing))
            }),
            noise: stack(&|showing| normal(Purpose::Noise, showing, [channels, height, width])),
            noise_offset: stack(&|showing| normal(Purpose::NoiseOffset, showing, [channels, 1, 1])),
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
                None => BatchText::Ids(text.tokenize(&captions, self.chunks)),
            },
            sizes: showings
                .iter()
                .map(|showing| self.latents.sizes(showing.index))
                .collect(),
        }
    }
}
