use burn::tensor::{Device, Tensor};
use lora_core::Matrices;
use lora_optim::{Optimizer, Scalar, State, StateError};

use crate::config::EmaConfig;

/// Names of what is saved: the average of each matrix behind its key, and the steps taken.
const AVERAGE: &str = "average";
const STEPS: &str = "steps";

/// Why `config` and `optimizer` cannot go together, if so: it shows an average of its own.
pub(crate) fn averaged_twice(config: &EmaConfig, optimizer: &dyn Optimizer) -> Option<String> {
    let own = optimizer.averaged(&Matrices::new()).is_some();
    (own && config.decay.is_some()).then(|| {
        "ema.decay asks for an average, but the optimizer shows one of its own; leave one of them out"
            .to_owned()
    })
}

/// An exponential moving average of matrices, kept on their device; diffusers' `EMAModel`.
pub struct Ema {
    config: EmaConfig,
    steps: u64,
    averages: Matrices,
}

impl Ema {
    /// Begins at `params`.
    pub fn new(config: EmaConfig, params: Matrices) -> Self {
        Self {
            config,
            steps: 0,
            averages: params,
        }
    }

    /// Takes in the matrices after a step: three operations for each, none of which waits for the device.
    ///
    /// Matrices that were not there from the beginning are passed over, and so is an average without its matrix.
    pub fn update(&mut self, params: &Matrices) {
        self.steps += 1;
        let new = 1.0 - self.decay();
        for (key, average) in &mut self.averages {
            if let Some(param) = params.get(key) {
                *average = average.clone() - (average.clone() - param.clone()) * new;
            }
        }
    }

    /// The averages by key.
    pub fn averages(&self) -> &Matrices {
        &self.averages
    }

    /// How much of the average the last step kept.
    pub fn decay(&self) -> f64 {
        let EmaConfig {
            decay,
            min_decay,
            update_after_step,
            power,
            inv_gamma,
        } = self.config;
        let n = self.steps.saturating_sub(update_after_step + 1) as f64;
        if n <= 0.0 {
            return 0.0;
        }
        let warm_up = match power {
            Some(power) => 1.0 - (1.0 + n / inv_gamma).powf(-power),
            None => (1.0 + n) / (10.0 + n),
        };
        warm_up.min(decay.unwrap_or(0.0)).max(min_decay)
    }

    /// The whole state, read back to the host.
    pub fn state(&self) -> State {
        let mut state = State::default().with_matrices(AVERAGE, &self.averages);
        state
            .scalars
            .insert(STEPS.to_owned(), Scalar::UInt(self.steps));
        state
    }

    /// Replaces the state with a saved one, placed on `device`: the averages go on bit for bit as they would have.
    ///
    /// # Errors
    /// When the state is incomplete, of other matrices, or something else's; then the present one is kept.
    pub fn restore(&mut self, mut state: State, device: &Device) -> Result<(), StateError> {
        let foreign = |name: &str| StateError::Foreign {
            name: name.to_owned(),
        };
        let Some(Scalar::UInt(steps)) = state.scalars.remove(STEPS) else {
            return Err(foreign(STEPS));
        };
        let averages = state.take_matrices(AVERAGE, device)?;
        state.finish()?;
        let mut missing = self
            .averages
            .iter()
            .filter(|(key, average)| averages.get(*key).map(Tensor::dims) != Some(average.dims()));
        if let Some((key, _)) = missing.next() {
            return Err(foreign(key));
        }
        if let Some(key) = averages
            .keys()
            .find(|key| !self.averages.contains_key(*key))
        {
            return Err(foreign(key));
        }
        (self.steps, self.averages) = (steps, averages);
        Ok(())
    }
}
