use thiserror::Error;

/// Why a prompt cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PromptSyntaxError {
    /// Another text at other steps.
    #[error(
        "`{part}` is prompt editing, which is not supported; for the brackets themselves write `\\[` and `\\]`"
    )]
    Editing {
        /// The brackets and what is in them.
        part: String,
    },
    /// Texts that take turns.
    #[error(
        "`{part}` is alternation, which is not supported; for the brackets themselves write `\\[` and `\\]`"
    )]
    Alternation {
        /// The brackets and what is in them.
        part: String,
    },
    /// Several prompts in one.
    #[error(
        "AND joins prompts into a composition, which is not supported; as a word write it in small letters"
    )]
    Composition,
    /// A tag that is neither `lora` nor `lyco`.
    #[error("`{tag}` asks for a {kind}, which is not supported; there is <lora:NAME:STRENGTH>")]
    UnknownNetwork {
        /// The tag.
        tag: String,
        /// Its first word.
        kind: String,
    },
    /// A tag that names no file.
    #[error("`{tag}` names no LoRA; write <lora:NAME:STRENGTH>")]
    NoName {
        /// The tag.
        tag: String,
    },
    /// A strength that is no finite number.
    #[error("`{tag}`: `{value}` is no strength; write a number, as 0.8")]
    Strength {
        /// The tag.
        tag: String,
        /// What stands in the number's place.
        value: String,
    },
    /// More or other arguments than a name and strengths.
    #[error(
        "`{tag}`: `{argument}` is not supported; there are <lora:NAME:TE:UNET>, `te=` and `unet=`"
    )]
    Argument {
        /// The tag.
        tag: String,
        /// The argument.
        argument: String,
    },
}
