//! One file for each command of `lora`.

pub(crate) mod bench;
pub(crate) mod cache;
pub(crate) mod completions;
pub(crate) mod convert;
pub(crate) mod devices;
pub(crate) mod extract;
pub(crate) mod faces;
pub(crate) mod grid;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod lint;
pub(crate) mod merge;
pub(crate) mod plan;
pub(crate) mod prepare;
pub(crate) mod presets;
pub(crate) mod queue;
pub(crate) mod quickstart;
pub(crate) mod reproduce;
pub(crate) mod resize;
pub(crate) mod sample;
pub(crate) mod schedule;
pub(crate) mod tag;
pub(crate) mod tags;
pub(crate) mod train;
pub(crate) mod verify;
