//! The denoising network of Stable Diffusion (Rombach et al. 2022), as diffusers' `UNet2DConditionModel` computes it.

mod activations;
mod added_embedding;
mod block;
mod conditions;
mod config;
mod sinusoidal;
mod step_flops;
mod time_embedding;
mod transformer;
mod transformer_block;
mod unsupported;

use burn::tensor::{DType, Device, FloatDType, Tensor};

pub use activations::Activations;
use added_embedding::AddedEmbedding;
use block::Kind;
pub use block::{Block, Conditioning, Skip};
pub use conditions::{AddedConditions, Conditions};
pub use config::{OneOrEach, UNetConfig};
pub use step_flops::StepFlops;
use time_embedding::TimeEmbedding;
use transformer::Transformer;

use crate::{
    Family,
    activation::Activation,
    adapter::{Naming, Site, Sites, Target},
    layer::{Conv2d, GroupNorm},
    recompute::ActivationCheckpointing,
    resample::{Downsample, Upsample},
    resnet::{Resnet, ResnetConfig},
    weights::{OriginalUNetNames, Weights},
};

/// Predicts noise (or velocity) from noisy latents, a timestep and text states.
#[derive(Clone, Debug)]
pub struct UNet {
    conv_in: Conv2d,
    time_embedding: TimeEmbedding,
    /// SDXL's.
    added_embedding: Option<AddedEmbedding>,
    blocks: Vec<Block>,
    naming: Naming,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
    activation: Activation,
    checkpointing: ActivationCheckpointing,
}

impl UNet {
    /// Takes all its tensors from `weights`. The config must have passed [`UNetConfig::unsupported`].
    pub fn new(config: &UNetConfig, weights: &Weights<'_>) -> Self {
        let first = config.block_out_channels[0];
        Self {
            conv_in: Conv2d::new(&weights.at("conv_in"), config.in_channels, first, 3),
            time_embedding: TimeEmbedding::new(config, &weights.at("time_embedding")),
            added_embedding: config
                .addition_embed_type
                .is_some()
                .then(|| AddedEmbedding::new(config, &weights.at("add_embedding"))),
            blocks: blocks(config, weights),
            naming: naming(config),
            conv_norm_out: GroupNorm::new(
                &weights.at("conv_norm_out"),
                config.norm_num_groups,
                first,
                config.norm_eps,
            ),
            conv_out: Conv2d::new(&weights.at("conv_out"), first, config.out_channels, 3),
            activation: config.act_fn,
            checkpointing: ActivationCheckpointing::None,
        }
    }

    /// Where it computes.
    pub fn device(&self) -> Device {
        self.conv_in.device()
    }

    /// What it computes in.
    pub fn dtype(&self) -> DType {
        self.conv_in.dtype()
    }

    /// Says what passes from now on keep for the backward pass. Gradients are the same.
    pub fn set_checkpointing(&mut self, checkpointing: ActivationCheckpointing) {
        self.checkpointing = checkpointing;
    }

    /// `latents [batch, 4, height, width]`, one timestep for each item and its conditions to a prediction of the
    /// latents' shape, in the number format that the network computes in, whatever that of latents and
    /// conditions is.
    ///
    /// # Panics
    /// When the network has an added embedding (SDXL) and the conditions lack what it embeds.
    pub fn forward(
        &self,
        latents: Tensor<4>,
        timesteps: &[f32],
        conditions: &Conditions,
    ) -> Tensor<4> {
        let dtype = FloatDType::from(self.dtype());
        let latents = latents.cast(dtype);
        let mut time = self.time_embedding.forward(timesteps, &latents);
        if let Some(embedding) = &self.added_embedding {
            let Some(added) = &conditions.added else {
                panic!("this UNet needs the pooled text and the sizes");
            };
            time = time + embedding.forward(added, dtype);
        }
        let conditioning = Conditioning {
            time: self.activation.forward(time),
            text: conditions.text.clone().cast(dtype),
            checkpointing: self.checkpointing,
        };
        let mut hidden = self.conv_in.forward(latents);
        let mut skips = vec![hidden.clone()];
        for block in &self.blocks {
            let skip = match block.skip() {
                Skip::Take => skips.pop(),
                Skip::Look => skips.last().cloned(),
                Skip::Leave | Skip::Ignore => None,
            };
            hidden = match self.checkpointing {
                ActivationCheckpointing::None => block.forward(hidden, skip, &conditioning),
                ActivationCheckpointing::Block | ActivationCheckpointing::Aggressive => {
                    block.forward_again(hidden, skip, &conditioning)
                }
            };
            if block.skip() == Skip::Leave {
                skips.push(hidden.clone());
            }
        }
        let normal = self.conv_norm_out.forward(hidden);
        self.conv_out.forward(self.activation.forward(normal))
    }

    /// The blocks between `conv_in` and `conv_norm_out`, in the order of the forward pass.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }
}

impl Sites for UNet {
    fn naming(&self) -> Naming {
        self.naming.clone()
    }

    fn sites(&mut self, visit: &mut dyn FnMut(Target, Site<'_>)) {
        let added = self.added_embedding.iter_mut();
        let embeddings = self.time_embedding.linears_mut().into_iter();
        for linear in embeddings.chain(added.flat_map(AddedEmbedding::linears_mut)) {
            visit(Target::OutsideTheBlocks, linear.site());
        }
        visit(Target::OutsideTheBlocks, self.conv_in.site());
        for block in &mut self.blocks {
            block.sites(visit);
        }
        visit(Target::OutsideTheBlocks, self.conv_out.site());
    }
}

/// kohya's files follow diffusers' module paths, except for SDXL, whose trainer took the original code's.
fn naming(config: &UNetConfig) -> Naming {
    let attends = config
        .up_block_types
        .iter()
        .map(|kind| kind.contains("Attn"));
    Naming {
        prefix: "lora_unet",
        folder: "unet",
        original: Some(OriginalUNetNames {
            layers_per_block: config.layers_per_block,
            attends: attends.collect(),
        }),
        files_are_original: config.family() == Family::Sdxl,
    }
}

/// The sequence of blocks that the config describes, finest level down to the coarsest and up again.
fn blocks(config: &UNetConfig, weights: &Weights<'_>) -> Vec<Block> {
    let resnets = ResnetConfig {
        groups: config.norm_num_groups,
        epsilon: config.norm_eps,
        time: Some(4 * config.block_out_channels[0]),
        activation: config.act_fn,
    };
    let levels = config.block_out_channels.len();
    let mut channels = config.block_out_channels[0];
    let mut skips = vec![channels];
    let mut blocks = Vec::new();
    for (level, &outputs) in config.block_out_channels.iter().enumerate() {
        let stage = weights.at("down_blocks").at(level);
        for index in 0..config.layers_per_block {
            let resnet = Resnet::new(resnets, &stage.at("resnets").at(index), channels, outputs);
            let transformer =
                (config.down_block_types[level] == "CrossAttnDownBlock2D").then(|| {
                    Transformer::new(config, &stage.at("attentions").at(index), level, outputs)
                });
            blocks.push(Kind::Down(resnet, transformer));
            channels = outputs;
            skips.push(channels);
        }
        if level + 1 < levels {
            let downsample = Downsample::symmetric(&stage.at("downsamplers").at(0), channels);
            blocks.push(Kind::Downsample(downsample));
            skips.push(channels);
        }
    }
    blocks.push(middle(config, resnets, &weights.at("mid_block"), channels));
    for (index, &outputs) in config.block_out_channels.iter().rev().enumerate() {
        let level = levels - 1 - index;
        let stage = weights.at("up_blocks").at(index);
        for index_in_block in 0..=config.layers_per_block {
            let inputs = channels + skips.pop().unwrap_or(0);
            let resnet = Resnet::new(
                resnets,
                &stage.at("resnets").at(index_in_block),
                inputs,
                outputs,
            );
            let transformer = (config.up_block_types[index] == "CrossAttnUpBlock2D").then(|| {
                Transformer::new(
                    config,
                    &stage.at("attentions").at(index_in_block),
                    level,
                    outputs,
                )
            });
            blocks.push(Kind::Up(resnet, transformer));
            channels = outputs;
        }
        if level > 0 {
            blocks.push(Kind::Upsample(Upsample::new(
                &stage.at("upsamplers").at(0),
                channels,
            )));
        }
    }
    blocks.into_iter().map(Block).collect()
}

fn middle(
    config: &UNetConfig,
    resnets: ResnetConfig,
    weights: &Weights<'_>,
    channels: usize,
) -> Kind {
    let resnet = |index: usize| {
        Resnet::new(
            resnets,
            &weights.at("resnets").at(index),
            channels,
            channels,
        )
    };
    let level = config.block_out_channels.len() - 1;
    let transformer = Transformer::new(config, &weights.at("attentions").at(0), level, channels);
    Kind::Middle(resnet(0), Some(transformer), resnet(1))
}
