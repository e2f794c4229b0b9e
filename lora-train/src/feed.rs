use burn::tensor::{Device, Int, Tensor, TensorData};
use lora_core::tokenizer::{ROW_LENGTH, Tokenizer};
use lora_data::{CaptionConfig, Dataset, Exposure};

use crate::{
    Batch,
    config::{LatentDraw, TrainConfig},
    latents::LatentCache,
    random::{Purpose, below, normal_tensor},
};

/// Turns planned showings into batches: captions to ids, latents, noise and timesteps, each a pure function of
/// (seed, epoch, showing).
pub struct Feed {
    latents: LatentCache,
    captions: Vec<String>,
    caption: CaptionConfig,
    chunks: usize,
    draw: LatentDraw,
    seed: u64,
    timesteps: usize,
    device: Device,
}

impl Feed {
    /// `timesteps` is the length of the noise schedule.
    pub fn new(
        config: &TrainConfig,
        data: &dyn Dataset,
        latents: LatentCache,
        timesteps: usize,
        device: &Device,
    ) -> Self {
        Self {
            latents,
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

    /// The batch of some showings of `epoch`.
    pub fn batch(&self, tokenizer: &Tokenizer, epoch: u64, showings: &[Exposure]) -> Batch {
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
                self.caption
                    .render(caption, self.seed, epoch, showing.ordinal)
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
            ids: token_ids(tokenizer, &captions, self.chunks, &self.device),
        }
    }
}

/// Ids of `texts`, `[texts, chunks, 77]`.
pub(crate) fn token_ids(
    tokenizer: &Tokenizer,
    texts: &[String],
    chunks: usize,
    device: &Device,
) -> Tensor<3, Int> {
    let ids: Vec<i32> = texts
        .iter()
        .flat_map(|text| tokenizer.rows(text, chunks))
        .flatten()
        .map(|id| id as i32)
        .collect();
    Tensor::from_data(
        TensorData::new(ids, [texts.len(), chunks, ROW_LENGTH]),
        device,
    )
}
