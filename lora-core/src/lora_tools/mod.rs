//! What can be done with finished LoRA files: make them smaller, add them up, merge them into a base model, make them of
//! the difference of two, measure and check them.

mod base_layers;
mod combine;
mod extract;
mod fit;
mod merge_into;
mod model_folder;
mod network_entries;
mod norms;
mod rank_choice;
mod resize;
mod verify;
mod weight_fault;

use network_entries::network_entries;

pub use combine::{CombineError, WeightedLora, combine};
pub use extract::{ExtractChoice, ExtractError, Extracted, extract};
pub use fit::{Misfit, Misfits};
pub use merge_into::{MergeError, Merged, merge_into};
pub use norms::{BlockNorm, ModuleNorm, Norms};
pub use rank_choice::{RankChoice, RankRule};
pub use resize::{ResizedModule, resize};
pub use verify::{BaseCheck, Verification, VerifyError};
pub use weight_fault::WeightFault;
