use std::collections::BTreeMap;

use lora_core::{BaseModel, TextStates};

use crate::config::TrainConfig;

/// The text states of every caption that a run can show, computed once: a frozen text encoder never runs again.
#[derive(Clone, Debug)]
pub struct TextCache {
    states: BTreeMap<String, TextStates>,
}

impl TextCache {
    /// Whether the captions' states stay the same over the whole run: nothing of the text side is trained and no tag
    /// changes its place.
    pub(crate) fn is_possible(config: &TrainConfig) -> bool {
        !config.trains_text() && !config.dataset.caption.shuffle
    }

    /// Encodes each of `captions` once, and the empty one where whole captions are dropped.
    pub(crate) fn compute<'a>(
        config: &TrainConfig,
        model: &BaseModel,
        captions: impl Iterator<Item = &'a str>,
    ) -> Self {
        let dropped = (config.dataset.caption.dropout > 0.0).then_some("");
        let states = captions.chain(dropped).map(|caption| {
            let texts = [caption.to_owned()];
            let ids = model.text.tokenize(&texts, config.model.chunks());
            (
                caption.to_owned(),
                model.text.encode(&ids, config.model.clip_skip),
            )
        });
        Self {
            states: states.collect(),
        }
    }

    /// The states of some captions in one batch; `None` when one of them is not there.
    pub(crate) fn batch(&self, captions: &[String]) -> Option<TextStates> {
        let found = captions
            .iter()
            .map(|caption| self.states.get(caption).cloned());
        found.collect::<Option<_>>().map(TextStates::cat)
    }
}
