use lora_core::{
    diffusion::SamplerKind,
    prompt_syntax::{ParsedPrompt, PromptSyntaxError, Segment},
};
use serde::Serialize;
use thiserror::Error;

use crate::{config::PreviewConfig, prompt_option::set_option};

/// One picture to draw.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prompt {
    /// What it shows, in A1111's syntax: see [`lora_core::prompt_syntax`].
    pub text: String,
    /// What it is guided away from, in the same syntax.
    pub negative: String,
    /// Width and height in pixels; unset means those of the [`DrawSettings`](crate::DrawSettings).
    pub size: [Option<u32>; 2],
    /// Steps of the sampler.
    pub steps: usize,
    /// Classifier-free guidance; 1 means none.
    pub guidance: f64,
    /// Seed of the noise.
    pub seed: u64,
    /// The sampler; unset means that of the [`DrawSettings`](crate::DrawSettings).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampler: Option<SamplerKind>,
}

/// Why a prompt cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PromptError {
    /// An option that is unknown or has no value in range.
    #[error("prompt `{line}`: {option} {reason}")]
    Option {
        /// The line, or the text of a prompt that is no line.
        line: String,
        /// The option: `--s`, or a key of a prompt file.
        option: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Brackets or tags that mean something which is not supported.
    #[error("prompt `{text}`: {source}")]
    Syntax {
        /// The prompt or negative prompt.
        text: String,
        /// What is wrong with it.
        source: PromptSyntaxError,
    },
    /// A LoRA in the negative prompt, where other programs pass it over.
    #[error("negative prompt `{text}`: <lora:{name}> belongs into the prompt")]
    LoraInNegative {
        /// The negative prompt.
        text: String,
        /// The LoRA.
        name: String,
    },
}

impl Prompt {
    /// A prompt without options, drawn as `defaults` say.
    pub fn new(text: impl Into<String>, defaults: &PreviewConfig) -> Self {
        Self {
            text: text.into(),
            negative: String::new(),
            size: [None; 2],
            steps: defaults.steps,
            guidance: defaults.guidance,
            seed: defaults.seed,
            sampler: None,
        }
    }

    /// Reads a line of kohya's sample files: the prompt, then `--n` negative, `--w --h` size, `--s` steps, `--l`
    /// guidance, `--d` seed, `--ss` sampler; what the line does not say comes from `defaults`.
    ///
    /// # Errors
    /// [`PromptError`] for an option that is unknown, for other models, or out of range, and for what [`Self::check`]
    /// finds.
    pub fn parse(line: &str, defaults: &PreviewConfig) -> Result<Self, PromptError> {
        let prompt = Self::parse_template(line, defaults)?;
        prompt.check()?;
        Ok(prompt)
    }

    /// As [`Self::parse`], of a line in which something is to be replaced before it can be followed: what
    /// [`Self::check`] would find is passed over.
    ///
    /// # Errors
    /// [`PromptError::Option`].
    pub fn parse_template(line: &str, defaults: &PreviewConfig) -> Result<Self, PromptError> {
        let mut parts = line.trim().split(" --");
        let mut prompt = Self::new(parts.next().unwrap_or_default().trim(), defaults);
        for part in parts {
            let (option, value) = part.split_once(char::is_whitespace).unwrap_or((part, ""));
            set_option(&mut prompt, option, value.trim()).map_err(|reason| {
                PromptError::Option {
                    line: line.to_owned(),
                    option: format!("--{option}"),
                    reason,
                }
            })?;
        }
        Ok(prompt)
    }

    /// Looks whether both texts can be followed.
    ///
    /// # Errors
    /// [`PromptError`] if not.
    pub fn check(&self) -> Result<(), PromptError> {
        self.positive()?;
        self.negative().map(|_| ())
    }

    /// The prompt taken apart: words with weights, breaks, and the LoRAs that it asks for.
    ///
    /// # Errors
    /// [`PromptError::Syntax`].
    pub fn positive(&self) -> Result<ParsedPrompt, PromptError> {
        parsed(&self.text)
    }

    /// The negative prompt's words and breaks.
    ///
    /// # Errors
    /// [`PromptError::Syntax`], and [`PromptError::LoraInNegative`].
    pub fn negative(&self) -> Result<Vec<Segment>, PromptError> {
        let parsed = parsed(&self.negative)?;
        match parsed.loras.into_iter().next() {
            Some(tag) => Err(PromptError::LoraInNegative {
                text: self.negative.clone(),
                name: tag.name,
            }),
            None => Ok(parsed.segments),
        }
    }

    /// This prompt `count` times, with seeds that follow one another.
    pub fn series(&self, count: u64) -> impl Iterator<Item = Self> {
        (0..count).map(|index| Self {
            seed: self.seed.wrapping_add(index),
            ..self.clone()
        })
    }
}

fn parsed(text: &str) -> Result<ParsedPrompt, PromptError> {
    ParsedPrompt::parse(text).map_err(|source| PromptError::Syntax {
        text: text.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Prompt, PromptError> {
        Prompt::parse(line, &PreviewConfig::default())
    }

    #[test]
    fn options_are_read_and_defaults_kept() {
        let prompt = parse(
            "a cat, sitting --n blurry, bad --w 512 --H 768 --s 30 --l 3.5 --d 9 --ss k_euler_a",
        )
        .expect("valid");
        assert_eq!(prompt.text, "a cat, sitting");
        assert_eq!(prompt.negative, "blurry, bad");
        assert_eq!(
            (prompt.size, prompt.steps, prompt.seed, prompt.sampler),
            (
                [Some(512), Some(768)],
                30,
                9,
                Some(lora_core::diffusion::SamplerKind::EulerA)
            )
        );
        assert!((prompt.guidance - 3.5).abs() < 1e-9);
        let plain = parse("a dog").expect("valid");
        assert_eq!(plain, Prompt::new("a dog", &PreviewConfig::default()));
        assert_eq!((plain.size, plain.steps, plain.seed), ([None; 2], 20, 1));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |line| parse(line).expect_err("invalid").to_string();
        assert!(error("a --s many").contains("--s needs a number, found `many`"));
        assert!(error("a --z 1").contains("--z is unknown"));
        assert!(error("a --s 0").contains("1 to 1000"));
        assert!(error("a [b|c]").contains("`[b|c]` is alternation"));
        assert!(error("a --n [b:c:0.5]").contains("`[b:c:0.5]` is prompt editing"));
        assert!(error("a --n b <lora:c:1>").contains("<lora:c> belongs into the prompt"));
    }

    #[test]
    fn a_series_has_seeds_that_follow() {
        let prompt = parse("a cat --d 41").expect("valid");
        let seeds: Vec<_> = prompt.series(3).map(|prompt| prompt.seed).collect();
        assert_eq!(seeds, [41, 42, 43]);
    }
}
