use std::{
    mem,
    time::{Duration, Instant},
};

use burn::tensor::Tensor;

use crate::{TIMESTEP_BINS, checkpoint::MeterRecord, timestep_loss::TimestepLoss};

/// The losses of a forward pass, on the device: one for each timestep, or one for all of them.
pub(crate) struct PassLoss {
    pub(crate) losses: Tensor<1>,
    pub(crate) timesteps: Vec<usize>,
}

/// What is still on the device of a step.
struct Step {
    loss: Tensor<1>,
    /// The norm of its gradient; a step without gradients has none.
    norm: Option<Tensor<1>>,
    passes: Vec<PassLoss>,
}

/// Keeps the losses of a report interval on the device and reads them back once.
pub(crate) struct Meter {
    /// Timesteps of the noise schedule.
    timesteps: usize,
    steps: Vec<Step>,
    /// Losses of the interval that were read back and found to be numbers.
    settled: Vec<f64>,
    /// The last norm that was read back.
    settled_norm: f64,
    /// Bias-corrected exponential mean: sum and weight.
    smooth: [f64; 2],
    by_timestep: TimestepLoss,
    /// Time spent in steps since the last reading, previews and saving left out.
    spent: Duration,
    /// Steps, and pictures shown in them, that it was spent in: fewer than were settled where the run went on from a
    /// checkpoint.
    timed: [usize; 2],
    since: Instant,
}

/// What one reading of the meter gives.
pub(crate) struct Reading {
    /// Mean loss of the interval.
    pub loss: f64,
    /// Smoothed loss of the run.
    pub smooth_loss: f64,
    /// Smoothed loss of the run, in which all stretches of timesteps count the same.
    pub balanced_loss: Option<f64>,
    /// Smoothed loss of each stretch of timesteps.
    pub loss_by_timestep: [Option<f64>; TIMESTEP_BINS],
    /// Norm of the last gradient before clipping.
    pub grad_norm: f64,
    /// Seconds of one step.
    pub seconds_per_step: f64,
    /// Pictures shown in a step, on the average.
    pub pictures_per_step: f64,
}

/// How much of the smoothed loss is older than the newest step.
const SMOOTHING: f64 = 0.98;

impl Meter {
    /// Of a run on a noise schedule of so many timesteps.
    pub(crate) fn new(timesteps: usize) -> Self {
        Self {
            timesteps,
            steps: Vec::new(),
            settled: Vec::new(),
            settled_norm: 0.0,
            smooth: [0.0; 2],
            by_timestep: TimestepLoss::default(),
            spent: Duration::ZERO,
            timed: [0; 2],
            since: Instant::now(),
        }
    }

    /// What has been read and not yet told; everything must be [settled](Self::settle).
    pub(crate) fn record_of(&self) -> MeterRecord {
        MeterRecord {
            settled: self.settled.clone(),
            settled_norm: self.settled_norm,
            smooth: self.smooth,
            by_timestep: self.by_timestep,
        }
    }

    /// Goes on from a record.
    pub(crate) fn restore(&mut self, record: MeterRecord) {
        self.settled = record.settled;
        self.settled_norm = record.settled_norm;
        self.smooth = record.smooth;
        self.by_timestep = record.by_timestep;
    }

    /// Marks the start of a step.
    pub(crate) fn start(&mut self) {
        self.since = Instant::now();
    }

    /// Marks the end of a step.
    pub(crate) fn record(
        &mut self,
        loss: Tensor<1>,
        norm: Option<Tensor<1>>,
        passes: Vec<PassLoss>,
    ) {
        let pictures: usize = passes.iter().map(|pass| pass.timesteps.len()).sum();
        self.timed[0] += 1;
        self.timed[1] += pictures;
        self.steps.push(Step { loss, norm, passes });
        self.spent += self.since.elapsed();
    }

    /// Steps recorded since the last reading.
    pub(crate) fn pending(&self) -> usize {
        self.settled.len() + self.steps.len()
    }

    /// Reads back what is still on the device: the one place of the loop where the host waits for it.
    ///
    /// # Errors
    /// The place in the interval, from 0, of the first step whose loss or whose gradient's norm is not a finite number.
    pub(crate) fn settle(&mut self) -> Result<(), usize> {
        let before = Instant::now();
        let done = self.settled.len();
        if self.steps.is_empty() {
            return Ok(());
        }
        let steps: Vec<Step> = self.steps.drain(..).collect();
        let values: Vec<f64> = Tensor::cat(steps.iter().flat_map(Step::numbers).collect(), 0)
            .into_data()
            .iter::<f32>()
            .map(f64::from)
            .collect();
        self.spent += before.elapsed();
        let mut values = values.into_iter();
        for (place, step) in steps.iter().enumerate() {
            let (Some(loss), Some(norm)) = (values.next(), values.next()) else {
                break;
            };
            if !(loss.is_finite() && norm.is_finite()) {
                return Err(done + place);
            }
            self.settled.push(loss);
            self.settled_norm = norm;
            for (&timestep, loss) in step
                .items()
                .flat_map(|pass| &pass.timesteps)
                .zip(&mut values)
            {
                self.by_timestep.note(timestep, self.timesteps, loss);
            }
        }
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
        let [steps, pictures] = self.timed.map(|count| count as f64);
        let spent = mem::take(&mut self.spent).as_secs_f64();
        self.timed = [0; 2];
        Some(Reading {
            loss,
            smooth_loss: self.smooth[0] / self.smooth[1],
            balanced_loss: self.by_timestep.balanced(),
            loss_by_timestep: self.by_timestep.means(),
            grad_norm: self.settled_norm,
            seconds_per_step: spent / steps.max(1.0),
            pictures_per_step: pictures / steps.max(1.0),
        })
    }
}

impl Step {
    /// The passes that tell the loss of each item.
    fn items(&self) -> impl Iterator<Item = &PassLoss> {
        let tells = |pass: &&PassLoss| pass.losses.dims() == [pass.timesteps.len()];
        self.passes.iter().filter(tells)
    }

    /// Loss, norm and the losses of all items, to be read back together.
    fn numbers(&self) -> Vec<Tensor<1>> {
        let norm = self.norm.clone();
        let norm = norm.unwrap_or_else(|| self.loss.zeros_like());
        let items = self.items().map(|pass| pass.losses.clone());
        [self.loss.clone(), norm].into_iter().chain(items).collect()
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn number(value: f32) -> Tensor<1> {
        Tensor::from_data([value], &Device::flex())
    }

    fn pass(losses: &[f32], timesteps: &[usize]) -> PassLoss {
        PassLoss {
            losses: Tensor::from_data(losses, &Device::flex()),
            timesteps: timesteps.to_vec(),
        }
    }

    /// Places of the interval, from 0, at which a number is none.
    fn settled(steps: &[(f32, Option<f32>)]) -> Result<f64, usize> {
        let mut meter = Meter::new(1000);
        for (loss, norm) in steps {
            let passes = vec![pass(&[*loss], &[500])];
            meter.record(number(*loss), norm.map(number), passes);
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

    #[test]
    fn each_loss_is_of_its_timestep_and_one_for_several_is_of_none() {
        let mut meter = Meter::new(1000);
        let passes = vec![
            pass(&[0.5, 0.25], &[10, 310]),
            // An objective that gives one number.
            pass(&[9.0], &[910, 920]),
            pass(&[0.75], &[650]),
        ];
        meter.record(number(1.0), None, passes);
        meter.record(number(2.0), Some(number(4.0)), vec![pass(&[0.25], &[999])]);
        meter.settle().expect("numbers");
        let reading = meter.read().expect("steps");
        let mut expected = [None; TIMESTEP_BINS];
        for (bin, loss) in [(0, 0.5), (3, 0.25), (6, 0.75), (9, 0.25)] {
            expected[bin] = Some(loss);
        }
        assert_eq!(reading.loss_by_timestep, expected);
        assert_eq!(reading.balanced_loss, Some(0.4375));
        assert_eq!((reading.loss, reading.grad_norm), (1.5, 4.0));
        assert!((reading.pictures_per_step - 3.0).abs() < 1e-12);
    }

    #[test]
    fn a_run_that_goes_on_tells_the_same_losses() {
        let step = |meter: &mut Meter, loss: f32, timestep: usize| {
            meter.record(number(loss), None, vec![pass(&[loss], &[timestep])]);
            meter.settle().expect("numbers");
        };
        let mut whole = Meter::new(1000);
        step(&mut whole, 0.5, 10);
        let mut again = Meter::new(1000);
        again.restore(whole.record_of());
        for meter in [&mut whole, &mut again] {
            step(meter, 0.125, 20);
            step(meter, 0.25, 500);
        }
        let [whole, again] = [whole, again].map(|mut meter| meter.read().expect("steps"));
        assert_eq!(whole.loss_by_timestep, again.loss_by_timestep);
        assert_eq!(whole.balanced_loss, again.balanced_loss);
        assert_eq!(whole.smooth_loss.to_bits(), again.smooth_loss.to_bits());
        // A step takes as long as it does, whatever was restored.
        assert!((again.pictures_per_step - 1.0).abs() < 1e-12);
    }
}
