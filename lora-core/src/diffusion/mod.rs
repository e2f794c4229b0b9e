//! The mathematics of diffusion: the noise schedule, what the network is asked to predict, and samplers.

mod ddim;
mod dpm_solver;
mod euler;
mod euler_ancestral;
mod noise_levels;
mod noise_schedule;
mod sampler;
mod sampler_kind;
mod spacing;
mod unipc;

pub use ddim::Ddim;
pub use dpm_solver::DpmSolver;
pub use euler::Euler;
pub use euler_ancestral::EulerAncestral;
pub use noise_schedule::{
    BetaSchedule, NoiseSchedule, PredictionType, SchedulerConfig, TimestepSpacing,
};
pub use sampler::Sampler;
pub use sampler_kind::{SamplerKind, UnknownSampler};
pub use unipc::UniPc;
