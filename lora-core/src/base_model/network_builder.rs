use burn::tensor::Device;

use super::text_tower::{published_tokenizer, text_encoder};
use crate::{
    ModelConfigs, Precision, TextConditioner, TextTower, WeightFormat,
    unet::UNet,
    vae::Vae,
    weights::{NetworkHash, TensorSource, WeightReader, Weights},
};

/// Makes the networks of some configs from any source of tensors, as often as they are needed.
#[derive(Clone)]
pub(super) struct NetworkBuilder<S> {
    configs: ModelConfigs,
    source: S,
    format: WeightFormat,
    device: Device,
}

impl<S: TensorSource> NetworkBuilder<S> {
    pub(super) fn new(
        configs: &ModelConfigs,
        source: S,
        format: WeightFormat,
        device: &Device,
    ) -> Self {
        Self {
            configs: configs.clone(),
            source,
            format,
            device: device.clone(),
        }
    }

    pub(super) fn text(&self) -> TextConditioner {
        let family = self.configs.family;
        let towers = self.configs.text.iter().enumerate();
        let towers = towers.map(|(index, config)| TextTower {
            tokenizer: published_tokenizer(family, index),
            encoder: text_encoder(
                family,
                index,
                config,
                &self.reader(self.format.whole()).root(),
            ),
        });
        TextConditioner::new(towers.collect())
    }

    pub(super) fn unet(&self) -> UNet {
        UNet::new(&self.configs.unet, &self.reader(self.format).root())
    }

    pub(super) fn vae(&self) -> Vae {
        Vae::new(&self.configs.vae, &self.reader(Precision::F32).root())
    }

    /// A hash of the VAE's config and tensors; `None` where the source lacks some.
    pub(super) fn vae_hash(&self) -> Option<[u8; 32]> {
        let hash = NetworkHash::default();
        hash.settings(&self.configs.vae);
        let build = |weights: &Weights<'_>| Vae::new(&self.configs.vae, weights);
        hash.tensors(&self.source, &self.device, build).ok()?;
        Some(hash.finish())
    }

    /// A hash of the text encoders' configs, number format and tensors; `None` where the source lacks some.
    pub(super) fn text_hash(&self) -> Option<[u8; 32]> {
        let hash = NetworkHash::default();
        hash.settings(&self.format.precision);
        for (index, config) in self.configs.text.iter().enumerate() {
            hash.settings(config);
            let build =
                |weights: &Weights<'_>| text_encoder(self.configs.family, index, config, weights);
            hash.tensors(&self.source, &self.device, build).ok()?;
        }
        Some(hash.finish())
    }

    fn reader(&self, format: impl Into<WeightFormat>) -> WeightReader<'_> {
        WeightReader::new(&self.source, &self.device, format)
    }
}
