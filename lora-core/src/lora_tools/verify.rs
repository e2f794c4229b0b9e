//! Whether a LoRA file is sound, and who can use it with what.

use std::collections::BTreeSet;
use std::path::Path;

use super::base_layers::BaseLayers;
use super::fit::{Misfit, layer_of};
use crate::lora_file::{HashCheck, LoraFile, LoraFileError, Misread, ModuleInFile, StoredForm};
use crate::safetensors_file::{SafetensorsFile, SafetensorsFileError};
use crate::weights::Checkpoint;
use crate::{Family, ModuleName};

/// Why a file could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The LoRA file is not usable at all.
    #[error(transparent)]
    Lora(#[from] LoraFileError),
    /// A file of the base model cannot be read.
    #[error(transparent)]
    Base(#[from] SafetensorsFileError),
}

/// What was found out about a LoRA file.
#[derive(Debug, Clone, PartialEq)]
pub struct Verification {
    /// How it is stored.
    pub form: StoredForm,
    /// The family that its modules belong to, where they tell.
    pub family: Option<Family>,
    /// Its modules.
    pub modules: usize,
    /// Modules with a value that is infinite or NaN.
    pub not_finite: Vec<String>,
    /// Modules that change nothing, because a factor or alpha is zero.
    pub zero: Vec<String>,
    /// Modules on layers that this program does not adapt.
    pub not_adapted: Vec<String>,
    /// Hashes, stored and computed.
    pub hashes: [HashCheck; 2],
    /// Keys that programs do not read as they are meant.
    pub misread: Vec<Misread>,
    /// How it goes with a base model, where one was given.
    pub base: Option<BaseCheck>,
}

/// How a LoRA file goes with a base model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseCheck {
    /// The base model's family.
    pub family: Family,
    /// Modules that cannot be applied.
    pub misfits: Vec<Misfit>,
    /// Layers without a module, in those parts of the model that the file changes at all.
    pub missing: Vec<String>,
}

impl Verification {
    /// Checks the file at `path`, and how it goes with `base`. Reads all of the LoRA, and headers only of the base model.
    ///
    /// # Errors
    /// [`VerifyError`]: a file that cannot be read, or holds no LoRA.
    pub fn of(path: impl AsRef<Path>, base: Option<&Checkpoint>) -> Result<Self, VerifyError> {
        let path = path.as_ref();
        let (file, form) = LoraFile::read_any_with_form(path)?;
        let modules = || ModuleInFile::all(&file);
        let not_finite = modules().filter(|(_, module)| !module.is_finite());
        let zero = modules().filter(|(_, module)| module.is_zero());
        let name = |(name, _): (&str, ModuleInFile<'_>)| name.to_owned();
        Ok(Self {
            form,
            family: file.family(),
            modules: file.names().count(),
            not_finite: not_finite.map(name).collect(),
            zero: zero.map(name).collect(),
            not_adapted: not_adapted(&file),
            hashes: HashCheck::of(&SafetensorsFile::open(LoraFile::weights_in(path))?)?,
            misread: LoraFile::misread(path)?,
            base: base.map(|base| BaseCheck::of(&file, base)).transpose()?,
        })
    }

    /// Whether the file can be used: all values are numbers and, where a base model was given, all modules fit it.
    pub fn is_usable(&self) -> bool {
        self.not_finite.is_empty()
            && self
                .base
                .as_ref()
                .is_none_or(|base| base.misfits.is_empty())
    }
}

fn not_adapted(file: &LoraFile) -> Vec<String> {
    let is_known =
        |name: &&str| ModuleName::from_kohya(name).is_some_and(|name| !name.is_adapted());
    file.names().filter(is_known).map(str::to_owned).collect()
}

impl BaseCheck {
    fn of(file: &LoraFile, checkpoint: &Checkpoint) -> Result<Self, SafetensorsFileError> {
        let base = BaseLayers::of(checkpoint)?;
        let misfits = ModuleInFile::all(file)
            .filter_map(|(name, module)| layer_of(name, module, &base).err())
            .collect();
        let changed: BTreeSet<ModuleName> =
            file.names().filter_map(ModuleName::from_kohya).collect();
        let parts: BTreeSet<_> = changed
            .iter()
            .map(|name| (name.component(), name.target()))
            .collect();
        let missing = base
            .iter()
            .filter(|(name, _)| {
                parts.contains(&(name.component(), name.target())) && !changed.contains(name)
            })
            .map(|(name, _)| name.kohya(checkpoint.family()))
            .collect();
        Ok(Self {
            family: checkpoint.family(),
            misfits,
            missing,
        })
    }
}
