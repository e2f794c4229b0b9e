//! Which family of base models a LoRA file is for.

use super::LoraFile;
use super::key::module_name;
use crate::Family;
use crate::weights::Component;

impl LoraFile {
    /// The family of base models that the modules belong to; `None` when neither they nor the metadata tell.
    pub fn family(&self) -> Option<Family> {
        let pairs = self.modules.iter();
        let pairs = pairs.map(|(name, module)| (name.as_str(), module.down.shape().to_vec()));
        let others = self.lycoris.iter();
        let others = others.filter_map(|(name, module)| Some((name.as_str(), module.inputs()?)));
        let modules: Vec<(&str, Vec<usize>)> = pairs.chain(others).collect();
        let modules = modules
            .iter()
            .map(|(name, shape)| (*name, shape.as_slice()));
        detect(modules, |key| self.metadata.get(key).map(String::as_str))
    }
}

/// Looks at the names first, then at the widths of the down factors, then at the metadata; then at the dimensions of
/// projections, which some trainers write otherwise than the model has them.
///
/// Names are in any layout's spelling. Widths are those of the published models.
pub(super) fn detect<'a, 'm>(
    modules: impl Iterator<Item = (&'a str, &'a [usize])>,
    metadata: impl Fn(&str) -> Option<&'m str>,
) -> Option<Family> {
    let (mut by_shape, mut by_width) = (None, None);
    for (name, down) in modules {
        if only_in_sdxl(name) {
            return Some(Family::Sdxl);
        }
        by_shape = by_shape.or_else(|| of_projection(name, down));
        by_width = by_width.or_else(|| of_width(name, down));
    }
    by_width.or_else(|| of_metadata(metadata)).or(by_shape)
}

/// SDXL alone has two text encoders, SGM's names, several transformer blocks in one, and attention in its deepest
/// upward block.
fn only_in_sdxl(name: &str) -> bool {
    let sgm = ["input_blocks_", "middle_block_", "output_blocks_"];
    if let Some(layer) = name.strip_prefix("lora_unet_")
        && sgm.iter().any(|first| layer.starts_with(first))
    {
        return true;
    }
    let Some(module) = module_name(name) else {
        return false;
    };
    match module.component() {
        Component::TextEncoder2 => true,
        Component::TextEncoder => name.starts_with("lora_te1_"),
        _ => {
            let later_block = module.path().split_once("transformer_blocks.");
            later_block.is_some_and(|(_, inside)| !inside.starts_with("0."))
                || module.path().starts_with("up_blocks.0.attentions.")
        }
    }
}

/// SD 1.x projects with convolutions where SD 2.x has linear layers; SDXL has none at this place.
fn of_projection(name: &str, down: &[usize]) -> Option<Family> {
    let module = module_name(name)?;
    let inside = ["down_blocks.0.attentions.", "up_blocks.3.attentions."];
    let projection = module.path().ends_with(".proj_in") || module.path().ends_with(".proj_out");
    if !(projection && inside.iter().any(|block| module.path().starts_with(block))) {
        return None;
    }
    match down.len() {
        4 => Some(Family::Sd1),
        2 => Some(Family::Sd2),
        _ => None,
    }
}

/// The width of the text states, which cross-attention reads and SD 1.x's and 2.x's text encoders have.
fn of_width(name: &str, down: &[usize]) -> Option<Family> {
    let module = module_name(name)?;
    let reads_text = [
        "attn2.to_k",
        "attn2.to_v",
        "self_attn.q_proj",
        "self_attn.k_proj",
        "self_attn.v_proj",
    ];
    if !reads_text
        .iter()
        .any(|layer| module.path().ends_with(layer))
    {
        return None;
    }
    match down.get(1)? {
        768 => Some(Family::Sd1),
        1024 => Some(Family::Sd2),
        2048 => Some(Family::Sdxl),
        _ => None,
    }
}

fn of_metadata<'a>(metadata: impl Fn(&str) -> Option<&'a str>) -> Option<Family> {
    let version = metadata("ss_base_model_version").unwrap_or_default();
    let architecture = metadata("modelspec.architecture").unwrap_or_default();
    let starts = |version_start: &str, architecture_start: &str| {
        version.starts_with(version_start) || architecture.starts_with(architecture_start)
    };
    if starts("sdxl_", "stable-diffusion-xl-") {
        Some(Family::Sdxl)
    } else if starts("sd_v2", "stable-diffusion-v2") || metadata("ss_v2") == Some("True") {
        Some(Family::Sd2)
    } else if starts("sd_v1", "stable-diffusion-v1") {
        Some(Family::Sd1)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sign_is_enough() {
        let none = |_: &str| None;
        for (name, down, family) in [
            (
                "lora_unet_input_blocks_4_1_proj_in",
                vec![4, 640],
                Some(Family::Sdxl),
            ),
            (
                "lora_unet_down_blocks_2_attentions_0_transformer_blocks_9_attn1_to_q",
                vec![4, 1280],
                Some(Family::Sdxl),
            ),
            (
                "lora_te1_text_model_encoder_layers_0_mlp_fc1",
                vec![4, 768],
                Some(Family::Sdxl),
            ),
            (
                "text_encoder_2.text_model.encoder.layers.0.mlp.fc1",
                vec![4, 1280],
                Some(Family::Sdxl),
            ),
            (
                "unet.up_blocks.0.attentions.0.proj_in",
                vec![4, 1280],
                Some(Family::Sdxl),
            ),
            (
                "unet.down_blocks.0.attentions.0.proj_in",
                vec![4, 320],
                Some(Family::Sd2),
            ),
            (
                "lora_unet_down_blocks_0_attentions_0_proj_in",
                vec![4, 320, 1, 1],
                Some(Family::Sd1),
            ),
            (
                "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k",
                vec![4, 768],
                Some(Family::Sd1),
            ),
            (
                "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k",
                vec![4, 1024],
                Some(Family::Sd2),
            ),
            (
                "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k",
                vec![4, 2048],
                Some(Family::Sdxl),
            ),
            (
                "lora_te_text_model_encoder_layers_0_self_attn_q_proj",
                vec![4, 1024],
                Some(Family::Sd2),
            ),
            (
                "lora_unet_mid_block_attentions_0_proj_in",
                vec![4, 320],
                None,
            ),
            ("anything", vec![4, 768], None),
        ] {
            assert_eq!(
                detect([(name, down.as_slice())].into_iter(), none),
                family,
                "{name}"
            );
        }
    }

    #[test]
    fn metadata_decides_where_nothing_else_does() {
        for (key, value, family) in [
            (
                "ss_base_model_version",
                "sdxl_base_v1-0",
                Some(Family::Sdxl),
            ),
            ("ss_base_model_version", "sd_v2_v", Some(Family::Sd2)),
            ("ss_v2", "True", Some(Family::Sd2)),
            ("ss_v2", "False", None),
            (
                "modelspec.architecture",
                "stable-diffusion-v1/lora",
                Some(Family::Sd1),
            ),
        ] {
            let metadata = |asked: &str| (asked == key).then_some(value);
            assert_eq!(
                detect(std::iter::empty(), metadata),
                family,
                "{key} {value}"
            );
        }
    }
}
