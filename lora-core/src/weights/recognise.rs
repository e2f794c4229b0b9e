//! What a checkpoint is: told from the keys and shapes of a single file, or from the configs of a folder.

use std::{fs, path::Path};

use serde::Deserialize;

use super::{CheckpointError, OtherModel, layout::Layout};
use crate::{Family, safetensors_file::SafetensorsFile};

/// The first convolution of a UNet in the original layout, `[320, 4, 3, 3]` in every published model.
const FIRST_CONVOLUTION: &str = "model.diffusion_model.input_blocks.0.0.weight";

/// A single file in the original layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SingleFile {
    pub(super) family: Family,
    /// Whether its widths are those of the published model, so that heads and norm groups are too.
    pub(super) published: bool,
}

/// Tells what `file` is.
///
/// # Errors
/// What it is instead, where it is no text-to-image model of a known family.
pub(super) fn single_file(file: &SafetensorsFile) -> Result<SingleFile, OtherModel> {
    let names = file.names();
    let any = |part: &str| names.iter().any(|name| name.starts_with(part));
    let Some(channels) = extent(file, FIRST_CONVOLUTION, 1) else {
        return Err(other(&names));
    };
    if any("control_model.") {
        return Err(OtherModel::ControlNet);
    }
    if channels != 4 {
        return Err(OtherModel::Channels(channels));
    }
    // What ComfyUI knows them by; noise, target and, of the latter, latents are others.
    for (mark, name) in [
        ("edm_vpred.sigma_max", "CosXL"),
        ("edm_mean", "Playground 2.5"),
    ] {
        if file.info(mark).is_some() {
            return Err(OtherModel::Architecture(name.to_owned()));
        }
    }
    let family = if any("conditioner.embedders.1.model.") {
        Family::Sdxl
    } else if any("conditioner.embedders.0.model.") {
        return Err(OtherModel::Refiner);
    } else if any("cond_stage_model.model.") {
        Family::Sd2
    } else if any("cond_stage_model.transformer.") {
        Family::Sd1
    } else {
        return Err(OtherModel::UNet);
    };
    Ok(SingleFile {
        family,
        published: has_published_widths(file, family),
    })
}

/// Whether the file's first convolution and first cross-attention have the widths of the published model.
fn has_published_widths(file: &SafetensorsFile, family: Family) -> bool {
    let (block, width) = match family {
        Family::Sd1 => (1, [320, 768]),
        Family::Sd2 => (1, [320, 1024]),
        Family::Sdxl => (4, [640, 2048]),
    };
    let attention = format!(
        "model.diffusion_model.input_blocks.{block}.1.transformer_blocks.0.attn2.to_k.weight"
    );
    let shape = |name: &str| file.info(name).map(|info| info.shape.as_slice());
    shape(FIRST_CONVOLUTION) == Some(&[320, 4, 3, 3]) && shape(&attention) == Some(&width)
}

/// How `file` names the tensors of the VAE in it, and whether that has the published widths; `None` without a VAE.
pub(super) fn vae(file: &SafetensorsFile) -> Option<(Layout, bool)> {
    let whole = "first_stage_model.";
    let layouts = [
        (
            Layout::LdmVae(whole),
            whole,
            "encoder.down.0.block.0.norm1.weight",
        ),
        (
            Layout::LdmVae(""),
            "",
            "encoder.down.0.block.0.norm1.weight",
        ),
        (
            Layout::Diffusers,
            "",
            "encoder.down_blocks.0.resnets.0.norm1.weight",
        ),
    ];
    let found = layouts
        .into_iter()
        .find(|(_, prefix, norm)| file.info(&format!("{prefix}{norm}")).is_some());
    let (layout, prefix, _) = found?;
    let width = extent(file, &format!("{prefix}encoder.conv_in.weight"), 0);
    Some((layout, width == Some(128)))
}

fn extent(file: &SafetensorsFile, name: &str, dimension: usize) -> Option<usize> {
    file.info(name)?.shape.get(dimension).copied()
}

/// What a file without an original UNet of Stable Diffusion's kind is, by names that only such files have.
fn other(names: &[String]) -> OtherModel {
    let starts = |part: &str| names.iter().any(|name| name.starts_with(part));
    let contains = |part: &str| names.iter().any(|name| name.contains(part));
    let architecture = |name: &str| OtherModel::Architecture(name.to_owned());
    if contains(".lora_down.") || contains(".lora_A.") || contains(".hada_w1") {
        OtherModel::Lora
    } else if contains("joint_blocks.0.") {
        architecture("Stable Diffusion 3")
    } else if contains("double_blocks.0.") {
        architecture("Flux")
    } else if contains("adaln_single.") {
        architecture("PixArt")
    } else if starts("emb_params") || starts("clip_l") || starts("clip_g") {
        OtherModel::Embedding
    } else if starts("control_model.") || starts("controlnet_") {
        OtherModel::ControlNet
    } else if starts("first_stage_model.") || starts("encoder.down") {
        OtherModel::Vae
    } else if starts("down_blocks.0.") || starts("text_model.") {
        OtherModel::DiffusersNetwork
    } else {
        OtherModel::Unknown
    }
}

/// The fields of a diffusers UNet's config that tell the families apart.
#[derive(Deserialize)]
struct UNetShape {
    #[serde(default = "latent_channels")]
    in_channels: usize,
    #[serde(default)]
    use_linear_projection: bool,
    addition_embed_type: Option<String>,
}

fn latent_channels() -> usize {
    4
}

/// Tells what the diffusers folder `configs` describes.
///
/// # Errors
/// The UNet's config cannot be read, or the folder is of another kind of model.
pub(super) fn folder(configs: &Path) -> Result<Family, CheckpointError> {
    let other = |found| {
        Err(CheckpointError::OtherModel {
            path: configs.to_path_buf(),
            found,
        })
    };
    if !configs.join("unet").is_dir() {
        return match pipeline(configs) {
            Some(name) => other(OtherModel::Architecture(name)),
            None => Err(CheckpointError::NotAModel {
                path: configs.to_path_buf(),
                missing: "unet folder".to_owned(),
            }),
        };
    }
    let path = configs.join("unet").join("config.json");
    let text = fs::read_to_string(&path).map_err(|source| CheckpointError::Io {
        path: path.clone(),
        source,
    })?;
    let unet: UNetShape =
        serde_json::from_str(&text).map_err(|source| CheckpointError::Json { path, source })?;
    let has = |folder| configs.join(folder).is_dir();
    match unet {
        UNetShape { in_channels, .. } if in_channels != 4 => {
            other(OtherModel::Channels(in_channels))
        }
        UNetShape {
            addition_embed_type: Some(_),
            ..
        } if has("text_encoder_2") && !has("text_encoder") => other(OtherModel::Refiner),
        UNetShape {
            addition_embed_type: Some(_),
            ..
        } => Ok(Family::Sdxl),
        UNetShape {
            use_linear_projection: true,
            ..
        } => Ok(Family::Sd2),
        _ => Ok(Family::Sd1),
    }
}

/// The class of pipeline that a folder's `model_index.json` names.
fn pipeline(folder: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct ModelIndex {
        #[serde(rename = "_class_name")]
        class_name: String,
    }
    let text = fs::read_to_string(folder.join("model_index.json")).ok()?;
    let index: ModelIndex = serde_json::from_str(&text).ok()?;
    Some(index.class_name)
}
