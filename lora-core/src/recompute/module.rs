//! Recomputing a part of a network, with the adapters in it.

use burn::tensor::Tensor;

use super::again;
use crate::adapter::Site;

/// A part of a network whose layers hold adapters.
pub(crate) trait Recomputed: Clone + Send + Sync + 'static {
    /// Offers every adaptable layer, always in the same order.
    fn each_site(&mut self, visit: &mut dyn FnMut(Site<'_>));
}

/// `forward(part, inputs)`, of which nothing is kept for the backward pass but the inputs.
///
/// What the adapters learn are inputs too. Where nothing tracks gradients, `forward` simply runs.
pub(crate) fn recomputed<P: Recomputed, const N: usize, const D: usize>(
    part: &P,
    inputs: Inputs<N>,
    forward: impl Fn(&P, Inputs<N>) -> Tensor<D> + Send + Sync + 'static,
) -> Tensor<D> {
    todo!()
}
