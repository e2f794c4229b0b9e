//! Whether the modules of a LoRA sit on the layers of a base model.

use std::fmt;

use super::base_layers::{BaseLayer, BaseLayers};
use crate::ModuleName;
use crate::lora_file::LoraModule;

/// Why a module cannot be applied to a base model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// The base model has no such layer.
    #[error("{module}: the base model has no such layer")]
    NoLayer {
        /// The module's name.
        module: String,
    },
    /// The layer is of another size.
    #[error("{module}: down {down:?} and up {up:?} are not for a weight of shape {weight:?}")]
    Shape {
        /// The module's name.
        module: String,
        /// Shape of the down factor.
        down: Vec<usize>,
        /// Shape of the up factor.
        up: Vec<usize>,
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
/// A linear layer and a 1×1 convolution have the same numbers, so either may be written as the other.
pub(super) fn layer_of<'a>(
    name: &str,
    module: &LoraModule,
    base: &'a BaseLayers,
) -> Result<&'a BaseLayer, Misfit> {
    let path = ModuleName::from_kohya(name);
    let Some(layer) = path.and_then(|path| base.get(&path)) else {
        return Err(Misfit::NoLayer {
            module: name.to_owned(),
        });
    };
    let (down, up) = (module.down.shape(), module.up.shape());
    let outputs_fit = up.first() == layer.shape.first();
    let inputs_fit = same_but_for_ones(
        down.get(1..).unwrap_or(&[]),
        layer.shape.get(1..).unwrap_or(&[]),
    );
    if outputs_fit && inputs_fit {
        return Ok(layer);
    }
    Err(Misfit::Shape {
        module: name.to_owned(),
        down: down.to_vec(),
        up: up.to_vec(),
        weight: layer.shape.clone(),
    })
}

/// Whether two shapes are equal once ones at their ends are left out.
fn same_but_for_ones(a: &[usize], b: &[usize]) -> bool {
    let trim = |shape: &[usize]| {
        let kept = shape
            .iter()
            .rposition(|&extent| extent != 1)
            .map_or(0, |last| last + 1);
        shape[..kept].to_vec()
    };
    trim(a) == trim(b)
}
