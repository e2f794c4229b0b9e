//! What can be wrong with a LoRA file.

use std::fmt;

use safetensors::Dtype;

use super::AdapterKind;

/// How many problems a message spells out; the error value holds all of them.
const SHOWN: usize = 20;

/// One thing that forbids to use a LoRA file, with the key or module to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoraProblem {
    /// The file has no LoRA key at all.
    #[error("no key of the form <module>.lora_down.weight or <module>.lora_A.weight")]
    NoModules,
    /// The file holds an adapter that is no LoRA, or more than one.
    #[error(
        "{kind} adapter ({count} keys such as {example}): {}", way_out(*kind)
    )]
    OtherKind {
        /// What it is.
        kind: AdapterKind,
        /// How many tensors tell so.
        count: usize,
        /// The name of one of them.
        example: String,
    },
    /// Two tensors are the same factor or alpha of one module, in different spellings.
    #[error("{module} is in the file twice: {} and {}", keys[0], keys[1])]
    Twice {
        /// The module's name.
        module: String,
        /// The tensors' names.
        keys: [String; 2],
    },
    /// PEFT's configuration, which has the alphas, cannot be read.
    #[error("PEFT's adapter configuration cannot be read: {reason}")]
    AdapterConfig {
        /// What is wrong with it.
        reason: String,
    },
    /// Keys of a file that PEFT saved, without the configuration that it saved beside.
    #[error(
        "no adapter_config.json beside it; PEFT keeps alpha there, so copy it into the same folder"
    )]
    NoAdapterConfig,
    /// A key that is no part of a LoRA of this kind.
    #[error("unknown key {key}")]
    UnknownKey {
        /// The tensor's name.
        key: String,
    },
    /// A factor without its other half, or an alpha without factors.
    #[error("missing key {key}")]
    MissingKey {
        /// The name of the tensor that should be there.
        key: String,
    },
    /// A tensor that is not stored as floating-point numbers of at most 32 bits.
    #[error("{key} is stored as {dtype}, expected F16, BF16 or F32")]
    Dtype {
        /// The tensor's name.
        key: String,
        /// How it is stored.
        dtype: Dtype,
    },
    /// An alpha that is not stored as a number.
    #[error("{key} is stored as {dtype}, expected a number such as F16, F32 or I64")]
    AlphaDtype {
        /// The tensor's name.
        key: String,
        /// How it is stored.
        dtype: Dtype,
    },
    /// Two factors that cannot be multiplied.
    #[error(
        "{module}: lora_down {down:?} and lora_up {up:?} do not fit, expected [rank, in] and [out, rank] or their 4-D forms"
    )]
    Shapes {
        /// The module's name.
        module: String,
        /// Shape of the down factor.
        down: Vec<usize>,
        /// Shape of the up factor.
        up: Vec<usize>,
    },
    /// A tensor without values.
    #[error("{key} is empty")]
    Empty {
        /// The tensor's name.
        key: String,
    },
    /// Tensors of a module that is more than a pair, which cannot be multiplied.
    #[error("the tensors of {module} do not go together: {parts}")]
    Parts {
        /// The module's name.
        module: String,
        /// Their names and shapes.
        parts: String,
    },
    /// An alpha that is not one finite number.
    #[error("{key} is {found}, expected one finite number")]
    Alpha {
        /// The tensor's name.
        key: String,
        /// What stands there: a number or a shape.
        found: String,
    },
    /// A module whose name does not tell where in the network it is, which PEFT's keys say.
    #[error(
        "{module}: no path in the network is known for this name, so it cannot be written in PEFT's layout"
    )]
    NoPath {
        /// The module's name.
        module: String,
    },
    /// A factor that cannot be stored because a value is infinite or NaN, or becomes so in the file's number format.
    #[error("{key} has a value that the file's number format cannot hold")]
    NotFinite {
        /// The tensor's name.
        key: String,
    },
}

/// What to do with an adapter that is no LoRA.
fn way_out(kind: AdapterKind) -> &'static str {
    if kind.is_readable() {
        "only LoRA and LoCon will do here; `lora merge` puts it into its base model, then `lora extract` makes a LoRA of the \
         difference"
    } else {
        "it cannot be read; merge it into its base model with the program that made it, then `lora extract` makes a LoRA of \
         the difference"
    }
}

/// All problems of one file, unknown keys first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoraProblems(pub Vec<LoraProblem>);

impl fmt::Display for LoraProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in self.0.iter().take(SHOWN) {
            write!(f, "\n  {problem}")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            hidden => write!(f, "\n  and {hidden} more"),
        }
    }
}
