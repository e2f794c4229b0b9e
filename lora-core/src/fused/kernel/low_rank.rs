//! A frozen linear layer and a pair of thin factors beside it, summed up where the result lies.

use rayon::prelude::*;

use super::gemm::{Into, Layout, Threads, multiply};

/// Sizes of a linear layer with a pair of factors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Sizes {
    pub(in super::super) inputs: usize,
    pub(in super::super) outputs: usize,
    pub(in super::super) rank: usize,
}

impl Sizes {
    fn weight(self) -> Layout {
        Layout::rows(0, [self.outputs, self.inputs], self.inputs)
    }

    fn down(self) -> Layout {
        Layout::rows(0, [self.rank, self.inputs], self.inputs)
    }

    fn up(self) -> Layout {
        Layout::rows(0, [self.outputs, self.rank], self.rank)
    }
}

fn rows(count: usize, width: usize) -> Layout {
    Layout::rows(0, [count, width], width)
}

/// `x·Wᵀ + bias + scale·(x·downᵀ)·upᵀ`, and `x·downᵀ`, which the backward pass needs.
pub(in super::super) fn forward(
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    [down, up]: [&[f32]; 2],
    scale: f32,
    sizes: Sizes,
) -> (Vec<f32>, Vec<f32>) {
    let Sizes {
        inputs,
        outputs,
        rank,
    } = sizes;
    let count = x.len() / inputs;
    let mut hidden = vec![0.0; count * rank];
    multiply(
        (&mut hidden, rows(count, rank)),
        Into::Fresh,
        (x, rows(count, inputs)),
        (down, sizes.down().transposed()),
        1.0,
        Threads::Pool,
    );
    let mut out = vec![0.0; count * outputs];
    if let Some(bias) = bias {
        out.par_chunks_exact_mut(outputs)
            .for_each(|row| row.copy_from_slice(bias));
    }
    multiply(
        (&mut out, rows(count, outputs)),
        if bias.is_some() {
            Into::Sum
        } else {
            Into::Fresh
        },
        (x, rows(count, inputs)),
        (weight, sizes.weight().transposed()),
        1.0,
        Threads::Pool,
    );
    multiply(
        (&mut out, rows(count, outputs)),
        Into::Sum,
        (&hidden, rows(count, rank)),
        (up, sizes.up().transposed()),
        scale,
        Threads::Pool,
    );
    (out, hidden)
}

/// What the backward pass of [`forward`] starts from.
pub(in super::super) struct Given<'a> {
    pub(in super::super) x: &'a [f32],
    pub(in super::super) weight: &'a [f32],
    pub(in super::super) down: &'a [f32],
    pub(in super::super) up: &'a [f32],
    pub(in super::super) hidden: &'a [f32],
    pub(in super::super) grad: &'a [f32],
    pub(in super::super) scale: f32,
    pub(in super::super) sizes: Sizes,
}

impl Given<'_> {
    /// The gradients in `x`, where that is `wanted`, and in the two factors.
    pub(in super::super) fn gradients(&self, wanted: bool) -> (Option<Vec<f32>>, [Vec<f32>; 2]) {
        let Sizes {
            inputs,
            outputs,
            rank,
        } = self.sizes;
        let count = self.x.len() / inputs;
        let (x, grad) = (rows(count, inputs), rows(count, outputs));
        let thin = rows(count, rank);
        let product = |size: usize, layout, into, left, right, factor| {
            let mut out = vec![0.0; size];
            multiply((&mut out, layout), into, left, right, factor, Threads::Pool);
            out
        };
        let of_hidden = product(
            count * rank,
            thin,
            Into::Fresh,
            (self.grad, grad),
            (self.up, self.sizes.up()),
            self.scale,
        );
        let of_up = product(
            outputs * rank,
            self.sizes.up(),
            Into::Fresh,
            (self.grad, grad.transposed()),
            (self.hidden, thin),
            self.scale,
        );
        let of_down = product(
            rank * inputs,
            self.sizes.down(),
            Into::Fresh,
            (&of_hidden, thin.transposed()),
            (self.x, x),
            1.0,
        );
        let of_x = wanted.then(|| {
            let mut out = product(
                count * inputs,
                x,
                Into::Fresh,
                (self.grad, grad),
                (self.weight, self.sizes.weight()),
                1.0,
            );
            multiply(
                (&mut out, x),
                Into::Sum,
                (&of_hidden, thin),
                (self.down, self.sizes.down()),
                1.0,
                Threads::Pool,
            );
            out
        });
        (of_x, [of_down, of_up])
    }
}
