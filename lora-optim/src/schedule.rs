//! The trait of learning-rate schedules.

/// The factor on the base learning rates, as a pure function of the step: a resumed run needs no schedule state.
///
/// Any closure `Fn(u64) -> f64` is one.
pub trait Schedule: Send {
    /// The factor that update number `step`, counted from 0, is made with.
    fn at(&self, step: u64) -> f64;
}

impl<F: Fn(u64) -> f64 + Send> Schedule for F {
    fn at(&self, step: u64) -> f64 {
        self(step)
    }
}
