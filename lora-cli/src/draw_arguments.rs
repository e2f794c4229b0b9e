use std::path::PathBuf;

use anyhow::bail;
use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use lora_core::{BaseModel, diffusion::SamplerKind};
use lora_train::{DrawSettings, Prompt, config::PreviewConfig};

use crate::model_arguments::at_least_one;

/// How pictures are drawn, where a prompt does not say otherwise.
#[derive(Args, Debug)]
#[command(next_help_heading = "Drawing")]
pub(crate) struct DrawArguments {
    /// A file of prompts: one a line, or .toml or .json as kohya reads them; # starts a comment
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// What the pictures are guided away from
    #[arg(
        short,
        long,
        value_name = "PROMPT",
        default_value = "",
        hide_default_value = true
    )]
    negative: String,
    /// Steps of the sampler
    #[arg(short, long, value_name = "N", default_value_t = PreviewConfig::default().steps, value_parser = at_least_one)]
    steps: usize,
    /// Classifier-free guidance; 1 means none
    #[arg(short = 'l', long, value_name = "SCALE", default_value_t = PreviewConfig::default().guidance)]
    cfg: f64,
    /// Seed of the noise
    #[arg(short = 'd', long, value_name = "N", default_value_t = PreviewConfig::default().seed)]
    seed: u64,
    /// Size in pixels, as 512 or 512x768; the model's own when left out
    #[arg(long, value_name = "SIZE", value_parser = size)]
    size: Option<[u32; 2]>,
    /// The sampler
    #[arg(long, value_name = "NAME", value_parser = sampler(), default_value = "ddim")]
    sampler: SamplerKind,
}

impl DrawArguments {
    /// The prompts of the command line, then those of the file.
    ///
    /// # Errors
    /// An option that cannot be read, a file that cannot be read, or no prompt at all.
    pub(crate) fn prompts(&self, given: &[String]) -> anyhow::Result<Vec<Prompt>> {
        let prompts = self.templates(given)?;
        prompts.iter().try_for_each(Prompt::check)?;
        Ok(prompts)
    }

    /// As [`Self::prompts`], where something is to be replaced in those of the command line before they can be followed.
    ///
    /// # Errors
    /// An option that cannot be read, a file that cannot be read, or no prompt at all.
    pub(crate) fn templates(&self, given: &[String]) -> anyhow::Result<Vec<Prompt>> {
        let defaults = PreviewConfig {
            steps: self.steps,
            guidance: self.cfg,
            seed: self.seed,
            sampler: self.sampler,
            ..PreviewConfig::default()
        };
        let parsed = given
            .iter()
            .map(|line| Prompt::parse_template(line, &defaults));
        let mut prompts = parsed.collect::<Result<Vec<_>, _>>()?;
        if let Some(path) = &self.prompts {
            prompts.extend(Prompt::read_file(path, &defaults)?);
        }
        if prompts.is_empty() {
            bail!("there is no prompt; give one, or a file of them with --prompts");
        }
        for prompt in prompts
            .iter_mut()
            .filter(|prompt| prompt.negative.is_empty())
        {
            prompt.negative.clone_from(&self.negative);
        }
        Ok(prompts)
    }

    /// What holds for all prompts; the model's own size where none is given.
    pub(crate) fn settings(&self, model: &BaseModel, clip_skip: usize) -> DrawSettings {
        DrawSettings {
            sampler: self.sampler,
            clip_skip,
            size: self.size.unwrap_or([model.native_side; 2]),
        }
    }
}

fn sampler() -> impl TypedValueParser<Value = SamplerKind> {
    PossibleValuesParser::new(SamplerKind::ALL.map(SamplerKind::name))
        .try_map(|name| name.parse::<SamplerKind>())
}

/// A size in pixels, as `512` or `512x768`.
///
/// # Errors
/// When it is written otherwise, or a side is 0.
pub(crate) fn size(text: &str) -> Result<[u32; 2], String> {
    let side = |text: &str| text.parse().ok().filter(|&side| side > 0);
    let sides = match text.split_once(['x', '×']) {
        Some((width, height)) => side(width).zip(side(height)),
        None => side(text).map(|side| (side, side)),
    };
    let (width, height) = sides.ok_or("write it as 512 or 512x768")?;
    Ok([width, height])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_a_side_or_two() {
        assert_eq!(size("512"), Ok([512, 512]));
        assert_eq!(size("512x768"), Ok([512, 768]));
        for wrong in ["", "x", "512x", "0", "512x0", "-1", "5.5"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
