use super::UNetConfig;
use crate::ActivationCheckpointing;

/// Numbers that a forward pass of the UNet keeps for its backward pass, for one picture, on the CPU in f32, where the fused
/// operations compute. Elsewhere burn's own keep more.
///
/// Counted from what each layer keeps, for adapters on attention: the inputs of norms, of activations, and of adapted layers;
/// queries, keys, values and results of attention, but no scores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activations {
    /// What blocks leave for each other.
    pub outputs: u64,
    /// What is kept inside all blocks together.
    pub inside: u64,
    /// What is kept inside the largest of them.
    pub largest: u64,
    /// The largest part of a block that is computed again by itself: a resnet or a transformer layer.
    pub largest_layer: u64,
    /// The largest tensor.
    pub widest: u64,
}

impl Activations {
    /// Those of a picture whose latents are `height` by `width`, with texts of so many `tokens`.
    pub fn of(config: &UNetConfig, [height, width]: [usize; 2], tokens: usize) -> Self {
        let mut count = Self::default();
        let levels = config.block_out_channels.len();
        let pixels: Vec<u64> = (0..levels)
            .map(|level| (height.div_ceil(1 << level) * width.div_ceil(1 << level)) as u64)
            .collect();
        let first = config.block_out_channels[0] as u64;
        let mut channels = first;
        let mut skips = vec![channels];
        // conv_in, and the norm and the activation at the end.
        count.outputs += 3 * first * pixels[0];
        for (level, &out) in config.block_out_channels.iter().enumerate() {
            let attends = config.down_block_types[level].starts_with("CrossAttn");
            for _ in 0..config.layers_per_block {
                let resnet = resnet(channels, out as u64, pixels[level], false);
                let transformer =
                    attends.then(|| transformer(config, level, pixels[level], tokens));
                channels = out as u64;
                count.block(&[resnet], transformer, channels * pixels[level]);
                skips.push(channels);
            }
            if level + 1 < levels {
                count.outputs += channels * pixels[level + 1];
                skips.push(channels);
            }
        }
        let last = levels - 1;
        let resnets = [resnet(channels, channels, pixels[last], false); 2];
        let middle = transformer(config, last, pixels[last], tokens);
        count.block(&resnets, Some(middle), channels * pixels[last]);
        for (index, &out) in config.block_out_channels.iter().rev().enumerate() {
            let level = last - index;
            let attends = config.up_block_types[index].starts_with("CrossAttn");
            for _ in 0..=config.layers_per_block {
                let joined = channels + skips.pop().unwrap_or(0);
                let resnet = resnet(joined, out as u64, pixels[level], true);
                let transformer =
                    attends.then(|| transformer(config, level, pixels[level], tokens));
                channels = out as u64;
                count.block(&[resnet], transformer, channels * pixels[level]);
            }
            if level > 0 {
                // Enlarged, and convolved.
                count.inside += channels * pixels[level - 1];
                count.outputs += channels * pixels[level - 1];
            }
        }
        count
    }

    /// Numbers that are there at once when a step needs most, the gradients under way left aside.
    pub fn kept(&self, checkpointing: ActivationCheckpointing) -> u64 {
        match checkpointing {
            ActivationCheckpointing::None => self.outputs + self.inside,
            ActivationCheckpointing::Block => self.outputs + self.largest,
            ActivationCheckpointing::Aggressive => self.outputs + self.largest_layer,
        }
    }

    fn block(&mut self, resnets: &[u64], transformer: Option<Transformer>, output: u64) {
        let attention = transformer.map_or(0, |transformer| transformer.all);
        let inside = resnets.iter().sum::<u64>() + attention;
        self.outputs += output;
        self.inside += inside;
        self.largest = self.largest.max(inside);
        let layers = resnets.iter().copied();
        let layers = layers.chain(transformer.map(|transformer| transformer.alone));
        self.largest_layer = self.largest_layer.max(layers.max().unwrap_or(0));
        let widest = transformer.map_or(0, |transformer| transformer.widest);
        self.widest = self.widest.max(widest).max(output);
    }
}

/// Inputs of the second norm and of both activations; and the joined input, where it is not another block's output.
fn resnet(inputs: u64, outputs: u64, pixels: u64, is_joined: bool) -> u64 {
    (inputs * (1 + u64::from(is_joined)) + 2 * outputs) * pixels
}

/// What a transformer keeps.
#[derive(Clone, Copy)]
struct Transformer {
    /// In all.
    all: u64,
    /// When its layers are computed again one by one: their inputs, and the inside of one.
    alone: u64,
    /// Its largest tensor.
    widest: u64,
}

fn transformer(config: &UNetConfig, level: usize, pixels: u64, tokens: usize) -> Transformer {
    let channels = config.block_out_channels[level] as u64;
    let layers = config.transformer_layers_per_block.at(level) as u64;
    let heads = config.heads().at(level) as u64;
    let plane = channels * pixels;
    // Of each attention: its norm's result, the queries, the result and the sum; of the first the keys and values too. Of the
    // feed-forward: its norm's result, eight times as much before the gate, four after it, and the sum.
    let layer = 24 * plane + 4 * channels * tokens as u64 + 2 * heads * pixels;
    // The resnet's result, the norm's, the projection's and, from a convolution, that of the layers in another order.
    let around = (3 + u64::from(!config.use_linear_projection)) * plane;
    Transformer {
        all: layers * layer + around,
        alone: layers * plane + layer + around,
        widest: 8 * plane,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Family, ModelConfigs};

    #[test]
    fn more_is_kept_of_larger_pictures_and_less_with_checkpointing() {
        for family in [Family::Sd1, Family::Sd2, Family::Sdxl] {
            let config = ModelConfigs::published(family).unet;
            let small = Activations::of(&config, [32, 32], 77);
            let large = Activations::of(&config, [64, 64], 77);
            let all = [
                ActivationCheckpointing::None,
                ActivationCheckpointing::Block,
                ActivationCheckpointing::Aggressive,
            ];
            for checkpointing in all {
                let ratio = large.kept(checkpointing) as f64 / small.kept(checkpointing) as f64;
                // The text's part does not grow.
                assert!(ratio > 3.5 && ratio <= 4.0, "{family}: {ratio}");
            }
            let [none, block, aggressive] = all.map(|checkpointing| large.kept(checkpointing));
            assert!(
                none > 3 * block && block > aggressive,
                "{none} {block} {aggressive}"
            );
        }
    }
}
