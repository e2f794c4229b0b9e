//! Which programs read which keys.

use std::fmt;
use std::path::Path;

use super::contents::{Contents, Parts};
use super::key::{Key, module_name};
use super::{LoraFile, LoraFileError, LoraLayout};

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

/// Keys that a program passes over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The program.
    pub program: Program,
    /// The tensors' names, in the order of the file's modules.
    pub keys: Vec<String>,
    /// Why, and what helps.
    pub reason: &'static str,
}

const OTHER_LAYOUT: &str =
    "it reads kohya's layout only; `lora convert --to kohya` makes such a file";
const OTHER_NAMES: &str =
    "it knows SDXL's layers by SGM's names; `lora convert --to kohya` gives them these";
const UNKNOWN_MODULE: &str = "no base model has such layers";
const CONFIGURED_ALPHA: &str = "it passes over the adapter configuration and with it alpha, so the LoRA acts at another \
     strength; `lora convert` puts alpha where it is read";

impl LoraFile {
    /// Which keys of the file at `path` which programs pass over, with the reasons.
    ///
    /// # Errors
    /// [`LoraFileError::File`] when it is no readable safetensors file.
    pub fn unread(path: impl AsRef<Path>) -> Result<Vec<Unread>, LoraFileError> {
        let contents = Contents::open(path.as_ref())?;
        let mut unread = Vec::<Unread>::new();
        for program in Program::ALL {
            for (name, parts) in &contents.modules {
                let Some(reason) = reason(program, name, parts, &contents) else {
                    continue;
                };
                let keys = [&parts.down, &parts.up, &parts.alpha]
                    .into_iter()
                    .flatten()
                    .cloned();
                match unread
                    .iter_mut()
                    .find(|group| group.program == program && group.reason == reason)
                {
                    Some(group) => group.keys.extend(keys),
                    None => unread.push(Unread {
                        program,
                        keys: keys.collect(),
                        reason,
                    }),
                }
            }
        }
        Ok(unread)
    }
}

/// Why `program` does not read the module as it is meant; `None` when it does.
fn reason(
    program: Program,
    kohya_name: &str,
    parts: &Parts,
    contents: &Contents,
) -> Option<&'static str> {
    let key = Key::parse(parts.down.as_ref()?)?;
    let module = module_name(&key.module);
    let kohya_only = matches!(program, Program::A1111 | Program::Kohya);
    if module.is_none() {
        Some(UNKNOWN_MODULE)
    } else if kohya_only && key.layout != Some(LoraLayout::Kohya) {
        Some(OTHER_LAYOUT)
    } else if program == Program::Kohya && key.module != kohya_name {
        Some(OTHER_NAMES)
    } else if !kohya_only && contents.configured_alpha(kohya_name, parts).is_some() {
        Some(CONFIGURED_ALPHA)
    } else {
        None
    }
}
