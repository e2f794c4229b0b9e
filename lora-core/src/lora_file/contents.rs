//! What lies in a LoRA file, from its header alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::adapter_config::{AdapterConfigs, METADATA_KEY};
use super::detect_family::detect;
use super::key::{Key, PEFT_PREFIX, Role, module_name};
use super::lycoris_module::{inputs, split};
use super::{AdapterKind, FileDtype, LoraFile, LoraLayout, LoraProblem};
use crate::Family;
use crate::safetensors_file::{SafetensorsFile, SafetensorsFileError};

/// What PEFT and diffusers call the weights in the folders that they write.
const IN_FOLDERS: [&str; 2] = [
    "adapter_model.safetensors",
    "pytorch_lora_weights.safetensors",
];

/// The keys of one module's tensors.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) down: Option<String>,
    pub(super) up: Option<String>,
    pub(super) alpha: Option<String>,
}

/// An open file whose keys have been sorted by module.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) file: SafetensorsFile,
    pub(super) layouts: BTreeSet<LoraLayout>,
    /// By kohya name.
    pub(super) modules: BTreeMap<String, Parts>,
    /// By kohya name and part; modules of which are in [`Self::modules`], too, where they have a pair.
    pub(super) lycoris: BTreeMap<String, BTreeMap<&'static str, String>>,
    /// What kinds there are beside LoRA.
    pub(super) kinds: Vec<LoraProblem>,
    /// Whether all of them are [readable](AdapterKind::is_readable).
    pub(super) is_readable: bool,
    pub(super) configs: AdapterConfigs,
    pub(super) problems: Vec<LoraProblem>,
}

impl Contents {
    /// Opens a file, or the weights in a folder that PEFT or diffusers wrote.
    pub(super) fn open(path: &Path) -> Result<Self, SafetensorsFileError> {
        let mut contents = Self {
            file: SafetensorsFile::open(LoraFile::weights_in(path))?,
            layouts: BTreeSet::new(),
            modules: BTreeMap::new(),
            lycoris: BTreeMap::new(),
            kinds: Vec::new(),
            is_readable: true,
            configs: AdapterConfigs::default(),
            problems: Vec::new(),
        };
        contents.sort();
        contents.read_configs();
        Ok(contents)
    }

    fn sort(&mut self) {
        let mut kinds = BTreeMap::<AdapterKind, (usize, String)>::new();
        let mut keys = Vec::new();
        let mut parts = Vec::new();
        for name in self.file.names() {
            if let Some(kind) = AdapterKind::of_key(&name) {
                parts.extend(
                    split(&name).map(|(module, part)| (module.to_owned(), part, name.clone())),
                );
                kinds.entry(kind).or_insert((0, name)).0 += 1;
            } else if let Some(key) = Key::parse(&name) {
                self.layouts.extend(key.layout);
                keys.push((name, key));
            } else {
                self.problems.push(LoraProblem::UnknownKey { key: name });
            }
        }
        self.is_readable = kinds.keys().all(|kind| kind.is_readable());
        if self.is_readable {
            let family = self.detect_family(&keys, &parts);
            for (name, key) in keys {
                self.file_under_module(name, key, family);
            }
            for (module, part, name) in parts {
                let module = kohya_name(module, family);
                self.lycoris.entry(module).or_default().insert(part, name);
            }
        }
        self.kinds = kinds
            .into_iter()
            .map(|(kind, (count, example))| LoraProblem::OtherKind {
                kind,
                count,
                example,
            })
            .collect();
        if self.modules.is_empty() && self.kinds.is_empty() {
            self.problems.insert(0, LoraProblem::NoModules);
        }
    }

    /// What forbids to read the file: as LoRA alone, or as all that can be read.
    pub(super) fn take_problems(&mut self, any: bool) -> Vec<LoraProblem> {
        // What is missing for a LoRA is there in another form.
        let all_are_wanted = any && self.is_readable;
        if self.kinds.is_empty() || all_are_wanted {
            std::mem::take(&mut self.problems)
        } else {
            std::mem::take(&mut self.kinds)
        }
    }

    fn detect_family(
        &self,
        keys: &[(String, Key)],
        parts: &[(String, &'static str, String)],
    ) -> Option<Family> {
        let shape = |name: &str| Some(self.file.info(name)?.shape.clone());
        let downs = keys
            .iter()
            .filter(|(_, key)| key.role == Role::Down)
            .filter_map(|(name, key)| Some((key.module.as_str(), shape(name)?)));
        let others = parts.iter().filter_map(|(module, _, _)| {
            let inputs = inputs(|part| shape(&format!("{module}.{part}")))?;
            Some((module.as_str(), inputs))
        });
        let layers: Vec<(&str, Vec<usize>)> = downs.chain(others).collect();
        let layers = layers.iter().map(|(name, shape)| (*name, shape.as_slice()));
        detect(layers, |key| self.file.metadata(key))
    }

    fn file_under_module(&mut self, name: String, key: Key, family: Option<Family>) {
        let module = kohya_name(key.module, family);
        let parts = self.modules.entry(module.clone()).or_default();
        let place = match key.role {
            Role::Down => &mut parts.down,
            Role::Up => &mut parts.up,
            Role::Alpha => &mut parts.alpha,
        };
        if let Some(first) = place.replace(name.clone()) {
            self.problems.push(LoraProblem::Twice {
                module,
                keys: [first, name],
            });
        }
    }

    fn read_configs(&mut self) {
        let configs = match self.file.metadata(METADATA_KEY) {
            Some(text) => AdapterConfigs::from_metadata(text).map(Some),
            None if self.is_of_one_network() => AdapterConfigs::beside(self.file.path()),
            None => return,
        };
        match configs {
            Ok(Some(configs)) => self.configs = configs,
            Ok(None) => self.problems.push(LoraProblem::NoAdapterConfig),
            Err(error) => self.problems.push(LoraProblem::AdapterConfig {
                reason: error.to_string(),
            }),
        }
    }

    /// The alpha that the module has only by a configuration, where it is another than the rank.
    pub(super) fn configured_alpha(&self, module: &str, parts: &Parts) -> Option<f32> {
        let rank = *self.file.info(parts.down.as_ref()?)?.shape.first()?;
        let alpha = self.configs.alpha(&module_name(module)?, rank)?;
        let differs = (alpha - rank as f32).abs() > f32::EPSILON * alpha.abs();
        (parts.alpha.is_none() && differs).then_some(alpha)
    }

    /// The widest number format of the tensors; F16 where none is a float.
    pub(super) fn dtype(&self) -> FileDtype {
        let names = self.file.names();
        let stored = names
            .iter()
            .filter_map(|name| FileDtype::of_stored(self.file.info(name)?.dtype));
        stored.max_by_key(|dtype| *dtype as u8).unwrap_or_default()
    }

    /// Whether PEFT saved the file, which then keeps alpha in a file of its own.
    fn is_of_one_network(&self) -> bool {
        let mut parts = self.modules.values();
        parts.any(|parts| {
            parts
                .down
                .as_ref()
                .is_some_and(|key| key.starts_with(PEFT_PREFIX))
        })
    }
}

/// The name that kohya's files give a module. SD 1.x and 2.x name their modules alike.
fn kohya_name(module: String, family: Option<Family>) -> String {
    module_name(&module).map_or(module, |module| module.kohya(family.unwrap_or_default()))
}

impl LoraFile {
    /// Whether a file has any key of a LoRA, or of another adapter.
    pub fn is_in(file: &SafetensorsFile) -> bool {
        let is_of_adapter = |name: &String| {
            AdapterKind::of_key(name).is_some()
                || Key::parse(name).is_some_and(|key| key.layout.is_some())
        };
        file.names().iter().any(is_of_adapter)
    }

    /// The weight file at `path`, which may be the folder in which PEFT or diffusers put it.
    pub fn weights_in(path: &Path) -> PathBuf {
        let inside = IN_FOLDERS.iter().map(|name| path.join(name));
        inside
            .into_iter()
            .find(|file| path.is_dir() && file.is_file())
            .unwrap_or_else(|| path.to_path_buf())
    }
}
