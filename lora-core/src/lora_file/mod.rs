//! LoRA files as sd-scripts writes them and as web interfaces, ComfyUI and diffusers read them.
//!
//! A safetensors file with three tensors per adapted module, `<module>.lora_down.weight`, `<module>.lora_up.weight` and
//! `<module>.alpha`, and string metadata: `ss_*` about the training, `modelspec.*` about the model, `sshs_*` hashes.
//! The layouts of PEFT and diffusers are read into the same form, and PEFT's is written, too.

mod adapter_config;
mod adapter_kind;
mod alpha;
mod contents;
mod detect_family;
mod family_entries;
mod file_dtype;
mod file_size;
mod hash_check;
mod hashes;
mod key;
mod layout;
mod lora_module;
mod lycoris_module;
mod model_spec;
mod module_in_file;
mod portable_alphas;
mod problem;
mod programs;
mod python_text;
mod read;
mod side_file;
mod split_scale;
mod training_facts;
mod training_metadata;
mod write;
mod write_peft;

use std::collections::BTreeMap;

pub use adapter_kind::AdapterKind;
pub(crate) use family_entries::family_entries;
pub use file_dtype::FileDtype;
pub use file_size::{file_size, written_size};
pub use hash_check::HashCheck;
pub use hashes::ModelHashes;
pub use key::LoraLayout;
pub(crate) use layout::header as safetensors_header;
pub use lora_module::LoraModule;
pub(crate) use lora_module::without_ones;
pub use lycoris_module::LycorisModule;
pub(crate) use module_in_file::{ModuleInFile, listed};
pub use problem::{LoraProblem, LoraProblems};
pub use programs::{Misread, Program};
pub use read::{LoraFileError, StoredForm};
pub use side_file::SideFile;
pub(crate) use split_scale::split_scale;
pub use training_facts::{
    AugmentationFacts, BucketFacts, DatasetFolder, LossFacts, NoiseFacts, TrainingFacts,
    ValidationFacts,
};
pub use training_metadata::Privacy;
pub use write::{LoraWriteError, Written};

const MODEL_HASH: &str = "sshs_model_hash";
const LEGACY_HASH: &str = "sshs_legacy_hash";

/// The contents of a LoRA file, in host memory.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoraFile {
    /// The adapted modules by sd-scripts' name, such as `lora_unet_mid_block_attentions_0_proj_in`.
    pub modules: BTreeMap<String, LoraModule>,
    /// Modules that are more than a pair, by the same names; only [`Self::read_any`] and training give such.
    pub lycoris: BTreeMap<String, LycorisModule>,
    /// The header's `__metadata__`.
    pub metadata: BTreeMap<String, String>,
}

impl LoraFile {
    /// The names of all modules.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.modules.keys().chain(self.lycoris.keys());
        names.map(String::as_str)
    }

    /// Number of values in all modules.
    pub fn parameters(&self) -> usize {
        let pairs = self.modules.values().map(LoraModule::parameters);
        let others = self.lycoris.values().map(LycorisModule::parameters);
        pairs.chain(others).sum()
    }
}
