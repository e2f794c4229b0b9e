use serde::{Deserialize, Serialize};

use super::{CaptionMode, TagError, TagSelection, TagWording};

/// Which pictures of a folder are tagged, and what is written beside them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TagConfig {
    /// Which tags count.
    pub selection: TagSelection,
    /// How they are written.
    pub wording: TagWording,
    /// What becomes of captions that are there already.
    pub mode: CaptionMode,
    /// The extension of caption files, with or without the dot. Unset: a caption in `.txt` or `.caption`, the first of
    /// which counts, is the picture's, and new ones are `.txt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    /// Whether folders in the folder are entered, whatever their names.
    pub recursive: bool,
}

impl TagConfig {
    /// The extensions of caption files, without the dot; the first is that of new ones.
    pub(super) fn extensions(&self) -> Vec<String> {
        match &self.extension {
            Some(extension) => vec![extension.trim_start_matches('.').to_owned()],
            None => ["txt", "caption"].map(String::from).into(),
        }
    }

    /// Whether the settings can be used; [`TagRun::run`](super::TagRun::run) asks too.
    ///
    /// # Errors
    /// When a setting has a value that it cannot have.
    pub fn check(&self) -> Result<(), TagError> {
        self.selection.check()?;
        match self.extensions().first() {
            Some(extension) if extension.is_empty() || extension.contains(['/', '\\', '\0']) => {
                Err(TagError::Setting {
                    setting: "extension",
                    value: format!("\"{extension}\""),
                    expected: "the end of a file's name, such as txt",
                })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_ends_of_names() {
        let of = |extension: &str| TagConfig {
            extension: Some(extension.to_owned()),
            ..TagConfig::default()
        };
        assert_eq!(of(".wd14").extensions(), ["wd14"]);
        for extension in ["", ".", "../x", "a\\b"] {
            assert!(of(extension).check().is_err(), "{extension:?}");
        }
        assert!(of("tags.txt").check().is_ok());
    }

    #[test]
    fn settings_survive_json() {
        let config = TagConfig {
            wording: TagWording {
                exclude: vec!["/a{1,2}/".parse().unwrap()],
                replace: vec!["a=b".parse().unwrap()],
                ..TagWording::default()
            },
            mode: CaptionMode::Append,
            ..TagConfig::default()
        };
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<TagConfig>(&text).unwrap(), config);
        assert!(serde_json::from_str::<TagConfig>("{\"treshold\": 1}").is_err());
    }
}
