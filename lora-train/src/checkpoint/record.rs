use std::collections::BTreeMap;

use burn::tensor::TensorData;
use serde::{Deserialize, Serialize};

use super::Sources;
use crate::{Outcome, timestep_loss::TimestepLoss};

/// Raised when older versions could not go on from a checkpoint.
const VERSION: u32 = 1;

/// Where a run stands, and what it is made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    version: u32,
    /// The program that wrote it.
    program: String,
    pub(crate) standing: Standing,
    /// What the run is made from.
    pub(crate) sources: Sources,
}

/// Where a run stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// Steps done, files written, measures taken.
    pub(crate) outcome: Outcome,
    /// The epoch that the next step is of, from 1.
    pub(crate) epoch: u64,
    /// Steps of that epoch that are done.
    pub(crate) steps_of_epoch: usize,
    /// When the run was started, in seconds since 1970.
    pub(crate) started_at: f64,
    /// Lengths of the logs, by their names in the run folder.
    pub(crate) logs: BTreeMap<String, u64>,
    pub(crate) meter: MeterRecord,
    /// What the config's learning rates are multiplied by.
    pub(crate) rate_factor: f64,
    /// Steps in a row, up to then, whose numbers went wrong.
    #[serde(default)]
    pub(crate) bad_in_a_row: u64,
}

/// What a meter has read and not yet told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct MeterRecord {
    /// Losses since the last report.
    pub(crate) settled: Vec<f64>,
    /// The last gradient's norm.
    pub(crate) settled_norm: f64,
    /// Sum and weight of the smoothed loss.
    pub(crate) smooth: [f64; 2],
    /// Sums and weights of the smoothed losses of stretches of timesteps.
    #[serde(default)]
    pub(crate) by_timestep: TimestepLoss,
}

impl Record {
    pub(crate) fn new(standing: Standing, sources: Sources) -> Self {
        Self {
            version: VERSION,
            program: concat!("lora ", env!("CARGO_PKG_VERSION")).to_owned(),
            standing,
            sources,
        }
    }

    pub(super) fn to_tensor(&self) -> TensorData {
        // TOML, whose numbers come back to the last bit; those of JSON may not. There is nothing in it that TOML lacks: paths that
        // are no Unicode were refused with the plan.
        let text = toml::to_string(self).unwrap_or_default().into_bytes();
        let length = text.len();
        TensorData::new(text, [length])
    }

    pub(super) fn from_tensor(data: &TensorData) -> Result<Self, String> {
        let record: Self = toml::from_slice(data.as_bytes())
            .map_err(|error| format!("its record cannot be read: {error}"))?;
        if record.version != VERSION {
            return Err(format!(
                "it was written by {} in version {} of the format, and this is version {VERSION}",
                record.program, record.version
            ));
        }
        Ok(record)
    }
}
