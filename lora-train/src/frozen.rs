//! What the frozen networks say about a run's pictures and captions, computed once before the first step.

use burn::tensor::Device;
use lora_core::BaseModel;
use lora_data::Dataset;
use serde::Serialize;

use crate::{
    DiskCache, Event, Flow, Handle, HeldoutLoss, LatentCache, LatentStore, Observer, TextCache,
    TextStore, TrainError, UseCount, config::TrainConfig,
};

/// The latents of all fixed views, the held-out measure, and the text states where they stay the same.
pub(crate) struct Frozen {
    pub(crate) latents: LatentCache,
    pub(crate) heldout: Option<HeldoutLoss>,
    pub(crate) texts: Option<TextCache>,
    /// Whether it was stopped before its end.
    pub(crate) stopped: bool,
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
    /// Reads what the config's cache has and computes the rest; the observer hears of the pictures that are done, and it or the handle
    /// may end it, which leaves the rest out. The model must be without adapters yet.
    pub(crate) fn compute(
        config: &TrainConfig,
        (data, heldout): (&dyn Dataset, Option<&dyn Dataset>),
        model: &BaseModel,
        device: &Device,
        (observer, handle): (&mut dyn Observer, &Handle),
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
        let total = data.entries().len();
        let mut stopped = false;
        let told = |done, found| {
            let flow = observer.on_event(&Event::Cached { done, found, total });
            stopped |= flow.is_break() || handle.is_stopping();
            if stopped {
                Flow::Break(())
            } else {
                Flow::Continue(())
            }
        };
        let latents = LatentCache::compute(data, &model.vae, device, disk, told)?;
        stopped |= handle.is_stopping();
        let heldout = heldout.filter(|_| !stopped);
        let heldout = heldout.map(|data| HeldoutLoss::new(config, data, model, device, disk));
        let heldout = heldout.transpose()?;
        stopped |= handle.is_stopping();
        let texts = captions.filter(|_| !stopped).and_then(|captions| {
            TextCache::compute(config, model, captions, kept.texts.as_ref(), handle)
        });
        Ok(Self {
            latents,
            heldout,
            texts,
            stopped: stopped || handle.is_stopping(),
            kept,
        })
    }

    /// Of what use the cache on the disk was.
    pub(crate) fn cache_use(&self) -> CacheUse {
        CacheUse {
            latents: self.kept.latents.as_ref().map(LatentStore::count),
            text: self.kept.texts.as_ref().map(TextStore::count),
            stopped: self.stopped,
        }
    }
}
