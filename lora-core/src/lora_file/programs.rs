//! Which programs read which keys.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use super::contents::{Contents, Parts};
use super::key::{Key, module_name};
use super::{AdapterKind, LoraFile, LoraFileError, LoraLayout, LoraModule};
use crate::weights::Component;

/// A program that applies LoRA files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// AUTOMATIC1111's web interface, and Forge.
    A1111,
    /// ComfyUI.
    ComfyUi,
    /// diffusers' `load_lora_weights`.
    Diffusers,
    /// sd-scripts, for training on and generating.
    Kohya,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::A1111, Self::ComfyUi, Self::Diffusers, Self::Kohya];
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A1111 => "A1111",
            Self::ComfyUi => "ComfyUI",
            Self::Diffusers => "diffusers",
            Self::Kohya => "sd-scripts",
        })
    }
}

/// Keys that a program does not read as they are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misread {
    /// The program.
    pub program: Program,
    /// The tensors' names, in the order of the file's modules.
    pub keys: Vec<String>,
    /// What it does with them, and what helps.
    pub reason: &'static str,
}

const OTHER_LAYOUT: &str =
    "passed over, because only kohya's layout is read; `lora convert --to kohya` makes such a file";
const OTHER_NAMES: &str = "passed over, because SDXL's layers are known by SGM's names; `lora convert --to kohya` gives them these";
const NOT_A_PAIR: &str = "passed over, because only LoRA and LoCon are read; `lora merge --into` puts them into a base model";
const UNKNOWN_MODULE: &str = "passed over, because no base model has such layers";
const NOT_KOHYAS: &str = "passed over, because sd-scripts adapts no such layer";
const CONFIGURED_ALPHA: &str = "applied at another strength, because the adapter configuration, which has alpha, is passed over; `lora convert` puts alpha where it is read";
const OTHER_ALPHA: &str = "applied at another strength, because the network's most frequent alpha is taken; `lora convert --portable-alphas` helps";
const RANK_FOR_ALPHA: &str = "applied at another strength, because the UNet's ranks differ and alphas are passed over then; `lora convert --portable-alphas` helps";
const OTHER_RANK: &str = "applied at another strength, because ranks differ and there are no alphas; `lora convert --to peft` makes them equal";

impl LoraFile {
    /// Which keys of the file at `path` which programs do not read as they are meant, with the reasons.
    ///
    /// # Errors
    /// [`LoraFileError`] when the file cannot be read.
    pub fn misread(path: impl AsRef<Path>) -> Result<Vec<Misread>, LoraFileError> {
        let path = path.as_ref();
        let (contents, file) = (Contents::open(path)?, Self::read_any(path)?);
        let networks = Networks::of(&file);
        let mut misread = Vec::<Misread>::new();
        for program in Program::ALL {
            for (name, parts) in &contents.modules {
                let module = file.modules.get(name).zip(networks.of_module(name));
                let reason = reason(program, name, parts, &contents).or_else(|| {
                    let (module, network) = module?;
                    (program == Program::Diffusers)
                        .then(|| network.misapplied(name, module, parts))
                        .flatten()
                });
                let Some(reason) = reason else { continue };
                let keys = [&parts.down, &parts.up, &parts.alpha];
                let keys = keys.into_iter().flatten().cloned();
                let same =
                    |found: &&mut Misread| found.program == program && found.reason == reason;
                match misread.iter_mut().find(same) {
                    Some(group) => group.keys.extend(keys),
                    None => misread.push(Misread {
                        program,
                        keys: keys.collect(),
                        reason,
                    }),
                }
            }
            misread.extend(more_than_pairs(program, &contents, &file));
        }
        Ok(misread)
    }
}

/// The keys of modules whose kind `program` does not know.
fn more_than_pairs(program: Program, contents: &Contents, file: &LoraFile) -> Option<Misread> {
    let is_unknown = |kind: AdapterKind| match program {
        Program::A1111 | Program::ComfyUi => false,
        Program::Kohya => true,
        Program::Diffusers => kind != AdapterKind::Dora,
    };
    let modules = file.lycoris.iter();
    let unknown = modules.filter(|(_, module)| is_unknown(module.kind()));
    let keys: Vec<String> = unknown
        .filter_map(|(name, _)| contents.lycoris.get(name))
        .flat_map(|parts| parts.values().cloned())
        .collect();
    (!keys.is_empty()).then_some(Misread {
        program,
        keys,
        reason: NOT_A_PAIR,
    })
}

/// Why `program` passes over the module or its alpha; `None` when it does not.
fn reason(
    program: Program,
    kohya_name: &str,
    parts: &Parts,
    contents: &Contents,
) -> Option<&'static str> {
    let key = Key::parse(parts.down.as_ref()?)?;
    let kohya_only = matches!(program, Program::A1111 | Program::Kohya);
    let Some(module) = module_name(&key.module) else {
        return Some(UNKNOWN_MODULE);
    };
    if kohya_only && key.layout != Some(LoraLayout::Kohya) {
        Some(OTHER_LAYOUT)
    } else if program == Program::Kohya && key.module != kohya_name {
        Some(OTHER_NAMES)
    } else if program == Program::Kohya && !module.is_kohyas() {
        Some(NOT_KOHYAS)
    } else if !kohya_only && contents.configured_alpha(kohya_name, parts).is_some() {
        Some(CONFIGURED_ALPHA)
    } else {
        None
    }
}

/// What diffusers (0.32 at least) makes of the ranks and alphas of each network.
struct Networks(BTreeMap<Component, Network>);

struct Network {
    /// The alpha that most modules have.
    alpha: Option<u32>,
    /// The rank that most modules have.
    rank: Option<usize>,
    /// Modules of another rank.
    others: usize,
}

impl Networks {
    fn of(file: &LoraFile) -> Self {
        let mut modules = BTreeMap::<Component, Vec<&LoraModule>>::new();
        for (name, module) in &file.modules {
            if let Some(name) = module_name(name) {
                modules.entry(name.component()).or_default().push(module);
            }
        }
        let network = |(component, modules): (Component, Vec<&LoraModule>)| {
            let rank = most_frequent(modules.iter().map(|module| module.rank()));
            let others = modules
                .iter()
                .filter(|module| Some(module.rank()) != rank)
                .count();
            let alpha = most_frequent(modules.iter().map(|module| module.alpha.to_bits()));
            (
                component,
                Network {
                    alpha,
                    rank,
                    others,
                },
            )
        };
        Self(modules.into_iter().map(network).collect())
    }

    fn of_module(&self, name: &str) -> Option<&Network> {
        self.0.get(&module_name(name)?.component())
    }
}

impl Network {
    /// Why diffusers applies a module at another strength than the file says.
    ///
    /// Of kohya's files it looks up alphas by names that attention layers do not have, and takes the most frequent alpha
    /// of the network for them; but where two or more modules of the UNet have another rank than the rest, it takes the
    /// ranks for alphas. Of PEFT's files it takes one rank for all alphas, but in the UNet, again, each module's own.
    fn misapplied(&self, name: &str, module: &LoraModule, parts: &Parts) -> Option<&'static str> {
        let kohya = Key::parse(parts.down.as_ref()?)?.layout == Some(LoraLayout::Kohya);
        let name = module_name(name)?;
        let own_ranks = name.component() == Component::UNet && self.others > 1;
        let is_attention = name.path().contains(".attn") || name.path().contains(".self_attn");
        if !kohya {
            let other = self.rank != Some(module.rank());
            (other && !own_ranks).then_some(OTHER_RANK)
        } else if own_ranks {
            let full = module.alpha.to_bits() == (module.rank() as f32).to_bits();
            (!full).then_some(RANK_FOR_ALPHA)
        } else {
            let other = self.alpha != Some(module.alpha.to_bits());
            (other && is_attention).then_some(OTHER_ALPHA)
        }
    }
}

/// The value that occurs most often, the smallest of several.
pub(super) fn most_frequent<T: Ord>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut counts = BTreeMap::<T, usize>::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    let most = counts.into_iter().rev().max_by_key(|(_, count)| *count);
    most.map(|(value, _)| value)
}
