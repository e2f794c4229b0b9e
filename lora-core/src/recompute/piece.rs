//! Recomputing a part of a network, with the adapters in it.

use std::sync::Arc;

use burn::{
    backend::{Dispatch, DispatchTensor},
    tensor::Tensor,
};

use super::backend::{INPUTS, Inputs, Recomputing, Work};
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

/// `forward(part, inputs)`, of which nothing is kept for the backward pass but the inputs, at most four,
/// of any rank.
///
/// Matrices that learn are inputs too, without being named. `forward` must give the same each time. Where nothing tracks
/// gradients, it simply runs.
pub(crate) fn recomputed<P: Piece>(
    part: &P,
    inputs: Vec<DispatchTensor>,
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
    let is_tracked =
        |input: &DispatchTensor| Tensor::<1>::from_dispatch(input.clone()).is_tracked();
    if learning.is_empty() && !inputs.iter().any(is_tracked) {
        return forward(part, inputs);
    }
    let matrices = learning.iter().map(Tensor::dims).collect();
    let flat: Vec<Tensor<1>> = learning.into_iter().map(|x| x.flatten(0, 1)).collect();
    let flat = (!flat.is_empty()).then(|| Tensor::cat(flat, 0).into_dispatch());
    let work = Work {
        matrices,
        inputs: inputs.len(),
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
    // What work does not take must be there, and must not track gradients.
    let none = Tensor::<1>::from_dispatch(inputs[0].clone())
        .inner()
        .into_dispatch();
    let mut all: [DispatchTensor; INPUTS] = std::array::from_fn(|_| none.clone());
    for (place, input) in all.iter_mut().zip(inputs) {
        *place = input;
    }
    if let Some(flat) = flat {
        all[INPUTS - 1] = flat;
    }
    <Dispatch as Recomputing>::recomputed(Inputs::from_array(all), work)
}
