//! Names of OpenCLIP's text transformer for keys of transformers' `CLIPTextModel`.
//!
//! Mirrors diffusers' `convert_open_clip_checkpoint`, read from right to left.

use super::layout::Name;

/// The names, without prefix, under which an OpenCLIP file keeps `key`; the usual one first.
pub(super) fn names(key: &str) -> Vec<Name> {
    let Some(key) = key.strip_prefix("text_model.") else {
        return match key {
            // Some converters store the projection as transformers does.
            "text_projection.weight" => vec![
                Name {
                    transposed: true,
                    ..Name::plain("text_projection")
                },
                Name::plain(key),
            ],
            other => vec![Name::plain(other)],
        };
    };
    let name = match key {
        "embeddings.token_embedding.weight" => Name::plain("token_embedding.weight"),
        "embeddings.position_embedding.weight" => Name::plain("positional_embedding"),
        _ => {
            if let Some(tensor) = key.strip_prefix("final_layer_norm.") {
                Name::plain(format!("ln_final.{tensor}"))
            } else if let Some((layer, tensor)) = key
                .strip_prefix("encoder.layers.")
                .and_then(|rest| rest.split_once('.'))
            {
                block(layer, tensor)
            } else {
                Name::plain(key)
            }
        }
    };
    vec![name]
}

/// The name of `tensor` of the numbered `layer`.
fn block(layer: &str, tensor: &str) -> Name {
    let block = format!("transformer.resblocks.{layer}");
    let (module, kind) = tensor.rsplit_once('.').unwrap_or((tensor, ""));
    let packed = |third| Name {
        third: Some(third),
        ..Name::plain(format!("{block}.attn.in_proj_{kind}"))
    };
    match module {
        "self_attn.q_proj" => packed(0),
        "self_attn.k_proj" => packed(1),
        "self_attn.v_proj" => packed(2),
        "self_attn.out_proj" => Name::plain(format!("{block}.attn.out_proj.{kind}")),
        "layer_norm1" => Name::plain(format!("{block}.ln_1.{kind}")),
        "layer_norm2" => Name::plain(format!("{block}.ln_2.{kind}")),
        "mlp.fc1" => Name::plain(format!("{block}.mlp.c_fc.{kind}")),
        "mlp.fc2" => Name::plain(format!("{block}.mlp.c_proj.{kind}")),
        _ => Name::plain(format!("{block}.{tensor}")),
    }
}

/// Whether `name` is of the block after the last that is used.
///
/// SD2 was trained on the penultimate layer: its files hold one block more than the network uses.
pub(super) fn is_unused_block(name: &str, is_used: impl Fn(&str) -> bool) -> bool {
    let number = name
        .strip_prefix("transformer.resblocks.")
        .and_then(|rest| rest.split('.').next())
        .and_then(|number| number.parse::<usize>().ok());
    let used = |block: usize| is_used(&format!("transformer.resblocks.{block}.ln_1.weight"));
    number.is_some_and(|number| number > 0 && used(number - 1) && !used(number))
}
