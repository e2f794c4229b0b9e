//! Optimisers, gradient clipping and learning-rate schedules over named matrices.
//!
//! This crate knows no model. Whatever trains hands it [`Matrices`]: the trainable factors by key, the gradients under
//! the same keys, and the [`Rates`] of this step. Three seams, each one small trait or function:
//!
//! - [`Optimizer`] moves the parameters. [`OptimizerConfig`] names the ones that a config file can ask for, and
//!   [`BurnOptimizer`] lets any per-tensor optimiser of burn in. [`Joined`] takes many matrices as one vector, for GPUs. Nothing in a
//!   step waits for the device.
//! - [`Schedule`] says with which factor of the base rate a step runs; it is a pure function of the step, so it has no
//!   state to save. [`ScheduleConfig`] names nine, diffusers' six among them.
//! - [`clip_global_norm`] bounds the gradients of one step together.
//!
//! # Your own optimiser
//!
//! An optimiser sees all matrices at once and answers for its whole state:
//!
//! ```
//! use burn::tensor::Device;
//! use lora_optim::{Matrices, Optimizer, OptimizerError, Rates, State, StateError};
//!
//! struct SignMomentum {
//!     momentum: Matrices,
//! }
//!
//! impl Optimizer for SignMomentum {
//!     fn step(&mut self, params: &mut Matrices, grads: Matrices, rates: &Rates) -> Result<(), OptimizerError> {
//!         for (key, param, grad) in lora_optim::pair(params, grads)? {
//!             let old = self.momentum.remove(key).unwrap_or_else(|| param.zeros_like());
//!             let momentum = old * 0.9 + grad * 0.1;
//!             *param = param.clone() - momentum.clone().sign() * rates.at(key);
//!             self.momentum.insert(key.to_owned(), momentum);
//!         }
//!         Ok(())
//!     }
//!
//!     fn state(&self) -> State {
//!         State::default().with_matrices("momentum", &self.momentum)
//!     }
//!
//!     fn restore(&mut self, mut state: State, device: &Device) -> Result<(), StateError> {
//!         self.momentum = state.take_matrices("momentum", device)?;
//!         state.finish()
//!     }
//! }
//! # use burn::tensor::Tensor;
//! # let device = Device::flex();
//! # let ones = || Matrices::from([("a".to_owned(), Tensor::<2>::ones([2, 3], &device))]);
//! # let (mut params, mut optimizer) = (ones(), SignMomentum { momentum: Matrices::new() });
//! # optimizer.step(&mut params, ones(), &Rates::new(0.25)).expect("keys match");
//! # assert_eq!(params["a"].clone().sum().into_scalar::<f32>(), 6.0 * 0.75);
//! # let saved = optimizer.state();
//! # optimizer.restore(saved.clone(), &device).expect("its own state");
//! # assert_eq!(optimizer.state(), saved);
//! ```

mod adafactor;
mod adamw;
mod adamw8bit;
mod block_codes;
mod burn_optimizer;
mod clip;
mod curve;
mod dadapt_adam;
mod dadapt_lion;
mod dadapt_sgd;
mod distance;
mod joined;
mod lion;
mod lion8bit;
mod moment;
mod optimizer;
mod optimizer_config;
mod prodigy;
mod rate_groups;
mod rates;
mod schedule;
mod schedule_config;
mod schedule_free;
mod setting;
mod sgd;
mod slots;
mod state;
mod state_bytes;

use std::collections::BTreeMap;

// What burn's `#[derive(RecordState)]` looks for at the root of the crate.
use burn::optim::{RecordState, StateSink, StateSource, join_path};
use burn::tensor::Tensor;

pub use adafactor::AdafactorConfig;
pub use adamw::AdamwConfig;
pub use adamw8bit::Adamw8bitConfig;
pub use burn_optimizer::BurnOptimizer;
pub use burn_pack::Scalar;
pub use clip::{clip_global_norm, global_norm};
pub use curve::{Curve, Decay};
pub use dadapt_adam::DadaptAdamConfig;
pub use dadapt_lion::DadaptLionConfig;
pub use dadapt_sgd::DadaptSgdConfig;
pub use joined::Joined;
pub use lion::LionConfig;
pub use lion8bit::Lion8bitConfig;
pub use optimizer::{Optimizer, OptimizerError, pair};
pub use optimizer_config::OptimizerConfig;
pub use prodigy::ProdigyConfig;
pub use rates::Rates;
pub use schedule::Schedule;
pub use schedule_config::{ScheduleConfig, ScheduleKind, Warmup};
pub use schedule_free::AdamwScheduleFreeConfig;
pub use setting::SettingError;
pub use sgd::SgdConfig;
pub use state::{State, StateError};

/// Every trainable factor, or its gradient, by key: rank 2, f32, not tracked by autodiff, all on one device.
///
/// The map is ordered, so that sums over all matrices come out the same in every run.
pub type Matrices = BTreeMap<String, Tensor<2>>;
