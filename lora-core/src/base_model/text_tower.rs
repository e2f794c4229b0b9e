//! What the tower number so and so of a family is made of.

use crate::{
    Family,
    text_encoder::{TextEncoder, TextEncoderConfig},
    tokenizer::Tokenizer,
    weights::Weights,
};

/// The text encoder number `index` of a family.
pub(crate) fn text_encoder(
    family: Family,
    index: usize,
    config: &TextEncoderConfig,
    weights: &Weights<'_>,
) -> TextEncoder {
    let prefix = family.text_prefixes()[index];
    if index == 1 {
        TextEncoder::with_projection(config, prefix, weights)
    } else {
        TextEncoder::new(config, prefix, weights)
    }
}

/// The tokenizer that the published model of a family has: OpenCLIP's towers are padded with `!`.
pub(super) fn published_tokenizer(family: Family, index: usize) -> Tokenizer {
    let clip = Tokenizer::clip();
    if family == Family::Sd2 || index == 1 {
        // CLIP's vocabulary has every printable character.
        return clip.clone().with_pad_token("!").unwrap_or(clip);
    }
    clip
}
