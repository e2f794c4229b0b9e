//! A name for what a network computes with, so that its results can be kept and found again.

use std::{cell::RefCell, fmt::Debug, path::PathBuf};

use burn::tensor::Device;
use sha2::{Digest, Sha256};

use super::{StoredTensor, TensorProblem, TensorSource, WeightReader, Weights};
use crate::Precision;

/// A SHA-256 over configs and tensors of one network, in the order in which the network asks for them.
///
/// The keys are those of the diffusers layout, whatever the file calls them, and tensors count as they are stored.
#[derive(Debug, Default)]
pub(crate) struct NetworkHash(RefCell<Sha256>);

impl NetworkHash {
    /// Adds settings that shape the computation.
    pub(crate) fn settings(&self, settings: &impl Debug) {
        self.part(format!("{settings:?}").as_bytes());
    }

    /// Adds every tensor that `build` asks of `source`. They are read one at a time and none is kept.
    ///
    /// # Errors
    /// Every tensor that cannot be read.
    pub(crate) fn tensors<T>(
        &self,
        source: &dyn TensorSource,
        device: &Device,
        build: impl FnOnce(&Weights<'_>) -> T,
    ) -> Result<(), Vec<TensorProblem>> {
        let listening = Listening {
            source,
            hash: self,
            problems: RefCell::default(),
        };
        let reader = WeightReader::new(&listening, device, Precision::F32);
        build(&reader.root());
        let problems = listening.problems.into_inner();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems)
        }
    }

    /// The hash.
    pub(crate) fn finish(self) -> [u8; 32] {
        self.0.into_inner().finalize().into()
    }

    /// With its length before it, so that no two lists of parts read the same.
    fn part(&self, bytes: &[u8]) {
        let mut hash = self.0.borrow_mut();
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
}

/// Hashes what is found in a source and claims to have found nothing: the reader then puts stand-ins in its place,
/// which take no memory.
struct Listening<'a> {
    source: &'a dyn TensorSource,
    hash: &'a NetworkHash,
    problems: RefCell<Vec<TensorProblem>>,
}

impl TensorSource for Listening<'_> {
    fn find(&self, key: &str, shape: &[usize]) -> Result<StoredTensor, TensorProblem> {
        match self.source.find(key, shape) {
            Ok(stored) => {
                self.hash.part(key.as_bytes());
                self.hash.settings(&shape);
                match stored {
                    StoredTensor::Raw(raw) => {
                        self.hash.settings(&raw.dtype);
                        self.hash.part(&raw.bytes);
                    }
                    StoredTensor::Values(values) => {
                        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
                        self.hash.part(&bytes.collect::<Vec<u8>>());
                    }
                }
            }
            Err(problem) => self.problems.borrow_mut().push(problem),
        }
        Err(TensorProblem::Missing {
            key: key.to_owned(),
            file: PathBuf::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::SeededWeights;

    fn hash(seed: u64, shape: [usize; 2], settings: &str) -> [u8; 32] {
        let hash = NetworkHash::default();
        hash.settings(&settings);
        let build = |weights: &Weights<'_>| weights.at("a").tensor::<2>("weight", shape);
        hash.tensors(&SeededWeights { seed }, &Device::flex(), build)
            .unwrap();
        hash.finish()
    }

    #[test]
    fn equal_networks_have_equal_hashes_and_others_have_others() {
        let one = hash(1, [2, 3], "a");
        assert_eq!(one, hash(1, [2, 3], "a"));
        for other in [
            hash(2, [2, 3], "a"),
            hash(1, [3, 2], "a"),
            hash(1, [2, 3], "b"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn tensors_that_cannot_be_read_are_told() {
        struct Nothing;
        impl TensorSource for Nothing {
            fn find(&self, key: &str, _: &[usize]) -> Result<StoredTensor, TensorProblem> {
                Err(TensorProblem::Missing {
                    key: key.to_owned(),
                    file: "base.safetensors".into(),
                })
            }
        }
        let build = |weights: &Weights<'_>| weights.tensor::<1>("bias", [1]);
        let problems = NetworkHash::default()
            .tensors(&Nothing, &Device::flex(), build)
            .unwrap_err();
        assert_eq!(problems[0].to_string(), "missing: bias in base.safetensors");
    }
}
