use lora_data::Dataset;
use serde::Serialize;

use crate::{TextCache, config::TrainConfig};

/// What frozen networks encode once, before the first step. The rest is encoded whenever it is shown, so that those networks stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EncodedOnce {
    /// Pictures by the VAE: no showing has a view or colours of its own.
    pub pictures: bool,
    /// Captions by the text encoders: none of these is trained, and no showing words a caption anew.
    pub captions: bool,
}

impl EncodedOnce {
    pub(crate) fn of(config: &TrainConfig, data: &dyn Dataset) -> Self {
        let mut subsets = data.subsets().iter();
        let varies = subsets.any(|subset| subset.augment.color || subset.augment.random_crop);
        Self {
            pictures: !varies,
            captions: TextCache::captions(config, data).is_some(),
        }
    }

    /// What `model.offload` does not do.
    pub(crate) fn offload_notes(self, config: &TrainConfig) -> Vec<String> {
        let vae = "model.offload keeps the VAE on the device: random crops and varied colours are encoded at each showing";
        let text = "model.offload keeps the text encoders on the device: captions that change are encoded at each showing";
        let offload = config.model.offload;
        [
            (offload && !self.pictures, vae),
            (offload && !self.captions && !config.trains_text(), text),
        ]
        .into_iter()
        .filter(|(holds, _)| *holds)
        .map(|(_, note)| note.to_owned())
        .collect()
    }
}
