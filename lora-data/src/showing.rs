/// What the draws about one showing of a picture depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Showing {
    /// The run's seed.
    pub seed: u64,
    /// The epoch, from 1.
    pub epoch: u64,
    /// The showing's place in its epoch, from 0.
    pub ordinal: u64,
    /// Optimiser steps done before it.
    pub step: u64,
    /// Optimiser steps of the whole run.
    pub steps: u64,
}
