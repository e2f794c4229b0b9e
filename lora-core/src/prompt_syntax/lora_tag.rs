use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::PromptSyntaxError;

static TAG: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"<(\w+):([^>]+)>").expect("a constant pattern, compiled by every test of prompts")
});

/// `<lora:NAME:TE:UNET>`: a LoRA by its file's name, and how strongly it acts on the text encoders and on the UNet.
///
/// A strength that is left out is the other one's, or 1: `<lora:NAME:0.8>` is 0.8 for both. `te=` and `unet=` name them:
/// `<lora:NAME:te=0:unet=1>`. `lyco` in place of `lora` means the same.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraTag {
    /// The name, without folder and ending.
    pub name: String,
    /// Strength in the text encoders.
    pub text_strength: f32,
    /// Strength in the UNet.
    pub unet_strength: f32,
}

impl LoraTag {
    /// The prompt without its tags, and the tags in order.
    ///
    /// # Errors
    /// [`PromptSyntaxError`] for the first tag that is of another kind, has no name, or is not followed by strengths.
    pub fn take_all(prompt: &str) -> Result<(String, Vec<Self>), PromptSyntaxError> {
        let tags = TAG.captures_iter(prompt).map(|found| Self::read(&found));
        let tags = tags.collect::<Result<_, _>>()?;
        Ok((TAG.replace_all(prompt, "").into_owned(), tags))
    }

    fn read(found: &Captures<'_>) -> Result<Self, PromptSyntaxError> {
        let tag = || found[0].to_owned();
        if !matches!(&found[1], "lora" | "lyco") {
            return Err(PromptSyntaxError::UnknownNetwork {
                tag: tag(),
                kind: found[1].to_owned(),
            });
        }
        let strength = |value: &str| {
            let number = value.trim().parse().ok().filter(|f: &f32| f.is_finite());
            number.ok_or_else(|| PromptSyntaxError::Strength {
                tag: tag(),
                value: value.to_owned(),
            })
        };
        let mut positional = Vec::new();
        let (mut text, mut unet) = (None, None);
        for argument in found[2].split(':') {
            match argument.split_once('=') {
                Some(("te", value)) => text = Some(strength(value)?),
                Some(("unet", value)) => unet = Some(strength(value)?),
                // A file's name may hold the sign.
                Some(_) if !positional.is_empty() => {
                    return Err(PromptSyntaxError::Argument {
                        tag: tag(),
                        argument: argument.to_owned(),
                    });
                }
                _ => positional.push(argument),
            }
        }
        if let Some(argument) = positional.get(3) {
            return Err(PromptSyntaxError::Argument {
                tag: tag(),
                argument: (*argument).to_owned(),
            });
        }
        let name = positional.first().copied().unwrap_or_default().trim();
        if name.is_empty() {
            return Err(PromptSyntaxError::NoName { tag: tag() });
        }
        let given = |index: usize| {
            positional
                .get(index)
                .map(|value| strength(value))
                .transpose()
        };
        let (first, second) = (given(1)?, given(2)?);
        let text_strength = text.or(first).unwrap_or(1.0);
        Ok(Self {
            name: name.to_owned(),
            text_strength,
            unet_strength: unet.or(second).unwrap_or(text_strength),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strengths(tag: &str) -> (f32, f32) {
        let (_, tags) = LoraTag::take_all(tag).expect("a tag");
        assert_eq!(tags[0].name, "a style");
        (tags[0].text_strength, tags[0].unet_strength)
    }

    #[test]
    fn strengths_left_out_follow_the_others() {
        assert_eq!(strengths("<lora:a style>"), (1.0, 1.0));
        assert_eq!(strengths("<lora:a style:0.8>"), (0.8, 0.8));
        assert_eq!(strengths("<lyco:a style:0.8:-0.5>"), (0.8, -0.5));
        assert_eq!(strengths("<lora:a style:te=0.2>"), (0.2, 0.2));
        assert_eq!(strengths("<lora:a style:unet=0.2>"), (1.0, 0.2));
        assert_eq!(strengths("<lora:a style:0.5:unet=0>"), (0.5, 0.0));
        assert_eq!(strengths("<lora:a style:te=0:unet=1>"), (0.0, 1.0));
    }

    #[test]
    fn tags_are_cut_out_of_the_prompt() {
        let (text, tags) =
            LoraTag::take_all("a cat <lora:x:1>, a<lora:y:2>b < c: d>").expect("tags");
        assert_eq!(text, "a cat , ab < c: d>");
        assert_eq!(tags.len(), 2);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |tag| LoraTag::take_all(tag).expect_err("wrong").to_string();
        assert!(error("a <hypernet:x:1>").contains("`<hypernet:x:1>` asks for a hypernet"));
        assert!(error("<lora:x:strong>").contains("`strong` is no strength"));
        assert!(error("<lora:x:inf>").contains("`inf` is no strength"));
        assert!(error("<lora:te=1>").contains("names no LoRA"));
        assert!(error("<lora: :1>").contains("names no LoRA"));
        assert!(error("<lora:x:1:1:4>").contains("`4` is not supported"));
        assert!(error("<lora:x:dyn=4>").contains("`dyn=4` is not supported"));
    }
}
