//! Modules of SDXL's UNet: SGM's names and diffusers'.
//!
//! SGM numbers the blocks through. Each of SDXL's three levels has two layers, so a level covers three numbers on the way
//! down (two layers, one downsampler) and three on the way up (three layers, the last with the upsampler).

use crate::weights::OriginalUNetNames;

/// Numbers that one level covers.
const LEVEL: usize = 3;

/// SGM's and diffusers' name of the same module inside a resnet.
const RESNET: [(&str, &str); 4] = [
    ("in_layers.2", "conv1"),
    ("emb_layers.1", "time_emb_proj"),
    ("out_layers.3", "conv2"),
    ("skip_connection", "conv_shortcut"),
];

/// SGM's and diffusers' name of the modules outside the blocks.
const OUTSIDE: [(&str, &str); 6] = [
    ("input_blocks.0.0", "conv_in"),
    ("out.2", "conv_out"),
    ("time_embed.0", "time_embedding.linear_1"),
    ("time_embed.2", "time_embedding.linear_2"),
    ("label_emb.0.0", "add_embedding.linear_1"),
    ("label_emb.0.2", "add_embedding.linear_2"),
];

/// `input_blocks.4.1.proj_in` as `down_blocks.1.attentions.0.proj_in`.
pub(super) fn to_diffusers(path: &str) -> Option<String> {
    if let Some((_, diffusers)) = OUTSIDE.iter().find(|(sgm, _)| *sgm == path) {
        return Some((*diffusers).to_owned());
    }
    let (side, rest) = path.split_once('.')?;
    let (number, rest) = rest.split_once('.')?;
    let number: usize = number.parse().ok()?;
    if side == "middle_block" {
        return match number {
            0 | 2 => Some(format!(
                "mid_block.resnets.{}.{}",
                number / 2,
                resnet_to_diffusers(rest)?
            )),
            1 => Some(format!("mid_block.attentions.0.{rest}")),
            _ => None,
        };
    }
    let (part, inner) = rest.split_once('.')?;
    let (blocks, index) = match side {
        "input_blocks" => ("down_blocks", number.checked_sub(1)?),
        "output_blocks" => ("up_blocks", number),
        _ => return None,
    };
    let (level, layer) = (index / LEVEL, index % LEVEL);
    let module = match (part, inner) {
        ("0", "op") => "downsamplers.0.conv".to_owned(),
        ("1" | "2", "conv") => "upsamplers.0.conv".to_owned(),
        ("0", _) => format!("resnets.{layer}.{}", resnet_to_diffusers(inner)?),
        ("1", _) => format!("attentions.{layer}.{inner}"),
        _ => return None,
    };
    Some(format!("{blocks}.{level}.{module}"))
}

/// `down_blocks.1.attentions.0.proj_in` as `input_blocks.4.1.proj_in`; `None` for a path that SDXL's UNet does not have.
pub(super) fn from_diffusers(path: &str) -> Option<String> {
    let names = OriginalUNetNames {
        layers_per_block: LEVEL - 1,
        attends: vec![true, true, false],
    };
    let sgm = names.module(path);
    (to_diffusers(&sgm).as_deref() == Some(path)).then_some(sgm)
}

fn resnet_to_diffusers(module: &str) -> Option<&'static str> {
    let (_, diffusers) = RESNET.iter().find(|(sgm, _)| *sgm == module)?;
    Some(diffusers)
}
