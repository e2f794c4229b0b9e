//! Measuring with full-size models, whose weights are seeded numbers where there is no checkpoint.

mod load;
mod parameters;
mod processor;
mod seeded_file;
mod soak;
mod step;

pub use load::LoadReport;
pub use parameters::Parameters;
pub use processor::processor_seconds;
pub use seeded_file::{SeededFileError, write_seeded_file};
pub use soak::{Soak, SoakReport, SoakSample};
pub(crate) use step::median;
pub use step::{StepBench, StepBenchError, StepReport};

pub use crate::resident::{forget_peak_resident, peak_resident, present_resident};
