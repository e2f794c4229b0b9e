use std::collections::BTreeMap;

use lora_core::{
    ActivationCheckpointing, ModelConfigs, Precision, TensorShapes, WeightFormat,
    unet::Activations, weights::Component,
};
use serde::Serialize;

use crate::{
    DeviceChoice, EncodedOnce, FilePlan, PicturePlan, Plan, TrainError, bench::Parameters,
    config::TrainConfig,
};

/// The memory that a run will take at its largest, in bytes, counted from the shapes of everything that is there at once.
///
/// Checked against what runs take on the CPU in f32, where it is within 15 per cent; elsewhere it is a rough word, because other
/// operations compute there, which keep more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryPlan {
    /// The program itself.
    pub program: u64,
    /// Networks that stay while the run trains, as they are held.
    pub weights: u64,
    /// The adapters' matrices, their gradients and their average.
    pub adapters: u64,
    /// What the optimiser remembers.
    pub optimizer: u64,
    /// What forward passes keep for their backward passes, and what is under way: of weights in eight bits those that are whole.
    pub activations: u64,
    /// Pictures as latents.
    pub latents: u64,
    /// Everything while a step is taken.
    pub training: u64,
    /// Everything while pictures become latents, before the first step or, where each showing has its own view, between steps.
    pub preparing: u64,
    /// Everything while a preview is drawn; 0 where none is.
    pub drawing: u64,
    /// The largest of these.
    pub peak: u64,
    /// Whether it was checked for the device and the number format of this run.
    pub checked: bool,
}

/// What the program takes before it reads a model: code, tokenizer, threads.
const PROGRAM: u64 = 44 << 20;
/// Bytes of a number of the parts that always compute in f32.
const SINGLE: u64 = 4;
/// Tensors that there are at once where the VAE is at its widest, before it makes a picture smaller and after it has made one
/// larger.
const ENCODING: u64 = 4;
const DECODING: u64 = 3;
/// Tensors of the widest shape that are under way beside what is kept when a block is computed again. Where everything is kept,
/// there is most before the first of it is needed.
const UNDER_WAY: u64 = 2;

impl MemoryPlan {
    /// Works out the memory of a run, of whose base model only the configs and headers are read.
    ///
    /// # Errors
    /// A base model that cannot be read.
    pub fn open(config: &TrainConfig, plan: &Plan, files: &FilePlan) -> Result<Self, TrainError> {
        let configs = ModelConfigs::of(&config.model.source())?;
        let device = config.train.device.resolve()?;
        let format = WeightFormat {
            precision: config.model.precision.on(&device),
            eight_bit: config.model.eight_bit,
        };
        let adapters = (files.parameters, files.optimizer_bytes);
        Ok(Self::new(config, plan, (&configs, format), adapters))
    }

    /// Of so many trained numbers, of which the optimiser remembers so many bytes.
    fn new(
        config: &TrainConfig,
        plan: &Plan,
        (configs, format): (&ModelConfigs, WeightFormat),
        (trained, state): (u64, u64),
    ) -> Self {
        let numbers = Parameters::of(configs);
        let bytes = format.precision.bytes() as u64;
        let text = numbers.text_encoders as u64 * bytes;
        let (unet, vae) = (
            format.unet_bytes(numbers.unet as u64),
            numbers.vae as u64 * SINGLE,
        );
        let all = text + unet + vae;
        let EncodedOnce { pictures, captions } = plan.encoded_once;
        let leaves = |once: bool, size: u64| u64::from(once && config.model.offload) * size;
        let weights = all - leaves(captions, text) - leaves(pictures, vae);
        let averages = u64::from(config.ema.decay.is_some());
        // Blocks that are computed again keep theirs once more, one behind the other.
        let again = config.train.gradient_checkpointing != ActivationCheckpointing::None;
        let adapters = trained * SINGLE * (2 + averages + u64::from(again));
        let activations = activations(config, plan, configs) * bytes;
        let latents = latents(plan, configs);
        let largest = plan
            .buckets
            .iter()
            .map(|bucket| pixels(bucket.width, bucket.height))
            .max();
        let training = PROGRAM + weights + adapters + state + activations + latents;
        let channels = &configs.vae.block_out_channels;
        let (first, second) = (
            channels[0] as u64,
            channels[channels.len().min(2) - 1] as u64,
        );
        let encoded = largest.unwrap_or(0) * first * ENCODING * SINGLE;
        let preparing = PROGRAM + all + encoded;
        let encoding = if pictures {
            0
        } else {
            PROGRAM + weights + adapters + state + latents + encoded
        };
        let drawn = pixels(
            config.dataset.resolution.width,
            config.dataset.resolution.height,
        ) * second
            * DECODING
            * SINGLE;
        let drawing = if config.preview.is_on() {
            PROGRAM + all + adapters + state + latents + drawn
        } else {
            0
        };
        Self {
            program: PROGRAM,
            weights,
            adapters,
            optimizer: state,
            activations,
            latents,
            training,
            preparing: preparing.max(encoding),
            drawing,
            peak: training.max(preparing).max(encoding).max(drawing),
            checked: config.train.device == DeviceChoice::Cpu
                && format.precision == Precision::F32
                && config.train.more_devices.is_empty(),
        }
    }
}

fn pixels(width: u32, height: u32) -> u64 {
    u64::from(width) * u64::from(height)
}

/// Numbers in the weights of the largest part of the UNet that is computed again by itself: held in eight bits, they are whole while it
/// is.
fn largest_piece(tensors: &TensorShapes, checkpointing: ActivationCheckpointing) -> u64 {
    let mut pieces = BTreeMap::<String, u64>::new();
    for (key, shape) in tensors {
        let parts: Vec<&str> = key.split('.').collect();
        let within = checkpointing == ActivationCheckpointing::Aggressive;
        let piece = match parts[..] {
            [.., "transformer_blocks", index, _, _, _]
            | [.., "transformer_blocks", index, _, _]
                if within =>
            {
                let attention = key.split(".transformer_blocks").next();
                format!("{} {index}", attention.unwrap_or_default())
            }
            ["mid_block", kind, index, ..] if within => format!("mid_block.{kind}.{index}"),
            ["mid_block", ..] => "mid_block".to_owned(),
            [side, level, kind, index, ..] if within => format!("{side}.{level}.{kind}.{index}"),
            [side, level, "resnets" | "attentions", index, ..] => format!("{side}.{level}.{index}"),
            _ => continue,
        };
        *pieces.entry(piece).or_default() += shape.iter().product::<usize>() as u64;
    }
    pieces.into_values().max().unwrap_or(0)
}

/// Numbers kept for the batch that keeps most.
fn activations(config: &TrainConfig, plan: &Plan, configs: &ModelConfigs) -> u64 {
    let checkpointing = config.train.gradient_checkpointing;
    let reduction = configs.vae.reduction();
    let text = text_activations(config, configs);
    let whole = if config.model.eight_bit {
        largest_piece(&configs.tensors(Component::UNet), checkpointing)
    } else {
        0
    };
    let buckets = plan.buckets.iter().map(|bucket| {
        let latents = [bucket.height, bucket.width].map(|side| side as usize / reduction);
        let one = Activations::of(&configs.unet, latents, config.model.max_tokens + 2);
        let under_way = match checkpointing {
            ActivationCheckpointing::None => 0,
            ActivationCheckpointing::Block | ActivationCheckpointing::Aggressive => {
                UNDER_WAY * one.widest
            }
        };
        let count = bucket.batch_size.min(bucket.pictures.max(1)) as u64;
        let inside = one.kept(checkpointing) - one.outputs;
        // The blocks with the largest weights are not those with the largest pictures.
        (one.outputs + under_way + text) * count + (inside * count).max(whole)
    });
    buckets.max().unwrap_or(0)
}

/// Numbers that the trained text encoders keep of one caption.
fn text_activations(config: &TrainConfig, configs: &ModelConfigs) -> u64 {
    let rates = [config.train.text_lr, config.train.second_text_lr()];
    let towers = configs
        .text
        .iter()
        .zip(rates)
        .filter(|(_, rate)| *rate > 0.0);
    let kept = towers.map(|(tower, _)| {
        // Norms, queries, keys, values, result and sums; before and after the activation.
        let token = 8 * tower.hidden_size + 2 * tower.intermediate_size;
        (token * tower.num_hidden_layers) as u64
    });
    let tokens = 77 * config.model.max_tokens.div_ceil(75) as u64;
    kept.sum::<u64>() * tokens
}

/// Mean and variance of every picture that is kept as latents.
fn latents(plan: &Plan, configs: &ModelConfigs) -> u64 {
    let (reduction, channels) = (
        configs.vae.reduction() as u64,
        configs.vae.latent_channels as u64,
    );
    let of = |picture: &PicturePlan| {
        let (width, height) = picture.target;
        pixels(width, height) / (reduction * reduction) * 2 * channels * SINGLE
    };
    plan.pictures.iter().map(of).sum()
}

#[cfg(test)]
mod tests {
    use lora_core::{Family, tokenizer::Tokenizer};

    use super::*;
    use crate::lint::example::captioned;

    /// The plan of a run of SD 1.5 with `model.offload`, whose text encoder learns nothing.
    fn offloaded(change: impl FnOnce(&mut TrainConfig)) -> (TrainConfig, Plan) {
        let mut config = TrainConfig::default();
        config.model.offload = true;
        config.train.text_lr = 0.0;
        change(&mut config);
        let data = captioned(&["a, b", "c, d"]);
        let plan = Plan::new(&config, &data, &Tokenizer::clip(), &[]).unwrap();
        (config, plan)
    }

    fn memory((config, plan): &(TrainConfig, Plan), precision: Precision) -> MemoryPlan {
        let configs = ModelConfigs::published(Family::Sd1);
        MemoryPlan::new(config, plan, (&configs, precision.into()), (1000, 8000))
    }

    #[test]
    fn what_encodes_at_each_showing_stays() {
        let weights = |run: &(TrainConfig, Plan)| memory(run, Precision::F32).weights;
        let numbers = Parameters::of(&ModelConfigs::published(Family::Sd1));
        let [unet, text, vae] =
            [numbers.unet, numbers.text_encoders, numbers.vae].map(|count| count as u64 * SINGLE);
        let mut fixed = offloaded(|_| {});
        assert_eq!(weights(&fixed), unet);
        let shuffled = offloaded(|config| config.dataset.caption.shuffle = true);
        assert_eq!(weights(&shuffled), unet + text);
        let trained = offloaded(|config| config.train.text_lr = 1e-5);
        assert_eq!(weights(&trained), unet + text);
        fixed.1.encoded_once.pictures = false;
        assert_eq!(weights(&fixed), unet + vae);
    }

    #[test]
    fn half_the_bytes_of_a_number_are_half_of_weights_and_activations() {
        let run = offloaded(|_| {});
        let [single, half] = [Precision::F32, Precision::Bf16].map(|format| memory(&run, format));
        assert_eq!(half.weights * 2, single.weights);
        assert_eq!(half.activations * 2, single.activations);
        assert_eq!(half.adapters, single.adapters);
    }

    /// The largest blocks: SD 1.5's is the first up block that attends, of 2560 channels in and 1280 out; within it, its resnet.
    #[test]
    fn the_largest_piece_is_found() {
        let tensors = ModelConfigs::published(Family::Sd1).tensors(Component::UNet);
        let sum = |prefixes: &[&str]| -> u64 {
            let of = |key: &&String| prefixes.iter().any(|prefix| key.starts_with(prefix));
            let keys = tensors.keys().filter(of);
            keys.map(|key| tensors[key].iter().product::<usize>() as u64)
                .sum()
        };
        let first = ["up_blocks.1.resnets.0.", "up_blocks.1.attentions.0."];
        let block = largest_piece(&tensors, ActivationCheckpointing::Block);
        assert_eq!(block, sum(&["mid_block."]).max(sum(&first)));
        let layer = largest_piece(&tensors, ActivationCheckpointing::Aggressive);
        assert_eq!(layer, sum(&first[..1]));
        assert!(layer < block);
    }
}
