use serde::Serialize;
use thiserror::Error;

use crate::config::PreviewConfig;

/// One picture to draw.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prompt {
    /// What it shows.
    pub text: String,
    /// What it is guided away from.
    pub negative: String,
    /// Width and height in pixels; unset means the size of the training pictures.
    pub size: [Option<u32>; 2],
    /// Steps of the sampler.
    pub steps: usize,
    /// Classifier-free guidance; 1 means none.
    pub guidance: f64,
    /// Seed of the noise.
    pub seed: u64,
}

/// Why a prompt line cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("prompt `{line}`: --{option} {reason}")]
pub struct PromptError {
    /// The line.
    pub line: String,
    /// The option.
    pub option: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Prompt {
    /// Reads a line of kohya's sample files: the prompt, then `--n` negative, `--w --h` size, `--s` steps, `--l`
    /// guidance, `--d` seed; what the line does not say comes from `defaults`.
    ///
    /// # Errors
    /// An option that is unknown or whose value is no number in range.
    pub fn parse(line: &str, defaults: &PreviewConfig) -> Result<Self, PromptError> {
        let mut parts = line.trim().split(" --");
        let mut prompt = Self {
            text: parts.next().unwrap_or_default().trim().to_owned(),
            negative: String::new(),
            size: [None; 2],
            steps: defaults.steps,
            guidance: defaults.guidance,
            seed: defaults.seed,
        };
        for part in parts {
            let (option, value) = part.split_once(char::is_whitespace).unwrap_or((part, ""));
            prompt
                .set(option, value.trim())
                .map_err(|reason| PromptError {
                    line: line.to_owned(),
                    option: option.to_owned(),
                    reason,
                })?;
        }
        Ok(prompt)
    }

    /// Reads a prompt file: one picture a line, `#` starts a comment.
    ///
    /// # Errors
    /// See [`Self::parse`].
    pub fn parse_file(text: &str, defaults: &PreviewConfig) -> Result<Vec<Self>, PromptError> {
        text.lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| Self::parse(line, defaults))
            .collect()
    }

    fn set(&mut self, option: &str, value: &str) -> Result<(), String> {
        fn number<T: std::str::FromStr>(value: &str) -> Result<T, String> {
            value
                .parse()
                .map_err(|_| format!("needs a number, found `{value}`"))
        }
        fn side(value: &str) -> Result<u32, String> {
            match number(value)? {
                side @ 8..=8192 => Ok(side),
                side => Err(format!("needs 8 to 8192 pixels, found {side}")),
            }
        }
        match option {
            "n" => value.clone_into(&mut self.negative),
            "w" => self.size[0] = Some(side(value)?),
            "h" => self.size[1] = Some(side(value)?),
            "s" => self.steps = number(value)?,
            "l" => self.guidance = number(value)?,
            "d" => self.seed = number(value)?,
            _ => return Err("is unknown; there are --n --w --h --s --l --d".to_owned()),
        }
        if !self.guidance.is_finite() {
            return Err("needs a finite number".to_owned());
        }
        if self.steps == 0 {
            return Err("needs at least one step".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_defaults_kept() {
        let prompt = Prompt::parse(
            "a cat, sitting --n blurry, bad --w 512 --h 768 --s 30 --l 3.5 --d 9",
            &PreviewConfig::default(),
        )
        .expect("valid");
        assert_eq!(prompt.text, "a cat, sitting");
        assert_eq!(prompt.negative, "blurry, bad");
        assert_eq!(
            (prompt.size, prompt.steps, prompt.seed),
            ([Some(512), Some(768)], 30, 9)
        );
        assert!((prompt.guidance - 3.5).abs() < 1e-9);
        let plain = Prompt::parse("a dog", &PreviewConfig::default()).expect("valid");
        assert_eq!((plain.size, plain.steps, plain.seed), ([None; 2], 20, 1));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |line| {
            Prompt::parse(line, &PreviewConfig::default())
                .expect_err("invalid")
                .to_string()
        };
        assert!(error("a --s many").contains("--s needs a number, found `many`"));
        assert!(error("a --z 1").contains("--z is unknown"));
        assert!(error("a --s 0").contains("at least one"));
    }

    #[test]
    fn files_have_comments_and_blank_lines() {
        let prompts =
            Prompt::parse_file("# two\n\na cat\n  a dog --d 2\n", &PreviewConfig::default());
        assert_eq!(prompts.expect("valid").len(), 2);
    }
}
