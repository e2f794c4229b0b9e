use glob::Pattern;
use serde::{Deserialize, Serialize};

use super::{Naming, SpecError};

/// Settings of some layers that differ from those of the rest.
///
/// Rules are followed in their order, so that of two rules for one layer the later one decides.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BlockRule {
    /// The layers.
    pub layers: Vec<LayerPattern>,
    /// As [`super::LoraSpec::rank`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<usize>,
    /// As [`super::LoraSpec::alpha`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f32>,
    /// As [`super::LoraSpec::conv_rank`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conv_rank: Option<usize>,
    /// As [`super::LoraSpec::conv_alpha`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conv_alpha: Option<f32>,
    /// What the learning rate is multiplied by; 0 leaves the layers without adapters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
}

/// Which layers a rule is for. One of
///
/// - a block as tools for block weights count them, `IN04`, `MID` or `OUT11`, or `BASE` for the text encoders;
/// - a range of them, `IN04-IN08`;
/// - diffusers' path of a layer or of what it lies in, `unet.down_blocks.1` or `text_encoder`, in which `*` stands for anything:
///   `unet.*.attn2`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LayerPattern(pub String);

impl LayerPattern {
    /// Whether it is for the layer that diffusers calls `path`.
    pub fn matches(&self, naming: &Naming, path: &str) -> bool {
        let block = naming.block(path);
        let pattern = self.0.trim();
        if pattern.eq_ignore_ascii_case(&block) {
            return true;
        }
        if let Some([first, last]) = range(pattern) {
            return numbered(&block).is_some_and(|(kind, number)| {
                kind == first.0 && kind == last.0 && (first.1..=last.1).contains(&number)
            });
        }
        let name = naming.diffusers_name(path);
        let Ok(glob) = Pattern::new(pattern) else {
            return false;
        };
        let ends = name.match_indices('.').map(|(end, _)| end);
        ends.chain([name.len()])
            .any(|end| glob.matches(&name[..end]))
    }
}

impl BlockRule {
    /// # Errors
    /// No layers, a pattern that cannot be read, or a number that makes no sense, named as `lora.blocks[index]`.
    pub(super) fn check(&self, index: usize) -> Result<(), SpecError> {
        let bad = |key: &str, value: String, expected: &'static str| {
            Err(SpecError::BadValue {
                key: format!("blocks[{index}].{key}"),
                value,
                expected,
            })
        };
        if self.layers.is_empty() {
            let expected = "at least one of IN00…OUT11, MID, BASE or a path such as unet.mid_block";
            return bad("layers", "empty".to_owned(), expected);
        }
        for pattern in &self.layers {
            let is_range = range(&pattern.0).is_some();
            if !is_range && (pattern.0.trim().is_empty() || Pattern::new(&pattern.0).is_err()) {
                let expected =
                    "IN00…OUT11, MID, BASE, a range of them, or a path with * for anything";
                return bad("layers", format!("\"{}\"", pattern.0), expected);
            }
        }
        for (key, rank) in [("rank", self.rank), ("conv_rank", self.conv_rank)] {
            if rank == Some(0) {
                return bad(key, "0".to_owned(), "4 to 128; lr = 0 leaves layers out");
            }
        }
        for (key, alpha) in [("alpha", self.alpha), ("conv_alpha", self.conv_alpha)] {
            if let Some(alpha) = alpha.filter(|alpha| !(alpha.is_finite() && *alpha > 0.0)) {
                return bad(key, alpha.to_string(), "a positive number");
            }
        }
        match self.lr {
            Some(lr) if !(lr.is_finite() && lr >= 0.0) => bad(
                "lr",
                lr.to_string(),
                "a factor of the learning rate, 0 or more",
            ),
            _ => Ok(()),
        }
    }
}

/// `IN04-IN08` as its two ends.
fn range(pattern: &str) -> Option<[(&'static str, usize); 2]> {
    let (first, last) = pattern.trim().split_once('-')?;
    Some([numbered(first)?, numbered(last)?])
}

/// Kind and number of a block.
fn numbered(block: &str) -> Option<(&'static str, usize)> {
    let block = block.trim();
    ["OUT", "IN"].into_iter().find_map(|kind| {
        let start = block.get(..kind.len())?;
        let number = block[kind.len()..].parse().ok()?;
        start.eq_ignore_ascii_case(kind).then_some((kind, number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::OriginalUNetNames;

    fn unet() -> Naming {
        Naming {
            prefix: "lora_unet",
            folder: "unet",
            original: Some(OriginalUNetNames {
                layers_per_block: 2,
                attends: vec![false, true, true, true],
            }),
            files_are_original: false,
        }
    }

    #[test]
    fn blocks_are_counted_as_tools_for_block_weights_do() {
        let unet = unet();
        for (path, block) in [
            ("down_blocks.0.attentions.0.proj_in", "IN01"),
            ("down_blocks.0.downsamplers.0.conv", "IN03"),
            (
                "down_blocks.1.attentions.1.transformer_blocks.0.ff.net.2",
                "IN05",
            ),
            ("down_blocks.3.resnets.1.conv2", "IN11"),
            ("mid_block.attentions.0.proj_out", "MID"),
            ("up_blocks.0.resnets.0.conv1", "OUT00"),
            ("up_blocks.3.attentions.2.proj_out", "OUT11"),
        ] {
            assert_eq!(unet.block(path), block, "{path}");
        }
        assert_eq!(
            Naming::text_encoder("lora_te").block("text_model.encoder"),
            "BASE"
        );
    }

    #[test]
    fn a_pattern_is_a_block_a_range_or_a_path() {
        let (unet, text) = (unet(), Naming::text_encoder("lora_te2"));
        let layer = "down_blocks.1.attentions.1.transformer_blocks.0.attn2.to_k";
        for (pattern, matches) in [
            ("IN05", true),
            ("in05", true),
            ("IN04-IN06", true),
            ("IN06-IN08", false),
            ("OUT04-OUT06", false),
            ("MID", false),
            ("unet", true),
            ("unet.down_blocks.1", true),
            ("unet.down_blocks.1.attentions.10", false),
            ("unet.down_blocks", true),
            ("unet.down", false),
            ("unet.*.attn2", true),
            ("unet.*.attn1", false),
            ("*to_k", true),
            ("text_encoder", false),
        ] {
            let pattern = LayerPattern(pattern.to_owned());
            assert_eq!(pattern.matches(&unet, layer), matches, "{pattern:?}");
        }
        let of_text = |pattern: &str| {
            LayerPattern(pattern.to_owned()).matches(&text, "text_model.encoder.layers.3.mlp.fc1")
        };
        assert!(of_text("BASE") && of_text("text_encoder_2") && !of_text("text_encoder"));
        assert!(of_text("text_encoder_2.text_model.encoder.layers.3"));
        assert!(!of_text("text_encoder_2.text_model.encoder.layers.30"));
    }
}
