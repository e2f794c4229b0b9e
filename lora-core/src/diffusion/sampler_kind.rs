use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Ddim, DpmSolver, Euler, EulerAncestral, Sampler, SchedulerConfig, UniPc};

/// A sampler by name.
///
/// Each equals a scheduler of diffusers 0.32 made by `from_config` of the model's own scheduler. A1111's of the same name
/// (from k-diffusion, but for DDIM and UniPC) take the same steps; what differs is said with each. Common to all: noise
/// comes from other generators, so the same seed gives another picture there; and SDXL's config says "leading", by which
/// walks begin below the last timestep, where A1111's Euler and DPM++ walks begin at it for every model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SamplerKind {
    /// `DDIMScheduler`: DDIM with η = 0 (Song et al. 2021), needs no noise on the way. A1111's has the same timesteps.
    #[default]
    Ddim,
    /// `EulerDiscreteScheduler`.
    Euler,
    /// `EulerDiscreteScheduler` with `use_karras_sigmas`. A1111 spreads Karras' levels over the whole schedule, diffusers
    /// between the levels of the evenly spaced walk.
    EulerKarras,
    /// `EulerAncestralDiscreteScheduler`: fresh noise in each step.
    EulerA,
    /// `DPMSolverMultistepScheduler`: "DPM++ 2M" with schedule type "Uniform". Its lowest timestep is one stride up, A1111's
    /// the first.
    #[serde(rename = "dpmpp-2m")]
    Dpmpp2m,
    /// `DPMSolverMultistepScheduler` with `use_karras_sigmas`. The same levels as A1111's; diffusers shows the network
    /// the nearest whole timesteps.
    #[serde(rename = "dpmpp-2m-karras")]
    Dpmpp2mKarras,
    /// `DPMSolverMultistepScheduler` with `algorithm_type` "sde-dpmsolver++" and `use_karras_sigmas`: fresh noise in each
    /// step, independent where A1111's comes from a Brownian tree.
    #[serde(rename = "dpmpp-2m-sde-karras")]
    Dpmpp2mSdeKarras,
    /// `UniPCMultistepScheduler` of order 2. A1111's has order 3 and other levels.
    #[serde(rename = "unipc")]
    UniPc,
}

/// There is no sampler of this name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no sampler `{name}`; there are {}", SamplerKind::ALL.map(SamplerKind::name).join(", "))]
pub struct UnknownSampler {
    /// The name.
    pub name: String,
}

impl SamplerKind {
    /// Every sampler.
    pub const ALL: [Self; 8] = [
        Self::Ddim,
        Self::Euler,
        Self::EulerKarras,
        Self::EulerA,
        Self::Dpmpp2m,
        Self::Dpmpp2mKarras,
        Self::Dpmpp2mSdeKarras,
        Self::UniPc,
    ];

    /// A sampler of `steps` steps over the noise that `config` describes, for one walk.
    pub fn build(self, config: &SchedulerConfig, steps: usize) -> Box<dyn Sampler> {
        match self {
            Self::Ddim => Box::new(Ddim::new(config, steps)),
            Self::Euler => Box::new(Euler::new(config, steps)),
            Self::EulerKarras => Box::new(Euler::karras(config, steps)),
            Self::EulerA => Box::new(EulerAncestral::new(config, steps)),
            Self::Dpmpp2m => Box::new(DpmSolver::new(config, steps)),
            Self::Dpmpp2mKarras => Box::new(DpmSolver::karras(config, steps)),
            Self::Dpmpp2mSdeKarras => Box::new(DpmSolver::karras(config, steps).with_noise()),
            Self::UniPc => Box::new(UniPc::new(config, steps)),
        }
    }

    /// The name in configs and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ddim => "ddim",
            Self::Euler => "euler",
            Self::EulerKarras => "euler-karras",
            Self::EulerA => "euler-a",
            Self::Dpmpp2m => "dpmpp-2m",
            Self::Dpmpp2mKarras => "dpmpp-2m-karras",
            Self::Dpmpp2mSdeKarras => "dpmpp-2m-sde-karras",
            Self::UniPc => "unipc",
        }
    }

    /// The name that A1111 writes into pictures as "Sampler".
    pub fn label(self) -> &'static str {
        match self {
            Self::Ddim => "DDIM",
            Self::Euler | Self::EulerKarras => "Euler",
            Self::EulerA => "Euler a",
            Self::Dpmpp2m | Self::Dpmpp2mKarras => "DPM++ 2M",
            Self::Dpmpp2mSdeKarras => "DPM++ 2M SDE",
            Self::UniPc => "UniPC",
        }
    }

    /// The name that A1111 writes into pictures as "Schedule type".
    pub fn schedule_label(self) -> &'static str {
        match self {
            // These have timesteps of their own there.
            Self::Ddim | Self::UniPc => "Automatic",
            Self::Euler | Self::EulerA | Self::Dpmpp2m => "Uniform",
            Self::EulerKarras | Self::Dpmpp2mKarras | Self::Dpmpp2mSdeKarras => "Karras",
        }
    }
}

impl FromStr for SamplerKind {
    type Err = UnknownSampler;

    fn from_str(name: &str) -> Result<Self, UnknownSampler> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| UnknownSampler {
            name: name.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configs_and_the_command_line_use_the_same_names() {
        for kind in SamplerKind::ALL {
            let written = serde_json::to_value(kind).expect("a name");
            assert_eq!(written, kind.name());
            assert_eq!(kind.name().parse(), Ok(kind));
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_all_others() {
        let error = "euler_b".parse::<SamplerKind>().expect_err("unknown");
        assert_eq!(
            error.to_string(),
            "there is no sampler `euler_b`; there are ddim, euler, euler-karras, euler-a, dpmpp-2m, dpmpp-2m-karras, \
             dpmpp-2m-sde-karras, unipc"
        );
    }
}
