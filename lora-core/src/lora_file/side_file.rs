//! The JSON file beside a LoRA file, in which A1111 looks for what a user has to know.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use super::Privacy;
use crate::Family;
use atomic_file::{WriteError, write_atomically};

/// What A1111's card of a LoRA shows, and puts into the prompt when the card is clicked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SideFile {
    /// Says what the LoRA is.
    pub description: String,
    /// The family of the base model, by which A1111 hides what does not fit.
    #[serde(rename = "sd version", serialize_with = "a1111_name")]
    pub family: Family,
    /// The trigger words, put into the prompt.
    #[serde(rename = "activation text")]
    pub activation_text: String,
    /// The strength that is put into the prompt; 0 leaves the choice to A1111's settings.
    #[serde(rename = "preferred weight")]
    pub preferred_weight: f32,
    /// Put into the negative prompt.
    #[serde(rename = "negative text")]
    pub negative_text: String,
    /// Anything else.
    pub notes: String,
}

impl Default for SideFile {
    fn default() -> Self {
        Self {
            description: String::new(),
            family: Family::default(),
            activation_text: String::new(),
            preferred_weight: 1.0,
            negative_text: String::new(),
            notes: String::new(),
        }
    }
}

impl SideFile {
    /// Where A1111 looks for it: `style.json` for `style.safetensors`.
    pub fn path_for(lora: impl AsRef<Path>) -> PathBuf {
        lora.as_ref().with_extension("json")
    }

    /// Writes the file that belongs to `lora`, atomically; a file that was there is replaced.
    ///
    /// [`Privacy::Private`] leaves out what comes from the captions: trigger words, negative text and notes.
    ///
    /// # Errors
    /// [`WriteError`], naming the file.
    pub fn write(&self, lora: impl AsRef<Path>, privacy: Privacy) -> Result<PathBuf, WriteError> {
        let path = Self::path_for(lora);
        let told = self.told(privacy);
        write_atomically(&path, |file| {
            serde_json::to_writer_pretty(&mut *file, &told)?;
            file.write_all(b"\n")
        })?;
        Ok(path)
    }

    fn told(&self, privacy: Privacy) -> Self {
        match privacy {
            Privacy::Open => self.clone(),
            Privacy::Private => Self {
                activation_text: String::new(),
                negative_text: String::new(),
                notes: String::new(),
                ..self.clone()
            },
        }
    }
}

/// The names in A1111's list of families.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
fn a1111_name<S: Serializer>(family: &Family, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match family {
        Family::Sd1 => "SD1",
        Family::Sd2 => "SD2",
        Family::Sdxl => "SDXL",
    })
}
