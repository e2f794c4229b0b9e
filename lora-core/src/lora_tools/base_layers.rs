//! The adaptable layers of a base model that stays on the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::ModuleName;
use crate::safetensors_file::{RawTensor, SafetensorsFile, SafetensorsFileError};
use crate::text_encoder::TextEncoderConfig;
use crate::weights::{Checkpoint, Component, Place};

/// Where each adaptable layer's weight lies, and its shape; no weight is in memory.
#[derive(Debug)]
pub(super) struct BaseLayers {
    files: BTreeMap<PathBuf, SafetensorsFile>,
    layers: BTreeMap<ModuleName, BaseLayer>,
}

/// One layer's weight.
#[derive(Debug)]
pub(super) struct BaseLayer {
    pub(super) place: Place,
    /// `[out, in]`, or `[out, in, kernel height, kernel width]`.
    pub(super) shape: Vec<usize>,
}

/// How many layers of each text encoder the model uses: SD 2.x's single files hold one more.
struct UsedTextLayers(BTreeMap<Component, usize>);

impl UsedTextLayers {
    /// A text encoder without a config that can be read is taken to use all that is there.
    fn of(checkpoint: &Checkpoint) -> Self {
        let used = [Component::TextEncoder, Component::TextEncoder2].map(|component| {
            let config = checkpoint.config::<TextEncoderConfig>(component).ok()?;
            Some((component, config.num_hidden_layers))
        });
        Self(used.into_iter().flatten().collect())
    }

    fn has(&self, name: &ModuleName) -> bool {
        let used = self.0.get(&name.component());
        name.text_layer()
            .zip(used)
            .is_none_or(|(layer, used)| layer < *used)
    }
}

impl BaseLayers {
    /// Looks up every layer that an adapter can sit on.
    pub(super) fn of(checkpoint: &Checkpoint) -> Result<Self, SafetensorsFileError> {
        let mut base = Self {
            files: BTreeMap::new(),
            layers: BTreeMap::new(),
        };
        let mut taken = BTreeSet::new();
        let used = UsedTextLayers::of(checkpoint);
        for name in ModuleName::candidates().filter(|name| used.has(name)) {
            let key = format!("{}.weight", name.path());
            let Some(place) = checkpoint.locate(name.component(), &key) else {
                continue;
            };
            let first_row = place.rows.as_ref().map(|rows| rows.start);
            if taken.insert((place.file.clone(), place.key.clone(), first_row)) {
                let layer = base.layer(place)?;
                base.layers.insert(name, layer);
            }
        }
        Ok(base)
    }

    fn layer(&mut self, place: Place) -> Result<BaseLayer, SafetensorsFileError> {
        if !self.files.contains_key(&place.file) {
            let file = SafetensorsFile::open(&place.file)?;
            self.files.insert(place.file.clone(), file);
        }
        let info = self.files[&place.file].info(&place.key);
        let mut shape = info.map(|info| info.shape.clone()).unwrap_or_default();
        if let (Some(rows), Some(height)) = (&place.rows, shape.first_mut()) {
            *height = rows.len();
        }
        if place.transposed {
            shape.reverse();
        }
        Ok(BaseLayer { place, shape })
    }

    pub(super) fn get(&self, name: &ModuleName) -> Option<&BaseLayer> {
        self.layers.get(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ModuleName, &BaseLayer)> {
        self.layers.iter()
    }

    /// The files that hold the layers.
    pub(super) fn files(&self) -> impl Iterator<Item = &SafetensorsFile> {
        self.files.values()
    }

    /// The file at `path`, which holds layers.
    pub(super) fn file(&self, path: &Path) -> Option<&SafetensorsFile> {
        self.files.get(path)
    }

    /// Reads a layer's weight in the shape that [`BaseLayer::shape`] says.
    pub(super) fn read(&self, layer: &BaseLayer) -> Result<RawTensor, SafetensorsFileError> {
        let (place, file) = (&layer.place, &self.files[&layer.place.file]);
        let raw = match &place.rows {
            Some(rows) => file.read_rows(&place.key, rows.clone())?,
            None => file.read(&place.key)?,
        };
        Ok(if place.transposed {
            raw.transposed()
        } else {
            raw
        })
    }
}
