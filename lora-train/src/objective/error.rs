use thiserror::Error;

/// A setting of the objective that does not work, alone or beside another.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ObjectiveError {
    /// A number lies outside its range.
    #[error("`{setting}` must be {expected}, found {found}")]
    OutOfRange {
        /// The setting.
        setting: &'static str,
        /// The range in words, with what is usual.
        expected: &'static str,
        /// Its value.
        found: f64,
    },
    /// Two settings decide the same thing.
    #[error("`{first}` and `{second}` each say how much a timestep counts; keep one of them")]
    Exclusive {
        /// One of them.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A setting has nothing to act on.
    #[error("`{setting}` does nothing without `{needed}`; set that as well, or leave it out")]
    Alone {
        /// The setting.
        setting: &'static str,
        /// What it belongs to.
        needed: &'static str,
    },
    /// The scale of a threshold that has none.
    #[error(
        "`huber_scale` does nothing under `huber_schedule = \"snr\"`, as in kohya's scripts; leave it out, or choose \"constant\" or \"exponential\""
    )]
    UnusedScale,
    /// The points of the table make no curve.
    #[error("`weight_table` {reason}")]
    Table {
        /// What is wrong with them.
        reason: &'static str,
    },
    /// A setting for models that predict something else.
    #[error(
        "`{setting}` is for models that predict {expected}, which this one does not; leave it out"
    )]
    OtherPrediction {
        /// The setting.
        setting: &'static str,
        /// What they predict.
        expected: &'static str,
    },
    /// A timestep would count infinitely.
    #[error(
        "`{setting}` divides by the signal-to-noise ratio, which is 0 at timestep {timestep} of this model's schedule \
         (zero terminal SNR); leave it out"
    )]
    Infinite {
        /// The setting.
        setting: &'static str,
        /// The timestep.
        timestep: usize,
    },
}
