//! What the frozen networks say about a run's pictures and captions, computed once before the first step.

use burn::tensor::Device;
use lora_core::BaseModel;
use lora_data::Dataset;
use serde::Serialize;

use crate::{
    DiskCache, Flow, HeldoutLoss, LatentCache, LatentStore, TextCache, TextStore, TrainError,
    UseCount, config::TrainConfig,
};

/// The latents of all fixed views, the held-out measure, and the text states where they stay the same.
pub(crate) struct Frozen {
    pub(crate) latents: LatentCache,
    pub(crate) heldout: Option<HeldoutLoss>,
    pub(crate) texts: Option<TextCache>,
    kept: Kept,
}

/// What a run has on the disk.
#[derive(Default)]
struct Kept {
    latents: Option<LatentStore>,
    texts: Option<TextStore>,
}

/// Of what use a cache on the disk was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CacheUse {
    /// Latents of views; `None` where nothing of them can be kept, as there is no folder for it or the VAE's weights
    /// are not those of a checkpoint.
    pub latents: Option<UseCount>,
    /// Text states of captions; `None` also where text encoders are trained or captions change at each showing.
    pub text: Option<UseCount>,
    /// Whether it was stopped before its end.
    pub stopped: bool,
}

impl Frozen {
    /// Reads what the config's cache has and computes the rest; `told` hears of the pictures that are done and how many
    /// of them were found, and may end it, which leaves the rest out. The model must be without adapters yet.
    pub(crate) fn compute(
        config: &TrainConfig,
        data: &dyn Dataset,
        heldout: Option<&dyn Dataset>,
        model: &BaseModel,
        device: &Device,
        told: impl FnMut(usize, usize) -> Flow,
    ) -> Result<Self, TrainError> {
        let captions = TextCache::captions(config, data);
        let kept = match &config.cache.folder {
            Some(folder) => {
                let cache = DiskCache::create(folder)?;
                let texts = captions
                    .as_ref()
                    .map(|_| TextStore::new(&cache, &model.text, device));
                Kept {
                    latents: LatentStore::new(&cache, &model.vae, device)?,
                    texts: texts.transpose()?.flatten(),
                }
            }
            None => Kept::default(),
        };
        let disk = kept.latents.as_ref();
        let latents = LatentCache::compute(data, &model.vae, device, disk, told)?;
        let heldout = heldout
            .map(|data| HeldoutLoss::new(config, data, model, device, disk))
            .transpose()?;
        let texts = captions
            .map(|captions| TextCache::compute(config, model, captions, kept.texts.as_ref()));
        Ok(Self {
            latents,
            heldout,
            texts,
            kept,
        })
    }

    /// Of what use the cache on the disk was.
    pub(crate) fn cache_use(&self, stopped: bool) -> CacheUse {
        CacheUse {
            latents: self.kept.latents.as_ref().map(LatentStore::count),
            text: self.kept.texts.as_ref().map(TextStore::count),
            stopped,
        }
    }
}
