use std::time::{Duration, Instant};

use burn::tensor::Tensor;

/// Keeps the losses of a report interval on the device and reads them back once.
pub(crate) struct Meter {
    losses: Vec<Tensor<1>>,
    norm: Option<Tensor<1>>,
    /// Bias-corrected exponential mean: sum and weight.
    smooth: [f64; 2],
    /// Time spent in steps since the last reading, previews and saving left out.
    spent: Duration,
    since: Instant,
}

/// What one reading of the meter gives.
pub(crate) struct Reading {
    /// Mean loss of the interval.
    pub loss: f64,
    /// Smoothed loss of the run.
    pub smooth_loss: f64,
    /// Norm of the last gradient before clipping.
    pub grad_norm: f64,
    /// Seconds of one step.
    pub seconds_per_step: f64,
}

/// How much of the smoothed loss is older than the newest step.
const SMOOTHING: f64 = 0.98;

impl Meter {
    pub(crate) fn new() -> Self {
        Self {
            losses: Vec::new(),
            norm: None,
            smooth: [0.0; 2],
            spent: Duration::ZERO,
            since: Instant::now(),
        }
    }

    /// Marks the start of a step.
    pub(crate) fn start(&mut self) {
        self.since = Instant::now();
    }

    /// Marks the end of a step.
    pub(crate) fn record(&mut self, loss: Tensor<1>, norm: Option<Tensor<1>>) {
        self.losses.push(loss);
        self.norm = norm;
        self.spent += self.since.elapsed();
    }

    /// Steps recorded since the last reading.
    pub(crate) fn pending(&self) -> usize {
        self.losses.len()
    }

    /// Reads the interval back: the one place of the loop where the host waits for the device.
    ///
    /// # Errors
    /// The place in the interval, from 0, of the first loss that is not a finite number; or of the last step, when the
    /// gradient's norm is not.
    pub(crate) fn read(&mut self) -> Result<Option<Reading>, usize> {
        let before = Instant::now();
        let count = self.losses.len();
        if count == 0 {
            return Ok(None);
        }
        let numbers = self.losses.drain(..).chain(self.norm.take()).collect();
        let values: Vec<f32> = Tensor::cat(numbers, 0).into_data().iter::<f32>().collect();
        self.spent += before.elapsed();
        if let Some(bad) = values.iter().position(|value| !value.is_finite()) {
            return Err(bad.min(count - 1));
        }
        let (losses, norm) = values.split_at(count);
        for &loss in losses {
            self.smooth = [
                SMOOTHING * self.smooth[0] + f64::from(loss),
                SMOOTHING * self.smooth[1] + 1.0,
            ];
        }
        let seconds = self.spent.as_secs_f64() / count as f64;
        self.spent = Duration::ZERO;
        Ok(Some(Reading {
            loss: losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / count as f64,
            smooth_loss: self.smooth[0] / self.smooth[1],
            grad_norm: norm.first().map_or(0.0, |&norm| norm.into()),
            seconds_per_step: seconds,
        }))
    }
}
