//! One file for each command of `lora`.

pub(crate) mod bench;
pub(crate) mod completions;
pub(crate) mod devices;
pub(crate) mod grid;
pub(crate) mod inspect;
pub(crate) mod plan;
pub(crate) mod quickstart;
pub(crate) mod sample;
pub(crate) mod train;
