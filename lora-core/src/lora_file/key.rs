//! What the name of a tensor in a LoRA file says.

use std::fmt;

use crate::ModuleName;

/// How a file spells its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LoraLayout {
    /// sd-scripts': `lora_unet_mid_block_attentions_0_proj_in.lora_down.weight`, with an alpha for each module.
    Kohya,
    /// That of PEFT and of diffusers today: `unet.mid_block.attentions.0.proj_in.lora_A.weight`.
    Peft,
    /// That of diffusers before it used PEFT: `….attn1.processor.to_q_lora.down.weight`, `….lora_linear_layer.up.weight`.
    OldDiffusers,
}

impl fmt::Display for LoraLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kohya => "kohya",
            Self::Peft => "PEFT",
            Self::OldDiffusers => "diffusers before PEFT",
        })
    }
}

/// What a tensor is to its module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Down,
    Up,
    Alpha,
}

/// A key taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// The module as this file names it, in PEFT's path form with its component in front.
    pub(super) module: String,
    pub(super) role: Role,
    /// Unset for an alpha, whose key is spelled alike in all layouts.
    pub(super) layout: Option<LoraLayout>,
}

/// Endings of keys; the first that fits counts.
const ENDINGS: [(&str, Role, Option<LoraLayout>); 13] = [
    (".lora_down.weight", Role::Down, Some(LoraLayout::Kohya)),
    (".lora_up.weight", Role::Up, Some(LoraLayout::Kohya)),
    (".lora_A.weight", Role::Down, Some(LoraLayout::Peft)),
    (".lora_B.weight", Role::Up, Some(LoraLayout::Peft)),
    (".lora_A.default.weight", Role::Down, Some(LoraLayout::Peft)),
    (".lora_B.default.weight", Role::Up, Some(LoraLayout::Peft)),
    (
        ".lora.down.weight",
        Role::Down,
        Some(LoraLayout::OldDiffusers),
    ),
    (".lora.up.weight", Role::Up, Some(LoraLayout::OldDiffusers)),
    (
        ".lora_linear_layer.down.weight",
        Role::Down,
        Some(LoraLayout::OldDiffusers),
    ),
    (
        ".lora_linear_layer.up.weight",
        Role::Up,
        Some(LoraLayout::OldDiffusers),
    ),
    (
        "_lora.down.weight",
        Role::Down,
        Some(LoraLayout::OldDiffusers),
    ),
    ("_lora.up.weight", Role::Up, Some(LoraLayout::OldDiffusers)),
    (".alpha", Role::Alpha, None),
];

/// What PEFT writes in front of a path when it saves a single network.
pub(super) const PEFT_PREFIX: &str = "base_model.model.";

impl Key {
    /// `None` when the tensor is no part of a LoRA.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (module, role, layout) = ENDINGS.iter().find_map(|&(ending, role, layout)| {
            let module = name
                .strip_suffix(ending)
                .filter(|module| !module.is_empty())?;
            Some((module, role, layout))
        })?;
        let module = if module.contains('.') {
            with_component(&current_path(module))
        } else {
            module.to_owned()
        };
        Some(Self {
            module,
            role,
            layout,
        })
    }
}

/// The name of a module of [`Key::module`]'s spelling; `None` when it is neither a known kohya name nor a path.
pub(super) fn module_name(module: &str) -> Option<ModuleName> {
    ModuleName::from_kohya(module).or_else(|| ModuleName::from_diffusers(module))
}

/// A path in which old names of attention layers are replaced by today's.
fn current_path(path: &str) -> String {
    let path = path.strip_prefix(PEFT_PREFIX).unwrap_or(path);
    let path = path.replace(".processor.", ".");
    let Some((attention, layer)) = path.rsplit_once('.') else {
        return path;
    };
    let renamed = match (attention.ends_with("self_attn"), layer) {
        (false, "to_out") => "to_out.0",
        (true, "to_q") => "q_proj",
        (true, "to_k") => "k_proj",
        (true, "to_v") => "v_proj",
        (true, "to_out") => "out_proj",
        _ => return path,
    };
    format!("{attention}.{renamed}")
}

/// Paths of a single network say nothing of its component: text encoders are known by their first segment.
fn with_component(path: &str) -> String {
    if ModuleName::from_diffusers(path).is_some() {
        path.to_owned()
    } else if path.starts_with("text_model.") || path.starts_with("text_projection") {
        format!("text_encoder.{path}")
    } else {
        format!("unet.{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_module_is_the_same_module() {
        let unet = "down_blocks.0.attentions.0.transformer_blocks.0.attn1";
        for (key, layout) in [
            (
                format!(
                    "lora_unet_{}_to_out_0.lora_down.weight",
                    unet.replace('.', "_")
                ),
                LoraLayout::Kohya,
            ),
            (
                format!("unet.{unet}.to_out.0.lora_A.weight"),
                LoraLayout::Peft,
            ),
            (
                format!("unet.{unet}.to_out.0.lora_A.default.weight"),
                LoraLayout::Peft,
            ),
            (
                format!("base_model.model.{unet}.to_out.0.lora_A.weight"),
                LoraLayout::Peft,
            ),
            (
                format!("unet.{unet}.to_out.0.lora.down.weight"),
                LoraLayout::OldDiffusers,
            ),
            (
                format!("unet.{unet}.processor.to_out_lora.down.weight"),
                LoraLayout::OldDiffusers,
            ),
            (
                format!("{unet}.processor.to_out_lora.down.weight"),
                LoraLayout::OldDiffusers,
            ),
        ] {
            let parsed = Key::parse(&key).unwrap_or_else(|| panic!("{key}"));
            assert_eq!((parsed.role, parsed.layout), (Role::Down, Some(layout)));
            let name = module_name(&parsed.module).unwrap_or_else(|| panic!("{key}"));
            assert_eq!(name.to_string(), format!("unet.{unet}.to_out.0"), "{key}");
        }
        let text = "text_model.encoder.layers.0.self_attn";
        for key in [
            format!("text_encoder.{text}.q_proj.lora_B.weight"),
            format!("text_encoder.{text}.q_proj.lora_linear_layer.up.weight"),
            format!("text_encoder.{text}.to_q_lora.up.weight"),
            format!("base_model.model.{text}.q_proj.lora_B.weight"),
        ] {
            let parsed = Key::parse(&key).unwrap_or_else(|| panic!("{key}"));
            assert_eq!(parsed.role, Role::Up);
            assert_eq!(
                parsed.module,
                format!("text_encoder.{text}.q_proj"),
                "{key}"
            );
        }
    }

    #[test]
    fn other_tensors_are_refused() {
        for key in [
            "",
            ".alpha",
            ".lora_down.weight",
            "conv_in.weight",
            "a.lora_mid.weight",
            "a.hada_w1_a",
        ] {
            assert_eq!(Key::parse(key), None, "{key}");
        }
    }
}
