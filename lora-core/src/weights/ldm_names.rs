//! Names of the original single-file layout (CompVis, "LDM") for keys of the diffusers layout.
//!
//! Mirrors diffusers' `convert_ldm_unet_checkpoint` and `convert_ldm_vae_checkpoint`, read from right to left: a
//! network asks for a diffusers key and gets told where the original file keeps it.

/// The original name of a UNet's `key`; `has` tells whether the file has a name.
///
/// The UNet's blocks are numbered through without regard to their kind, so the number of layers in a block has to be
/// known: it shows in where the first downsampler stands.
pub(super) fn unet_name(key: &str, has: &dyn Fn(&str) -> bool) -> String {
    let stage = (2..)
        .take(8)
        .find(|stage| has(&format!("input_blocks.{stage}.0.op.weight")))
        .unwrap_or(3);
    unet(key, stage, &|block| {
        has(&format!("output_blocks.{block}.1.conv.weight"))
    })
}

/// The original name of a VAE's `key`; `has` tells whether the file has a name.
pub(super) fn vae_name(key: &str, has: &dyn Fn(&str) -> bool) -> String {
    let levels = (0..8)
        .take_while(|level| has(&format!("encoder.down.{level}.block.0.norm1.weight")))
        .count();
    vae(key, levels)
}

/// The original names of a UNet's modules, from its config instead of a file.
#[derive(Clone, Debug)]
pub struct OriginalUNetNames {
    /// Resnets of each down block.
    pub layers_per_block: usize,
    /// For each up block, coarsest first, whether it has attention.
    pub attends: Vec<bool>,
}

impl OriginalUNetNames {
    /// The original path of the module that diffusers calls `path`, such as `input_blocks.4.1.proj_in`.
    pub fn module(&self, path: &str) -> String {
        let stage = self.layers_per_block + 1;
        let second = |block: usize| {
            !self
                .attends
                .get(block / stage)
                .is_some_and(|attends| *attends)
        };
        // The translation knows tensors; any will do.
        let name = unet(&format!("{path}.weight"), stage, &second);
        name.strip_suffix(".weight").unwrap_or(&name).to_owned()
    }
}

/// `stage` is the number of numbered blocks that one down or up block covers: its layers and one more.
/// `second` tells whether an output block's upsampler is its second part (it is the third after an attention).
fn unet(key: &str, stage: usize, second: &dyn Fn(usize) -> bool) -> String {
    let parts: Vec<&str> = key.split('.').collect();
    let number = |index: usize| {
        parts
            .get(index)
            .and_then(|part| part.parse().ok())
            .unwrap_or(0)
    };
    let rest = |from: usize| parts[from.min(parts.len())..].join(".");
    match parts.as_slice() {
        ["conv_in", ..] => format!("input_blocks.0.0.{}", rest(1)),
        ["conv_norm_out", ..] => format!("out.0.{}", rest(1)),
        ["conv_out", ..] => format!("out.2.{}", rest(1)),
        ["time_embedding", "linear_1", ..] => format!("time_embed.0.{}", rest(2)),
        ["time_embedding", "linear_2", ..] => format!("time_embed.2.{}", rest(2)),
        // SDXL's sizes and pooled text.
        ["add_embedding", "linear_1", ..] => format!("label_emb.0.0.{}", rest(2)),
        ["add_embedding", "linear_2", ..] => format!("label_emb.0.2.{}", rest(2)),
        ["down_blocks", _, "downsamplers", ..] => {
            format!("input_blocks.{}.0.op.{}", (number(1) + 1) * stage, rest(5))
        }
        ["down_blocks", _, kind, ..] => {
            format!(
                "input_blocks.{}.{}",
                1 + number(1) * stage + number(3),
                unet_layer(kind, &rest(4))
            )
        }
        ["mid_block", "attentions", ..] => format!("middle_block.1.{}", rest(3)),
        ["mid_block", "resnets", ..] => {
            format!("middle_block.{}.{}", 2 * number(2), unet_resnet(&rest(3)))
        }
        ["up_blocks", _, "upsamplers", ..] => {
            let block = (number(1) + 1) * stage - 1;
            let part = if second(block) { 1 } else { 2 };
            format!("output_blocks.{block}.{part}.conv.{}", rest(5))
        }
        ["up_blocks", _, kind, ..] => {
            format!(
                "output_blocks.{}.{}",
                number(1) * stage + number(3),
                unet_layer(kind, &rest(4))
            )
        }
        _ => key.to_owned(),
    }
}

fn unet_layer(kind: &str, rest: &str) -> String {
    match kind {
        "attentions" => format!("1.{rest}"),
        _ => format!("0.{}", unet_resnet(rest)),
    }
}

fn unet_resnet(rest: &str) -> String {
    let (module, tensor) = rest.split_once('.').unwrap_or((rest, ""));
    let module = match module {
        "norm1" => "in_layers.0",
        "conv1" => "in_layers.2",
        "time_emb_proj" => "emb_layers.1",
        "norm2" => "out_layers.0",
        "conv2" => "out_layers.3",
        "conv_shortcut" => "skip_connection",
        other => other,
    };
    format!("{module}.{tensor}")
}

/// `levels` is the number of resolutions; the original counts the decoder's from the finest.
fn vae(key: &str, levels: usize) -> String {
    let parts: Vec<&str> = key.split('.').collect();
    let number = |index: usize| {
        parts
            .get(index)
            .and_then(|part| part.parse().ok())
            .unwrap_or(0)
    };
    let rest = |from: usize| vae_module(&parts[from.min(parts.len())..]);
    let Some((half, inner)) = parts.split_first() else {
        return key.to_owned();
    };
    match inner {
        ["mid_block", "resnets", ..] => format!("{half}.mid.block_{}.{}", number(3) + 1, rest(4)),
        ["mid_block", "attentions", ..] => format!("{half}.mid.attn_1.{}", rest(4)),
        ["down_blocks", _, "resnets", ..] => {
            format!("{half}.down.{}.block.{}.{}", number(2), number(4), rest(5))
        }
        ["down_blocks", ..] => format!("{half}.down.{}.downsample.{}", number(2), rest(5)),
        ["up_blocks", _, "resnets", ..] => {
            let level = levels.saturating_sub(1 + number(2));
            format!("{half}.up.{level}.block.{}.{}", number(4), rest(5))
        }
        ["up_blocks", ..] => {
            format!(
                "{half}.up.{}.upsample.{}",
                levels.saturating_sub(1 + number(2)),
                rest(5)
            )
        }
        ["conv_norm_out", tensor] => format!("{half}.norm_out.{tensor}"),
        _ => key.to_owned(),
    }
}

fn vae_module(parts: &[&str]) -> String {
    match parts {
        ["conv_shortcut", tensor] => format!("nin_shortcut.{tensor}"),
        ["group_norm", tensor] => format!("norm.{tensor}"),
        ["to_q", tensor] => format!("q.{tensor}"),
        ["to_k", tensor] => format!("k.{tensor}"),
        ["to_v", tensor] => format!("v.{tensor}"),
        ["to_out", _, tensor] => format!("proj_out.{tensor}"),
        other => other.join("."),
    }
}
