use std::path::PathBuf;

use super::{StoredTensor, TensorProblem, TensorSource};

/// Has no tensor at all, so that whatever is built of it has the right shapes and no numbers in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoWeights;

impl TensorSource for NoWeights {
    fn find(&self, key: &str, _shape: &[usize]) -> Result<StoredTensor, TensorProblem> {
        Err(TensorProblem::Missing {
            key: key.to_owned(),
            file: PathBuf::new(),
        })
    }
}
