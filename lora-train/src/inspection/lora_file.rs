//! What is in a LoRA file.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use lora_core::{
    Family, ModuleName,
    adapter::Target,
    lora_file::{HashCheck, LoraFile, LoraFileError},
    lora_tools::Norms,
    safetensors_file::SafetensorsFile,
    weights::Component,
};
use serde::Serialize;

use super::{TagCount, dtypes, tags::most_frequent};

/// What can be told about a LoRA file without a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InspectedLora {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// The family of base models that it is for, where its modules tell.
    pub family: Option<Family>,
    /// The spelling of its keys.
    pub layout: String,
    /// Number formats of its tensors, as safetensors names them, with the number of tensors in each.
    pub dtypes: BTreeMap<String, usize>,
    /// The parts of the model that it changes.
    pub parts: Vec<InspectedPart>,
    /// Numbers in all factors.
    pub parameters: usize,
    /// How much it changes.
    pub norms: InspectedNorms,
    /// The tags of its captions that occur most often: the trigger word is usually the first.
    pub tags: Vec<TagCount>,
    /// Its hashes, checked against its contents.
    pub hashes: Vec<InspectedHash>,
    /// The header's metadata.
    pub metadata: BTreeMap<String, String>,
}

/// Frobenius norms of the corrections.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InspectedNorms {
    /// Of all together.
    pub total: f64,
    /// The module that changes most.
    pub largest: String,
    /// Of each block.
    pub blocks: Vec<(String, f64)>,
    /// Of each module.
    pub modules: BTreeMap<String, f64>,
}

/// One part of the model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InspectedPart {
    /// `text encoder`, `text encoder 2`, `unet attention`, `unet convolution` or `other`.
    pub name: &'static str,
    /// Layers changed.
    pub modules: usize,
    /// Numbers in their factors.
    pub parameters: usize,
    /// What the modules are, with their number.
    pub kinds: BTreeMap<String, usize>,
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

impl InspectedLora {
    /// Reads all of a LoRA file, or of the folder in which PEFT or diffusers put it.
    ///
    /// # Errors
    /// See [`LoraFile::read`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, LoraFileError> {
        let path = path.as_ref();
        let (lora, form) = LoraFile::read_any_with_form(path)?;
        let file = SafetensorsFile::open(LoraFile::weights_in(path))?;
        let names = file.names();
        let stored = names.iter().filter_map(|name| Some(file.info(name)?.dtype));
        Ok(Self {
            path: path.to_path_buf(),
            bytes: file.file_len(),
            family: lora.family(),
            layout: form.layout.to_string(),
            dtypes: dtypes(stored),
            parts: parts(&lora),
            parameters: lora.parameters(),
            norms: norms(&lora),
            tags: most_frequent(&lora.metadata),
            hashes: HashCheck::of(&file)?.map(InspectedHash::from).to_vec(),
            metadata: lora.metadata,
        })
    }
}

fn norms(lora: &LoraFile) -> InspectedNorms {
    let norms = Norms::of(lora);
    InspectedNorms {
        total: norms.total(),
        largest: norms
            .largest()
            .map(|largest| largest.module.clone())
            .unwrap_or_default(),
        blocks: norms
            .blocks
            .into_iter()
            .map(|block| (block.block, block.norm))
            .collect(),
        modules: norms
            .modules
            .into_iter()
            .map(|module| (module.module, module.norm))
            .collect(),
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

impl InspectedPart {
    fn count(&mut self, kind: &str, parameters: usize, rank: Option<usize>, alpha: f32) {
        self.modules += 1;
        self.parameters += parameters;
        *self.kinds.entry(kind.to_owned()).or_default() += 1;
        // Modules without a rank are not scaled.
        if let Some(rank) = rank {
            *self.ranks.entry(rank).or_default() += 1;
            *self.alphas.entry(alpha.to_string()).or_default() += 1;
        }
    }
}

/// The parts in the order of [`InspectedPart::name`]'s list, those without modules left out.
fn parts(file: &LoraFile) -> Vec<InspectedPart> {
    let mut parts = PARTS.map(|name| InspectedPart {
        name,
        modules: 0,
        parameters: 0,
        kinds: BTreeMap::new(),
        ranks: BTreeMap::new(),
        alphas: BTreeMap::new(),
    });
    for (name, module) in &file.modules {
        let rank = Some(module.rank());
        let part = &mut parts[part_of(name)];
        part.count("LoRA", module.parameters(), rank, module.alpha);
    }
    for (name, module) in &file.lycoris {
        let (kind, parameters) = (module.kind().to_string(), module.parameters());
        parts[part_of(name)].count(&kind, parameters, module.rank(), module.alpha);
    }
    parts.into_iter().filter(|part| part.modules > 0).collect()
}

const PARTS: [&str; 5] = [
    "text encoder",
    "text encoder 2",
    "unet attention",
    "unet convolution",
    "other",
];

/// The index in [`PARTS`], by the module's kohya name.
fn part_of(module: &str) -> usize {
    match ModuleName::from_kohya(module) {
        Some(name) if name.component() == Component::TextEncoder2 => 1,
        Some(name) => match name.target() {
            Target::TextEncoder | Target::TextProjection => 0,
            Target::Attention => 2,
            Target::Convolution | Target::OutsideTheBlocks => 3,
        },
        None => 4,
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
        let inspection = InspectedLora::open(LOCON).expect("a LoRA file");
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
    fn sdxl_s_names_are_parts_like_any_others() {
        let golden = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../testdata/golden/lora/tiny-sdxl-lora-peft.safetensors"
        );
        let inspection = InspectedLora::open(golden).expect("a LoRA file");
        let parts: Vec<_> = inspection
            .parts
            .iter()
            .map(|part| (part.name, part.modules))
            .collect();
        assert_eq!(
            parts,
            [
                ("text encoder", 72),
                ("text encoder 2", 24),
                ("unet attention", 192)
            ]
        );
        assert_eq!(inspection.family, Some(Family::Sdxl));
        assert_eq!(inspection.layout, "PEFT");
        let blocks: f64 = inspection
            .norms
            .blocks
            .iter()
            .map(|(_, norm)| norm * norm)
            .sum();
        assert!((blocks.sqrt() / inspection.norms.total - 1.0).abs() < 1e-12);
        assert!(
            inspection
                .norms
                .modules
                .contains_key(&inspection.norms.largest)
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
            let hashes = InspectedLora::open(&path).expect("a LoRA file").hashes;
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
