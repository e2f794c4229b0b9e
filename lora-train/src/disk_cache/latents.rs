use burn::tensor::Device;
use lora_core::{
    Part,
    vae::{Posterior, Vae},
};
use lora_data::{DataError, Dataset, View};

use super::{CacheError, DiskCache, Entry, Key, KeyMaker, Kind, UseCount, use_count::Counter};
use crate::{device::arithmetic, latents::Encoded};

/// The latents of one VAE on one device, in a [`DiskCache`].
///
/// Kept are the mean and log-variance before the scaling factor, bit for bit, with the picture's sizes and mask.
#[derive(Debug)]
pub struct LatentStore {
    cache: DiskCache,
    vae: KeyMaker,
    device: Device,
    count: Counter,
}

impl LatentStore {
    /// The store for `vae`; `None` where it cannot be told from others ([`Part::hash`]).
    ///
    /// # Errors
    /// The VAE's weights cannot be read any more.
    pub fn new(
        cache: &DiskCache,
        vae: &Part<Vae>,
        device: &Device,
    ) -> Result<Option<Self>, CacheError> {
        let Some(hash) = vae.hash()? else {
            return Ok(None);
        };
        // The VAE computes in f32 whatever the model's precision is.
        let vae = KeyMaker::new("latents")
            .with(arithmetic(device))
            .with("f32")
            .with(hash);
        Ok(Some(Self {
            cache: cache.clone(),
            vae,
            device: device.clone(),
            count: Counter::default(),
        }))
    }

    /// How often it was of use.
    pub fn count(&self) -> UseCount {
        self.count.get()
    }

    /// What is kept of a view, or else `compute`d and kept.
    pub(crate) fn encoded(
        &self,
        data: &dyn Dataset,
        index: usize,
        view: &View,
        compute: impl FnOnce() -> Result<Encoded, DataError>,
    ) -> Result<Encoded, DataError> {
        let Some(pixels) = data.digest(index, view)? else {
            return compute();
        };
        let key = self.vae.clone().with(pixels).finish();
        let kept = self.cache.get(Kind::Latents, &key);
        if let Some(encoded) = kept.and_then(|entry| read(&entry, &self.device)) {
            self.count.found();
            return Ok(encoded);
        }
        let encoded = compute()?;
        self.keep(&key, &encoded);
        Ok(encoded)
    }

    /// A cache that cannot be written costs time in the next run, and is no reason to end this one.
    fn keep(&self, key: &Key, encoded: &Encoded) {
        let Some(entry) = written(encoded) else {
            return;
        };
        match self.cache.put(Kind::Latents, key, &entry) {
            Ok(()) => self.count.made(),
            Err(error) => tracing::warn!("{error}; the run goes on without it"),
        }
    }
}

fn written(encoded: &Encoded) -> Option<Entry> {
    let entry = Entry::of_floats("sizes", &[6], &encoded.sizes)
        .with("mean", encoded.posterior.mean.clone())?
        .with("logvar", encoded.posterior.logvar.clone())?;
    match &encoded.mask {
        Some(mask) => entry.with("mask", mask.clone()),
        None => Some(entry),
    }
}

/// `None` where the entry lacks something.
fn read(entry: &Entry, device: &Device) -> Option<Encoded> {
    let mask = entry.tensor("mask", device);
    if mask.is_none() && entry.has("mask") {
        return None;
    }
    Some(Encoded {
        posterior: Posterior {
            mean: entry.tensor("mean", device)?,
            logvar: entry.tensor("logvar", device)?,
        },
        sizes: entry.floats("sizes")?.try_into().ok()?,
        mask,
    })
}
