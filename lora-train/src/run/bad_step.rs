//! Steps whose numbers go wrong.

use burn::tensor::Tensor;
use lora_data::Exposure;

use super::Run;
use crate::{BadStep, Event, TrainError};

impl Run<'_> {
    /// Passes over a step whose loss and norm are no numbers; too many in a row end the run.
    pub(super) fn skip(
        &mut self,
        [loss, grad_norm]: [f32; 2],
        batches: &[Vec<Exposure>],
        timesteps: Vec<usize>,
    ) -> Result<(), TrainError> {
        self.marks.bad_in_a_row += 1;
        let shown = batches.iter().flatten();
        let entries = self.data.entries();
        let bad = BadStep {
            step: self.outcome.steps + 1,
            in_a_row: self.marks.bad_in_a_row,
            loss: loss.to_string(),
            grad_norm: grad_norm.to_string(),
            layer: self.learner.broken_gradient().map(str::to_owned),
            pictures: shown
                .map(|showing| entries[showing.index].image.clone())
                .collect(),
            timesteps,
        };
        self.learner.discard();
        self.tell(&Event::Skipped(&bad))?;
        if self.marks.bad_in_a_row < self.config.train.max_bad_steps {
            self.outcome.skipped += 1;
            return Ok(());
        }
        // Whoever goes on has looked at them.
        self.marks.bad_in_a_row = 0;
        Err(TrainError::BadSteps { bad: Box::new(bad) })
    }
}

/// Loss and gradient norm, where one of them is not a finite number. Waits for the device.
pub(super) fn not_finite(loss: &Tensor<1>, norm: Option<&Tensor<1>>) -> Option<[f32; 2]> {
    let norm = norm.cloned().unwrap_or_else(|| loss.zeros_like());
    let numbers = Tensor::cat(vec![loss.clone(), norm], 0).into_data();
    let numbers: Vec<f32> = numbers.iter::<f32>().collect();
    let [loss, norm] = numbers[..] else {
        return None;
    };
    (!(loss.is_finite() && norm.is_finite())).then_some([loss, norm])
}
