mod fit;
mod training_settings;

use serde::de::DeserializeOwned;

use crate::{
    Family, ModelSource,
    diffusion::SchedulerConfig,
    size_limits::Refused,
    text_encoder::TextEncoderConfig,
    unet::UNetConfig,
    vae::VaeConfig,
    weights::{Checkpoint, CheckpointError, Component},
};

/// The shape of a whole model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfigs {
    /// What family it is of.
    pub family: Family,
    /// One text encoder, or SDXL's two.
    pub text: Vec<TextEncoderConfig>,
    /// The denoising network.
    pub unet: UNetConfig,
    /// The autoencoder.
    pub vae: VaeConfig,
    /// The noise.
    pub scheduler: SchedulerConfig,
}

/// The folders of the text encoders of a family.
pub(crate) fn text_components(family: Family) -> &'static [Component] {
    match family {
        Family::Sd1 | Family::Sd2 => &[Component::TextEncoder],
        Family::Sdxl => &[Component::TextEncoder, Component::TextEncoder2],
    }
}

impl ModelConfigs {
    /// The published full-size model: SD 1.5, SD 2.1 (768 pixels, v-prediction) or SDXL base 1.0.
    pub fn published(family: Family) -> Self {
        Self {
            family,
            text: text_components(family)
                .iter()
                .map(|&component| published(component, family))
                .collect(),
            unet: published(Component::UNet, family),
            vae: published(Component::Vae, family),
            scheduler: published(Component::Scheduler, family),
        }
    }

    /// What the checkpoint's configs say, or the published ones with what its file says, checked to be something that
    /// the networks can do.
    ///
    /// # Errors
    /// A config that is missing, cannot be parsed or asks for the impossible, by file and field.
    pub fn read(checkpoint: &Checkpoint) -> Result<Self, CheckpointError> {
        let (configs, _) = Self::read_for(checkpoint, &ModelSource::default())?;
        Ok(configs)
    }

    /// The configs of the model that `source` names, with what it overrules. Reads headers and no tensor.
    ///
    /// # Errors
    /// As [`Checkpoint::open`] and [`Self::read`].
    pub fn of(source: &ModelSource) -> Result<Self, CheckpointError> {
        let checkpoint = Checkpoint::open(&source.path, source.config.as_deref())?;
        let (configs, _) = Self::read_for(&checkpoint, source)?;
        Ok(configs)
    }

    /// As [`Self::read`], with what `source` overrules; also gives what a user may not expect of it.
    pub(crate) fn read_for(
        checkpoint: &Checkpoint,
        source: &ModelSource,
    ) -> Result<(Self, Vec<String>), CheckpointError> {
        let mut configs = Self::stated(checkpoint)?;
        let notes = training_settings::settle(&mut configs, checkpoint.marks(), source);
        Ok((configs, notes))
    }

    /// What the configs say by themselves.
    fn stated(checkpoint: &Checkpoint) -> Result<Self, CheckpointError> {
        let unet: UNetConfig = checkpoint.config(Component::UNet)?;
        refuse(checkpoint, Component::UNet, unet.unsupported())?;
        let family = unet.family();
        let text = text_components(family).iter().map(|&component| {
            let text: TextEncoderConfig = checkpoint.config(component)?;
            refuse(checkpoint, component, text.unsupported())?;
            Ok(text)
        });
        let text = text.collect::<Result<_, CheckpointError>>()?;
        let scheduler: SchedulerConfig = checkpoint.config(Component::Scheduler)?;
        refuse(checkpoint, Component::Scheduler, scheduler.unsupported())?;
        let configs = Self {
            family,
            text,
            vae: read_vae(checkpoint)?,
            scheduler,
            unet,
        };
        match fit::misfit(&configs) {
            Some((component, found)) => {
                refuse(checkpoint, component, Some(found)).map(|()| configs)
            }
            None => Ok(configs),
        }
    }

    /// The config of another model's VAE that is to stand in for this one's.
    pub(crate) fn other_vae(&self, vae: &Checkpoint) -> Result<VaeConfig, CheckpointError> {
        let config = read_vae(vae)?;
        let unfit = fit::unfit_latents(&config, self.unet.in_channels);
        refuse(vae, Component::Vae, unfit)?;
        Ok(config)
    }

    /// Side in pixels of the pictures it was trained on.
    pub fn native_side(&self) -> u32 {
        (self.unet.sample_size * self.vae.reduction()) as u32
    }

    fn set_native_side(&mut self, side: u32) {
        self.unet.sample_size = side as usize / self.vae.reduction();
    }
}

/// The config of a checkpoint's VAE, checked.
fn read_vae(checkpoint: &Checkpoint) -> Result<VaeConfig, CheckpointError> {
    let vae: VaeConfig = checkpoint.config(Component::Vae)?;
    refuse(checkpoint, Component::Vae, vae.unsupported())?;
    Ok(vae)
}

fn published<T: DeserializeOwned>(component: Component, family: Family) -> T {
    // The configs are part of the program; a test reads them all.
    serde_json::from_str(component.published_config(family)).expect("a valid built-in config")
}

pub(crate) fn refuse(
    checkpoint: &Checkpoint,
    component: Component,
    found: Option<Refused>,
) -> Result<(), CheckpointError> {
    match found {
        Some((field, value)) => Err(CheckpointError::Unsupported {
            path: checkpoint.config_path(component),
            field,
            value,
        }),
        None => Ok(()),
    }
}
