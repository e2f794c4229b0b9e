//! Which of the saved files is the best, beside by its held-out loss: pictures drawn with each are compared with the
//! training pictures. docs/numerics.md has the formulas.

mod captions;
mod chooser;
mod comparison;
mod histogram;
mod lab;
mod structure;

pub(crate) use chooser::Chooser;
pub use comparison::Comparison;
