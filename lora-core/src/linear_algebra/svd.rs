//! What a decomposition gives.

use super::Matrix;

/// `u · diag(singular_values) · vᵀ`, singular values falling.
#[derive(Debug, Clone)]
pub(crate) struct Svd {
    /// `[rows, count]`; columns of singular values that vanish are zero.
    pub(crate) u: Matrix,
    pub(crate) singular_values: Vec<f64>,
    /// `[columns, count]`.
    pub(crate) v: Matrix,
}

impl Svd {
    /// The first `rank` triples: the nearest matrix of that rank (Eckart–Young).
    pub(crate) fn truncated(self, rank: usize) -> Self {
        let mut singular_values = self.singular_values;
        singular_values.truncate(rank);
        Self {
            u: self.u.first_columns(rank),
            singular_values,
            v: self.v.first_columns(rank),
        }
    }

    /// Two factors `[rows, count]` and `[columns, count]` with `a · bᵀ` the decomposed matrix.
    ///
    /// Each has the root of every singular value, so that neither holds smaller numbers than need be.
    pub(crate) fn balanced_factors(&self) -> [Matrix; 2] {
        [&self.u, &self.v].map(|vectors| {
            let mut scaled = vectors.clone();
            for (index, value) in self.singular_values.iter().enumerate() {
                let root = value.sqrt();
                scaled
                    .column_mut(index)
                    .iter_mut()
                    .for_each(|value| *value *= root);
            }
            scaled
        })
    }
}
