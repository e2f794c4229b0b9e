use std::{collections::BTreeSet, mem, thread};

use burn::tensor::{Device, Tensor};
use lora_core::{
    BaseModel, Matrices,
    adapter::{DropoutRates, LoraSpec},
};
use lora_optim::{
    Optimizer, OptimizerError, Rates, State, StateError, clip_global_norm, global_norm,
};

use crate::{
    Batch, Ema, Objective, Replica,
    backward::gradients,
    checkpoint::{Checkpoint, MATRIX},
    config::EmaConfig,
};

/// A model whose adapters are being trained: gradients come in by batch, steps go out.
pub struct Learner {
    model: BaseModel,
    /// The adapters' matrices, without gradient tracking.
    params: Matrices,
    /// Keys of the matrices that stay as they are.
    frozen: BTreeSet<String>,
    ema: Option<Ema>,
    /// What the model draws and is saved with, where there is something better than `params` for that.
    averaged: Option<Matrices>,
    /// Gradients gathered since the last step.
    grads: Matrices,
    optimizer: Box<dyn Optimizer>,
    max_grad_norm: f64,
    rules: Rules,
    /// The same model on other devices, which share the batches of a step.
    replicas: Vec<Replica>,
}

/// What the adapters' spec asks for at each step.
#[derive(Clone, Copy, Default)]
struct Rules {
    dropout: DropoutRates,
    seed: u64,
    max_norm: Option<f32>,
    freeze_down: bool,
}

impl Learner {
    /// Trains the adapters that `model` holds. `max_grad_norm` 0 means no clipping.
    pub fn new(mut model: BaseModel, optimizer: Box<dyn Optimizer>, max_grad_norm: f64) -> Self {
        let params = model.factors();
        Self {
            model,
            params,
            frozen: BTreeSet::new(),
            ema: None,
            averaged: None,
            grads: Matrices::new(),
            optimizer,
            max_grad_norm,
            rules: Rules::default(),
            replicas: Vec::new(),
        }
    }

    /// Shares the batches of a step out over this model and `models`, which are the same one on other devices, with the same
    /// adapters.
    pub fn with_replicas(mut self, models: Vec<BaseModel>) -> Self {
        self.replicas = models.into_iter().map(Replica::new).collect();
        self
    }

    /// Models that compute at the same time.
    pub fn workers(&self) -> usize {
        1 + self.replicas.len()
    }

    /// Follows what `spec` says of dropouts, which are drawn by `seed`, and of norms.
    pub fn with_rules(mut self, spec: &LoraSpec, seed: u64) -> Self {
        self.rules = Rules {
            dropout: spec.dropout,
            seed,
            max_norm: spec.max_norm.map(|norm| norm as f32),
            freeze_down: spec.freeze_down,
        };
        self
    }

    /// Leaves out of the adapters what the `pass`-th forward pass of the run leaves out, until the next gradient is there.
    pub fn drop_out(&mut self, pass: u64) -> &mut Self {
        let Rules { dropout, seed, .. } = self.rules;
        if !dropout.is_off() {
            self.model.set_dropout(dropout, Some([seed, pass]));
        }
        self
    }

    /// Keeps the matrices whose rate is 0 as they are: constants to autodiff, of which no gradient is computed.
    ///
    /// For rates that are 0 throughout a run, not for those that a schedule brings to 0. As long as there are gradients to
    /// compute at all, at least one rate must be above 0.
    pub fn freeze(mut self, rates: &Rates) -> Self {
        let resting = self.params.keys().filter(|key| rates.at(key) == 0.0);
        self.frozen = resting.cloned().collect();
        self
    }

    /// Shows an average of the matrices from now on, those that are frozen left aside, where the config asks for one. It
    /// takes the place of an [optimiser's](Optimizer::averaged).
    pub fn with_ema(mut self, config: &EmaConfig) -> Self {
        let moving = self.params.iter();
        let moving = moving.filter(|(key, _)| !self.frozen.contains(*key));
        let moving = moving.map(|(key, matrix)| (key.clone(), matrix.clone()));
        let begun = || Ema::new(config.clone(), moving.collect());
        self.ema = config.decay.is_some().then(begun);
        self
    }

    /// The model with its present adapters.
    pub fn model(&self) -> &BaseModel {
        &self.model
    }

    /// The model with its present adapters, for drawing and saving.
    pub fn model_mut(&mut self) -> &mut BaseModel {
        &mut self.model
    }

    /// The adapters' matrices as they are trained; the model may hold an [average](Self::with_ema).
    pub fn params(&self) -> &Matrices {
        &self.params
    }

    /// Gradients gathered since the last step.
    pub fn grads(&self) -> &Matrices {
        &self.grads
    }

    /// Adds `weight` times the gradient of the batch's mean loss; gives what the objective gave, the loss of each item or
    /// one number for all, which stays on the device.
    ///
    /// Only the adapters' matrices track gradients, those that are [frozen](Self::freeze) left aside: frozen weights are
    /// plain tensors, for which autodiff computes none.
    pub fn accumulate(
        &mut self,
        objective: &dyn Objective,
        batch: &Batch,
        weight: f64,
    ) -> Tensor<1> {
        let leaves: Matrices = self
            .params
            .iter()
            .map(|(key, matrix)| {
                let leaf = if self.frozen.contains(key) {
                    matrix.clone()
                } else {
                    matrix.clone().autodiff().require_grad()
                };
                (key.clone(), leaf)
            })
            .collect();
        self.model.set_factors(&leaves);
        let losses = objective.loss(&self.model, batch);
        let (model, frozen) = (&self.model, &self.frozen);
        for (key, gradient) in gradients(losses.clone(), weight, model, batch, leaves, frozen) {
            self.add(key, gradient);
        }
        if !self.rules.dropout.is_off() {
            self.model.set_dropout(self.rules.dropout, None);
        }
        self.show();
        if losses.is_autodiff() {
            losses.inner()
        } else {
            losses
        }
    }

    /// [Accumulates](Self::accumulate) as many batches as there are [workers](Self::workers), or fewer, at the same time: the
    /// first on this learner's model, each other on a replica. `first_pass` counts forward passes of the run up to here; gives
    /// the losses in order, on this learner's device.
    ///
    /// The gradients are added up in that order, so that the sum is the same in every run.
    pub fn accumulate_each(
        &mut self,
        objective: &dyn Objective,
        batches: &[Batch],
        first_pass: u64,
        weight: f64,
    ) -> Vec<Tensor<1>> {
        let Some((first, others)) = batches.split_first() else {
            return Vec::new();
        };
        let mut replicas = mem::take(&mut self.replicas);
        let (params, frozen, rules) = (self.params.clone(), self.frozen.clone(), self.rules);
        let mut losses = Vec::with_capacity(batches.len());
        thread::scope(|scope| {
            let passes = replicas.iter_mut().zip(others).zip(first_pass + 1..);
            let under_way: Vec<_> = passes
                .map(|((replica, batch), pass)| {
                    let (params, frozen) = (&params, &frozen);
                    scope.spawn(move || {
                        replica.accumulate(
                            objective,
                            batch,
                            params,
                            frozen,
                            (rules.dropout, [rules.seed, pass]),
                            weight,
                        )
                    })
                })
                .collect();
            losses.push(
                self.drop_out(first_pass)
                    .accumulate(objective, first, weight),
            );
            let device = first.device();
            for worker in under_way {
                // A panic of a worker is this thread's too.
                let (loss, grads) = worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                losses.push(loss.to_device(&device));
                for (key, gradient) in grads {
                    self.add(key, gradient.to_device(&device));
                }
            }
        });
        self.replicas = replicas;
        losses
    }

    fn add(&mut self, key: String, gradient: Tensor<2>) {
        let sum = match self.grads.remove(&key) {
            Some(before) => before + gradient,
            None => gradient,
        };
        self.grads.insert(key, sum);
    }

    /// Clips the gathered gradients and moves the adapters; gives the norm before clipping, which stays on the device.
    ///
    /// # Errors
    /// See [`Optimizer::step`].
    pub fn step(&mut self, rates: &Rates) -> Result<Option<Tensor<1>>, OptimizerError> {
        let norm = self.clip();
        self.update(rates)?;
        Ok(norm)
    }

    /// Clips the gathered gradients; gives the norm before that, which stays on the device.
    pub fn clip(&mut self) -> Option<Tensor<1>> {
        if self.max_grad_norm > 0.0 {
            clip_global_norm(&mut self.grads, self.max_grad_norm)
        } else {
            global_norm(&self.grads)
        }
    }

    /// Forgets the gathered gradients: nothing moves, and the optimiser does not hear of it.
    pub fn discard(&mut self) {
        self.grads.clear();
    }

    /// The first matrix whose gathered gradient is no number somewhere. Waits for the device at each.
    pub fn broken_gradient(&self) -> Option<&str> {
        let mut gradients = self.grads.iter();
        let broken = gradients.find(|(_, gradient)| {
            let sum: f32 = (*gradient).clone().abs().sum().into_scalar();
            !sum.is_finite()
        });
        broken.map(|(key, _)| key.as_str())
    }

    /// Moves the adapters by the gathered gradients.
    ///
    /// # Errors
    /// See [`Optimizer::step`].
    pub fn update(&mut self, rates: &Rates) -> Result<(), OptimizerError> {
        let grads = mem::take(&mut self.grads);
        self.optimizer.step(&mut self.params, grads, rates)?;
        if let Some(most) = self.rules.max_norm {
            self.model.set_factors(&self.params);
            self.model.limit_norms(most, self.rules.freeze_down);
            self.params = self.model.factors();
        }
        self.averaged = match &mut self.ema {
            Some(ema) => {
                ema.update(&self.params);
                Some(ema.averages().clone())
            }
            None => self.optimizer.averaged(&self.params),
        };
        self.show();
        Ok(())
    }

    /// Matrices, optimiser and average, read back to the host: gradients that were gathered since the last step are no
    /// part of it.
    pub(crate) fn states(&self) -> [Option<State>; 3] {
        let params = Checkpoint::params_of(&self.params);
        let ema = self.ema.as_ref().map(Ema::state);
        [Some(params), Some(self.optimizer.state()), ema]
    }

    /// Goes on from saved matrices, optimiser and average.
    ///
    /// # Errors
    /// When they are not this learner's.
    pub(crate) fn restore(
        &mut self,
        mut params: State,
        optimizer: State,
        ema: Option<State>,
        device: &Device,
    ) -> Result<(), StateError> {
        let matrices = params.take_matrices(MATRIX, device)?;
        params.finish()?;
        let foreign = |name: &String| StateError::Foreign { name: name.clone() };
        let unlike = |(key, matrix): &(&String, &Tensor<2>)| {
            matrices.get(*key).map(Tensor::dims) != Some(matrix.dims())
        };
        if let Some((key, _)) = self.params.iter().find(unlike) {
            return Err(foreign(key));
        }
        if let Some(key) = matrices.keys().find(|key| !self.params.contains_key(*key)) {
            return Err(foreign(key));
        }
        match (&mut self.ema, ema) {
            (Some(own), Some(saved)) => own.restore(saved, device)?,
            (None, None) => {}
            _ => return Err(foreign(&"ema".to_owned())),
        }
        self.optimizer.restore(optimizer, device)?;
        self.params = matrices;
        self.averaged = match &self.ema {
            Some(ema) => Some(ema.averages().clone()),
            None => self.optimizer.averaged(&self.params),
        };
        self.show();
        Ok(())
    }

    /// Puts the matrices into the model that are to be drawn with and saved.
    fn show(&mut self) {
        let shown = self.averaged.as_ref().unwrap_or(&self.params);
        self.model.set_factors(shown);
    }
}
