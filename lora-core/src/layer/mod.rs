//! Frozen layers: weights read once, shared, never trained; linear and convolution layers carry an adapter slot.

mod conv2d;
mod group_norm;
mod layer_norm;
mod linear;

pub use conv2d::Conv2d;
pub use group_norm::GroupNorm;
pub use layer_norm::LayerNorm;
pub use linear::Linear;
