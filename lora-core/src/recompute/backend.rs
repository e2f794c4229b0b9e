//! Recomputing as a burn backend extension.

use std::{fmt, sync::Arc};

#[cfg(any(feature = "wgpu", feature = "cuda"))]
use burn::backend::Cube;
use burn::{
    backend::{
        Backend, Dispatch, DispatchKindConversion, DispatchTensor, Flex, TensorMetadata,
        backend_extension, ops::FloatTensorOps, tensor::FloatTensor,
    },
    tensor::Tensor,
};

/// What is computed, and computed again, from inputs of any rank and the matrices that learn.
pub(super) type Forward =
    dyn Fn(Vec<DispatchTensor>, Vec<Tensor<2>>) -> DispatchTensor + Send + Sync;

/// Work that can be done again.
#[derive(Clone)]
pub struct Work {
    pub(super) forward: Arc<Forward>,
    /// Shapes of the matrices, which lie one behind the other in the last input. Empty where there is no such input.
    pub(super) matrices: Vec<[usize; 2]>,
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Work")
    }
}

impl Work {
    /// Cuts the matrices out of the last input.
    fn split(&self, inputs: &mut Vec<DispatchTensor>) -> Vec<Tensor<2>> {
        if self.matrices.is_empty() {
            return Vec::new();
        }
        let flat: Option<Tensor<1>> = inputs.pop().map(Tensor::from_dispatch);
        let mut first = 0;
        let cut = |[rows, columns]: &[usize; 2]| {
            let range = first..first + rows * columns;
            first = range.end;
            let flat = flat.clone()?;
            Some(flat.slice([range]).reshape([*rows, *columns]))
        };
        self.matrices.iter().filter_map(cut).collect()
    }
}

/// Running a piece of a network without keeping what is inside it.
#[backend_extension(Flex, Cube: cfg(any(feature = "wgpu", feature = "cuda")), Autodiff)]
pub trait Recomputing: Backend {
    /// Does the `work`.
    fn recomputed(inputs: Vec<FloatTensor<Self>>, work: Work) -> FloatTensor<Self>;
    /// The gradients in those `inputs` that are `wanted`, in order, by doing the `work` again.
    fn recomputed_backward(
        inputs: Vec<FloatTensor<Self>>,
        wanted: Vec<bool>,
        grad: FloatTensor<Self>,
        work: Work,
    ) -> Vec<FloatTensor<Self>>;
}

fn forward(mut inputs: Vec<DispatchTensor>, work: &Work) -> DispatchTensor {
    let matrices = work.split(&mut inputs);
    (work.forward)(inputs, matrices)
}

/// As [`Recomputing::recomputed_backward`].
fn backward(
    mut inputs: Vec<DispatchTensor>,
    wanted: &[bool],
    grad: DispatchTensor,
    work: &Work,
) -> Vec<DispatchTensor> {
    // A leaf for each matrix, not for all in one: the gradient of a cut is as large as what it was cut from.
    let matrices = work.split(&mut inputs).into_iter();
    let matrices: Vec<Tensor<2>> = matrices.map(|x| x.autodiff().require_grad()).collect();
    let leaf = |(input, wanted): (DispatchTensor, &bool)| {
        let input: Tensor<1> = Tensor::from_dispatch(input);
        let input = if *wanted { input.autodiff().require_grad() } else { input };
        input.into_dispatch()
    };
    let inputs: Vec<DispatchTensor> = inputs.into_iter().zip(wanted).map(leaf).collect();
    let output = (work.forward)(inputs.clone(), matrices.clone());
    // With the output's gradient held constant, the sum of the product has the gradients that are asked for.
    let grad: Tensor<1> = Tensor::from_dispatch(grad);
    let product = Dispatch::float_mul(output, grad.autodiff().into_dispatch());
    let sum: Tensor<1> = Tensor::from_dispatch(Dispatch::float_sum(product));
    // Untracked where everything that learns was dropped.
    let mut gradients = sum.is_tracked().then(|| sum.backward());
    let mut gradient = |leaf: DispatchTensor| {
        let leaf: Tensor<1> = Tensor::from_dispatch(leaf);
        let found = gradients.as_mut().and_then(|all| leaf.grad_remove(all));
        found.map_or_else(|| zeros(leaf.inner().into_dispatch()), Tensor::into_dispatch)
    };
    let mut found = Vec::new();
    for (input, _) in inputs.into_iter().zip(wanted).filter(|(_, wanted)| **wanted) {
        found.push(gradient(input));
    }
    if !matrices.is_empty() {
        let flat = matrices.into_iter().map(|matrix| {
            let gradient: Tensor<2> = Tensor::from_dispatch(gradient(matrix.into_dispatch()));
            gradient.flatten::<1>(0, 1)
        });
        found.push(Tensor::cat(flat.collect(), 0).into_dispatch());
    }
    found
}

fn zeros(like: DispatchTensor) -> DispatchTensor {
    Dispatch::float_zeros(like.shape(), &like.device(), like.dtype().into())
}

/// A backend's tensors as the tensors that networks take, and back: the same lines for each, which burn's traits let nobody
/// write once.
macro_rules! recomputing_on {
    ($backend:ty) => {
        impl Recomputing for $backend {
            fn recomputed(inputs: Vec<FloatTensor<Self>>, work: Work) -> FloatTensor<Self> {
                let inputs = inputs.into_iter().map(lifted).collect();
                lowered(forward(inputs, &work))
            }

            fn recomputed_backward(
                inputs: Vec<FloatTensor<Self>>,
                wanted: Vec<bool>,
                grad: FloatTensor<Self>,
                work: Work,
            ) -> Vec<FloatTensor<Self>> {
                let inputs = inputs.into_iter().map(lifted).collect();
                let gradients = backward(inputs, &wanted, lifted(grad), &work);
                gradients.into_iter().map(lowered).collect()
            }
        }
    };
}

recomputing_on!(Flex);
#[cfg(any(feature = "wgpu", feature = "cuda"))]
recomputing_on!(Cube);

fn lifted<B: Backend>(x: FloatTensor<B>) -> DispatchTensor
where
    DispatchTensor: DispatchKindConversion<B>,
{
    Tensor::<1>::from_primitive::<B>(x).into_dispatch()
}

fn lowered<B: Backend>(x: DispatchTensor) -> FloatTensor<B>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    match Tensor::<1>::from_dispatch(x).try_into_primitive::<B>() {
        Ok(x) => x,
        Err(error) => unreachable!("work left its backend: {error:?}"),
    }
}
