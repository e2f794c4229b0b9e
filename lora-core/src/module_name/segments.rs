//! Finding the dots of a module path again, where only underscores are left.

/// Segments of UNet paths in diffusers' naming. Where one begins another, the longer stands first.
const UNET: [&str; 30] = [
    "down_blocks",
    "mid_block",
    "up_blocks",
    "attentions",
    "resnets",
    "downsamplers",
    "upsamplers",
    "transformer_blocks",
    "attn1",
    "attn2",
    "to_q",
    "to_k",
    "to_v",
    "to_out",
    "ff",
    "net",
    "proj_in",
    "proj_out",
    "proj",
    "time_emb_proj",
    "time_embedding",
    "add_embedding",
    "linear_1",
    "linear_2",
    "conv_shortcut",
    "conv_in",
    "conv_out",
    "conv1",
    "conv2",
    "conv",
];

/// Segments of UNet paths in SGM's naming; transformers inside are named as in diffusers.
const SGM: [&str; 24] = [
    "input_blocks",
    "middle_block",
    "output_blocks",
    "in_layers",
    "out_layers",
    "emb_layers",
    "skip_connection",
    "op",
    "time_embed",
    "label_emb",
    "transformer_blocks",
    "attn1",
    "attn2",
    "to_q",
    "to_k",
    "to_v",
    "to_out",
    "ff",
    "net",
    "proj_in",
    "proj_out",
    "proj",
    "conv",
    "out",
];

const TEXT_ENCODER: [&str; 12] = [
    "text_model",
    "text_projection",
    "encoder",
    "layers",
    "self_attn",
    "q_proj",
    "k_proj",
    "v_proj",
    "out_proj",
    "mlp",
    "fc1",
    "fc2",
];

/// `down_blocks_0_attentions_0_proj_in` as `down_blocks.0.attentions.0.proj_in`.
pub(super) fn of_unet(text: &str) -> Option<String> {
    let path = split(text, &UNET)?;
    let first = path.split('.').next()?;
    let roots = [
        "down_blocks",
        "mid_block",
        "up_blocks",
        "conv_in",
        "conv_out",
        "time_embedding",
        "add_embedding",
    ];
    roots.contains(&first).then_some(path)
}

/// `input_blocks_4_1_proj_in` as `input_blocks.4.1.proj_in`.
pub(super) fn of_sgm(text: &str) -> Option<String> {
    split(text, &SGM)
}

/// `text_model_encoder_layers_0_mlp_fc1` as `text_model.encoder.layers.0.mlp.fc1`.
pub(super) fn of_text_encoder(text: &str) -> Option<String> {
    split(text, &TEXT_ENCODER)
}

/// Cuts `text` into numbers and `known` segments; `None` where neither stands.
fn split(text: &str, known: &[&'static str]) -> Option<String> {
    let mut path = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        let end = rest.find('_').unwrap_or(rest.len());
        let number = end > 0 && rest[..end].bytes().all(|byte| byte.is_ascii_digit());
        let length = if number {
            end
        } else {
            longest(rest, known)?.len()
        };
        path.push_str(&rest[..length]);
        rest = &rest[length..];
        if rest.is_empty() {
            return Some(path);
        }
        rest = rest.strip_prefix('_')?;
        path.push('.');
    }
}

/// The first of `known` that stands at the beginning of `rest` and ends there or at an underscore.
fn longest(rest: &str, known: &[&'static str]) -> Option<&'static str> {
    known.iter().copied().find(|segment| {
        rest.strip_prefix(segment)
            .is_some_and(|after| after.is_empty() || after.starts_with('_'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_that_begins_another_is_not_taken_for_it() {
        for (text, path) in [
            (
                "down_blocks_0_downsamplers_0_conv",
                "down_blocks.0.downsamplers.0.conv",
            ),
            (
                "down_blocks_0_resnets_0_conv_shortcut",
                "down_blocks.0.resnets.0.conv_shortcut",
            ),
            ("mid_block_resnets_1_conv2", "mid_block.resnets.1.conv2"),
            (
                "mid_block_attentions_0_proj_out",
                "mid_block.attentions.0.proj_out",
            ),
        ] {
            assert_eq!(of_unet(text).as_deref(), Some(path));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "_",
            "down_blocks",
            "down_blocks_",
            "down_blocks__0",
            "attn1_to_q",
            "0_down_blocks",
            "mid_block_norm1",
        ] {
            assert_eq!(
                of_unet(text).filter(|path| path.contains('.')),
                None,
                "{text}"
            );
        }
        assert_eq!(
            of_text_encoder("text_model_encoder_layers_0_self_attn_q"),
            None
        );
        assert_eq!(of_sgm("input_blocks_4_1_norm"), None);
    }
}
