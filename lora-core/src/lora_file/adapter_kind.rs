//! Adapters that are no LoRA, known by their keys.

use std::fmt;

/// A kind of adapter that is more than a LoRA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AdapterKind {
    /// Hadamard products of low-rank matrices (LyCORIS).
    LoHa,
    /// Kronecker products (LyCORIS).
    LoKr,
    /// LoRA with a trained magnitude of each output (Liu et al. 2024), in LyCORIS' form.
    Dora,
    /// The same in PEFT's form.
    PeftDora,
    /// A convolution with a third, middle factor (LyCORIS' `use_tucker`).
    Tucker,
    /// Whole differences of weights, biases or norms.
    FullDifference,
    /// Orthogonal fine-tuning.
    Oft,
    /// Scaled activations.
    Ia3,
    /// Generalised LoRA (LyCORIS).
    GLora,
    /// LoRA with a bias behind the up factor.
    LoraBias,
    /// Textual inversion packed into the file.
    Embedding,
}

/// What the tensors of one kind are called, behind the module's name.
const PARTS: [(&str, AdapterKind); 16] = [
    ("hada_w1", AdapterKind::LoHa),
    ("hada_w2", AdapterKind::LoHa),
    ("hada_t", AdapterKind::Tucker),
    ("lokr_w1", AdapterKind::LoKr),
    ("lokr_w2", AdapterKind::LoKr),
    ("lokr_t", AdapterKind::Tucker),
    ("dora_scale", AdapterKind::Dora),
    ("lora_magnitude_vector", AdapterKind::PeftDora),
    ("lora_mid", AdapterKind::Tucker),
    ("diff", AdapterKind::FullDifference),
    ("w_norm", AdapterKind::FullDifference),
    ("b_norm", AdapterKind::FullDifference),
    ("oft_blocks", AdapterKind::Oft),
    ("oft_diag", AdapterKind::Oft),
    ("oft_R", AdapterKind::Oft),
    ("on_input", AdapterKind::Ia3),
];

/// What may stand behind a part's name: which of two factors it is, or that it is a bias.
const VARIANTS: [&str; 6] = ["", "_a", "_b", "1", "2", "_w"];

/// Endings that occur in one kind only.
const ENDINGS: [(&str, AdapterKind); 6] = [
    (".a1.weight", AdapterKind::GLora),
    (".a2.weight", AdapterKind::GLora),
    (".b1.weight", AdapterKind::GLora),
    (".b2.weight", AdapterKind::GLora),
    (".lora_B.bias", AdapterKind::LoraBias),
    (".lora_up.bias", AdapterKind::LoraBias),
];

/// What the keys of a packed textual inversion begin with.
const EMBEDDING: &str = "bundle_emb.";

impl AdapterKind {
    /// The kind that a tensor of this name belongs to, if it is one of these.
    pub(super) fn of_key(key: &str) -> Option<Self> {
        if key.starts_with(EMBEDDING) {
            return Some(Self::Embedding);
        }
        if let Some(&(_, kind)) = ENDINGS.iter().find(|(ending, _)| key.ends_with(ending)) {
            return Some(kind);
        }
        // PEFT adds the adapter's name and what kind of tensor it is.
        let key = key.strip_suffix(".weight").unwrap_or(key);
        let key = key.strip_suffix(".default").unwrap_or(key);
        let (_, part) = key.rsplit_once('.')?;
        let is_part = |(name, _): &&(&str, Self)| {
            part.strip_prefix(name)
                .is_some_and(|variant| VARIANTS.contains(&variant))
        };
        PARTS.iter().find(is_part).map(|&(_, kind)| kind)
    }

    /// Whether it can be drawn with, merged and trained, though it is no LoRA.
    pub fn is_readable(self) -> bool {
        matches!(self, Self::LoHa | Self::LoKr | Self::Dora)
    }
}

impl fmt::Display for AdapterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LoHa => "LoHa",
            Self::LoKr => "LoKr",
            Self::Dora | Self::PeftDora => "DoRA",
            Self::Tucker => "Tucker decomposition",
            Self::FullDifference => "full difference",
            Self::Oft => "OFT",
            Self::Ia3 => "(IA)³",
            Self::GLora => "GLoRA",
            Self::LoraBias => "LoRA with biases",
            Self::Embedding => "textual inversion",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_known_by_the_end_of_a_key_alone() {
        for (key, kind) in [
            ("a.b.hada_w1_a", AdapterKind::LoHa),
            ("a.hada_t2", AdapterKind::Tucker),
            ("a.lokr_w2", AdapterKind::LoKr),
            ("a.lokr_w1_b", AdapterKind::LoKr),
            (
                "unet.a.lora_magnitude_vector.default.weight",
                AdapterKind::PeftDora,
            ),
            ("a.lora_mid.weight", AdapterKind::Tucker),
            ("a.diff_b", AdapterKind::FullDifference),
            ("a.oft_R.weight", AdapterKind::Oft),
            ("a.b2.weight", AdapterKind::GLora),
            ("bundle_emb.face.string_to_param.*", AdapterKind::Embedding),
        ] {
            assert_eq!(AdapterKind::of_key(key), Some(kind), "{key}");
        }
        for key in [
            "model.diffusion_model.out.2.weight",
            "model.diffusion_model.input_blocks.0.0.weight",
            "a.different.weight",
            "a.lora_down.weight",
            "diff",
            "my_bundle_emb.weight",
        ] {
            assert_eq!(AdapterKind::of_key(key), None, "{key}");
        }
    }
}
