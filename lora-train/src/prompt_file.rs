//! Files of prompts as kohya reads them: lines of text, TOML or JSON.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use thiserror::Error;

use crate::{
    Prompt, PromptError,
    config::PreviewConfig,
    prompt_option::{guidance, sampler, side, steps},
};

/// Why a file of prompts cannot be read.
#[derive(Debug, Error)]
pub enum PromptFileError {
    /// It cannot be opened, or is no text.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no TOML or JSON of prompts.
    #[error("{}: {message}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What the parser said, with the place.
        message: String,
    },
    /// One of its prompts cannot be followed.
    #[error("{}, {place}: {source}", .path.display())]
    Prompt {
        /// The file.
        path: PathBuf,
        /// The line, or the number of the prompt.
        place: String,
        /// What is wrong with it.
        source: Box<PromptError>,
    },
}

impl Prompt {
    /// Reads a file of prompts in one of kohya's forms, told by its ending.
    ///
    /// - any but the following: one prompt a line, as [`Self::parse`] reads it; blank lines and lines that begin with `#`
    ///   are passed over;
    /// - `.toml`: a table `[prompt]` that all share and one `[[prompt.subset]]` for each;
    /// - `.json`: an array of lines and of objects with the same keys as the TOML.
    ///
    /// The keys are `prompt`, `negative_prompt`, `width`, `height`, `sample_steps`, `scale`, `seed`, `sample_sampler`.
    ///
    /// # Errors
    /// [`PromptFileError`] with the place in the file.
    pub fn read_file(
        path: impl AsRef<Path>,
        defaults: &PreviewConfig,
    ) -> Result<Vec<Self>, PromptFileError> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).map_err(|source| PromptFileError::Io {
            path: path.to_path_buf(),
            source,
        })?;
        let entries = match path.extension().and_then(|ending| ending.to_str()) {
            Some("toml") => from_toml(&text),
            Some("json") => from_json(&text),
            _ => Ok(from_lines(&text)),
        };
        let entries = entries.map_err(|message| PromptFileError::Format {
            path: path.to_path_buf(),
            message,
        })?;
        let read = entries.into_iter().map(|(place, entry)| {
            let prompt = match entry {
                Entry::Line(line) => Self::parse(&line, defaults),
                Entry::Table(table) => table.prompt(defaults),
            };
            prompt.map_err(|source| PromptFileError::Prompt {
                path: path.to_path_buf(),
                place,
                source: Box::new(source),
            })
        });
        read.collect()
    }
}

/// A prompt in either form.
enum Entry {
    Line(String),
    Table(Table),
}

/// A prompt by kohya's keys.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Table {
    prompt: Option<String>,
    negative_prompt: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
    sample_steps: Option<usize>,
    scale: Option<f64>,
    seed: Option<u64>,
    sample_sampler: Option<String>,
}

impl Table {
    /// This table with the values of `common` where it has none.
    fn over(self, common: &Self) -> Self {
        let common = common.clone();
        Self {
            prompt: self.prompt.or(common.prompt),
            negative_prompt: self.negative_prompt.or(common.negative_prompt),
            width: self.width.or(common.width),
            height: self.height.or(common.height),
            sample_steps: self.sample_steps.or(common.sample_steps),
            scale: self.scale.or(common.scale),
            seed: self.seed.or(common.seed),
            sample_sampler: self.sample_sampler.or(common.sample_sampler),
        }
    }

    fn prompt(self, defaults: &PreviewConfig) -> Result<Prompt, PromptError> {
        let text = self.prompt.unwrap_or_default();
        let refused = |option: &str| {
            let (line, option) = (text.clone(), option.to_owned());
            move |reason| PromptError::Option {
                line,
                option,
                reason,
            }
        };
        let prompt = Prompt {
            negative: self.negative_prompt.unwrap_or_default(),
            size: [
                self.width.map(side).transpose().map_err(refused("width"))?,
                self.height
                    .map(side)
                    .transpose()
                    .map_err(refused("height"))?,
            ],
            steps: steps(self.sample_steps.unwrap_or(defaults.steps))
                .map_err(refused("sample_steps"))?,
            guidance: guidance(self.scale.unwrap_or(defaults.guidance))
                .map_err(refused("scale"))?,
            seed: self.seed.unwrap_or(defaults.seed),
            sampler: self
                .sample_sampler
                .as_deref()
                .map(sampler)
                .transpose()
                .map_err(refused("sample_sampler"))?,
            ..Prompt::new(text.clone(), defaults)
        };
        prompt.check()?;
        Ok(prompt)
    }
}

/// Entries with their places.
type Entries = Vec<(String, Entry)>;

fn from_lines(text: &str) -> Entries {
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let lines = (1..).zip(lines);
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line): (usize, _)| (format!("line {number}"), Entry::Line(line.to_owned())))
        .collect()
}

fn from_toml(text: &str) -> Result<Entries, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        prompt: toml::Table,
    }
    let File { prompt: mut common } = toml::from_str(text).map_err(|error| error.to_string())?;
    let table = |value: toml::Value| value.try_into::<Table>().map_err(|error| error.to_string());
    let subsets = match common.remove("subset") {
        Some(toml::Value::Array(subsets)) => subsets,
        Some(_) => return Err("write each prompt as [[prompt.subset]]".to_owned()),
        None => return Err("there is no [[prompt.subset]]".to_owned()),
    };
    let common = table(toml::Value::Table(common)).map_err(|error| format!("[prompt]: {error}"))?;
    let subsets = subsets.into_iter().enumerate().map(|(index, subset)| {
        let place = numbered(index);
        let subset = table(subset).map_err(|error| format!("{place}: {error}"))?;
        Ok((place, Entry::Table(subset.over(&common))))
    });
    subsets.collect()
}

fn from_json(text: &str) -> Result<Entries, String> {
    let values: Vec<serde_json::Value> =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    let entries = values.into_iter().enumerate().map(|(index, value)| {
        let place = numbered(index);
        let entry = match value {
            serde_json::Value::String(line) => Ok(Entry::Line(line)),
            value => serde_json::from_value(value).map(Entry::Table),
        };
        let entry = entry.map_err(|error| format!("{place}: {error}"))?;
        Ok((place, entry))
    });
    entries.collect()
}

fn numbered(index: usize) -> String {
    format!("prompt {}", index + 1)
}

#[cfg(test)]
mod tests {
    use lora_core::diffusion::SamplerKind;

    use super::*;

    fn read(name: &str, text: &str) -> Result<Vec<Prompt>, PromptFileError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        Prompt::read_file(path, &PreviewConfig::default())
    }

    fn error(name: &str, text: &str) -> String {
        read(name, text).expect_err("wrong").to_string()
    }

    #[test]
    fn lines_have_comments_and_blank_ones_between() {
        let prompts = read("a.txt", "\u{feff}# two\n\na cat\n  a dog --d 2\n").expect("valid");
        assert_eq!(prompts.len(), 2);
        assert_eq!((prompts[1].text.as_str(), prompts[1].seed), ("a dog", 2));
        let message = error("a.txt", "a cat\n\na dog --s 0\n");
        assert!(message.contains("a.txt, line 3: prompt `a dog --s 0`: --s needs 1 to 1000"));
    }

    #[test]
    fn toml_prompts_share_what_stands_above_them() {
        let prompts = read(
            "a.toml",
            "[prompt]\nwidth = 512\nnegative_prompt = 'blurry'\nsample_sampler = 'k_euler'\n\
             [[prompt.subset]]\nprompt = 'a cat'\nscale = 5\n\
             [[prompt.subset]]\nprompt = 'a dog'\nwidth = 256\nseed = 9\n",
        )
        .expect("valid");
        let defaults = PreviewConfig::default();
        let cat = Prompt {
            negative: "blurry".to_owned(),
            size: [Some(512), None],
            guidance: 5.0,
            sampler: Some(SamplerKind::Euler),
            ..Prompt::new("a cat", &defaults)
        };
        let dog = Prompt {
            text: "a dog".to_owned(),
            size: [Some(256), None],
            guidance: defaults.guidance,
            seed: 9,
            ..cat.clone()
        };
        assert_eq!(prompts, [cat, dog]);
    }

    #[test]
    fn json_prompts_are_lines_or_objects() {
        let prompts = read(
            "a.json",
            r#"["a cat --d 3", {"prompt": "a dog", "sample_steps": 12, "seed": 4}]"#,
        )
        .expect("valid");
        let found = prompts
            .iter()
            .map(|prompt| (prompt.text.as_str(), prompt.steps, prompt.seed));
        assert_eq!(
            found.collect::<Vec<_>>(),
            [("a cat", 20, 3), ("a dog", 12, 4)]
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let subset = "[prompt]\n[[prompt.subset]]\nprompt = 'a'\n";
        for (name, text, part) in [
            (
                "a.toml",
                "prompts = 1".to_owned(),
                "unknown field `prompts`",
            ),
            (
                "a.toml",
                "[prompt]\nwidth = 8".to_owned(),
                "no [[prompt.subset]]",
            ),
            (
                "a.toml",
                format!("{subset}controlnet_image = 'b'"),
                "prompt 1: unknown field `controlnet_image`",
            ),
            (
                "a.toml",
                format!("{subset}width = 3"),
                "prompt 1: prompt `a`: width needs 8 to 8192",
            ),
            (
                "a.json",
                "[{\"seed\": -1}]".to_owned(),
                "prompt 1: invalid value",
            ),
            ("a.json", "[".to_owned(), "line 1"),
        ] {
            let message = error(name, &text);
            assert!(message.contains(part), "{message}");
        }
    }
}
