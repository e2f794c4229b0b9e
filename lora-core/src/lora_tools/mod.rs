//! What can be done with finished LoRA files: make them smaller, add them up, measure them.

mod combine;
mod network_entries;
mod norms;
mod rank_choice;
mod resize;

use network_entries::network_entries;

pub use combine::{CombineError, WeightedLora, combine};
pub use norms::{BlockNorm, ModuleNorm, Norms};
pub use rank_choice::{RankChoice, RankRule};
pub use resize::{ResizedModule, resize};
