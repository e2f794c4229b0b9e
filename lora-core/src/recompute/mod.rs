//! Activation checkpointing (Chen et al. 2016): a part of a network keeps its inputs only, and is computed a second time when
//! its gradients are wanted.

mod autodiff;
mod backend;
mod piece;

use serde::{Deserialize, Serialize};

pub(crate) use piece::{Piece, recomputed};

/// How much of a forward pass is kept for the backward pass, and how much is computed again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActivationCheckpointing {
    /// Everything is kept.
    #[default]
    None,
    /// Each block of the UNet keeps its inputs, and its forward pass runs twice.
    Block,
    /// Within a block that is computed again, each resnet and each transformer layer is, once more: least memory, three forward
    /// passes.
    Aggressive,
}
