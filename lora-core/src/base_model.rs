use std::path::{Path, PathBuf};

use burn::tensor::{Device, FloatDType};
use serde::{Deserialize, Serialize};

use crate::{
    Family, Matrices, ModelConfigs, Part, TextConditioner, TextTower,
    adapter::{self, Injected, LoraSpec, Sites, SpecError, Strength},
    diffusion::{PredictionType, SchedulerConfig},
    lora_file::LoraFile,
    model_configs::{text_components, vae_config},
    text_encoder::{TextEncoder, TextEncoderConfig},
    tokenizer::Tokenizer,
    unet::UNet,
    vae::Vae,
    weights::{
        Checkpoint, CheckpointError, Component, SeededWeights, TensorProblem, TensorSource,
        WeightReader, Weights,
    },
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

impl Precision {
    /// Bytes of one number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 | Self::F16 => 2,
        }
    }
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

/// Where a base model is read from, and what of it is overruled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelSource {
    /// A diffusers folder or a single file.
    pub path: PathBuf,
    /// A diffusers folder whose configs are used instead of the checkpoint's.
    pub config: Option<PathBuf>,
    /// Another VAE: a diffusers VAE folder or a single file.
    pub vae: Option<PathBuf>,
    /// What the UNet predicts, where the checkpoint does not say it rightly.
    pub prediction_type: Option<PredictionType>,
    /// The number format of the weights in memory.
    pub precision: Precision,
}

impl ModelSource {
    /// The model at `path` as it is, in f32.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            ..Self::default()
        }
    }
}

/// A Stable Diffusion model: text side, UNet, VAE and the noise that it was trained on.
#[derive(Debug)]
pub struct BaseModel {
    /// What family it is of.
    pub family: Family,
    /// Text to what the UNet is told.
    pub text: Part<TextConditioner>,
    /// The denoising network.
    pub unet: UNet,
    /// Between pictures and latents.
    pub vae: Part<Vae>,
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
    pub fn load(source: &ModelSource, device: &Device) -> Result<Self, CheckpointError> {
        let checkpoint = Checkpoint::open(&source.path, source.config.as_deref())?;
        let configs = ModelConfigs::read(&checkpoint)?;
        let dtype = FloatDType::from(source.precision);
        let mut problems = Vec::new();
        let text = read_text(&checkpoint, &configs, dtype, device, &mut problems)?;
        let unet = checkpoint.build(Component::UNet, device, dtype, &mut problems, |weights| {
            UNet::new(&configs.unet, weights)
        })?;
        let vae = read_vae(source, &checkpoint, &configs, device, &mut problems)?;
        none_of(problems, checkpoint.path())?;
        let mut scheduler = configs.scheduler.clone();
        let marked = checkpoint.marks_v_prediction();
        if let Some(prediction_type) = source
            .prediction_type
            .or(marked.then_some(PredictionType::VPrediction))
        {
            scheduler.prediction_type = prediction_type;
        }
        let again = |source: &ModelSource| (source.clone(), configs.clone(), device.clone());
        let (text_again, vae_again) = (again(source), again(source));
        Ok(Self {
            family: configs.family,
            text: Part::reread(text, move || {
                let (source, configs, device) = &text_again;
                let checkpoint = Checkpoint::open(&source.path, source.config.as_deref())?;
                let mut problems = Vec::new();
                let text = read_text(&checkpoint, configs, dtype, device, &mut problems)?;
                none_of(problems, checkpoint.path()).map(|()| text)
            }),
            unet,
            vae: Part::reread(vae, move || {
                let (source, configs, device) = &vae_again;
                let checkpoint = Checkpoint::open(&source.path, source.config.as_deref())?;
                let mut problems = Vec::new();
                let vae = read_vae(source, &checkpoint, configs, device, &mut problems)?;
                none_of(problems, checkpoint.path()).map(|()| vae)
            }),
            scheduler,
            native_side: configs.native_side(),
        })
    }

    /// A model of the given configs with random weights, for benchmarks and tests at any size.
    pub fn seeded(
        configs: &ModelConfigs,
        precision: Precision,
        seed: u64,
        device: &Device,
    ) -> Self {
        Self::from_tensors(configs, &SeededWeights { seed }, precision, device)
    }

    /// A model of the given configs from any source of tensors, whose problems are passed over.
    ///
    /// Each network asks by its own keys, which the text encoders share.
    pub fn from_tensors(
        configs: &ModelConfigs,
        source: &(impl TensorSource + Clone + Send + Sync + 'static),
        precision: Precision,
        device: &Device,
    ) -> Self {
        let build = Build {
            configs: configs.clone(),
            source: source.clone(),
            dtype: precision.into(),
            device: device.clone(),
        };
        let again = build.clone();
        let vae_again = build.clone();
        Self {
            family: configs.family,
            text: Part::reread(build.text(), move || Ok(again.text())),
            unet: UNet::new(&configs.unet, &build.reader(build.dtype).root()),
            vae: Part::reread(build.vae(), move || Ok(vae_again.vae())),
            scheduler: configs.scheduler.clone(),
            native_side: configs.native_side(),
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
        let mut sum = Injected::default();
        for network in self.networks() {
            let injected = adapter::inject(network, spec, seed, device)?;
            sum.modules += injected.modules;
            sum.parameters += injected.parameters;
        }
        Ok(sum)
    }

    /// The matrices of all adapters, by the key they have in a file.
    pub fn factors(&mut self) -> Matrices {
        let networks = self.networks();
        networks.into_iter().flat_map(adapter::factors).collect()
    }

    /// Replaces the adapters' matrices; see [`adapter::set_factors`].
    pub fn set_factors(&mut self, values: &Matrices) {
        for network in self.networks() {
            adapter::set_factors(network, values);
        }
    }

    /// Puts an adapter file's modules into the networks, in place of all others; see [`adapter::attach`].
    ///
    /// # Errors
    /// [`SpecError`] when the file does not fit this model.
    pub fn attach(
        &mut self,
        file: &LoraFile,
        strength: impl Into<Strength>,
        device: &Device,
    ) -> Result<Injected, SpecError> {
        adapter::attach(&mut self.networks(), file, strength, device)
    }

    /// Adds an adapter file's modules to those that are there; see [`adapter::add`].
    ///
    /// # Errors
    /// [`SpecError`] when the file does not fit this model.
    pub fn add(
        &mut self,
        file: &LoraFile,
        strength: impl Into<Strength>,
        device: &Device,
    ) -> Result<Injected, SpecError> {
        adapter::add(&mut self.networks(), file, strength, device)
    }

    /// The adapters as a file's modules; see [`adapter::to_lora_file`].
    pub fn to_lora_file(&mut self) -> LoraFile {
        adapter::to_lora_file(&mut self.networks())
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

    /// The networks that are there and can take adapters: the text encoders, then the UNet.
    pub fn networks(&mut self) -> Vec<&mut dyn Sites> {
        let mut networks: Vec<&mut dyn Sites> = Vec::with_capacity(3);
        if self.text.is_present() {
            let encoders = self.text.encoders_mut();
            networks.extend(encoders.map(|encoder| encoder as &mut dyn Sites));
        }
        networks.push(&mut self.unet);
        networks
    }
}

/// How the networks of [`BaseModel::from_tensors`] are made, as often as they are needed.
#[derive(Clone)]
struct Build<S> {
    configs: ModelConfigs,
    source: S,
    dtype: FloatDType,
    device: Device,
}

impl<S: TensorSource> Build<S> {
    fn reader(&self, dtype: FloatDType) -> WeightReader<'_> {
        WeightReader::new(&self.source, &self.device, dtype)
    }

    fn text(&self) -> TextConditioner {
        let family = self.configs.family;
        let towers = self.configs.text.iter().enumerate();
        let towers = towers.map(|(index, config)| TextTower {
            tokenizer: published_tokenizer(family, index),
            encoder: text_encoder(family, index, config, &self.reader(self.dtype).root()),
        });
        TextConditioner::new(towers.collect())
    }

    fn vae(&self) -> Vae {
        Vae::new(&self.configs.vae, &self.reader(FloatDType::F32).root())
    }
}

fn read_text(
    checkpoint: &Checkpoint,
    configs: &ModelConfigs,
    dtype: FloatDType,
    device: &Device,
    problems: &mut Vec<TensorProblem>,
) -> Result<TextConditioner, CheckpointError> {
    let family = configs.family;
    let components = text_components(family).iter().zip(&configs.text);
    let towers = components.enumerate().map(|(index, (&component, config))| {
        let encoder = checkpoint.build(component, device, dtype, problems, |weights| {
            text_encoder(family, index, config, weights)
        })?;
        let folder = checkpoint.path().join(["tokenizer", "tokenizer_2"][index]);
        let tokenizer = if folder.is_dir() {
            Tokenizer::from_folder(&folder)?
        } else {
            published_tokenizer(family, index)
        };
        Ok(TextTower { tokenizer, encoder })
    });
    let towers = towers.collect::<Result<_, CheckpointError>>()?;
    Ok(TextConditioner::new(towers))
}

/// The text encoder number `index` of a family.
pub(crate) fn text_encoder(
    family: Family,
    index: usize,
    config: &TextEncoderConfig,
    weights: &Weights<'_>,
) -> TextEncoder {
    let prefix = family.text_prefixes()[index];
    if index == 1 {
        TextEncoder::with_projection(config, prefix, weights)
    } else {
        TextEncoder::new(config, prefix, weights)
    }
}

/// The tokenizer that the published model of a family has: OpenCLIP's towers are padded with `!`.
fn published_tokenizer(family: Family, index: usize) -> Tokenizer {
    let clip = Tokenizer::clip();
    if family == Family::Sd2 || index == 1 {
        // CLIP's vocabulary has every printable character.
        return clip.clone().with_pad_token("!").unwrap_or(clip);
    }
    clip
}

fn read_vae(
    source: &ModelSource,
    checkpoint: &Checkpoint,
    configs: &ModelConfigs,
    device: &Device,
    problems: &mut Vec<TensorProblem>,
) -> Result<Vae, CheckpointError> {
    let other = source
        .vae
        .as_ref()
        .map(|path| Checkpoint::open_vae(path, source.config.as_deref()));
    let other = other.transpose()?;
    // A VAE's folder describes it; a file has the shape that the model's own has.
    let described = source.vae.as_ref().is_some_and(|path| path.is_dir());
    let config = match &other {
        Some(vae) if described => vae_config(vae)?,
        _ => configs.vae.clone(),
    };
    let checkpoint = other.as_ref().unwrap_or(checkpoint);
    checkpoint.build(
        Component::Vae,
        device,
        FloatDType::F32,
        problems,
        |weights| Vae::new(&config, weights),
    )
}

fn none_of(problems: Vec<TensorProblem>, path: &Path) -> Result<(), CheckpointError> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(CheckpointError::Tensors {
        path: path.to_path_buf(),
        problems,
    })
}
