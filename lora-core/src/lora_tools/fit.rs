//! Whether the modules of a LoRA sit on the layers of a base model.

use std::fmt;

use super::base_layers::{BaseLayer, BaseLayers};
use crate::ModuleName;
use crate::lora_file::{ModuleInFile, listed};

/// Why a module cannot be applied to a base model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// The base model has no such layer.
    #[error("{module}: the base model has no such layer")]
    NoLayer {
        /// The module's name.
        module: String,
    },
    /// The base model may have the layer, but there is no place for an adapter on it.
    #[error("{module}: a layer that this program does not adapt")]
    NotAdapted {
        /// The module's name.
        module: String,
    },
    /// The layer is of another size.
    #[error("{module}: {} are not for a weight of shape {weight:?}", listed(parts))]
    Shape {
        /// The module's name.
        module: String,
        /// Names and shapes of its tensors.
        parts: Vec<(&'static str, Vec<usize>)>,
        /// Shape of the frozen weight.
        weight: Vec<usize>,
    },
}

/// All misfits of one file; a message spells out the first twenty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfits(pub Vec<Misfit>);

impl fmt::Display for Misfits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 20;
        for misfit in self.0.iter().take(SHOWN) {
            write!(f, "\n  {misfit}")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            hidden => write!(f, "\n  and {hidden} more"),
        }
    }
}

/// The layer that the module `name` is for.
///
/// A linear layer and a 1×1 convolution fit one another, see [`ModuleInFile::fits`].
pub(super) fn layer_of<'a>(
    name: &str,
    module: ModuleInFile<'_>,
    base: &'a BaseLayers,
) -> Result<&'a BaseLayer, Misfit> {
    let path = ModuleName::from_kohya(name);
    let Some(layer) = path.as_ref().and_then(|path| base.get(path)) else {
        let module = name.to_owned();
        return Err(match path {
            Some(path) if !path.is_adapted() => Misfit::NotAdapted { module },
            _ => Misfit::NoLayer { module },
        });
    };
    if module.fits(&layer.shape) {
        return Ok(layer);
    }
    Err(Misfit::Shape {
        module: name.to_owned(),
        parts: module.shapes(),
        weight: layer.shape.clone(),
    })
}
