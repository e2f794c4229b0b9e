use std::path::Path;

use burn::tensor::Device;

use super::text_tower::{published_tokenizer, text_encoder};
use crate::{
    ModelConfigs, ModelSource, Precision, TextConditioner, TextTower,
    model_configs::{refuse, text_components},
    size_limits::Refused,
    text_encoder::TextEncoderConfig,
    tokenizer::Tokenizer,
    unet::UNet,
    vae::{Vae, VaeConfig},
    weights::{Checkpoint, CheckpointError, Component, NetworkHash, TensorProblem, Weights},
};

/// The tokenizers of a diffusers folder, in the order of its text encoders.
const TOKENIZER_FOLDERS: [&str; 2] = ["tokenizer", "tokenizer_2"];

/// Reads the networks of a model from its files, as often as they are needed.
#[derive(Clone)]
pub(super) struct NetworkReader {
    source: ModelSource,
    configs: ModelConfigs,
    device: Device,
}

impl NetworkReader {
    pub(super) fn new(source: ModelSource, configs: ModelConfigs, device: Device) -> Self {
        Self {
            source,
            configs,
            device,
        }
    }

    /// Opens the checkpoint anew and reads one network of it.
    ///
    /// # Errors
    /// Its files cannot be read any more, or have other tensors now.
    pub(super) fn again<T>(
        &self,
        read: impl FnOnce(&Self, &Checkpoint, &mut Vec<TensorProblem>) -> Result<T, CheckpointError>,
    ) -> Result<T, CheckpointError> {
        let checkpoint = self.open()?;
        let mut problems = Vec::new();
        let network = read(self, &checkpoint, &mut problems)?;
        none_of(problems, checkpoint.path())?;
        Ok(network)
    }

    /// The text encoders with their tokenizers: the folder's own, or the published ones.
    pub(super) fn text(
        &self,
        checkpoint: &Checkpoint,
        problems: &mut Vec<TensorProblem>,
    ) -> Result<TextConditioner, CheckpointError> {
        let family = self.configs.family;
        let components = text_components(family).iter().zip(&self.configs.text);
        let towers = components.enumerate().map(|(index, (&component, config))| {
            let folder = checkpoint.path().join(TOKENIZER_FOLDERS[index]);
            let tokenizer = if folder.is_dir() {
                Tokenizer::from_folder(&folder)?
            } else {
                published_tokenizer(family, index)
            };
            refuse(checkpoint, component, too_few_words(config, &tokenizer))?;
            let format = self.source.format().whole();
            let encoder =
                checkpoint.build(component, &self.device, format, problems, |weights| {
                    text_encoder(family, index, config, weights)
                })?;
            Ok(TextTower { tokenizer, encoder })
        });
        let towers = towers.collect::<Result<_, CheckpointError>>()?;
        Ok(TextConditioner::new(towers))
    }

    pub(super) fn unet(
        &self,
        checkpoint: &Checkpoint,
        problems: &mut Vec<TensorProblem>,
    ) -> Result<UNet, CheckpointError> {
        let format = self.source.format();
        let build = |weights: &Weights<'_>| UNet::new(&self.configs.unet, weights);
        checkpoint.build(Component::UNet, &self.device, format, problems, build)
    }

    /// The VAE, in f32: the model's own, or the one that stands in for it.
    pub(super) fn vae(
        &self,
        checkpoint: &Checkpoint,
        problems: &mut Vec<TensorProblem>,
    ) -> Result<Vae, CheckpointError> {
        let (other, config) = self.described_vae()?;
        let checkpoint = other.as_ref().unwrap_or(checkpoint);
        let build = |weights: &Weights<'_>| Vae::new(&config, weights);
        let format = Precision::F32;
        checkpoint.build(Component::Vae, &self.device, format, problems, build)
    }

    /// A hash of the VAE's config and tensors.
    ///
    /// # Errors
    /// As for [`Self::vae`].
    pub(super) fn vae_hash(&self) -> Result<[u8; 32], CheckpointError> {
        let (other, config) = self.described_vae()?;
        let checkpoint = other.map_or_else(|| self.open(), Ok)?;
        let hash = NetworkHash::default();
        hash.settings(&config);
        let build = |weights: &Weights<'_>| Vae::new(&config, weights);
        checkpoint.hash(Component::Vae, &self.device, &hash, build)?;
        Ok(hash.finish())
    }

    /// A hash of the text encoders' configs, number format and tensors.
    ///
    /// # Errors
    /// As for [`Self::text`].
    pub(super) fn text_hash(&self) -> Result<[u8; 32], CheckpointError> {
        let (checkpoint, family) = (self.open()?, self.configs.family);
        let hash = NetworkHash::default();
        hash.settings(&self.source.precision);
        let components = text_components(family).iter().zip(&self.configs.text);
        for (index, (&component, config)) in components.enumerate() {
            hash.settings(config);
            let build = |weights: &Weights<'_>| text_encoder(family, index, config, weights);
            checkpoint.hash(component, &self.device, &hash, build)?;
        }
        Ok(hash.finish())
    }

    fn open(&self) -> Result<Checkpoint, CheckpointError> {
        Checkpoint::open(&self.source.path, self.source.config.as_deref())
    }

    /// The VAE that stands in for the model's own, if there is one, and the config of the one that is used.
    fn described_vae(&self) -> Result<(Option<Checkpoint>, VaeConfig), CheckpointError> {
        let source = &self.source;
        let other = source
            .vae
            .as_ref()
            .map(|path| Checkpoint::open_vae(path, source.config.as_deref()));
        let other = other.transpose()?;
        // A VAE's folder describes it; a file has the shape that the model's own has.
        let described = source.vae.as_ref().is_some_and(|path| path.is_dir());
        let config = match &other {
            Some(vae) if described => self.configs.other_vae(vae)?,
            _ => self.configs.vae.clone(),
        };
        Ok((other, config))
    }
}

/// Whether a tokenizer has ids that a text encoder has no embedding for.
fn too_few_words(config: &TextEncoderConfig, tokenizer: &Tokenizer) -> Option<Refused> {
    let (words, highest) = (config.vocab_size, tokenizer.highest_id());
    let value = || format!("{words} for a tokenizer of ids up to {highest}");
    (words <= highest as usize).then(|| ("vocab_size", value()))
}

/// # Errors
/// There are problems: all of them.
pub(super) fn none_of(problems: Vec<TensorProblem>, path: &Path) -> Result<(), CheckpointError> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(CheckpointError::Tensors {
        path: path.to_path_buf(),
        problems,
    })
}
