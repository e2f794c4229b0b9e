use std::path::{Path, PathBuf};

use burn::tensor::Device;
use image::RgbImage;
use lora_core::{
    BaseModel,
    adapter::SpecError,
    lora_file::{LoraFile, LoraFileError},
};
use thiserror::Error;

use super::LoraUse;
use crate::{DrawSettings, Prompt, PromptError, draw};

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
    /// A prompt cannot be followed.
    #[error(transparent)]
    Prompt(#[from] PromptError),
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
                _ => LoraFile::read_any(&lora.path)?,
            };
            let added = self.model.add(&file, lora.strength, &self.device);
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
            let file = LoraFile::read_any(path)?;
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
        Ok(draw(self.model, prompts, settings, &self.device)?)
    }
}

impl Drop for ModelDrawer<'_> {
    fn drop(&mut self) {
        self.model.clear_adapters();
    }
}

#[cfg(test)]
mod tests {
    use lora_core::{
        ModelConfigs, Precision,
        adapter::{LoraSpec, Strength},
        lora_file::FileDtype,
        weights::Checkpoint,
    };

    use super::*;
    use crate::grid::example::{prompt, settings};

    const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/golden/tiny-sd15");

    fn model(device: &Device) -> BaseModel {
        let checkpoint = Checkpoint::open(TINY, None).expect("a folder");
        let configs = ModelConfigs::read(&checkpoint).expect("configs");
        BaseModel::seeded(&configs, Precision::F32, 1, device)
    }

    /// A file whose adapters change the pictures.
    fn file(folder: &Path, seed: u64, device: &Device) -> PathBuf {
        let mut model = model(device);
        model
            .inject(&LoraSpec::default(), seed, device)
            .expect("adapters");
        let moved = model
            .factors()
            .into_iter()
            .map(|(key, matrix)| (key, matrix + 0.2))
            .collect();
        model.set_factors(&moved);
        let path = folder.join(format!("{seed}.safetensors"));
        model
            .to_lora_file()
            .write(&path, FileDtype::F32)
            .expect("written");
        path
    }

    fn lora(path: &Path, text: f32, unet: f32) -> LoraUse {
        LoraUse {
            path: path.to_path_buf(),
            name: String::new(),
            strength: Strength { text, unet },
        }
    }

    #[test]
    fn each_set_of_loras_draws_its_own_picture_whatever_was_drawn_before() {
        let device = Device::flex();
        let folder = tempfile::tempdir().expect("a folder");
        let [one, two] = [1, 2].map(|seed| file(folder.path(), seed, &device));
        let sets = [
            vec![],
            vec![lora(&one, 0.5, 0.5)],
            vec![lora(&one, 1.0, 1.0)],
            vec![lora(&two, 1.0, 1.0)],
            vec![lora(&one, 1.0, 1.0), lora(&two, 1.0, 1.0)],
            vec![lora(&one, 1.0, 0.0)],
            vec![lora(&one, 0.0, 1.0)],
        ];
        let prompts = [prompt("a cat --s 1 --l 1 --w 16 --h 16")];
        let mut model = model(&device);
        let mut drawer = ModelDrawer::new(&mut model, &device);
        drawer.check(&[&one, &two]).expect("they fit");
        let mut picture = |set: &[LoraUse]| drawer.draw(set, &prompts, settings()).expect("drawn");
        let forth: Vec<_> = sets.iter().map(|set| picture(set)).collect();
        let back: Vec<_> = sets.iter().rev().map(|set| picture(set)).collect();
        assert!(forth.iter().eq(back.iter().rev()));
        for (index, pictures) in forth.iter().enumerate() {
            assert!(!forth[..index].contains(pictures), "{:?}", sets[index]);
        }
        drop(drawer);
        assert!(model.factors().is_empty(), "adapters are left in the model");
    }

    #[test]
    fn a_file_that_does_not_fit_is_found_before_anything_is_drawn() {
        let device = Device::flex();
        let locon = Path::new(TINY).join("../lora/tiny-sd15-locon.safetensors");
        let folder = tempfile::tempdir().expect("a folder");
        let mut foreign = LoraFile::read(&locon).expect("a file");
        let module = foreign.modules.pop_first().expect("a module").1;
        foreign
            .modules
            .insert("lora_unet_nowhere".to_owned(), module);
        let path = folder.path().join("foreign.safetensors");
        foreign.write(&path, FileDtype::F32).expect("written");
        let mut model = model(&device);
        let mut drawer = ModelDrawer::new(&mut model, &device);
        let error = drawer.check(&[&path]).expect_err("a misfit").to_string();
        assert!(error.contains("foreign.safetensors"), "{error}");
    }
}
