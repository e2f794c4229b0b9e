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

use super::backend::{Recomputing, Work};

/// The most inputs that work has: burn asks how many parents an operation has before it runs.
const MOST_INPUTS: usize = 5;

#[derive(Debug)]
struct RecomputedBackward;

impl<B: Recomputing> Backward<B, MOST_INPUTS> for RecomputedBackward {
    type State = (Vec<FloatTensor<B>>, Work);

    fn backward(
        self,
        ops: Ops<Self::State, MOST_INPUTS>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<B>(&ops.node);
        let (inputs, work) = ops.state;
        let wanted = ops.parents.iter().take(inputs.len());
        let wanted = wanted.map(Option::is_some).collect();
        let gradients = B::recomputed_backward(inputs, wanted, grad, work);
        for (parent, gradient) in ops.parents.into_iter().flatten().zip(gradients) {
            grads.register::<B>(parent.id, gradient);
        }
    }
}

impl<B: Recomputing, C: CheckpointStrategy> Recomputing for Autodiff<B, C> {
    fn recomputed(inputs: Vec<FloatTensor<Self>>, work: Work) -> FloatTensor<Self> {
        assert!(inputs.len() <= MOST_INPUTS, "work has too many inputs");
        let none = FloatTensor::<Self>::new(inputs[0].primitive().clone());
        let nodes = std::array::from_fn(|index| inputs.get(index).unwrap_or(&none).node());
        let inputs = inputs.into_iter().map(FloatTensor::<Self>::into_primitive);
        let inputs: Vec<FloatTensor<B>> = inputs.collect();
        let output = B::recomputed(inputs.clone(), work.clone());
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
        _: Vec<FloatTensor<Self>>,
        _: Vec<bool>,
        _: FloatTensor<Self>,
        _: Work,
    ) -> Vec<FloatTensor<Self>> {
        panic!("second derivatives of recomputed work are not defined")
    }
}
