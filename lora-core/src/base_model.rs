use std::path::Path;

use burn::tensor::{Device, FloatDType};
use serde::{Deserialize, Serialize};

use crate::{
    Matrices,
    adapter::{self, Injected, LoraSpec, Sites, SpecError},
    diffusion::SchedulerConfig,
    lora_file::LoraFile,
    text_encoder::{TextEncoder, TextEncoderConfig},
    tokenizer::Tokenizer,
    unet::{UNet, UNetConfig},
    vae::{Vae, VaeConfig},
    weights::{Checkpoint, CheckpointError, Component, SeededWeights, WeightReader},
};

/// The number format of the frozen weights and of what flows through them.
///
/// Adapters, norms, softmax and loss stay in f32 whatever this is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 32 bits: exact, and the fastest on a CPU.
    #[default]
    F32,
    /// bfloat16: half the memory, f32's range.
    Bf16,
    /// Half precision: half the memory, more digits than bf16, overflows above 65,504.
    F16,
}

impl From<Precision> for FloatDType {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::Bf16 => Self::BF16,
            Precision::F16 => Self::F16,
        }
    }
}

/// A Stable Diffusion 1.x model: tokenizer, text encoder, UNet, VAE and the noise that it was trained on.
#[derive(Debug)]
pub struct BaseModel {
    /// Text to token ids.
    pub tokenizer: Tokenizer,
    /// Token ids to text states.
    pub text_encoder: TextEncoder,
    /// The denoising network.
    pub unet: UNet,
    /// Between pictures and latents.
    pub vae: Vae,
    /// The noise schedule and what the UNet predicts.
    pub scheduler: SchedulerConfig,
    /// Side in pixels of the pictures it was trained on.
    pub native_side: u32,
}

impl BaseModel {
    /// Reads a diffusers folder or a single file onto `device`.
    ///
    /// The VAE is always held in f32: it is small, and SD's overflows f16.
    ///
    /// # Errors
    /// [`CheckpointError`]; missing, misshapen and unexpected tensors of all networks are reported together.
    pub fn load(
        path: impl AsRef<Path>,
        config: Option<&Path>,
        precision: Precision,
        device: &Device,
    ) -> Result<Self, CheckpointError> {
        let checkpoint = Checkpoint::open(path, config)?;
        let unet_config: UNetConfig = checkpoint.config(Component::UNet)?;
        let vae_config: VaeConfig = checkpoint.config(Component::Vae)?;
        let text_config: TextEncoderConfig = checkpoint.config(Component::TextEncoder)?;
        let unsupported = |component, found: Option<(&'static str, String)>, hint| match found {
            Some((field, value)) => {
                let path = checkpoint.config_path(component);
                Err(CheckpointError::Unsupported {
                    path,
                    field,
                    value,
                    hint,
                })
            }
            None => Ok(()),
        };
        unsupported(
            Component::UNet,
            unet_config.unsupported(),
            "; this version trains Stable Diffusion 1.x",
        )?;
        unsupported(Component::Vae, vae_config.unsupported(), "")?;

        let dtype = FloatDType::from(precision);
        let mut problems = Vec::new();
        let text_encoder = checkpoint.build(
            Component::TextEncoder,
            device,
            dtype,
            &mut problems,
            |weights| TextEncoder::new(&text_config, weights),
        )?;
        let unet = checkpoint.build(Component::UNet, device, dtype, &mut problems, |weights| {
            UNet::new(&unet_config, weights)
        })?;
        let vae = checkpoint.build(
            Component::Vae,
            device,
            FloatDType::F32,
            &mut problems,
            |weights| Vae::new(&vae_config, weights),
        )?;
        if !problems.is_empty() {
            return Err(CheckpointError::Tensors {
                path: checkpoint.path().to_path_buf(),
                problems,
            });
        }
        let tokenizer = match checkpoint.tokenizer_folder() {
            Some(folder) => Tokenizer::from_folder(&folder)?,
            None => Tokenizer::clip(),
        };
        let scheduler = checkpoint.config(Component::Scheduler)?;
        let native_side = (unet_config.sample_size * vae.reduction()) as u32;
        Ok(Self {
            tokenizer,
            text_encoder,
            unet,
            vae,
            scheduler,
            native_side,
        })
    }

    /// A model of the given configs with random weights, for benchmarks and tests at any size.
    pub fn seeded(
        text_encoder: &TextEncoderConfig,
        unet: &UNetConfig,
        vae: &VaeConfig,
        precision: Precision,
        seed: u64,
        device: &Device,
    ) -> Self {
        let source = SeededWeights { seed };
        let reader = |dtype| WeightReader::new(&source, device, dtype);
        let vae = Vae::new(vae, &reader(FloatDType::F32).root());
        Self {
            tokenizer: Tokenizer::clip(),
            text_encoder: TextEncoder::new(text_encoder, &reader(precision.into()).root()),
            unet: UNet::new(unet, &reader(precision.into()).root()),
            scheduler: SchedulerConfig::default(),
            native_side: (unet.sample_size * vae.reduction()) as u32,
            vae,
        }
    }

    /// Puts fresh adapters into every layer that `spec` targets.
    ///
    /// # Errors
    /// See [`LoraSpec::check`].
    pub fn inject(
        &mut self,
        spec: &LoraSpec,
        seed: u64,
        device: &Device,
    ) -> Result<Injected, SpecError> {
        let text = adapter::inject(&mut self.text_encoder, spec, seed, device)?;
        let unet = adapter::inject(&mut self.unet, spec, seed, device)?;
        Ok(Injected {
            modules: text.modules + unet.modules,
            parameters: text.parameters + unet.parameters,
        })
    }

    /// The matrices of all adapters, by the key they have in a file.
    pub fn factors(&mut self) -> Matrices {
        let mut matrices = adapter::factors(&mut self.text_encoder);
        matrices.append(&mut adapter::factors(&mut self.unet));
        matrices
    }

    /// Replaces the adapters' matrices; see [`adapter::set_factors`].
    pub fn set_factors(&mut self, values: &Matrices) {
        for network in self.networks() {
            adapter::set_factors(network, values);
        }
    }

    /// Puts an adapter file's modules into the networks; see [`adapter::attach`].
    ///
    /// # Errors
    /// [`SpecError`] when the file does not fit this model.
    pub fn attach(
        &mut self,
        file: &LoraFile,
        strength: f32,
        device: &Device,
    ) -> Result<Injected, SpecError> {
        adapter::attach(&mut self.networks(), file, strength, device)
    }

    /// The adapters as a file's modules; see [`adapter::to_lora_file`].
    pub fn to_lora_file(&mut self, alpha: f32) -> LoraFile {
        adapter::to_lora_file(&mut self.networks(), alpha)
    }

    /// Adds every adapter to its frozen weight and empties the slots.
    pub fn merge_adapters(&mut self) {
        for network in self.networks() {
            adapter::merge(network);
        }
    }

    /// Empties every slot: the base model alone.
    pub fn clear_adapters(&mut self) {
        for network in self.networks() {
            adapter::clear(network);
        }
    }

    fn networks(&mut self) -> [&mut dyn Sites; 2] {
        [&mut self.text_encoder, &mut self.unet]
    }
}
