//! Adapters: the slot in each frozen layer, what fills it, and one visitor over all of them.

mod block_rule;
mod change;
mod conv_geometry;
mod dropout;
mod fresh;
mod hadamard;
mod inject;
mod kronecker;
mod lora_file_bridge;
mod low_rank;
mod magnitude;
mod module_adapter;
mod naming;
mod planned_parts;
mod site;
mod spec;
mod spec_error;
mod strength;
mod take_over;

pub use block_rule::{BlockRule, LayerPattern};
pub use change::Change;
pub(crate) use conv_geometry::ConvGeometry;
pub use dropout::{Dropout, DropoutRates};
pub use hadamard::Hadamard;
pub use inject::{
    Injected, clear, factors, inject, limit_norms, merge, rate_factors, set_dropout, set_factors,
    unmatched_patterns,
};
pub use kronecker::{Kronecker, KroneckerFactor};
pub(crate) use lora_file_bridge::to_adapter;
pub use lora_file_bridge::{add, attach, to_lora_file};
pub use low_rank::LowRank;
pub use magnitude::Magnitude;
pub use module_adapter::Adapter;
pub use naming::Naming;
pub use planned_parts::{PlannedAdapters, PlannedMatrix, plan_adapters};
pub use site::{Site, SiteShape, SiteWeight, Sites, Slot, Target};
pub use spec::{Algorithm, LoraSpec, LoraStart, ResolvedLayer};
pub use spec_error::SpecError;
pub use strength::Strength;
pub use take_over::take_over;
