/// A filter that cannot be read: where, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {reason}")]
pub struct FilterError {
    /// The letter at which reading ended, counted from 1.
    pub column: usize,
    /// What was expected there.
    pub reason: String,
}
