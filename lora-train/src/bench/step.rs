use std::{num::NonZeroUsize, time::Instant};

use burn::tensor::{Device, Tensor};
use lora_core::{
    ActivationCheckpointing, BaseModel, Family, ModelConfigs, Precision, WeightFormat,
    adapter::{LoraSpec, SpecError, Target},
    tokenizer::ROW_LENGTH,
    unet::StepFlops,
};
use lora_optim::{OptimizerConfig, OptimizerError, Rates};
use serde::Serialize;
use thiserror::Error;

use super::{Parameters, forget_peak_resident, peak_resident, processor_seconds};
use crate::{
    Batch, BatchText, Denoising, Learner, NoiseDraws,
    config::ObjectiveConfig,
    device::is_told_of_operations,
    random::{Purpose, normal_tensor},
};

/// A training step to measure.
#[derive(Clone, Debug, PartialEq)]
pub struct StepBench {
    /// The shape of the base model.
    pub configs: ModelConfigs,
    /// How its weights are held.
    pub format: WeightFormat,
    /// Width and height of the pictures, a multiple of 8.
    pub size: usize,
    /// Pictures of a batch.
    pub batch: NonZeroUsize,
    /// The adapters.
    pub spec: LoraSpec,
    /// What is computed twice instead of being kept.
    pub checkpointing: ActivationCheckpointing,
    /// Steps before the first that counts.
    pub warm_up: usize,
    /// Steps that count.
    pub steps: NonZeroUsize,
}

/// Why a step cannot be measured.
#[derive(Debug, Error)]
pub enum StepBenchError {
    /// The adapters do not work.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The optimiser refused the gradients.
    #[error(transparent)]
    Optimizer(#[from] OptimizerError),
    /// The device has not the number format.
    #[error("this device does not compute in {0}")]
    Precision(Precision),
    /// Weights that would be kept whole for the backward pass after all.
    #[error(
        "weights in eight bits save nothing unless blocks are computed again: use checkpointing block or aggressive"
    )]
    EightBit,
}

/// What a training step took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepReport {
    /// What family the model is of.
    pub family: Family,
    /// Numbers in its networks.
    pub parameters: Parameters,
    /// Numbers that were trained.
    pub trained: usize,
    /// Number format of its weights.
    pub precision: Precision,
    /// Whether the UNet's weights were held in eight bits.
    pub eight_bit: bool,
    /// Width and height of the pictures.
    pub size: usize,
    /// Pictures of a batch.
    pub batch: usize,
    /// Rank of the adapters.
    pub rank: usize,
    /// Whether the text encoders were trained, too.
    pub text: bool,
    /// What is computed twice instead of being kept.
    pub checkpointing: ActivationCheckpointing,
    /// Seconds of each step, in order: forward, backward, clipping and update.
    pub seconds: Vec<f64>,
    /// Their median.
    pub median: f64,
    /// The longest less the shortest, as a part of the median.
    pub spread: f64,
    /// Seconds of all steps before, in which a GPU's kernels are made and chosen.
    pub warm_up_seconds: f64,
    /// Pictures in a second of the median.
    pub pictures_per_second: f64,
    /// Floating-point operations of a step in 10¹², the UNet's alone: [`StepFlops::step`].
    pub tflop: f64,
    /// The same in a second of the median.
    pub tflops: f64,
    /// Seconds that the processor's cores worked for a step, in the mean. Unknown where the system does not tell.
    pub core_seconds: Option<f64>,
    /// The loss of the last step.
    pub loss: f32,
    /// The most that was in RAM during the steps; on a GPU the process' own part only. Unknown where the system does not
    /// tell.
    pub peak_resident: Option<u64>,
    /// What the GPU's allocator had reserved at the end of a step at most. Unknown where it does not tell, and on the CPU.
    pub device_reserved: Option<u64>,
}

impl StepBench {
    /// Makes the model of seeded numbers on `device` and takes the steps.
    ///
    /// As in a run that offloads, the VAE is gone then, and so are the text encoders unless they are trained.
    ///
    /// # Errors
    /// [`StepBenchError`].
    pub fn measure(&self, device: &Device) -> Result<StepReport, StepBenchError> {
        let precision = self.format.precision.on(device);
        if !precision.is_on(device) {
            return Err(StepBenchError::Precision(precision));
        }
        if self.format.eight_bit && self.checkpointing == ActivationCheckpointing::None {
            return Err(StepBenchError::EightBit);
        }
        let mut model = BaseModel::seeded(&self.configs, self.format, 1, device);
        let injected = model.inject(&self.spec, 1, device)?;
        let batch = self.batch(&model, device);
        model.vae.release();
        if !self.trains_text() {
            model.text.release();
        }
        let objective = Denoising::new(&ObjectiveConfig::default(), &model, 1);
        // The defaults are valid; a test of the crate builds them.
        let config = OptimizerConfig::default();
        let optimizer = if is_told_of_operations(device) {
            config.build_joined()
        } else {
            config.build()
        };
        let optimizer = optimizer.unwrap_or_else(|errors| unreachable!("{errors:?}"));
        model.unet.set_checkpointing(self.checkpointing);
        let mut learner = Learner::new(model, optimizer, 1.0);
        let rates = Rates::new(1e-4);
        forget_peak_resident();
        let mut seconds = Vec::with_capacity(self.steps.get());
        let (mut last_loss, mut worked_before) = (f32::NAN, processor_seconds());
        let (started, mut warm_up_seconds) = (Instant::now(), 0.0);
        let mut device_reserved = None;
        for step in 0..self.warm_up + self.steps.get() {
            if step == self.warm_up {
                worked_before = processor_seconds();
                warm_up_seconds = started.elapsed().as_secs_f64();
            }
            let start = Instant::now();
            let loss = learner.accumulate(&objective, &batch, 1.0);
            learner.step(&rates)?;
            // Reading a number back waits for the device.
            last_loss = loss.mean().into_scalar();
            let _ = device.sync();
            if step >= self.warm_up {
                seconds.push(start.elapsed().as_secs_f64());
            }
            let usage = device.memory_pool_usage();
            device_reserved = device_reserved.max(usage.map(|usage| usage.bytes_reserved));
        }
        let median = median(&seconds);
        let ends = |pick: fn(f64, f64) -> f64| seconds.iter().copied().reduce(pick);
        let spread = ends(f64::max).zip(ends(f64::min));
        let tflop = self.flops() / 1e12;
        Ok(StepReport {
            family: self.configs.family,
            parameters: Parameters::of(&self.configs),
            trained: injected.parameters,
            precision,
            eight_bit: self.format.eight_bit,
            size: self.size,
            batch: self.batch.get(),
            rank: self.spec.rank,
            text: self.trains_text(),
            checkpointing: self.checkpointing,
            core_seconds: processor_seconds()
                .zip(worked_before)
                .map(|(now, before)| (now - before) / self.steps.get() as f64),
            loss: last_loss,
            median,
            spread: spread.map_or(0.0, |(longest, shortest)| (longest - shortest) / median),
            warm_up_seconds,
            pictures_per_second: self.batch.get() as f64 / median,
            tflop,
            tflops: tflop / median,
            seconds,
            peak_resident: peak_resident(),
            device_reserved,
        })
    }

    /// Of a whole batch.
    fn flops(&self) -> f64 {
        let latents = [self.size / self.configs.vae.reduction(); 2];
        let one = StepFlops::of(&self.configs.unet, latents, ROW_LENGTH, self.spec.rank);
        one.step() * self.batch.get() as f64
    }

    fn trains_text(&self) -> bool {
        self.spec.targets.contains(&Target::TextEncoder)
    }

    /// Latents and noise that are the same in every bench of this shape; the captions are of one token.
    fn batch(&self, model: &BaseModel, device: &Device) -> Batch {
        let count = self.batch.get();
        let side = self.size / model.vae.reduction();
        let normal = |purpose, [_, channels, height, width]: [usize; 4]| {
            let items = (0..count as u64)
                .map(|item| normal_tensor(purpose, 1, item, [channels, height, width], device));
            Tensor::cat(items.collect(), 0)
        };
        let shape = [count, model.vae.latent_channels(), side, side];
        let ids = model.text.tokenize(&vec!["cat".to_owned(); count], 1);
        let pixels = self.size as f32;
        Batch {
            latents: normal(Purpose::Latents, shape),
            noise: normal(Purpose::Noise, shape),
            loss_weights: Vec::new(),
            mask: None,
            noise_offset: normal(Purpose::NoiseOffset, [count, shape[1], 1, 1]),
            draws: NoiseDraws::default(),
            timesteps: (0..count).map(|item| (item * 997 + 31) % 1000).collect(),
            text: if self.trains_text() {
                BatchText::Ids(ids)
            } else {
                BatchText::States(model.text.encode(&ids, 1))
            },
            sizes: vec![[pixels, pixels, 0.0, 0.0, pixels, pixels]; count],
        }
    }
}

/// The middle one, or the mean of the middle two; 0 of none.
pub(crate) fn median(seconds: &[f64]) -> f64 {
    if seconds.is_empty() {
        return 0.0;
    }
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    } else {
        sorted[middle]
    }
}

#[cfg(test)]
mod tests {
    use lora_core::weights::Checkpoint;

    use super::*;

    #[test]
    fn a_step_of_every_family_is_measured() {
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/golden");
        for name in ["tiny-sd15", "tiny-sd21", "tiny-sdxl"] {
            let checkpoint = Checkpoint::open(format!("{golden}/{name}"), None).expect("a folder");
            let bench = StepBench {
                configs: ModelConfigs::read(&checkpoint).expect("configs"),
                format: WeightFormat {
                    precision: Precision::F32,
                    eight_bit: true,
                },
                size: 64,
                batch: NonZeroUsize::MIN,
                spec: LoraSpec::default(),
                checkpointing: ActivationCheckpointing::Block,
                warm_up: 1,
                steps: NonZeroUsize::MIN.saturating_add(1),
            };
            let report = bench.measure(&Device::flex()).expect("steps");
            assert_eq!(report.seconds.len(), 2);
            assert!(report.median > 0.0 && report.trained > 10_000, "{report:?}");
        }
    }

    #[test]
    fn medians() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-12);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-12);
    }
}
