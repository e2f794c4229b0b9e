use serde::Serialize;

use super::UNetConfig;

/// Floating-point operations of a LoRA step of the UNet, a multiplication and an addition being two: matrix products, convolutions and
/// attention; adapters on all of the transformers' layers, whose input is the first that takes a gradient.
///
/// What checkpointing computes a second time is not counted: it is no progress. Of one picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct StepFlops {
    /// The forward pass without adapters.
    pub forward: f64,
    /// Gradients in the inputs of frozen layers, and in both operands of attention's products.
    pub input_gradients: f64,
    /// Scores that attention computes again instead of keeping them.
    pub scores_again: f64,
    /// The adapters: their forward pass, the gradients in their inputs and in their matrices.
    pub adapters: f64,
}

impl StepFlops {
    /// Those of a picture whose latents are `height` by `width`, with `tokens` of text and adapters of `rank`.
    pub fn of(
        config: &UNetConfig,
        [height, width]: [usize; 2],
        tokens: usize,
        rank: usize,
    ) -> Self {
        let mut counter = Counter {
            sum: Self::default(),
            config,
            tokens: tokens as f64,
            rank: rank as f64,
            adapters_begun: false,
        };
        let levels = config.block_out_channels.len();
        let pixels: Vec<f64> = (0..levels)
            .map(|level| (height.div_ceil(1 << level) * width.div_ceil(1 << level)) as f64)
            .collect();
        let widths: Vec<f64> = config
            .block_out_channels
            .iter()
            .map(|&width| width as f64)
            .collect();
        let (first, time) = (widths[0], 4.0 * widths[0]);
        let mut channels = first;
        counter.constant(first * time + time * time);
        if let Some(added) = config.projection_class_embeddings_input_dim {
            counter.constant(added as f64 * time + time * time);
        }
        counter.frozen(pixels[0] * 9.0 * config.in_channels as f64 * first);
        let mut skips = vec![channels];
        for (level, &out) in widths.iter().enumerate() {
            let attends = config.down_block_types[level].starts_with("CrossAttn");
            for _ in 0..config.layers_per_block {
                counter.resnet(channels, out, pixels[level]);
                channels = out;
                if attends {
                    counter.transformer(level, channels, pixels[level]);
                }
                skips.push(channels);
            }
            if level + 1 < levels {
                counter.frozen(pixels[level + 1] * 9.0 * channels * channels);
                skips.push(channels);
            }
        }
        let last = levels - 1;
        counter.resnet(channels, channels, pixels[last]);
        counter.transformer(last, channels, pixels[last]);
        counter.resnet(channels, channels, pixels[last]);
        for (index, &out) in widths.iter().rev().enumerate() {
            let level = last - index;
            let attends = config.up_block_types[index].starts_with("CrossAttn");
            for _ in 0..=config.layers_per_block {
                counter.resnet(channels + skips.pop().unwrap_or(0.0), out, pixels[level]);
                channels = out;
                if attends {
                    counter.transformer(level, channels, pixels[level]);
                }
            }
            if level > 0 {
                counter.frozen(pixels[level - 1] * 9.0 * channels * channels);
            }
        }
        counter.frozen(pixels[0] * 9.0 * channels * config.out_channels as f64);
        counter.sum
    }

    /// All of them.
    pub fn step(&self) -> f64 {
        self.forward + self.input_gradients + self.scores_again + self.adapters
    }
}

/// Adds up layer after layer, in the order of the forward pass; layers are told by their multiplications.
struct Counter<'a> {
    sum: StepFlops,
    config: &'a UNetConfig,
    tokens: f64,
    rank: f64,
    /// Whether a layer with an adapter was met: from there on gradients flow.
    adapters_begun: bool,
}

impl Counter<'_> {
    /// A layer in whose input nobody wants a gradient.
    fn constant(&mut self, products: f64) {
        self.sum.forward += 2.0 * products;
    }

    /// A layer without an adapter.
    fn frozen(&mut self, products: f64) {
        self.constant(products);
        if self.adapters_begun {
            self.sum.input_gradients += 2.0 * products;
        }
    }

    /// A linear layer with an adapter over so many `rows`.
    fn adapted(&mut self, rows: f64, inputs: f64, outputs: f64) {
        self.frozen(rows * inputs * outputs);
        self.adapters(rows, inputs, outputs);
    }

    fn adapters(&mut self, rows: f64, inputs: f64, outputs: f64) {
        self.adapters_begun = true;
        self.sum.adapters += 3.0 * 2.0 * rows * self.rank * (inputs + outputs);
    }

    fn attention(&mut self, pixels: f64, context: f64, channels: f64) {
        let forward = 2.0 * 2.0 * pixels * context * channels;
        self.sum.forward += forward;
        self.sum.input_gradients += 2.0 * forward;
        self.sum.scores_again += forward / 2.0;
    }

    fn resnet(&mut self, inputs: f64, outputs: f64, pixels: f64) {
        self.frozen(pixels * 9.0 * inputs * outputs);
        self.constant(4.0 * self.config.block_out_channels[0] as f64 * outputs);
        self.frozen(pixels * 9.0 * outputs * outputs);
        if inputs.total_cmp(&outputs).is_ne() {
            self.frozen(pixels * inputs * outputs);
        }
    }

    fn transformer(&mut self, level: usize, channels: f64, pixels: f64) {
        let text = self.config.cross_attention_dim as f64;
        self.adapted(pixels, channels, channels);
        for _ in 0..self.config.transformer_layers_per_block.at(level) {
            for _ in 0..3 {
                self.adapted(pixels, channels, channels);
            }
            self.attention(pixels, pixels, channels);
            for _ in 0..2 {
                self.adapted(pixels, channels, channels);
            }
            for _ in 0..2 {
                self.constant(self.tokens * text * channels);
                self.adapters(self.tokens, text, channels);
            }
            self.attention(pixels, self.tokens, channels);
            self.adapted(pixels, channels, channels);
            self.adapted(pixels, channels, 8.0 * channels);
            self.adapted(pixels, 4.0 * channels, channels);
        }
        self.adapted(pixels, channels, channels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Family, ModelConfigs};

    /// Counted by another program from the published architectures, in TFLOP: forward, gradients, scores again, adapters of rank 16.
    #[test]
    fn counts_of_the_published_models() {
        let counted = [
            (Family::Sd1, 64, [0.803, 0.910, 0.063, 0.034]),
            (Family::Sd2, 64, [0.804, 0.910, 0.063, 0.034]),
            (Family::Sd2, 96, [2.149, 2.737, 0.314, 0.075]),
            (Family::Sdxl, 128, [6.761, 7.314, 0.392, 0.273]),
        ];
        for (family, side, expected) in counted {
            let config = ModelConfigs::published(family).unet;
            let flops = StepFlops::of(&config, [side; 2], 77, 16);
            let found = [
                flops.forward,
                flops.input_gradients,
                flops.scores_again,
                flops.adapters,
            ];
            for (found, expected) in found.into_iter().zip(expected) {
                let found = found / 1e12;
                assert!(
                    (found - expected).abs() < 6e-4,
                    "{family}: {found} {expected}"
                );
            }
            let sum: f64 = expected.iter().sum();
            assert!((flops.step() / 1e12 - sum).abs() < 3e-3);
        }
    }
}
