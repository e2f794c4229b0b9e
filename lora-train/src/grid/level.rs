use lora_core::{adapter::Strength, diffusion::SamplerKind};

use super::{Axis, GridRequest, RequestError};
use crate::Prompt;

/// A1111's custom names for the parts of `<lora:name-NUM:STRENGTH>` that a grid fills in. They are searched for, but not
/// drawn themselves.
const PLACEHOLDERS: [&str; 2] = ["NUM", "STRENGTH"];

/// One value of an axis: what a row, column or sheet has in common.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Level {
    Nothing,
    /// A LoRA file, by its place in the request.
    File(usize),
    Strength(f32),
    /// A prompt, by its place in the request.
    Prompt(usize),
    Replace {
        search: String,
        replacement: String,
    },
    Seed(u64),
    Steps(usize),
    Cfg(f64),
    Sampler(SamplerKind),
}

/// What a cell draws, as the levels of its row, column and sheet set it.
#[derive(Clone, Debug)]
pub(super) struct Variation {
    pub(super) prompt: Prompt,
    /// A LoRA file, by its place in the request.
    pub(super) file: Option<usize>,
    pub(super) strength: f32,
}

impl Axis {
    /// Its values, in order.
    pub(super) fn levels(&self, request: &GridRequest) -> Vec<Level> {
        fn each<T: Copy>(values: &[T], level: impl Fn(T) -> Level) -> Vec<Level> {
            values.iter().map(|&value| level(value)).collect()
        }
        match self {
            Self::Nothing => vec![Level::Nothing],
            Self::Files => (0..request.files.len()).map(Level::File).collect(),
            Self::Prompts => (0..request.prompts.len()).map(Level::Prompt).collect(),
            Self::Strength(values) if values.is_empty() => {
                each(&request.strengths, Level::Strength)
            }
            Self::Strength(values) => each(values, Level::Strength),
            Self::Seed(values) => each(values, Level::Seed),
            Self::Steps(values) => each(values, Level::Steps),
            Self::Cfg(values) => each(values, Level::Cfg),
            Self::Sampler(values) => each(values, Level::Sampler),
            Self::Replace(items) => replacements(items),
        }
    }

    /// The name of the axis, as A1111's X/Y/Z plot has it where it knows it.
    pub(super) fn title(&self) -> &'static str {
        match self {
            Self::Nothing => "Nothing",
            Self::Files => "LoRA file",
            Self::Strength(_) => "LoRA strength",
            Self::Prompts => "Prompt",
            Self::Replace(_) => "Prompt S/R",
            Self::Seed(_) => "Seed",
            Self::Steps(_) => "Steps",
            Self::Cfg(_) => "CFG Scale",
            Self::Sampler(_) => "Sampler",
        }
    }
}

fn replacements(items: &[String]) -> Vec<Level> {
    let Some(search) = items.first() else {
        return Vec::new();
    };
    let drawn = usize::from(PLACEHOLDERS.contains(&search.as_str()));
    items[drawn..]
        .iter()
        .map(|item| Level::Replace {
            search: search.clone(),
            replacement: item.clone(),
        })
        .collect()
}

impl Level {
    /// What stands beside the row or above the column.
    pub(super) fn label(&self, request: &GridRequest) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::File(index) => request.files[*index].label.clone(),
            Self::Strength(strength) if Strength::from(*strength).is_off() => {
                "strength 0 (base model)".to_owned()
            }
            Self::Strength(strength) => format!("strength {strength}"),
            Self::Prompt(index) => request.prompts[*index].text.clone(),
            Self::Replace { replacement, .. } if replacement.is_empty() => "(nothing)".to_owned(),
            Self::Replace { replacement, .. } => replacement.clone(),
            Self::Seed(seed) => format!("seed {seed}"),
            Self::Steps(1) => "1 step".to_owned(),
            Self::Steps(steps) => format!("{steps} steps"),
            Self::Cfg(scale) => format!("CFG {scale}"),
            Self::Sampler(sampler) => sampler_label(*sampler),
        }
    }

    /// The bare value, for A1111's "X Values".
    pub(super) fn value(&self, request: &GridRequest) -> String {
        match self {
            Self::Strength(strength) => strength.to_string(),
            Self::Replace { replacement, .. } => replacement.clone(),
            Self::Seed(seed) => seed.to_string(),
            Self::Steps(steps) => steps.to_string(),
            Self::Cfg(scale) => scale.to_string(),
            Self::File(index) => request.files[*index].name.clone(),
            Self::Nothing | Self::Prompt(_) | Self::Sampler(_) => self.label(request),
        }
    }

    pub(super) fn apply(
        &self,
        request: &GridRequest,
        variation: &mut Variation,
    ) -> Result<(), RequestError> {
        match self {
            Self::Nothing => {}
            Self::File(index) => variation.file = Some(*index),
            Self::Strength(strength) => variation.strength = *strength,
            Self::Prompt(index) => variation.prompt = request.prompts[*index].clone(),
            Self::Replace {
                search,
                replacement,
            } => replace(&mut variation.prompt, search, replacement)?,
            Self::Seed(seed) => variation.prompt.seed = *seed,
            Self::Steps(steps) => variation.prompt.steps = *steps,
            Self::Cfg(scale) => variation.prompt.guidance = *scale,
            Self::Sampler(sampler) => variation.prompt.sampler = Some(*sampler),
        }
        Ok(())
    }
}

fn replace(prompt: &mut Prompt, search: &str, replacement: &str) -> Result<(), RequestError> {
    if !prompt.text.contains(search) && !prompt.negative.contains(search) {
        return Err(RequestError::NotFound {
            search: search.to_owned(),
            prompt: prompt.text.clone(),
        });
    }
    prompt.text = prompt.text.replace(search, replacement);
    prompt.negative = prompt.negative.replace(search, replacement);
    Ok(())
}

/// A sampler as A1111's users know it: `DPM++ 2M Karras`.
pub(super) fn sampler_label(sampler: SamplerKind) -> String {
    match sampler.schedule_label() {
        "Karras" => format!("{} Karras", sampler.label()),
        _ => sampler.label().to_owned(),
    }
}
