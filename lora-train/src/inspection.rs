use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use lora_core::{
    lora_file::{HashCheck, LoraFile, LoraFileError},
    safetensors_file::SafetensorsFile,
};
use serde::Serialize;

/// What can be told about a LoRA file without a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Number formats of its tensors, as safetensors names them, with the number of tensors in each.
    pub dtypes: BTreeMap<String, usize>,
    /// The parts of the model that it changes.
    pub parts: Vec<InspectedPart>,
    /// Numbers in all factors.
    pub parameters: usize,
    /// Its hashes, checked against its contents.
    pub hashes: Vec<InspectedHash>,
    /// The header's metadata.
    pub metadata: BTreeMap<String, String>,
}

/// One part of the model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InspectedPart {
    /// `text encoder`, `unet attention`, `unet convolution` or `other`.
    pub name: &'static str,
    /// Layers changed.
    pub modules: usize,
    /// Numbers in their factors.
    pub parameters: usize,
    /// Ranks, with the number of modules of each.
    pub ranks: BTreeMap<usize, usize>,
    /// Alphas, with the number of modules of each.
    pub alphas: BTreeMap<String, usize>,
}

/// One hash of a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InspectedHash {
    /// The metadata's key.
    pub key: &'static str,
    /// What its contents give.
    pub computed: String,
    /// Whether that is what the file says; unset where the file says nothing.
    pub holds: Option<bool>,
}

impl Inspection {
    /// Reads all of a LoRA file.
    ///
    /// # Errors
    /// See [`LoraFile::read`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, LoraFileError> {
        let path = path.as_ref();
        let lora = LoraFile::read(path)?;
        let file = SafetensorsFile::open(path)?;
        let names = file.names();
        let mut dtypes = BTreeMap::new();
        for info in names.iter().filter_map(|name| file.info(name)) {
            *dtypes.entry(info.dtype.to_string()).or_default() += 1;
        }
        Ok(Self {
            path: path.to_path_buf(),
            bytes: file.file_len(),
            dtypes,
            parts: parts(&lora),
            parameters: lora
                .modules
                .values()
                .map(lora_core::lora_file::LoraModule::parameters)
                .sum(),
            hashes: HashCheck::of(&file)?.map(InspectedHash::from).to_vec(),
            metadata: lora.metadata,
        })
    }
}

impl From<HashCheck> for InspectedHash {
    fn from(check: HashCheck) -> Self {
        Self {
            key: check.key,
            holds: check.holds(),
            computed: check.computed,
        }
    }
}

/// The parts in the order of [`InspectedPart::name`]'s list, those without modules left out.
fn parts(file: &LoraFile) -> Vec<InspectedPart> {
    let mut parts = [
        "text encoder",
        "unet attention",
        "unet convolution",
        "other",
    ]
    .map(|name| InspectedPart {
        name,
        modules: 0,
        parameters: 0,
        ranks: BTreeMap::new(),
        alphas: BTreeMap::new(),
    });
    for (name, module) in &file.modules {
        let part = &mut parts[part_of(name)];
        part.modules += 1;
        part.parameters += module.parameters();
        *part.ranks.entry(module.rank()).or_default() += 1;
        *part.alphas.entry(module.alpha.to_string()).or_default() += 1;
    }
    parts.into_iter().filter(|part| part.modules > 0).collect()
}

/// The index in [`parts`], by the module's kohya name.
fn part_of(module: &str) -> usize {
    if module.starts_with("lora_te") {
        0
    } else if !module.starts_with("lora_unet") {
        3
    } else if module.contains("_attentions_") {
        1
    } else {
        2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCON: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../testdata/golden/lora/tiny-sd15-locon.safetensors"
    );

    #[test]
    fn modules_are_counted_by_part() {
        let inspection = Inspection::open(LOCON).expect("a LoRA file");
        let names: Vec<_> = inspection.parts.iter().map(|part| part.name).collect();
        assert_eq!(
            names,
            ["text encoder", "unet attention", "unet convolution"]
        );
        let tensors: usize = inspection.dtypes.values().sum();
        let modules: usize = inspection.parts.iter().map(|part| part.modules).sum();
        assert_eq!(tensors, 3 * modules);
        let parameters: usize = inspection.parts.iter().map(|part| part.parameters).sum();
        assert_eq!(inspection.parameters, parameters);
        assert_eq!(
            inspection.bytes,
            std::fs::metadata(LOCON).expect("a file").len()
        );
    }

    #[test]
    fn a_changed_byte_breaks_the_hash() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.safetensors");
        let file = LoraFile::read(LOCON).expect("a LoRA file");
        file.write(&path, lora_core::lora_file::FileDtype::F16)
            .expect("written");
        let holds = || {
            let hashes = Inspection::open(&path).expect("a LoRA file").hashes;
            hashes
                .iter()
                .map(|hash| (hash.key, hash.holds))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            holds(),
            [
                ("sshs_model_hash", Some(true)),
                ("sshs_legacy_hash", Some(true))
            ]
        );
        let mut bytes = std::fs::read(&path).expect("bytes");
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&path, bytes).expect("written");
        assert_eq!(holds()[0], ("sshs_model_hash", Some(false)));
    }
}
