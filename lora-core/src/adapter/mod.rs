//! Low-rank adapters: the slot in each frozen layer, what fills it, and one visitor over all of them.

mod inject;
mod lora_file_bridge;
mod low_rank;
mod site;
mod spec;

pub use inject::{Injected, clear, factors, inject, merge, set_factors};
pub use lora_file_bridge::{attach, to_lora_file};
pub use low_rank::LowRank;
pub use site::{Site, SiteShape, SiteWeight, Sites, Target, kohya_name};
pub use spec::{LoraSpec, SpecError};
