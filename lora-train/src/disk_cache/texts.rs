use burn::tensor::Device;
use lora_core::{Part, TextConditioner, TextStates, TokenIds};

use super::{CacheError, DiskCache, Entry, Key, KeyMaker, Kind, UseCount, use_count::Counter};
use crate::device::arithmetic;

/// The text states of frozen text encoders on one device, in a [`DiskCache`].
#[derive(Debug)]
pub struct TextStore {
    cache: DiskCache,
    encoders: KeyMaker,
    device: Device,
    count: Counter,
}

impl TextStore {
    /// The store for `text`; `None` where it cannot be told from others ([`Part::hash`]), as when it has adapters.
    ///
    /// # Errors
    /// The text encoders' weights cannot be read any more.
    pub fn new(
        cache: &DiskCache,
        text: &Part<TextConditioner>,
        device: &Device,
    ) -> Result<Option<Self>, CacheError> {
        let Some(hash) = text.hash()? else {
            return Ok(None);
        };
        let encoders = KeyMaker::new("text").with(arithmetic(device)).with(hash);
        Ok(Some(Self {
            cache: cache.clone(),
            encoders,
            device: device.clone(),
            count: Counter::default(),
        }))
    }

    /// How often it was of use.
    pub fn count(&self) -> UseCount {
        self.count.get()
    }

    /// What is kept of a caption's tokens, or else `compute`d and kept.
    pub(crate) fn states(
        &self,
        ids: &TokenIds,
        clip_skip: usize,
        compute: impl FnOnce() -> TextStates,
    ) -> TextStates {
        let key = self.key(ids, clip_skip);
        let kept = self.cache.get(Kind::Text, &key);
        if let Some(states) = kept.and_then(|entry| read(&entry, &self.device)) {
            self.count.found();
            return states;
        }
        let states = compute();
        if let Some(entry) = written(&states) {
            match self.cache.put(Kind::Text, &key, &entry) {
                Ok(()) => self.count.made(),
                Err(error) => tracing::warn!("{error}; the run goes on without it"),
            }
        }
        states
    }

    fn key(&self, ids: &TokenIds, clip_skip: usize) -> Key {
        let numbers = [ids.chunks as u64, clip_skip as u64].map(u64::to_le_bytes);
        let mut key = self.encoders.clone().with(numbers.concat());
        for tower in &ids.towers {
            let tokens = tower.rows().iter().flatten();
            let tokens: Vec<u8> = tokens.flat_map(|token| token.to_le_bytes()).collect();
            key = key.with(tokens);
        }
        key.finish()
    }
}

fn written(states: &TextStates) -> Option<Entry> {
    let entry = Entry::default().with("states", states.states.clone())?;
    match &states.pooled {
        Some(pooled) => entry.with("pooled", pooled.clone()),
        None => Some(entry),
    }
}

/// `None` where the entry lacks something.
fn read(entry: &Entry, device: &Device) -> Option<TextStates> {
    let pooled = entry.tensor("pooled", device);
    if pooled.is_none() && entry.has("pooled") {
        return None;
    }
    Some(TextStates {
        states: entry.tensor("states", device)?,
        pooled,
    })
}
