//! A module of a file, whatever it is made of.

use super::{LoraFile, LoraModule, LycorisModule};

/// A plain pair, or more than that.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ModuleInFile<'a> {
    Pair(&'a LoraModule),
    Lycoris(&'a LycorisModule),
}

impl<'a> ModuleInFile<'a> {
    /// The module `name` of `file`.
    pub(crate) fn of(file: &'a LoraFile, name: &str) -> Option<Self> {
        let pair = file.modules.get(name).map(Self::Pair);
        pair.or_else(|| file.lycoris.get(name).map(Self::Lycoris))
    }

    /// All modules of `file`.
    pub(crate) fn all(file: &'a LoraFile) -> impl Iterator<Item = (&'a str, Self)> {
        let pairs = file.modules.iter();
        let pairs = pairs.map(|(name, pair)| (name.as_str(), Self::Pair(pair)));
        let others = file.lycoris.iter();
        pairs.chain(others.map(|(name, module)| (name.as_str(), Self::Lycoris(module))))
    }

    pub(crate) fn parameters(self) -> usize {
        match self {
            Self::Pair(pair) => pair.parameters(),
            Self::Lycoris(module) => module.parameters(),
        }
    }

    pub(crate) fn is_finite(self) -> bool {
        match self {
            Self::Pair(pair) => pair.is_finite(),
            Self::Lycoris(module) => module.is_finite(),
        }
    }

    pub(crate) fn is_zero(self) -> bool {
        match self {
            Self::Pair(pair) => pair.is_zero(),
            Self::Lycoris(module) => module.is_zero(),
        }
    }

    /// Whether it is for a weight of this shape, `[out, in]` or `[out, in, kernel height, kernel width]`.
    pub(crate) fn fits(self, weight: &[usize]) -> bool {
        match self {
            Self::Pair(pair) => pair.fits(weight),
            Self::Lycoris(module) => {
                let receptive = weight.iter().skip(1).product();
                let outputs = weight.first().copied().unwrap_or(0);
                module.layer_shape() == Some([outputs, receptive]) && module.lengths_fit(weight)
            }
        }
    }

    /// Names and shapes of the tensors, for messages.
    pub(crate) fn shapes(self) -> Vec<(&'static str, Vec<usize>)> {
        match self {
            Self::Pair(pair) => vec![
                ("down", pair.down.shape().to_vec()),
                ("up", pair.up.shape().to_vec()),
            ],
            Self::Lycoris(module) => {
                let parts = module.parts.iter();
                parts
                    .map(|(part, data)| (*part, data.shape().to_vec()))
                    .collect()
            }
        }
    }
}

/// `down [4, 32] and up [64, 4]`.
pub(crate) fn listed(shapes: &[(&'static str, Vec<usize>)]) -> String {
    let shapes = shapes.iter();
    let named = shapes.map(|(part, shape)| format!("{part} {shape:?}"));
    named.collect::<Vec<_>>().join(" and ")
}
