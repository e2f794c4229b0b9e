use std::{collections::BTreeSet, ops::Range, sync::Arc};

use safetensors::{Dtype, tensor::TensorInfo};

use super::{
    Component, Place, StoredTensor, TensorProblem, TensorSource,
    layout::{Layout, Name},
    spare::is_spare,
};
use crate::safetensors_file::{RawTensor, SafetensorsFile, SafetensorsFileError};

/// The files that hold one component's tensors, and how they name them.
#[derive(Debug)]
pub(super) struct ComponentFiles {
    /// One, or the shards of a large component; a single file is shared by all components.
    files: Vec<Arc<SafetensorsFile>>,
    layout: Layout,
}

/// A tensor that was found by one of its names.
struct Found<'a> {
    file: &'a SafetensorsFile,
    info: &'a TensorInfo,
    name: Name,
}

impl ComponentFiles {
    /// The tensors of `files`, of which there is at least one, named as `layout` says.
    pub(super) fn new(files: Vec<Arc<SafetensorsFile>>, layout: Layout) -> Self {
        Self { files, layout }
    }

    /// Where the tensor `key` of the diffusers layout is kept.
    pub(super) fn locate(&self, key: &str) -> Option<Place> {
        let found = self.look_up(key)?;
        Some(Place {
            file: found.file.path().to_path_buf(),
            rows: found.rows(),
            key: found.name.key,
            transposed: found.name.transposed,
        })
    }

    /// Type and shape of every tensor that belongs to the component, by its key in the file.
    pub(super) fn stored(&self) -> impl Iterator<Item = (String, &TensorInfo)> {
        self.files.iter().flat_map(|file| {
            let names = file.names().into_iter();
            names
                .filter(|name| name.starts_with(self.layout.prefix()))
                .filter_map(|name| file.info(&name).map(|info| (name.clone(), info)))
        })
    }

    /// Adds each tensor that belongs to `component`, is none of those `used`, by their diffusers keys, and not
    /// [spare](is_spare).
    pub(super) fn report_unexpected(
        &self,
        component: Component,
        used: &BTreeSet<String>,
        problems: &mut Vec<TensorProblem>,
    ) {
        let names = used.iter().flat_map(|key| self.names(key));
        let known: BTreeSet<String> = names.map(|name| name.key).collect();
        let is_known = |name: &str| known.contains(name);
        for file in &self.files {
            let keys = file.names().into_iter();
            let unexpected = keys
                .filter(|key| !is_known(key))
                .filter(|key| !is_spare(component, self.layout, key, &is_known));
            problems.extend(unexpected.map(|key| TensorProblem::Unexpected {
                key,
                file: file.path().to_path_buf(),
            }));
        }
    }

    fn names(&self, key: &str) -> Vec<Name> {
        let exists = |name: &str| self.files.iter().any(|file| file.info(name).is_some());
        self.layout.names(key, &exists)
    }

    fn look_up(&self, key: &str) -> Option<Found<'_>> {
        self.names(key).into_iter().find_map(|name| {
            let mut files = self.files.iter();
            let (file, info) = files.find_map(|file| Some((file, file.info(&name.key)?)))?;
            Some(Found { file, info, name })
        })
    }

    fn missing(&self, key: &str) -> TensorProblem {
        let name = self.names(key).into_iter().next();
        TensorProblem::Missing {
            key: name.map_or_else(|| key.to_owned(), |name| name.key),
            file: self.files[0].path().to_path_buf(),
        }
    }
}

impl Found<'_> {
    /// The rows of the packed tensor that are asked for; `None` where all are.
    fn rows(&self) -> Option<Range<usize>> {
        let third = self.name.third?;
        let height = self.info.shape.first().copied().unwrap_or(0) / 3;
        Some(third * height..(third + 1) * height)
    }

    fn check(&self, shape: &[usize]) -> Result<(), TensorProblem> {
        let (key, file) = (self.name.key.clone(), self.file.path().to_path_buf());
        if !matches!(self.info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            return Err(TensorProblem::Type {
                key,
                file,
                found: format!("{:?}", self.info.dtype),
            });
        }
        let (expected, found) = (self.name.stored_shape(shape), self.info.shape.clone());
        if without_trailing_ones(&found) != without_trailing_ones(&expected) {
            return Err(TensorProblem::Shape {
                key,
                file,
                expected,
                found,
            });
        }
        Ok(())
    }

    fn read(&self) -> Result<RawTensor, SafetensorsFileError> {
        let raw = match self.rows() {
            Some(rows) => self.file.read_rows(&self.name.key, rows)?,
            None => self.file.read(&self.name.key)?,
        };
        Ok(if self.name.transposed {
            raw.transposed()
        } else {
            raw
        })
    }
}

impl TensorSource for ComponentFiles {
    fn find(&self, key: &str, shape: &[usize]) -> Result<StoredTensor, TensorProblem> {
        let found = self.look_up(key).ok_or_else(|| self.missing(key))?;
        found.check(shape)?;
        match found.read() {
            Ok(raw) => Ok(StoredTensor::Raw(raw)),
            Err(error) => Err(TensorProblem::Unreadable {
                key: found.name.key.clone(),
                file: found.file.path().to_path_buf(),
                reason: error.to_string(),
            }),
        }
    }
}

/// The original layout keeps some linear layers as 1×1 convolutions; the numbers are the same.
fn without_trailing_ones(shape: &[usize]) -> &[usize] {
    let kept = shape
        .iter()
        .rposition(|&extent| extent != 1)
        .map_or(0, |last| last + 1);
    &shape[..kept]
}
