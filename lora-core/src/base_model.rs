mod network_builder;
mod network_reader;
mod text_tower;

use std::collections::BTreeMap;

use burn::tensor::Device;

use crate::{
    Family, Matrices, ModelConfigs, ModelSource, Part, Precision, TextConditioner, WeightFormat,
    adapter::{self, DropoutRates, Injected, LoraSpec, Sites, SpecError, Strength},
    diffusion::SchedulerConfig,
    lora_file::LoraFile,
    unet::UNet,
    vae::Vae,
    weights::{Checkpoint, CheckpointError, NoWeights, SeededWeights, TensorSource},
};
use network_builder::NetworkBuilder;
use network_reader::{NetworkReader, none_of};
pub(crate) use text_tower::text_encoder;

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
    /// What a user may not expect of it: one sentence each.
    pub notes: Vec<String>,
}

impl BaseModel {
    /// Reads a diffusers folder or a single file onto `device`.
    ///
    /// The VAE is always held in f32: it is small, and SD's overflows f16.
    ///
    /// # Errors
    /// [`CheckpointError`]; a number format that the device has not; missing, misshapen and unexpected tensors of all networks are reported together.
    pub fn load(source: &ModelSource, device: &Device) -> Result<Self, CheckpointError> {
        let source = &settled(source, device)?;
        let checkpoint = Checkpoint::open(&source.path, source.config.as_deref())?;
        let (configs, notes) = ModelConfigs::read_for(&checkpoint, source)?;
        let scheduler = configs.scheduler.clone();
        let (family, native_side) = (configs.family, configs.native_side());
        let reader = NetworkReader::new(source.clone(), configs, device.clone());
        let mut problems = Vec::new();
        let text = reader.text(&checkpoint, &mut problems)?;
        let unet = reader.unet(&checkpoint, &mut problems)?;
        let vae = reader.vae(&checkpoint, &mut problems)?;
        none_of(problems, checkpoint.path())?;
        let (vae_reader, hashed) = (reader.clone(), reader.clone());
        let vae_hashed = reader.clone();
        Ok(Self {
            family,
            text: Part::reread(text, move || reader.again(NetworkReader::text))
                .hashed(move || hashed.text_hash().map(Some)),
            unet,
            vae: Part::reread(vae, move || vae_reader.again(NetworkReader::vae))
                .hashed(move || vae_hashed.vae_hash().map(Some)),
            scheduler,
            native_side,
            notes,
        })
    }

    /// A model of the given configs with random weights, for benchmarks and tests at any size.
    pub fn seeded(
        configs: &ModelConfigs,
        format: impl Into<WeightFormat>,
        seed: u64,
        device: &Device,
    ) -> Self {
        Self::from_tensors(configs, &SeededWeights { seed }, format, device)
    }

    /// A model of the given configs whose weights have shapes and nothing in them, to ask what it would be like.
    pub fn outline(configs: &ModelConfigs, device: &Device) -> Self {
        Self::from_tensors(configs, &NoWeights, Precision::F32, device)
    }

    /// A model of the given configs from any source of tensors, whose problems are passed over.
    ///
    /// Each network asks by its own keys, which the text encoders share.
    pub fn from_tensors(
        configs: &ModelConfigs,
        source: &(impl TensorSource + Clone + Send + Sync + 'static),
        format: impl Into<WeightFormat>,
        device: &Device,
    ) -> Self {
        let format = format.into();
        let format = WeightFormat {
            precision: format.precision.on(device),
            ..format
        };
        let build = NetworkBuilder::new(configs, source.clone(), format, device);
        let (again, vae_again) = (build.clone(), build.clone());
        let (hashed, vae_hashed) = (build.clone(), build.clone());
        Self {
            family: configs.family,
            text: Part::reread(build.text(), move || Ok(again.text()))
                .hashed(move || Ok(hashed.text_hash())),
            unet: build.unet(),
            vae: Part::reread(build.vae(), move || Ok(vae_again.vae()))
                .hashed(move || Ok(vae_hashed.vae_hash())),
            scheduler: configs.scheduler.clone(),
            native_side: configs.native_side(),
            notes: Vec::new(),
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
        self.check_spec(spec)?;
        let mut sum = Injected::default();
        for network in self.networks() {
            let injected = adapter::inject(network, spec, seed, device)?;
            sum.modules += injected.modules;
            sum.parameters += injected.parameters;
        }
        Ok(sum)
    }

    /// Whether `spec` makes sense for this model, all networks of which are there.
    ///
    /// # Errors
    /// See [`LoraSpec::check`]; and rules for layers that no network has.
    pub fn check_spec(&self, spec: &LoraSpec) -> Result<(), SpecError> {
        spec.check()?;
        if spec.blocks.is_empty() {
            return Ok(());
        }
        // Sites are offered for changing. These are handles of their own, so that the networks count as unchanged.
        let (mut text, mut unet) = (TextConditioner::clone(&self.text), self.unet.clone());
        let encoders = text.encoders_mut();
        let mut networks: Vec<&mut dyn Sites> =
            encoders.map(|encoder| encoder as &mut dyn Sites).collect();
        networks.push(&mut unet);
        let patterns = adapter::unmatched_patterns(&mut networks, spec);
        if patterns.is_empty() {
            Ok(())
        } else {
            Err(SpecError::NoSuchLayers { patterns })
        }
    }

    /// By what the learning rates of `spec`'s modules are multiplied where that is not 1, by kohya name.
    pub fn rate_factors(&mut self, spec: &LoraSpec) -> BTreeMap<String, f64> {
        let networks = self.networks().into_iter();
        networks
            .flat_map(|network| adapter::rate_factors(network, spec))
            .collect()
    }

    /// What all adapters leave out from now on; see [`adapter::set_dropout`].
    pub fn set_dropout(&mut self, rates: DropoutRates, pass: Option<[u64; 2]>) {
        for network in self.networks() {
            adapter::set_dropout(network, rates, pass);
        }
    }

    /// Scales every change whose norm is above `most` down to it; see [`adapter::limit_norms`].
    pub fn limit_norms(&mut self, most: f32, down_is_frozen: bool) {
        for network in self.networks() {
            adapter::limit_norms(network, most, down_is_frozen);
        }
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

/// `source` with the number format that is meant on `device`.
///
/// # Errors
/// The device has it not.
fn settled(source: &ModelSource, device: &Device) -> Result<ModelSource, CheckpointError> {
    let precision = source.precision.on(device);
    if !precision.is_on(device) {
        let others = Precision::ALL.into_iter().skip(1);
        return Err(CheckpointError::NoSuchNumbers {
            path: source.path.clone(),
            precision,
            others: others.filter(|other| other.is_on(device)).collect(),
        });
    }
    Ok(ModelSource {
        precision,
        ..source.clone()
    })
}
