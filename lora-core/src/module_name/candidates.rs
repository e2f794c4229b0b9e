//! Every layer that an adapter can sit on, in any family.

use super::{ModuleName, TEXT_PROJECTION};
use crate::weights::Component;

/// More than any of the families has.
const TEXT_LAYERS: usize = 32;
const BLOCKS: usize = 4;
const LAYERS_OF_A_BLOCK: usize = 4;
const TRANSFORMERS_OF_A_LAYER: usize = 10;

const OUTSIDE_THE_BLOCKS: [&str; 6] = [
    "conv_in",
    "conv_out",
    "time_embedding.linear_1",
    "time_embedding.linear_2",
    "add_embedding.linear_1",
    "add_embedding.linear_2",
];

const OF_A_TEXT_LAYER: [&str; 6] = [
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.q_proj",
    "self_attn.out_proj",
    "mlp.fc1",
    "mlp.fc2",
];

const OF_A_TRANSFORMER: [&str; 10] = [
    "attn1.to_q",
    "attn1.to_k",
    "attn1.to_v",
    "attn1.to_out.0",
    "ff.net.0.proj",
    "ff.net.2",
    "attn2.to_q",
    "attn2.to_k",
    "attn2.to_v",
    "attn2.to_out.0",
];

const OF_A_RESNET: [&str; 4] = ["conv1", "time_emb_proj", "conv2", "conv_shortcut"];

impl ModuleName {
    /// The names of all layers that kohya's LoRA and LoCon adapt in any base model, of the few that others do, and of many
    /// that no model has: whoever has a model at hand looks which of them are there.
    ///
    /// The first layer of every block comes before the second of any: the original layout numbers blocks through, so that
    /// a layer that a block does not have is looked for, and found, in the next block. The first name of a place is right.
    pub fn candidates() -> impl Iterator<Item = Self> {
        let text = [Component::TextEncoder, Component::TextEncoder2]
            .into_iter()
            .flat_map(|component| text_paths().map(move |path| Self::new(component, path)));
        let projection = Self::new(Component::TextEncoder2, TEXT_PROJECTION);
        let outside = OUTSIDE_THE_BLOCKS.map(|path| Self::new(Component::UNet, path));
        text.chain([projection])
            .chain(outside)
            .chain(unet_paths().map(|path| Self::new(Component::UNet, path)))
    }
}

fn text_paths() -> impl Iterator<Item = String> {
    (0..TEXT_LAYERS).flat_map(|layer| {
        OF_A_TEXT_LAYER.map(|module| format!("text_model.encoder.layers.{layer}.{module}"))
    })
}

fn unet_paths() -> impl Iterator<Item = String> {
    let layers = (0..LAYERS_OF_A_BLOCK).flat_map(|layer| {
        blocks().flat_map(move |block| {
            attention_paths(&block, layer).chain(resnet_paths(&block, layer))
        })
    });
    let samplers = blocks().flat_map(|block| {
        ["downsamplers", "upsamplers"].map(|kind| format!("{block}.{kind}.0.conv"))
    });
    layers.chain(samplers)
}

fn blocks() -> impl Iterator<Item = String> {
    let numbered = |blocks: &'static str| (0..BLOCKS).map(move |block| format!("{blocks}.{block}"));
    numbered("down_blocks")
        .chain(["mid_block".to_owned()])
        .chain(numbered("up_blocks"))
}

fn attention_paths(block: &str, layer: usize) -> impl Iterator<Item = String> + use<> {
    let attention = format!("{block}.attentions.{layer}");
    let projections = ["proj_in", "proj_out"].map(|module| format!("{attention}.{module}"));
    let transformers = (0..TRANSFORMERS_OF_A_LAYER).flat_map(move |transformer| {
        OF_A_TRANSFORMER
            .map(|module| format!("{attention}.transformer_blocks.{transformer}.{module}"))
    });
    projections.into_iter().chain(transformers)
}

fn resnet_paths(block: &str, layer: usize) -> impl Iterator<Item = String> + use<> {
    OF_A_RESNET
        .map(|module| format!("{block}.resnets.{layer}.{module}"))
        .into_iter()
}
