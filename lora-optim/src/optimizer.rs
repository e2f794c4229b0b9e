//! The trait that every optimiser implements.

use burn::tensor::{DType, Device, Tensor};

use crate::{Matrices, Rates, State, StateError};

/// Moves named matrices against their gradients, and can be stopped and continued without a trace.
///
/// It sees all matrices at once, because some rules (D-Adaptation, Prodigy) need sums over all of them.
/// Every implementation must pass the conformance table in `tests/golden/conformance.rs`.
pub trait Optimizer: Send {
    /// Moves `params` one step against `grads`, each matrix at the rate of its key.
    ///
    /// A parameter without a gradient stays untouched, also under weight decay, as in PyTorch. Gradients may be of any
    /// float type; [`pair`] makes them f32.
    ///
    /// A gradient that is not finite makes the matrix or the state so, of its whole [rate group](Rates::group) where the
    /// rule sums over that: nothing is read back here to notice it. Whoever trains watches
    /// [the gradients' norm](crate::global_norm), which is then not finite either, and stops.
    ///
    /// # Errors
    /// When gradients and parameters do not fit together; then nothing has moved.
    fn step(
        &mut self,
        params: &mut Matrices,
        grads: Matrices,
        rates: &Rates,
    ) -> Result<(), OptimizerError>;

    /// The matrices to draw with and to save, where they are not `params` themselves: methods without a schedule train
    /// beside an average, and the average is what they are for.
    ///
    /// `params` are those of the last [`step`](Self::step).
    fn averaged(&self, params: &Matrices) -> Option<Matrices> {
        let _ = params;
        None
    }

    /// The whole state, read back to the host: an optimiser of the same config that is restored from it takes the very
    /// same steps, bit for bit.
    fn state(&self) -> State;

    /// Replaces the whole state with a saved one, placed on `device`.
    ///
    /// # Errors
    /// When the state is incomplete or another optimiser's; then the present state is kept.
    fn restore(&mut self, state: State, device: &Device) -> Result<(), StateError>;
}

/// Why a step was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptimizerError {
    /// Gradients came under keys that no parameter has.
    #[error("gradients without a parameter: {}", keys.join(", "))]
    UnknownKeys {
        /// All such keys.
        keys: Vec<String>,
    },
    /// A gradient is shaped unlike its parameter.
    #[error("the gradient of `{key}` has the shape {gradient:?}, its parameter {parameter:?}")]
    GradientShape {
        /// The parameter's key.
        key: String,
        /// Rows and columns of the parameter.
        parameter: [usize; 2],
        /// Rows and columns of the gradient.
        gradient: [usize; 2],
    },
    /// The state, probably restored from another run, belongs to a matrix of another shape.
    #[error(
        "the optimiser's state of `{key}` is for the shape {state:?}, the parameter has {parameter:?}"
    )]
    StateShape {
        /// The parameter's key.
        key: String,
        /// Rows and columns of the parameter.
        parameter: [usize; 2],
        /// Rows and columns that the state was made for.
        state: [usize; 2],
    },
    /// The learning rates divide the matrices into other groups than the state, probably restored from another run.
    #[error(
        "the optimiser's state was made with {} of distinct learning rates, now there are {}: which parts of the network \
         share a rate must not change within a run",
        listed(state),
        listed(rates)
    )]
    RateGroups {
        /// The [groups](Rates::group) of the present rates.
        rates: Vec<String>,
        /// Those of the state.
        state: Vec<String>,
    },
}

fn listed(groups: &[String]) -> String {
    let of = |name: &String| match name.as_str() {
        "" => "the default".to_owned(),
        prefix => format!("`{prefix}`"),
    };
    let names: Vec<String> = groups.iter().map(of).collect();
    format!("{} group(s) ({})", groups.len(), names.join(", "))
}

/// The parameters that have a gradient, in key order, each with its gradient; the usual first line of a
/// [step](Optimizer::step).
///
/// This is where gradients become f32, whatever they were computed in: parameters and states are f32 always.
///
/// # Errors
/// When a gradient has no parameter or another shape.
pub fn pair(
    params: &mut Matrices,
    mut grads: Matrices,
) -> Result<Vec<(&str, &mut Tensor<2>, Tensor<2>)>, OptimizerError> {
    let keys: Vec<String> = grads
        .keys()
        .filter(|key| !params.contains_key(*key))
        .cloned()
        .collect();
    if !keys.is_empty() {
        return Err(OptimizerError::UnknownKeys { keys });
    }
    let mut pairs = Vec::with_capacity(grads.len());
    for (key, param) in params {
        let Some(grad) = grads.remove(key) else {
            continue;
        };
        let (parameter, gradient) = (param.dims(), grad.dims());
        if parameter != gradient {
            return Err(OptimizerError::GradientShape {
                key: key.clone(),
                parameter,
                gradient,
            });
        }
        pairs.push((key.as_str(), param, grad.cast(DType::F32)));
    }
    Ok(pairs)
}
