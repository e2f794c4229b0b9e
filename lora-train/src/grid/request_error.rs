use lora_core::prompt_syntax::PromptSyntaxError;
use thiserror::Error;

use crate::PromptError;

/// More cells than this are a slip of the hand.
pub(super) const MOST_CELLS: usize = 100_000;

/// Why a grid cannot be drawn as it was asked for.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum RequestError {
    /// Two axes set the same thing.
    #[error("two axes are `{axis}`; one of them would have no effect")]
    Twice {
        /// What both are.
        axis: &'static str,
    },
    /// An axis has no values.
    #[error("the axis `{axis}` is empty: {hint}")]
    Empty {
        /// The axis.
        axis: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// There is nothing to draw.
    #[error("there is no prompt")]
    NoPrompt,
    /// Too many cells.
    #[error("{cells} cells are more than {MOST_CELLS}")]
    TooMany {
        /// Cells asked for.
        cells: usize,
    },
    /// What "Prompt S/R" searches for is not there.
    #[error("`{search}` is neither in the prompt `{prompt}` nor in its negative prompt")]
    NotFound {
        /// What was searched for.
        search: String,
        /// Where.
        prompt: String,
    },
    /// A prompt cannot be followed, once everything is replaced in it.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// A `<lora:…>` cannot be read.
    #[error(transparent)]
    Tag(#[from] PromptSyntaxError),
    /// A `<lora:…>` names a file that was not given.
    #[error("<lora:{name}>: no such file was given; there are: {}", .known.join(", "))]
    UnknownLora {
        /// The name.
        name: String,
        /// The names of the files that were given.
        known: Vec<String>,
    },
    /// Several files, and nothing says which.
    #[error(
        "{files} LoRA files, but no axis is `files` and no prompt names one as <lora:NAME:STRENGTH>"
    )]
    Unused {
        /// How many.
        files: usize,
    },
    /// An axis of strengths, and no file that it would act on.
    #[error("the axis `strength` has no effect on {what}")]
    StrengthOfNothing {
        /// What there is instead of a file.
        what: &'static str,
    },
    /// Several strengths, but no axis for them.
    #[error("several strengths, but no axis is `strength`; give a single one")]
    Strengths,
}
