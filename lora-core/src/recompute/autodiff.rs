//! The backward pass: the work is done again, in a graph of its own.

use burn::backend::{
    Autodiff,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};

use super::backend::{INPUTS, Inputs, Recomputing, Work};

#[derive(Debug)]
struct RecomputedBackward;

impl<B: Recomputing> Backward<B, INPUTS> for RecomputedBackward {
    type State = ([FloatTensor<B>; INPUTS], Work);

    fn backward(
        self,
        ops: Ops<Self::State, INPUTS>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<B>(&ops.node);
        let (inputs, work) = ops.state;
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let inputs = Inputs::from_array(inputs);
        let gradients = B::recomputed_backward(inputs, wanted, grad, work);
        for (parent, gradient) in ops.parents.into_iter().flatten().zip(gradients) {
            grads.register::<B>(parent.id, gradient);
        }
    }
}

impl<B: Recomputing, C: CheckpointStrategy> Recomputing for Autodiff<B, C> {
    fn recomputed(inputs: Inputs<Self>, work: Work) -> FloatTensor<Self> {
        let inputs = inputs.into_array();
        let nodes = inputs.each_ref().map(FloatTensor::<Self>::node);
        let inputs = inputs.map(FloatTensor::<Self>::into_primitive);
        let output = B::recomputed(Inputs::from_array(inputs.clone()), work.clone());
        match RecomputedBackward
            .prepare::<C>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish((inputs, work), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn recomputed_backward(
        _: Inputs<Self>,
        _: [bool; INPUTS],
        _: FloatTensor<Self>,
        _: Work,
    ) -> Vec<FloatTensor<Self>> {
        panic!("second derivatives of recomputed work are not defined")
    }
}
