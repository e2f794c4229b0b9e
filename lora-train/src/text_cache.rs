use std::collections::{BTreeMap, BTreeSet};

use lora_core::{BaseModel, TextStates};
use lora_data::Dataset;

use crate::{Handle, TextStore, config::TrainConfig};

/// The text states of every caption that a run can show, computed once: a frozen text encoder never runs again.
#[derive(Clone, Debug)]
pub struct TextCache {
    states: BTreeMap<String, TextStates>,
}

impl TextCache {
    /// Every caption that a run can show, where their states stay the same over the whole run: nothing of the text side
    /// is trained, and no caption changes from showing to showing.
    pub(crate) fn captions(config: &TrainConfig, data: &dyn Dataset) -> Option<BTreeSet<String>> {
        if config.trains_text() {
            return None;
        }
        let general = &config.dataset.caption;
        let mut captions = BTreeSet::new();
        for entry in data.entries() {
            let rules = data.subsets().get(entry.subset);
            let rules = rules.map_or(general, |subset| &subset.caption);
            captions.extend(rules.renderings(&entry.caption)?);
        }
        Some(captions)
    }

    /// Encodes each of `captions` once, or reads from `disk` what is there; `None` where it was stopped on the way.
    pub(crate) fn compute(
        config: &TrainConfig,
        model: &BaseModel,
        captions: BTreeSet<String>,
        disk: Option<&TextStore>,
        handle: &Handle,
    ) -> Option<Self> {
        let states = captions.into_iter().map(|caption| {
            if handle.is_stopping() {
                return None;
            }
            let texts = [caption.clone()];
            let ids = model.text.tokenize(&texts, config.model.chunks());
            let clip_skip = config.model.clip_skip;
            let compute = || model.text.encode(&ids, clip_skip);
            let states = match disk {
                Some(disk) => disk.states(&ids, clip_skip, compute),
                None => compute(),
            };
            Some((caption, states))
        });
        Some(Self {
            states: states.collect::<Option<_>>()?,
        })
    }

    /// The states of some captions in one batch; `None` when one of them is not there.
    pub(crate) fn batch(&self, captions: &[String]) -> Option<TextStates> {
        let found = captions
            .iter()
            .map(|caption| self.states.get(caption).cloned());
        found.collect::<Option<_>>().map(TextStates::cat)
    }
}
