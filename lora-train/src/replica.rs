use std::collections::BTreeSet;

use burn::tensor::{Device, Tensor};
use lora_core::{BaseModel, Matrices, adapter::DropoutRates};

use crate::{Batch, Objective, backward::gradients};

/// The model that is trained, once more, on a device of its own: computes gradients for the [`Learner`](crate::Learner), which
/// alone moves the matrices.
pub(crate) struct Replica {
    model: BaseModel,
    device: Device,
}

impl Replica {
    pub(crate) fn new(model: BaseModel) -> Self {
        let device = model.unet.device();
        Self { model, device }
    }

    /// The loss of a batch, and `weight` times its gradients in the matrices of `params` that are not `frozen`, all on the
    /// replica's device. `dropping` says what the pass leaves out.
    pub(crate) fn accumulate(
        &mut self,
        objective: &dyn Objective,
        batch: &Batch,
        params: &Matrices,
        frozen: &BTreeSet<String>,
        dropping: (DropoutRates, [u64; 2]),
        weight: f64,
    ) -> (Tensor<1>, Matrices) {
        let (rates, pass) = dropping;
        self.model
            .set_dropout(rates, (!rates.is_off()).then_some(pass));
        let here = params.iter().map(|(key, matrix)| {
            let matrix = matrix.clone().to_device(&self.device);
            let learns = !frozen.contains(key);
            let leaf = if learns {
                matrix.autodiff().require_grad()
            } else {
                matrix
            };
            (key.clone(), leaf)
        });
        let leaves: Matrices = here.collect();
        self.model.set_factors(&leaves);
        let loss = objective.loss(&self.model, &batch.clone().to_device(&self.device));
        let grads = gradients(loss.clone(), weight, &self.model, batch, leaves, frozen);
        let loss = if loss.is_autodiff() {
            loss.inner()
        } else {
            loss
        };
        (loss, grads)
    }
}
