//! Prompts as A1111 (AUTOMATIC1111's stable-diffusion-webui 1.10) reads them.
//!
//! | written | meaning |
//! | --- | --- |
//! | `(word)`, `(word:1.3)` | the states of its tokens times 1.1, or times the number |
//! | `[word]` | divided by 1.1 |
//! | `((a) b)` | brackets multiply; one that is never closed reaches to the end; a closing one too many is text |
//! | `\(` `\)` `\[` `\]` `\\` | the character itself; any other backslash vanishes |
//! | `BREAK` | what follows begins a new chunk of 75 tokens |
//! | `<lora:NAME:TE:UNET>` | a LoRA and its strengths, see [`LoraTag`] |
//!
//! Refused with an error, because without it the picture would quietly be another one: prompt editing `[from:to:when]`,
//! alternation `[a|b]`, composition `a AND b`, hypernetworks and any other `<kind:…>`.
//!
//! Where A1111 fails, this does not: `(a:1.2.3)` has no number and is text, and a `BREAK` within brackets is a break
//! (A1111 weighs its marker and then takes it for a word).

mod emphasis;
mod error;
mod lora_tag;
mod parsed_prompt;
mod refused;
mod weighted_row;

pub use emphasis::{Segment, parse_emphasis};
pub use error::PromptSyntaxError;
pub use lora_tag::LoraTag;
pub use parsed_prompt::ParsedPrompt;
pub use weighted_row::{COMMA_BACKTRACK, WeightedRow, emphasise, weighted_rows};
