//! What can be wrong with a LoRA file.

use std::fmt;

use safetensors::Dtype;

/// How many problems a message spells out; the error value holds all of them.
const SHOWN: usize = 20;

/// One thing that forbids to use a LoRA file, with the key or module to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoraProblem {
    /// The file has no LoRA key at all.
    #[error("no key of the form <module>.lora_down.weight")]
    NoModules,
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
    /// An alpha that is not one finite number.
    #[error("{key} is {found}, expected one finite number")]
    Alpha {
        /// The tensor's name.
        key: String,
        /// What stands there: a number or a shape.
        found: String,
    },
    /// A factor that cannot be stored because a value is infinite or NaN, or becomes so in the file's number format.
    #[error("{key} has a value that the file's number format cannot hold")]
    NotFinite {
        /// The tensor's name.
        key: String,
    },
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
