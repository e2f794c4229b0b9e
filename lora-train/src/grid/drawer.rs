use std::path::{Path, PathBuf};

use burn::tensor::Device;
use image::RgbImage;
use lora_core::{
    BaseModel,
    adapter::{SpecError, Strength},
    lora_file::{LoraFile, LoraFileError},
};
use thiserror::Error;

use super::LoraUse;
use crate::{DrawSettings, Prompt, draw};

/// Draws the pictures of a grid.
pub trait Drawer {
    /// Looks at the LoRA files that are to come, so that one that does not fit is found before minutes of drawing.
    ///
    /// # Errors
    /// [`DrawError`].
    fn check(&mut self, files: &[&Path]) -> Result<(), DrawError> {
        let _ = files;
        Ok(())
    }

    /// Draws a picture of each prompt, with these LoRAs.
    ///
    /// # Errors
    /// [`DrawError`].
    fn draw(
        &mut self,
        loras: &[LoraUse],
        prompts: &[Prompt],
        settings: DrawSettings,
    ) -> Result<Vec<RgbImage>, DrawError>;
}

/// Why a picture cannot be drawn.
#[derive(Debug, Error)]
pub enum DrawError {
    /// A LoRA file cannot be read.
    #[error(transparent)]
    File(#[from] LoraFileError),
    /// A LoRA file does not fit the model.
    #[error("{}: {source}", .path.display())]
    Misfit {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        source: SpecError,
    },
}

/// Draws with a model, which gets its adapters anew only where the LoRAs change.
#[derive(Debug)]
pub struct ModelDrawer<'a> {
    model: &'a mut BaseModel,
    device: Device,
    /// What is attached now.
    attached: Vec<LoraUse>,
    /// The file read last: its strengths follow one another.
    last: Option<(PathBuf, LoraFile)>,
}

impl<'a> ModelDrawer<'a> {
    /// Takes the adapters out of `model` that are in it.
    pub fn new(model: &'a mut BaseModel, device: &Device) -> Self {
        model.clear_adapters();
        Self {
            model,
            device: device.clone(),
            attached: Vec::new(),
            last: None,
        }
    }

    /// Changes the adapters to `loras`.
    fn attach(&mut self, loras: &[LoraUse]) -> Result<(), DrawError> {
        if self.attached == loras {
            return Ok(());
        }
        self.model.clear_adapters();
        self.attached.clear();
        for lora in loras {
            let file = match self.last.take() {
                Some((path, file)) if path == lora.path => file,
                _ => LoraFile::read(&lora.path)?,
            };
            let strength = Strength {
                text: lora.text,
                unet: lora.unet,
            };
            let added = self.model.add(&file, strength, &self.device);
            added.map_err(|source| DrawError::Misfit {
                path: lora.path.clone(),
                source,
            })?;
            self.last = Some((lora.path.clone(), file));
        }
        self.attached = loras.to_vec();
        Ok(())
    }
}

impl Drawer for ModelDrawer<'_> {
    fn check(&mut self, files: &[&Path]) -> Result<(), DrawError> {
        for path in files {
            let file = LoraFile::read(path)?;
            let attached = self.model.attach(&file, 1.0, &self.device);
            attached.map_err(|source| DrawError::Misfit {
                path: path.to_path_buf(),
                source,
            })?;
        }
        self.model.clear_adapters();
        self.attached.clear();
        Ok(())
    }

    fn draw(
        &mut self,
        loras: &[LoraUse],
        prompts: &[Prompt],
        settings: DrawSettings,
    ) -> Result<Vec<RgbImage>, DrawError> {
        self.attach(loras)?;
        Ok(draw(self.model, prompts, settings, &self.device))
    }
}

impl Drop for ModelDrawer<'_> {
    fn drop(&mut self) {
        self.model.clear_adapters();
    }
}
