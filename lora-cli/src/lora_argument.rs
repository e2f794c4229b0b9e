use std::{convert::Infallible, path::PathBuf, str::FromStr};

/// `FILE[:STRENGTH]`: a LoRA file and how strongly it acts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LoraArgument {
    pub(crate) path: PathBuf,
    pub(crate) strength: f32,
}

impl LoraArgument {
    /// The name that stands in a picture's prompt, and the strength.
    pub(crate) fn named(&self) -> (String, f32) {
        let stem = self.path.file_stem().unwrap_or(self.path.as_os_str());
        (stem.to_string_lossy().into_owned(), self.strength)
    }
}

impl FromStr for LoraArgument {
    type Err = Infallible;

    /// What follows the last colon counts as a strength only if it is a number: drive letters are left alone.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let split = text.rsplit_once(':').and_then(|(path, strength)| {
            let strength: f32 = strength.parse().ok()?;
            (strength.is_finite() && !path.is_empty()).then(|| Self {
                path: path.into(),
                strength,
            })
        });
        Ok(split.unwrap_or_else(|| Self {
            path: text.into(),
            strength: 1.0,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strength_is_what_follows_the_last_colon() {
        let parsed = |text: &str| {
            let Ok(argument) = text.parse::<LoraArgument>();
            (argument.path.display().to_string(), argument.strength)
        };
        assert_eq!(parsed("a.safetensors"), ("a.safetensors".to_owned(), 1.0));
        assert_eq!(
            parsed("a.safetensors:0.8"),
            ("a.safetensors".to_owned(), 0.8)
        );
        assert_eq!(
            parsed("a.safetensors:-1"),
            ("a.safetensors".to_owned(), -1.0)
        );
        assert_eq!(
            parsed(r"C:\a.safetensors"),
            (r"C:\a.safetensors".to_owned(), 1.0)
        );
        assert_eq!(
            parsed(r"C:\a.safetensors:0.5"),
            (r"C:\a.safetensors".to_owned(), 0.5)
        );
    }
}
