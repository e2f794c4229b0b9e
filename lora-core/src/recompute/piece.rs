//! Recomputing a part of a network, with the adapters in it.

use std::sync::Arc;

use burn::{
    backend::{Dispatch, DispatchTensor},
    tensor::Tensor,
};

use super::backend::{Recomputing, Work};
use crate::adapter::Site;

/// A part of a network whose layers hold adapters.
pub(crate) trait Piece: Clone + Send + Sync + 'static {
    /// Offers every adaptable layer, always in the same order.
    fn each_site(&mut self, visit: &mut dyn FnMut(Site<'_>));

    /// Offers every matrix of the adapters.
    fn each_matrix(&mut self, visit: &mut dyn FnMut(&mut Tensor<2>)) {
        self.each_site(&mut |site| {
            for adapter in site.slot.iter_mut() {
                adapter.each_part(&mut |_, matrix| visit(matrix));
            }
        });
    }
}

/// `forward(part, inputs)`, of which nothing is kept for the backward pass but the inputs, which may have any rank.
///
/// Matrices that learn are inputs too, without being named. `forward` must give the same each time. Where nothing tracks
/// gradients, it simply runs.
pub(crate) fn recomputed<P: Piece>(
    part: &P,
    mut inputs: Vec<DispatchTensor>,
    forward: impl Fn(&P, Vec<DispatchTensor>) -> DispatchTensor + Send + Sync + 'static,
) -> DispatchTensor {
    let mut constant = part.clone();
    let mut learning = Vec::new();
    let mut places = Vec::new();
    constant.each_matrix(&mut |matrix| {
        let learns = matrix.is_tracked();
        places.push(learns);
        if learns {
            learning.push(matrix.clone());
            // What is kept for later must hold nothing of the graph under way.
            *matrix = matrix.clone().inner();
        }
    });
    let is_tracked = |input: &DispatchTensor| Tensor::<1>::from_dispatch(input.clone()).is_tracked();
    if learning.is_empty() && !inputs.iter().any(is_tracked) {
        return forward(part, inputs);
    }
    let matrices = learning.iter().map(Tensor::dims).collect();
    if !learning.is_empty() {
        let flat = learning.into_iter().map(|matrix| matrix.flatten::<1>(0, 1));
        inputs.push(Tensor::cat(flat.collect(), 0).into_dispatch());
    }
    let work = Work {
        matrices,
        forward: Arc::new(move |inputs, matrices| {
            let mut part = constant.clone();
            let (mut places, mut matrices) = (places.iter(), matrices.into_iter());
            part.each_matrix(&mut |matrix| {
                if places.next() == Some(&true)
                    && let Some(learning) = matrices.next()
                {
                    *matrix = learning;
                }
            });
            forward(&part, inputs)
        }),
    };
    <Dispatch as Recomputing>::recomputed(inputs, work)
}
