//! The backward passes: each keeps its input (softmax its output) and nothing else.

use burn::backend::{
    Autodiff,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};

use super::{
    backend::{CpuOps, Heads, Pair, Pointwise, Rows},
    first_order_only,
};

#[derive(Debug)]
struct PointwiseBackward;
#[derive(Debug)]
struct GegluBackward;
#[derive(Debug)]
struct SoftmaxBackward;
#[derive(Debug)]
struct NormaliseBackward;
#[derive(Debug)]
struct AttentionBackward;
#[derive(Debug)]
struct LowRankBackward;

/// Sends the gradient of an operation's output on to its one differentiable input.
macro_rules! backward_of_one_input {
    ($operation:ty, $state:ty, $gradient:expr) => {
        impl<B: CpuOps> Backward<B, 1> for $operation {
            type State = $state;

            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let grad = grads.consume::<B>(&ops.node);
                let [parent] = ops.parents;
                if let Some(parent) = parent {
                    let gradient: fn(Self::State, FloatTensor<B>) -> FloatTensor<B> = $gradient;
                    grads.register::<B>(parent.id, gradient(ops.state, grad));
                }
            }
        }
    };
}

backward_of_one_input!(
    PointwiseBackward,
    (FloatTensor<B>, Pointwise),
    |(x, function), grad| { B::pointwise_backward(x, grad, function) }
);
backward_of_one_input!(GegluBackward, FloatTensor<B>, |x, grad| B::geglu_backward(
    x, grad
));
backward_of_one_input!(SoftmaxBackward, FloatTensor<B>, |output, grad| {
    B::softmax_last_backward(output, grad)
});
backward_of_one_input!(
    NormaliseBackward,
    (FloatTensor<B>, FloatTensor<B>, Rows, f64),
    |(x, weight, rows, epsilon), grad| B::normalise_backward(x, weight, grad, rows, epsilon)
);

/// Inputs, outputs and shape of an attention.
type Attended<B> = ([FloatTensor<B>; 3], FloatTensor<B>, FloatTensor<B>, Heads);

impl<B: CpuOps> Backward<B, 3> for AttentionBackward {
    type State = Attended<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<B>(&ops.node);
        let ([query, key, value], output, logs, heads) = ops.state;
        let gradients = B::blocked_attention_backward(query, key, value, output, logs, grad, heads);
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

/// Input, frozen weight, the two factors and what lies between them.
type Adapted<B> = ([FloatTensor<B>; 5], Pair);

impl<B: CpuOps> Backward<B, 3> for LowRankBackward {
    type State = Adapted<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<B>(&ops.node);
        let ([x, weight, down, up, hidden], pair) = ops.state;
        let pair = Pair {
            passes_on: ops.parents[2].is_some(),
            ..pair
        };
        let gradients = B::low_rank_linear_backward(x, weight, down, up, hidden, grad, pair);
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

impl<B: CpuOps, C: CheckpointStrategy> CpuOps for Autodiff<B, C> {
    fn pointwise(x: FloatTensor<Self>, function: Pointwise) -> FloatTensor<Self> {
        let output = B::pointwise(x.primitive().clone(), function);
        match PointwiseBackward
            .prepare::<C>([x.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish((x.primitive().clone(), function), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn geglu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let output = B::geglu(x.primitive().clone());
        match GegluBackward
            .prepare::<C>([x.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish(x.primitive().clone(), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn softmax_last(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let node = x.node();
        let output = B::softmax_last(x.primitive().clone());
        match SoftmaxBackward
            .prepare::<C>([node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish(output.clone(), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn normalise(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        rows: Rows,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        let (weight, bias) = (weight.primitive().clone(), bias.primitive().clone());
        let output = B::normalise(x.primitive().clone(), weight.clone(), bias, rows, epsilon);
        match NormaliseBackward
            .prepare::<C>([x.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                prep.finish((x.primitive().clone(), weight, rows, epsilon), output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn blocked_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        heads: Heads,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [query.node(), key.node(), value.node()];
        let [query, key, value] = [query, key, value].map(FloatTensor::<Self>::into_primitive);
        let (output, logs) = B::blocked_attention(query.clone(), key.clone(), value.clone(), heads);
        let constant = FloatTensor::<Self>::new(logs.clone());
        let output = match AttentionBackward
            .prepare::<C>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                prep.finish(([query, key, value], output.clone(), logs, heads), output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        };
        (output, constant)
    }

    fn low_rank_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        down: FloatTensor<Self>,
        up: FloatTensor<Self>,
        pair: Pair,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [down.node(), up.node(), x.node()];
        let [x, weight, bias, down, up] =
            [x, weight, bias, down, up].map(FloatTensor::<Self>::into_primitive);
        let (output, hidden) = B::low_rank_linear(
            x.clone(),
            weight.clone(),
            bias,
            down.clone(),
            up.clone(),
            pair,
        );
        let constant = FloatTensor::<Self>::new(hidden.clone());
        let output = match LowRankBackward
            .prepare::<C>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish(([x, weight, down, up, hidden], pair), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        };
        (output, constant)
    }

    fn low_rank_linear_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Pair,
    ) -> Vec<FloatTensor<Self>> {
        first_order_only()
    }

    fn blocked_attention_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Heads,
    ) -> Vec<FloatTensor<Self>> {
        first_order_only()
    }

    fn pointwise_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Pointwise,
    ) -> FloatTensor<Self> {
        first_order_only()
    }

    fn geglu_backward(_: FloatTensor<Self>, _: FloatTensor<Self>) -> FloatTensor<Self> {
        first_order_only()
    }

    fn softmax_last_backward(_: FloatTensor<Self>, _: FloatTensor<Self>) -> FloatTensor<Self> {
        first_order_only()
    }

    fn normalise_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Rows,
        _: f64,
    ) -> FloatTensor<Self> {
        first_order_only()
    }
}
