//! Adapters that are no LoRA, known by their keys.

use std::fmt;

/// A kind of adapter that this crate cannot apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AdapterKind {
    /// Hadamard products of low-rank matrices (LyCORIS).
    LoHa,
    /// Kronecker products (LyCORIS).
    LoKr,
    /// LoRA with a trained magnitude of each output (Liu et al. 2024).
    Dora,
    /// LoCon with a third, middle factor (LyCORIS' `use_tucker`).
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

/// Parts of keys that occur in one kind only.
const MARKS: [(&str, AdapterKind); 19] = [
    (".hada_w", AdapterKind::LoHa),
    (".hada_t", AdapterKind::LoHa),
    (".lokr_w", AdapterKind::LoKr),
    (".lokr_t", AdapterKind::LoKr),
    (".dora_scale", AdapterKind::Dora),
    (".lora_magnitude_vector", AdapterKind::Dora),
    (".lora_mid.weight", AdapterKind::Tucker),
    (".diff_b", AdapterKind::FullDifference),
    (".diff", AdapterKind::FullDifference),
    (".w_norm", AdapterKind::FullDifference),
    (".b_norm", AdapterKind::FullDifference),
    (".oft_blocks", AdapterKind::Oft),
    (".oft_diag", AdapterKind::Oft),
    (".oft_R", AdapterKind::Oft),
    (".on_input", AdapterKind::Ia3),
    (".a1.weight", AdapterKind::GLora),
    (".lora_B.bias", AdapterKind::LoraBias),
    (".lora_up.bias", AdapterKind::LoraBias),
    ("bundle_emb.", AdapterKind::Embedding),
];

impl AdapterKind {
    /// The kind that a tensor of this name belongs to, if it is one of these.
    pub(super) fn of_key(key: &str) -> Option<Self> {
        MARKS
            .iter()
            .find(|(mark, _)| key.contains(mark))
            .map(|&(_, kind)| kind)
    }
}

impl fmt::Display for AdapterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LoHa => "LoHa",
            Self::LoKr => "LoKr",
            Self::Dora => "DoRA",
            Self::Tucker => "LoCon with Tucker decomposition",
            Self::FullDifference => "full difference",
            Self::Oft => "OFT",
            Self::Ia3 => "(IA)³",
            Self::GLora => "GLoRA",
            Self::LoraBias => "LoRA with biases",
            Self::Embedding => "textual inversion",
        })
    }
}
