//! Low-rank adapters: the slot in each frozen layer, what fills it, and one visitor over all of them.

mod inject;
mod lora_file_bridge;
mod low_rank;
mod naming;
mod site;
mod spec;
mod strength;

pub use inject::{Injected, clear, factors, inject, merge, set_factors};
pub use lora_file_bridge::{add, attach, to_lora_file};
pub use low_rank::LowRank;
pub use naming::Naming;
pub use site::{Site, SiteShape, SiteWeight, Sites, Slot, Target};
pub use spec::{LoraSpec, SpecError};
pub use strength::Strength;
