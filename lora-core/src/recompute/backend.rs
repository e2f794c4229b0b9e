//! Recomputing as a burn backend extension.

use std::{fmt, sync::Arc};

#[cfg(feature = "cube")]
use burn::backend::Cube;
use burn::{
    backend::{
        Backend, Dispatch, DispatchKindConversion, DispatchTensor, ExtensionType, Flex,
        TensorMetadata, backend_extension, ops::FloatTensorOps, tensor::FloatTensor,
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
    /// How many of the inputs it takes.
    pub(super) inputs: usize,
    /// Shapes of the matrices, which lie one behind the other in an input of their own.
    pub(super) matrices: Vec<[usize; 2]>,
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Work")
    }
}

/// All that work can take: burn asks how many parents an operation has before it runs. What work does not take is any tensor.
#[derive(Clone, Debug, ExtensionType)]
pub struct Inputs<B: Backend> {
    pub(super) first: FloatTensor<B>,
    pub(super) second: FloatTensor<B>,
    pub(super) third: FloatTensor<B>,
    pub(super) fourth: FloatTensor<B>,
    /// The matrices that learn, flat.
    pub(super) matrices: FloatTensor<B>,
}

/// How many there are.
pub(super) const INPUTS: usize = 5;

impl<B: Backend> Inputs<B> {
    pub(super) fn into_array(self) -> [FloatTensor<B>; INPUTS] {
        [
            self.first,
            self.second,
            self.third,
            self.fourth,
            self.matrices,
        ]
    }

    pub(super) fn from_array(inputs: [FloatTensor<B>; INPUTS]) -> Self {
        let [first, second, third, fourth, matrices] = inputs;
        Self {
            first,
            second,
            third,
            fourth,
            matrices,
        }
    }
}

/// Running a piece of a network without keeping what is inside it.
#[backend_extension(Flex, Cube: cfg(feature = "cube"), Autodiff)]
pub trait Recomputing: Backend {
    /// Does the `work`.
    fn recomputed(#[extension_type] inputs: Inputs<Self>, work: Work) -> FloatTensor<Self>;
    /// The gradients in those inputs that are `wanted`, in order, by doing the `work` again.
    fn recomputed_backward(
        #[extension_type] inputs: Inputs<Self>,
        wanted: [bool; INPUTS],
        grad: FloatTensor<Self>,
        work: Work,
    ) -> Vec<FloatTensor<Self>>;
}

impl Work {
    fn matrices(&self, flat: DispatchTensor) -> Vec<Tensor<2>> {
        let flat: Tensor<1> = Tensor::from_dispatch(flat);
        let mut first = 0;
        let cut = |[rows, columns]: &[usize; 2]| {
            let range = first..first + rows * columns;
            first = range.end;
            flat.clone().slice([range]).reshape([*rows, *columns])
        };
        self.matrices.iter().map(cut).collect()
    }

    fn forward(&self, inputs: [DispatchTensor; INPUTS]) -> DispatchTensor {
        let mut inputs = Vec::from(inputs);
        let matrices = inputs.pop().map(|flat| self.matrices(flat));
        inputs.truncate(self.inputs);
        (self.forward)(inputs, matrices.unwrap_or_default())
    }

    /// As [`Recomputing::recomputed_backward`].
    fn backward(
        &self,
        inputs: [DispatchTensor; INPUTS],
        wanted: [bool; INPUTS],
        grad: DispatchTensor,
    ) -> Vec<DispatchTensor> {
        let mut inputs = Vec::from(inputs);
        // A leaf for each matrix, not for all in one: the gradient of a cut is as large as what it was cut from.
        let matrices = inputs.pop().map(|flat| self.matrices(flat));
        let matrices = matrices.unwrap_or_default().into_iter();
        let matrices: Vec<Tensor<2>> = matrices.map(|x| x.autodiff().require_grad()).collect();
        inputs.truncate(self.inputs);
        for (input, _) in inputs.iter_mut().zip(wanted).filter(|(_, wanted)| *wanted) {
            let leaf: Tensor<1> = Tensor::from_dispatch(input.clone());
            *input = leaf.autodiff().require_grad().into_dispatch();
        }
        let output = (self.forward)(inputs.clone(), matrices.clone());
        // With the output's gradient held constant, the sum of the product has the gradients that are asked for.
        let grad: Tensor<1> = Tensor::from_dispatch(grad);
        let product = Dispatch::float_mul(output, grad.autodiff().into_dispatch());
        let sum: Tensor<1> = Tensor::from_dispatch(Dispatch::float_sum(product));
        // Untracked where everything that learns was dropped.
        let mut gradients = sum.is_tracked().then(|| sum.backward());
        let mut gradient = |leaf: DispatchTensor| {
            let leaf: Tensor<1> = Tensor::from_dispatch(leaf);
            let found = gradients.as_mut().and_then(|all| leaf.grad_remove(all));
            found.map_or_else(
                || zeros(&leaf.inner().into_dispatch()),
                Tensor::into_dispatch,
            )
        };
        let wanted = inputs.into_iter().zip(wanted).filter(|(_, wanted)| *wanted);
        let mut found: Vec<DispatchTensor> = wanted.map(|(input, _)| gradient(input)).collect();
        if !matrices.is_empty() {
            let flat = matrices.into_iter().map(|matrix| {
                let gradient: Tensor<2> = Tensor::from_dispatch(gradient(matrix.into_dispatch()));
                gradient.flatten::<1>(0, 1)
            });
            found.push(Tensor::cat(flat.collect(), 0).into_dispatch());
        }
        found
    }
}

fn zeros(like: &DispatchTensor) -> DispatchTensor {
    Dispatch::float_zeros(like.shape(), &like.device(), like.dtype().into())
}

/// The same lines for each backend, which burn's traits let nobody write once.
macro_rules! recomputing_on {
    ($backend:ty) => {
        impl Recomputing for $backend {
            fn recomputed(inputs: Inputs<Self>, work: Work) -> FloatTensor<Self> {
                lowered::<Self>(work.forward(inputs.into_array().map(lifted::<Self>)))
            }

            fn recomputed_backward(
                inputs: Inputs<Self>,
                wanted: [bool; INPUTS],
                grad: FloatTensor<Self>,
                work: Work,
            ) -> Vec<FloatTensor<Self>> {
                let inputs = inputs.into_array().map(lifted::<Self>);
                let gradients = work.backward(inputs, wanted, lifted::<Self>(grad));
                gradients.into_iter().map(lowered::<Self>).collect()
            }
        }
    };
}

recomputing_on!(Flex);
#[cfg(feature = "cube")]
recomputing_on!(Cube);

/// A backend's tensor as the tensors that networks take.
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
