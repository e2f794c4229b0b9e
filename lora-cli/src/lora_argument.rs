use std::{convert::Infallible, path::PathBuf, str::FromStr};

use lora_core::adapter::Strength;

/// `FILE[:STRENGTH]` or `FILE:TEXT:UNET`: a LoRA file and how strongly it acts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LoraArgument {
    pub(crate) path: PathBuf,
    pub(crate) strength: Strength,
}

impl FromStr for LoraArgument {
    type Err = Infallible;

    /// What follows the last colons counts as strengths only if they are numbers: drive letters are left alone.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let argument = |path: &str, strength| Self {
            path: path.into(),
            strength,
        };
        let Some((path, last)) = split_strength(text) else {
            return Ok(argument(text, 1.0.into()));
        };
        Ok(match split_strength(path) {
            Some((path, first)) => argument(
                path,
                Strength {
                    text: first,
                    unet: last,
                },
            ),
            None => argument(path, last.into()),
        })
    }
}

/// `path:0.8` as its two parts.
fn split_strength(text: &str) -> Option<(&str, f32)> {
    let (path, strength) = text.rsplit_once(':')?;
    let strength: f32 = strength.parse().ok()?;
    (strength.is_finite() && !path.is_empty()).then_some((path, strength))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strengths_are_what_follows_the_last_colons() {
        for (text, path, text_strength, unet) in [
            ("a.safetensors", "a.safetensors", 1.0, 1.0),
            ("a.safetensors:0.8", "a.safetensors", 0.8, 0.8),
            ("a.safetensors:-1", "a.safetensors", -1.0, -1.0),
            ("a.safetensors:0:0.8", "a.safetensors", 0.0, 0.8),
            (r"C:\a.safetensors", r"C:\a.safetensors", 1.0, 1.0),
            (r"C:\a.safetensors:0.5", r"C:\a.safetensors", 0.5, 0.5),
            ("a.safetensors:inf", "a.safetensors:inf", 1.0, 1.0),
            (":1", ":1", 1.0, 1.0),
        ] {
            let Ok(found) = text.parse::<LoraArgument>();
            let strength = Strength {
                text: text_strength,
                unet,
            };
            let path = path.into();
            assert_eq!(found, LoraArgument { path, strength });
        }
    }
}
