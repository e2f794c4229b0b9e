use std::str::FromStr;

use lora_core::diffusion::{SamplerKind, UnknownSampler};
use thiserror::Error;

use super::values::{ValuesError, numbers, split, whole_numbers};

/// What changes along one side of a grid.
///
/// Written as `seed=1-4`: a name and, for most, values in A1111's notation.
#[derive(Clone, Debug, PartialEq)]
pub enum Axis {
    /// Nothing: a single row, column or sheet.
    Nothing,
    /// The LoRA files of the request.
    Files,
    /// The strength of the LoRA file; empty means the strengths of the request.
    Strength(Vec<f32>),
    /// The prompts of the request.
    Prompts,
    /// A1111's "Prompt S/R": the first item is searched for in prompt and negative prompt, and each replaces it.
    Replace(Vec<String>),
    /// Seed of the noise.
    Seed(Vec<u64>),
    /// Steps of the sampler.
    Steps(Vec<usize>),
    /// Classifier-free guidance.
    Cfg(Vec<f64>),
    /// The sampler.
    Sampler(Vec<SamplerKind>),
}

/// Why an axis cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AxisError {
    /// There is no such axis.
    #[error("there is no axis `{name}`; there are {AXES}")]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// Values were given where the request has them.
    #[error("the axis `{name}` takes no values; {hint}")]
    NoValues {
        /// The axis.
        name: String,
        /// Where its values come from.
        hint: &'static str,
    },
    /// Values are missing.
    #[error("the axis `{name}` needs values, such as {example}")]
    NeedsValues {
        /// The axis.
        name: String,
        /// How they are written.
        example: &'static str,
    },
    /// The values cannot be read.
    #[error("axis `{name}`: {source}")]
    Values {
        /// The axis.
        name: String,
        /// What is wrong with them.
        source: ValuesError,
    },
    /// A value is none of those that the axis can take.
    #[error("axis `{name}`: {reason}")]
    Value {
        /// The axis.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

const AXES: &str = "files, strength, prompt, sr, seed, steps, cfg, sampler and none";

impl Axis {
    /// The name by which it is asked for.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Files => "files",
            Self::Strength(_) => "strength",
            Self::Prompts => "prompt",
            Self::Replace(_) => "sr",
            Self::Seed(_) => "seed",
            Self::Steps(_) => "steps",
            Self::Cfg(_) => "cfg",
            Self::Sampler(_) => "sampler",
        }
    }
}

impl FromStr for Axis {
    type Err = AxisError;

    fn from_str(text: &str) -> Result<Self, AxisError> {
        let (name, values) = match text.split_once('=') {
            Some((name, values)) => (name.trim(), Some(values)),
            None => (text.trim(), None),
        };
        let named = Named { name, values };
        match name {
            "none" => named.bare(Self::Nothing, "nothing varies along it"),
            "file" | "files" | "epoch" | "epochs" => {
                named.bare(Self::Files, "it shows the LoRA files that are given")
            }
            "prompt" | "prompts" => named.bare(
                Self::Prompts,
                "it shows the prompts that are given; `sr` replaces words in them",
            ),
            "strength" if values.is_none() => Ok(Self::Strength(Vec::new())),
            "strength" => {
                let values = named.values("strength=0,0.5,1", numbers)?;
                Ok(Self::Strength(
                    values.into_iter().map(|value| value as f32).collect(),
                ))
            }
            "sr" => named.replacements(),
            "seed" => Ok(Self::Seed(named.values("seed=1,2,3", whole_numbers)?)),
            "steps" => named.steps(),
            "cfg" => Ok(Self::Cfg(named.values("cfg=3,5,7", numbers)?)),
            "sampler" => named.samplers(),
            _ => Err(AxisError::Unknown {
                name: name.to_owned(),
            }),
        }
    }
}

/// An axis as it is written.
struct Named<'a> {
    name: &'a str,
    values: Option<&'a str>,
}

impl Named<'_> {
    fn bare(&self, axis: Axis, hint: &'static str) -> Result<Axis, AxisError> {
        match self.values {
            None => Ok(axis),
            Some(_) => Err(AxisError::NoValues {
                name: self.name.to_owned(),
                hint,
            }),
        }
    }

    fn values<T>(
        &self,
        example: &'static str,
        read: impl Fn(&str) -> Result<Vec<T>, ValuesError>,
    ) -> Result<Vec<T>, AxisError> {
        let values = self.values.ok_or_else(|| AxisError::NeedsValues {
            name: self.name.to_owned(),
            example,
        })?;
        read(values).map_err(|source| AxisError::Values {
            name: self.name.to_owned(),
            source,
        })
    }

    fn refuse(&self, reason: impl Into<String>) -> AxisError {
        AxisError::Value {
            name: self.name.to_owned(),
            reason: reason.into(),
        }
    }

    fn replacements(&self) -> Result<Axis, AxisError> {
        let items = self.values("sr=fox,cat,dog", split)?;
        match items.first() {
            Some(search) if !search.is_empty() => Ok(Axis::Replace(items)),
            _ => Err(self.refuse("the first item is searched for and must not be empty")),
        }
    }

    fn steps(&self) -> Result<Axis, AxisError> {
        let steps = self.values("steps=10,20,30", whole_numbers)?;
        if steps.contains(&0) {
            return Err(self.refuse("a sampler needs at least one step"));
        }
        Ok(Axis::Steps(
            steps.into_iter().map(|count| count as usize).collect(),
        ))
    }

    fn samplers(&self) -> Result<Axis, AxisError> {
        let names = self.values("sampler=ddim,euler-a", split)?;
        let read = |name: String| {
            name.parse()
                .map_err(|error: UnknownSampler| self.refuse(error.to_string()))
        };
        Ok(Axis::Sampler(
            names.into_iter().map(read).collect::<Result<_, _>>()?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(text: &str) -> Axis {
        let axis: Axis = text.parse().expect(text);
        assert!(axis.name() == "files" || text.starts_with(axis.name()));
        axis
    }

    #[test]
    fn every_axis_is_read() {
        assert_eq!(axis("files"), Axis::Files);
        assert_eq!(axis("epochs"), Axis::Files);
        assert_eq!(axis("prompt"), Axis::Prompts);
        assert_eq!(axis("none"), Axis::Nothing);
        assert_eq!(axis("strength"), Axis::Strength(vec![]));
        assert_eq!(
            axis("strength=0,0.25,-1"),
            Axis::Strength(vec![0.0, 0.25, -1.0])
        );
        assert_eq!(axis("seed=1-3"), Axis::Seed(vec![1, 2, 3]));
        assert_eq!(axis("steps = 10, 20"), Axis::Steps(vec![10, 20]));
        assert_eq!(axis("cfg=3,7.5"), Axis::Cfg(vec![3.0, 7.5]));
        assert_eq!(
            axis("sampler=ddim,euler-a"),
            Axis::Sampler(vec![SamplerKind::Ddim, SamplerKind::EulerA])
        );
        assert_eq!(
            axis("sr=fox,\"a=b, c\""),
            Axis::Replace(vec!["fox".into(), "a=b, c".into()])
        );
    }

    #[test]
    fn mistakes_are_told_with_what_there_is() {
        let told = |text: &str| text.parse::<Axis>().expect_err(text).to_string();
        assert!(told("sed=1").contains("there are files, strength"));
        assert!(told("files=a").contains("takes no values"));
        assert!(told("seed").contains("such as seed=1,2,3"));
        assert!(told("cfg=three").contains("`three`"));
        assert!(told("steps=0").contains("at least one step"));
        assert!(
            told("sampler=plms").contains("ddim"),
            "{}",
            told("sampler=plms")
        );
        assert!(told("sr=,a").contains("must not be empty"));
    }
}
