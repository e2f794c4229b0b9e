//! The mathematics of diffusion: the noise schedule, what the network is asked to predict, and samplers.

mod ddim;
mod euler_ancestral;
mod noise_schedule;
mod sampler;

pub use ddim::Ddim;
pub use euler_ancestral::EulerAncestral;
pub use noise_schedule::{BetaSchedule, NoiseSchedule, PredictionType, SchedulerConfig};
pub use sampler::{Sampler, SamplerKind};
