use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use lora_core::{
    BaseModel,
    adapter::{SpecError, Strength},
    lora_file::{LoraFile, LoraFileError},
};
use thiserror::Error;

use crate::{
    LoraFolder, LoraNameError, Prompt, PromptError, UsedLora, lora_folder::stem, short_hash,
};

/// Gives a model the LoRAs that prompts ask for, each prompt its own.
///
/// Several act side by side: their corrections add up, as those of one that is named twice do.
#[derive(Debug)]
pub struct PromptLoras {
    always: Vec<(PathBuf, Strength)>,
    folder: Option<LoraFolder>,
    /// Where a tag's name was found.
    found: BTreeMap<String, PathBuf>,
    files: BTreeMap<PathBuf, LoraFile>,
    hashes: BTreeMap<PathBuf, Option<String>>,
    /// What the model holds; unset where that is not known.
    held: Option<Vec<(PathBuf, Strength)>>,
}

/// Why a prompt's LoRAs cannot be had.
#[derive(Debug, Error)]
pub enum PromptLorasError {
    /// The prompt cannot be followed.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// A name stands for no file.
    #[error(transparent)]
    Name(#[from] LoraNameError),
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] LoraFileError),
    /// A file does not fit the model.
    #[error("{}: {source}", .path.display())]
    Misfit {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        source: SpecError,
    },
}

/// One LoRA of a prompt.
struct Choice {
    path: PathBuf,
    /// What the prompt calls it.
    name: String,
    strength: Strength,
    in_prompt: bool,
}

impl PromptLoras {
    /// The LoRAs of every prompt, and the folder where the names in prompts are looked for.
    pub fn new(always: Vec<(PathBuf, Strength)>, folder: Option<LoraFolder>) -> Self {
        Self {
            always,
            folder,
            found: BTreeMap::new(),
            files: BTreeMap::new(),
            hashes: BTreeMap::new(),
            held: None,
        }
    }

    /// Finds and reads the files of these prompts, so that what is wrong is known before a model is loaded.
    ///
    /// # Errors
    /// [`PromptLorasError`], all but a misfit.
    pub fn read(&mut self, prompts: &[Prompt]) -> Result<(), PromptLorasError> {
        for prompt in prompts {
            for choice in self.choices(prompt)? {
                self.read_file(choice.path)?;
            }
        }
        Ok(())
    }

    /// Puts the LoRAs of `prompt` into `model` in place of all adapters, unless they are there from the last call.
    ///
    /// # Errors
    /// [`PromptLorasError`]; then the model holds no adapters.
    pub fn attach(
        &mut self,
        model: &mut BaseModel,
        prompt: &Prompt,
        device: &Device,
    ) -> Result<(), PromptLorasError> {
        let wanted: Vec<_> = self
            .choices(prompt)?
            .into_iter()
            .map(|choice| (choice.path, choice.strength))
            .collect();
        if self.held.as_ref() == Some(&wanted) {
            return Ok(());
        }
        self.held = None;
        model.clear_adapters();
        for (path, strength) in wanted.iter().filter(|(_, strength)| !strength.is_off()) {
            let file = self.read_file(path.clone())?;
            let added = model.add(file, *strength, device);
            added.map_err(|source| PromptLorasError::Misfit {
                path: path.clone(),
                source,
            })?;
        }
        self.held = Some(wanted);
        Ok(())
    }

    /// What a picture's text says about the LoRAs of `prompt`; with their hashes, which may need a file read whole.
    ///
    /// # Errors
    /// [`PromptLorasError`], all but a misfit.
    pub fn used(
        &mut self,
        prompt: &Prompt,
        with_hashes: bool,
    ) -> Result<Vec<UsedLora>, PromptLorasError> {
        let mut used = Vec::new();
        for choice in self.choices(prompt)? {
            used.push(UsedLora {
                hash: if with_hashes {
                    self.hash(&choice.path)?
                } else {
                    None
                },
                name: choice.name,
                strength: choice.strength,
                in_prompt: choice.in_prompt,
            });
        }
        Ok(used)
    }

    /// Those of every prompt, then those of this one.
    fn choices(&mut self, prompt: &Prompt) -> Result<Vec<Choice>, PromptLorasError> {
        let always = self.always.iter().map(|(path, strength)| Choice {
            path: path.clone(),
            name: stem(path),
            strength: *strength,
            in_prompt: false,
        });
        let mut choices: Vec<Choice> = always.collect();
        for tag in prompt.positive()?.loras {
            choices.push(Choice {
                path: self.find(&tag.name)?.to_path_buf(),
                name: tag.name,
                strength: Strength {
                    text: tag.text_strength,
                    unet: tag.unet_strength,
                },
                in_prompt: true,
            });
        }
        Ok(choices)
    }

    fn find(&mut self, name: &str) -> Result<&Path, LoraNameError> {
        if !self.found.contains_key(name) {
            let Some(folder) = &self.folder else {
                return Err(LoraNameError::NoFolder {
                    name: name.to_owned(),
                });
            };
            let path = folder.find(name)?.to_path_buf();
            self.found.insert(name.to_owned(), path);
        }
        Ok(&self.found[name])
    }

    fn read_file(&mut self, path: PathBuf) -> Result<&LoraFile, LoraFileError> {
        if !self.files.contains_key(&path) {
            let file = LoraFile::read_any(&path)?;
            self.files.insert(path.clone(), file);
        }
        Ok(&self.files[&path])
    }

    fn hash(&mut self, path: &Path) -> Result<Option<String>, LoraFileError> {
        if !self.hashes.contains_key(path) {
            let file = self.read_file(path.to_path_buf())?;
            let hash = short_hash::of_lora(path, &file.metadata);
            self.hashes.insert(path.to_path_buf(), hash);
        }
        Ok(self.hashes[path].clone())
    }
}
