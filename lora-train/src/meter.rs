use std::time::{Duration, Instant};

use burn::tensor::Tensor;

use crate::checkpoint::MeterRecord;

/// Keeps the losses of a report interval on the device and reads them back once.
pub(crate) struct Meter {
    /// Losses still on the device.
    losses: Vec<Tensor<1>>,
    /// The gradient norms of the same steps; a step without gradients has none.
    norms: Vec<Option<Tensor<1>>>,
    /// Losses of the interval that were read back and found to be numbers.
    settled: Vec<f64>,
    /// The last norm that was read back.
    settled_norm: f64,
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
            norms: Vec::new(),
            settled: Vec::new(),
            settled_norm: 0.0,
            smooth: [0.0; 2],
            spent: Duration::ZERO,
            since: Instant::now(),
        }
    }

    /// What has been read and not yet told; everything must be [settled](Self::settle).
    pub(crate) fn record_of(&self) -> MeterRecord {
        MeterRecord {
            settled: self.settled.clone(),
            settled_norm: self.settled_norm,
            smooth: self.smooth,
        }
    }

    /// Goes on from a record.
    pub(crate) fn restore(&mut self, record: MeterRecord) {
        self.settled = record.settled;
        self.settled_norm = record.settled_norm;
        self.smooth = record.smooth;
    }

    /// Marks the start of a step.
    pub(crate) fn start(&mut self) {
        self.since = Instant::now();
    }

    /// Marks the end of a step.
    pub(crate) fn record(&mut self, loss: Tensor<1>, norm: Option<Tensor<1>>) {
        self.losses.push(loss);
        self.norms.push(norm);
        self.spent += self.since.elapsed();
    }

    /// Steps recorded since the last reading.
    pub(crate) fn pending(&self) -> usize {
        self.settled.len() + self.losses.len()
    }

    /// Reads back what is still on the device: the one place of the loop where the host waits for it.
    ///
    /// # Errors
    /// The place in the interval, from 0, of the first step whose loss or whose gradient's norm is not a finite number.
    pub(crate) fn settle(&mut self) -> Result<(), usize> {
        let before = Instant::now();
        let (done, count) = (self.settled.len(), self.losses.len());
        if count == 0 {
            return Ok(());
        }
        let norms = self.norms.drain(..).zip(&self.losses);
        let norms = norms.map(|(norm, loss)| norm.unwrap_or_else(|| loss.zeros_like()));
        let norms: Vec<Tensor<1>> = norms.collect();
        let numbers = self.losses.drain(..).chain(norms).collect();
        let values: Vec<f64> = Tensor::cat(numbers, 0)
            .into_data()
            .iter::<f32>()
            .map(f64::from)
            .collect();
        self.spent += before.elapsed();
        let (losses, norms) = values.split_at(count);
        let mut steps = losses.iter().zip(norms);
        if let Some(bad) = steps.position(|(loss, norm)| !(loss.is_finite() && norm.is_finite())) {
            return Err(done + bad);
        }
        self.settled.extend(losses);
        self.settled_norm = norms.last().copied().unwrap_or_default();
        Ok(())
    }

    /// Ends the interval, of which everything must be [settled](Self::settle); `None` when it has no step.
    pub(crate) fn read(&mut self) -> Option<Reading> {
        let count = self.settled.len() as f64;
        if self.settled.is_empty() {
            return None;
        }
        for loss in &self.settled {
            let [sum, weight] = self.smooth;
            self.smooth = [SMOOTHING * sum + loss, SMOOTHING * weight + 1.0];
        }
        let loss = self.settled.drain(..).sum::<f64>() / count;
        let seconds_per_step = self.spent.as_secs_f64() / count;
        self.spent = Duration::ZERO;
        Some(Reading {
            loss,
            smooth_loss: self.smooth[0] / self.smooth[1],
            grad_norm: self.settled_norm,
            seconds_per_step,
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn number(value: f32) -> Tensor<1> {
        Tensor::from_data([value], &Device::flex())
    }

    /// Places of the interval, from 0, at which a number is none.
    fn settled(steps: &[(f32, Option<f32>)]) -> Result<f64, usize> {
        let mut meter = Meter::new();
        for (loss, norm) in steps {
            meter.record(number(*loss), norm.map(number));
        }
        meter.settle()?;
        Ok(meter.read().expect("steps").grad_norm)
    }

    #[test]
    fn the_first_step_that_went_wrong_is_named_whichever_number_tells() {
        let good = (1.0, Some(2.0));
        assert_eq!(settled(&[good, (1.0, None), (1.0, Some(3.0))]), Ok(3.0));
        assert_eq!(settled(&[good, good, (f32::NAN, Some(1.0))]), Err(2));
        // What breaks the gradient breaks the next step's loss only.
        for broken in [f32::NAN, f32::INFINITY] {
            let steps = [good, (1.0, Some(broken)), (f32::NAN, Some(f32::NAN)), good];
            assert_eq!(settled(&steps), Err(1));
        }
    }
}
